//! How do facts get into the rows of a build, each exactly once? One batch, one transaction.
//!
//! Used by the live runner and by rebuilds alike. A batch that fails is repeated unit by unit; a fact that cannot be
//! applied after some tries gets its key parked from there on, and every other key goes on. Where records come from, and
//! when, is the business of the callers.

use std::collections::{HashMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use super::store::{Build, Changes, CursorMove, Parked, StoreError, Writer};
use super::{Fact, Needed, Projection, Rows};
use crate::clock::Clock;
use crate::events::Record;
use crate::ids::{Partition, Position};
use crate::planted::{Bug, planted};
use crate::{limits, telemetry};

/// An event of the log by its place.
pub type Place = (Partition, Position);

/// Why an applier does not go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stop {
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The records do not go on where the cursor stands. Never skipped.
    #[error("a position is missing: {partition} should go on with {expected}, and goes on with {found}")]
    Gap { partition: Partition, expected: Position, found: Position },
    /// So much is parked that the projection itself must be wrong.
    #[error("{keys} keys are parked: the projection has stopped")]
    Halted { keys: usize },
}

/// Why a batch did not go through.
enum Trouble {
    Store(StoreError),
    /// Keys, their facts that cannot be applied, and why.
    Facts(Vec<Bad>),
}

/// A key, its first fact that cannot be applied, and why.
struct Bad {
    key: Arc<str>,
    place: Place,
    error: String,
}

/// What must be parked, by key.
type BadKeys = HashMap<Arc<str>, (Place, String)>;

impl From<StoreError> for Trouble {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// What a batch is, once its records have been looked at.
#[derive(Default)]
struct Work {
    facts: Vec<(Arc<str>, Fact)>,
    park: Vec<Parked>,
    broken: Vec<Bad>,
}

/// The writer of one build, with what it must know of it.
pub struct Applier {
    projection: &'static dyn Projection,
    pub(super) writer: Box<dyn Writer>,
    clock: Arc<dyn Clock>,
    /// Operators decided that these are never applied.
    pub(super) skips: HashSet<Place>,
    pub(super) parked: HashSet<Arc<str>>,
    /// What the store has.
    stored: Vec<Position>,
    /// Further than `stored` where what came did not concern the projection.
    pub(super) cursors: Vec<Position>,
}

impl Applier {
    /// Takes a build over: whoever wrote to it before is fenced.
    pub async fn take(
        projection: &'static dyn Projection,
        build: &dyn Build,
        skips: impl IntoIterator<Item = Place>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, StoreError> {
        let mut writer = build.writer().await?;
        let stored = build.cursors().await?;
        let parked = writer.parked_keys().await?.into_iter().map(Arc::from).collect();
        let skips = skips.into_iter().collect();
        let back = u64::from(planted(Bug::ApplyTwice));
        let cursors = stored.iter().map(|position| Position(position.0.saturating_sub(back))).collect();
        Ok(Self { projection, writer, clock, skips, parked, cursors, stored })
    }

    #[must_use]
    pub fn projection(&self) -> &'static dyn Projection {
        self.projection
    }

    /// Up to where everything has been looked at. Always at the end of a unit.
    #[must_use]
    pub fn cursors(&self) -> &[Position] {
        &self.cursors
    }

    #[must_use]
    pub fn parked_keys(&self) -> usize {
        self.parked.len()
    }

    /// Does the store know less than we do?
    #[must_use]
    pub fn is_ahead(&self) -> bool {
        self.cursors != self.stored
    }

    /// Applies whole units that go on where the cursors stand, of one or several partitions.
    pub async fn apply(&mut self, records: &[Arc<Record>]) -> Result<(), Stop> {
        let reached = self.ends_of(records)?;
        match self.attempt(records, &reached, &HashMap::new()).await {
            Ok(()) => Ok(()),
            Err(Trouble::Store(error @ (StoreError::Fenced | StoreError::Unavailable(_)))) => Err(error.into()),
            Err(Trouble::Facts(_) | Trouble::Store(StoreError::Refused(_))) => {
                for unit in records.split_inclusive(|record| record.unit_last) {
                    self.unit(unit).await?;
                }
                Ok(())
            }
        }
    }

    /// Brings the store's cursors to where ours are.
    pub async fn flush(&mut self) -> Result<(), StoreError> {
        if self.is_ahead() {
            let cursors = self.cursors.clone();
            self.commit(Changes::default(), cursors).await?;
        }
        Ok(())
    }

    /// One unit that may have a fact which cannot be applied.
    async fn unit(&mut self, unit: &[Arc<Record>]) -> Result<(), Stop> {
        let reached = self.ends_of(unit)?;
        let mut bad = BadKeys::new();
        let mut tries = 0;
        loop {
            let trouble = match self.attempt(unit, &reached, &bad).await {
                Ok(()) => return Ok(()),
                Err(Trouble::Store(StoreError::Refused(detail))) => Trouble::Store(StoreError::Refused(detail)),
                Err(Trouble::Store(error)) => return Err(error.into()),
                Err(trouble) => trouble,
            };
            metrics::counter!(telemetry::PROJECTION_RETRIES, "projection" => self.projection.name()).increment(1);
            if tries < limits::APPLY_RETRIES {
                tokio::time::sleep(backoff(tries)).await;
                tries += 1;
                continue;
            }
            let known = bad.len();
            let facts = match trouble {
                Trouble::Facts(facts) => facts,
                // The store cannot say which fact of the unit it was.
                Trouble::Store(error) => {
                    let facts = self.look_at(unit, &bad).await.facts;
                    let one =
                        |(key, fact): (Arc<str>, Fact)| Bad { key, place: place(&fact), error: error.to_string() };
                    facts.into_iter().map(one).collect()
                }
            };
            for Bad { key, place, error } in facts {
                // The first of a key counts; the others are behind it.
                bad.entry(key).or_insert((place, error));
            }
            if bad.len() == known || self.parked.len() + bad.len() > limits::PARKED_KEYS {
                return Err(Stop::Halted { keys: self.parked.len() + bad.len() });
            }
            for (key, (_, error)) in &bad {
                tracing::error!(projection = self.projection.name(), %key, %error, "parked: this key waits for an operator");
            }
        }
    }

    /// Everything or nothing. Facts of `bad` keys are parked with what is wrong with them.
    async fn attempt(&mut self, records: &[Arc<Record>], reached: &[Position], bad: &BadKeys) -> Result<(), Trouble> {
        let work = self.look_at(records, bad).await;
        if !work.broken.is_empty() {
            return Err(Trouble::Facts(work.broken));
        }
        if work.facts.is_empty() && work.park.is_empty() {
            self.cursors = reached.to_vec();
            return Ok(());
        }
        let (rows, broken) = self.fold(work.facts.iter().map(|(_, fact)| fact)).await?;
        if !broken.is_empty() {
            let named = |(at, error): (usize, String)| {
                let (key, fact) = &work.facts[at];
                Bad { key: key.clone(), place: place(fact), error }
            };
            return Err(Trouble::Facts(broken.into_iter().map(named).collect()));
        }
        let parks: Vec<Arc<str>> = work.park.iter().map(|parked| parked.key.as_str().into()).collect();
        let changes = Changes { tables: rows.changes(), park: work.park, ..Changes::default() };
        self.commit(changes, reached.to_vec()).await?;
        self.parked.extend(parks);
        let count = u64::try_from(work.facts.len()).unwrap_or(u64::MAX);
        metrics::counter!(telemetry::PROJECTION_EVENTS, "projection" => self.projection.name()).increment(count);
        Ok(())
    }

    /// Which records concern the projection, and which of those must wait.
    async fn look_at(&self, records: &[Arc<Record>], bad: &BadKeys) -> Work {
        let mut work = Work::default();
        let follows = self.projection.follows();
        for (at, record) in records.iter().enumerate() {
            let_others(at).await;
            if !super::concerns(follows, &record.kind) || self.skips.contains(&(record.partition, record.position)) {
                continue;
            }
            let (key, fact) = self.read(record);
            let here = (record.partition, record.position);
            let first_bad = bad.get(&key).filter(|_| !self.parked.contains(&key));
            if self.parked.contains(&key) || first_bad.is_some_and(|(place, _)| here >= *place) {
                let error = first_bad.filter(|(place, _)| *place == here).map(|(_, error)| error.clone());
                let (partition, position) = here;
                let (key, error, since) = (key.to_string(), error.unwrap_or_default(), self.clock.wall());
                work.park.push(Parked { partition, position, key, error, since });
                continue;
            }
            match fact {
                Ok(fact) => work.facts.push((key, fact)),
                Err(error) => work.broken.push(Bad { key, place: here, error }),
            }
        }
        work
    }

    /// A record's parking key, and its fact if it has a readable one.
    pub(super) fn read(&self, record: &Arc<Record>) -> (Arc<str>, Result<Fact, String>) {
        let stream = || record.stream.text();
        let event = match record.shared_event() {
            Ok(event) => event,
            Err(error) => return (stream(), Err(error.to_string())),
        };
        let fact = Fact { record: record.clone(), event };
        match catch_unwind(AssertUnwindSafe(|| self.projection.parking_key(&fact))) {
            Ok(key) => (key, Ok(fact)),
            Err(_) => (stream(), Err("the projection panicked on it".to_owned())),
        }
    }

    /// The rows after all facts, and which of the facts could not be applied.
    pub(super) async fn fold(
        &mut self,
        facts: impl Iterator<Item = &Fact> + Clone,
    ) -> Result<(Rows, Vec<(usize, String)>), StoreError> {
        const PANICKED: &str = "the projection panicked on it";
        let mut needed = Needed::default();
        let mut broken = Vec::new();
        for (at, fact) in facts.clone().enumerate() {
            let_others(at).await;
            if catch_unwind(AssertUnwindSafe(|| self.projection.reads(fact, &mut needed))).is_err() {
                broken.push((at, PANICKED.to_owned()));
            }
        }
        let mut rows = Rows::default();
        for (table, keys) in needed.into_tables() {
            let found = self.writer.load(table, &keys).await?;
            rows.loaded(table, keys, found);
        }
        for (at, fact) in facts.enumerate() {
            let_others(at).await;
            let applied = catch_unwind(AssertUnwindSafe(|| self.projection.apply(fact, &mut rows)));
            let error = match applied {
                Ok(Ok(())) => {
                    rows.keep();
                    continue;
                }
                Ok(Err(unfit)) => unfit.to_string(),
                Err(_) => PANICKED.to_owned(),
            };
            rows.take_back();
            broken.push((at, error));
        }
        broken.sort_unstable_by_key(|(at, _)| *at);
        Ok((rows, broken))
    }

    pub(super) async fn commit(&mut self, mut changes: Changes, reached: Vec<Position>) -> Result<(), StoreError> {
        changes.cursors = moves(&self.stored, &reached);
        if changes.cursors.is_empty() {
            // Something must be compared, or an older runner would not be fenced.
            let at = self.stored.first().copied().unwrap_or_default();
            changes.cursors.push(CursorMove { partition: Partition(0), from: at, to: at });
        }
        self.writer.commit(&changes).await?;
        self.stored.clone_from(&reached);
        self.cursors = reached;
        Ok(())
    }

    /// Where the cursors stand after `records`, which must go on from where they are.
    fn ends_of(&self, records: &[Arc<Record>]) -> Result<Vec<Position>, Stop> {
        let mut ends = self.cursors.clone();
        for record in records {
            let (partition, found) = (record.partition, record.position);
            let Some(end) = ends.get_mut(usize::from(partition.0)) else {
                return Err(Stop::Gap { partition, expected: Position(0), found });
            };
            if found != end.next() {
                return Err(Stop::Gap { partition, expected: end.next(), found });
            }
            *end = found;
        }
        Ok(ends)
    }
}

/// A batch of thousands is some milliseconds of work, for which the commands of the same thread must not wait.
async fn let_others(at: usize) {
    if at % limits::FACTS_AT_ONCE == limits::FACTS_AT_ONCE - 1 {
        tokio::task::yield_now().await;
    }
}

fn place(fact: &Fact) -> Place {
    (fact.record.partition, fact.record.position)
}

fn moves(from: &[Position], to: &[Position]) -> Vec<CursorMove> {
    (0..)
        .zip(from.iter().zip(to))
        .filter(|(_, (from, to))| from != to)
        .map(|(number, (from, to))| CursorMove { partition: Partition(number), from: *from, to: *to })
        .collect()
}

fn backoff(tries: u32) -> Duration {
    limits::APPLY_BACKOFF * 4_u32.saturating_pow(tries)
}
