//! What becomes of a parked key when an operator has looked at it? Its events are applied after all, in the order of the
//! log, as far as they go; skipped ones are left out.
//!
//! Who decides, and when, is the business of `runner`.

use std::sync::Arc;

use super::Fact;
use super::applier::{Applier, Place};
use super::store::{Changes, Decision, Parked, StoreError};
use crate::events::Record;
use crate::fault::Fault;
use crate::ids::Position;
use crate::journal::follow::Follow;
use crate::limits;

/// What came of trying a parked key again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// Nothing of it waits any more.
    Free { applied: u64 },
    /// Some of it was applied, if any; the next one cannot be.
    Still { applied: u64, at: Place, error: String },
}

impl Applier {
    /// From now on this event is as good as not there.
    pub fn skip(&mut self, place: Place) {
        self.skips.insert(place);
    }

    /// Does the key that a decision is about still wait at the event that it is about?
    pub async fn is_first(&mut self, decision: &Decision) -> Result<bool, StoreError> {
        let first = self.writer.parked_of(&decision.key, 1).await?.pop();
        Ok(first.is_some_and(|first| (first.partition, first.position) == (decision.partition, decision.position)))
    }

    /// Applies what waits under a parked key, in the order of the log, as far as it goes.
    pub async fn settle(&mut self, key: &str, follow: &Follow) -> Result<Settled, StoreError> {
        let mut applied = 0;
        let mut limit = limits::PARKED_CHUNK;
        loop {
            let waiting = self.writer.parked_of(key, limit).await?;
            if waiting.is_empty() {
                self.parked.remove(key);
                return Ok(Settled::Free { applied });
            }
            let places: Vec<Place> = waiting.iter().map(|parked| (parked.partition, parked.position)).collect();
            let records = match fetch(follow, &places).await {
                Ok(records) => records,
                // The log itself is damaged there: the key goes on waiting, and hurts nobody else.
                Err(Fault::Damaged { position, detail, .. }) => {
                    return Ok(Settled::Still { applied, at: (places[0].0, position), error: detail });
                }
                Err(fault) => return Err(StoreError::Unavailable(fault.to_string())),
            };
            let facts = self.readable(&records);
            let (_, broken) = self.fold(facts.good.iter().map(|(_, fact)| fact)).await?;
            let (good, stuck) = match broken.into_iter().next() {
                Some((at, error)) => (at, Some((facts.good[at].0, error))),
                None => (facts.good.len(), facts.bad),
            };
            // Everything before the first that fails is done with, skipped ones too.
            let first_bad = stuck.as_ref().map(|(place, _)| *place);
            let done: Vec<Place> = places.iter().copied().take_while(|place| Some(*place) != first_bad).collect();
            match self.settle_some(&facts.good[..good], done, stuck.as_ref(), &waiting).await {
                Ok(()) => applied += good as u64,
                // Which of them, the store does not say: one at a time.
                Err(StoreError::Refused(_)) if limit > 1 => {
                    limit = 1;
                    continue;
                }
                Err(StoreError::Refused(error)) => {
                    let stuck = (places[0], error);
                    self.settle_some(&[], Vec::new(), Some(&stuck), &waiting).await?;
                    return Ok(Settled::Still { applied, at: stuck.0, error: stuck.1 });
                }
                Err(error) => return Err(error),
            }
            if let Some((at, error)) = stuck {
                return Ok(Settled::Still { applied, at, error });
            }
        }
    }

    /// The facts of a key's records up to the first one that cannot be read; without those that are skipped.
    fn readable(&self, records: &[Arc<Record>]) -> Readable {
        let mut good = Vec::with_capacity(records.len());
        for record in records {
            let place = (record.partition, record.position);
            if self.skips.contains(&place) {
                continue;
            }
            match self.read(record).1 {
                Ok(fact) => good.push((place, fact)),
                Err(error) => return Readable { good, bad: Some((place, error)) },
            }
        }
        Readable { good, bad: None }
    }

    /// One transaction: rows of `facts`, `done` no longer parked, and what is wrong with the one that is stuck.
    async fn settle_some(
        &mut self,
        facts: &[(Place, Fact)],
        done: Vec<Place>,
        stuck: Option<&(Place, String)>,
        waiting: &[Parked],
    ) -> Result<(), StoreError> {
        let (rows, _) = self.fold(facts.iter().map(|(_, fact)| fact)).await?;
        let mut changes = Changes { tables: rows.changes(), unpark: done, ..Changes::default() };
        let again = stuck.and_then(|(place, error)| {
            let parked = waiting.iter().find(|parked| (parked.partition, parked.position) == *place)?;
            Some(Parked { error: error.clone(), ..parked.clone() })
        });
        if let Some(parked) = again {
            changes.unpark.push((parked.partition, parked.position));
            changes.park.push(parked);
        }
        let cursors = self.cursors.clone();
        self.commit(changes, cursors).await
    }
}

/// What of a parked key can be tried again.
struct Readable {
    good: Vec<(Place, Fact)>,
    bad: Option<(Place, String)>,
}

/// The records of places, which are in the order of the log.
async fn fetch(follow: &Follow, places: &[Place]) -> Result<Vec<Arc<Record>>, Fault> {
    let mut found: Vec<Arc<Record>> = Vec::with_capacity(places.len());
    while let Some((partition, position)) = places.get(found.len()).copied() {
        let before = Position(position.0.saturating_sub(1));
        let read = follow.read(partition, before).await?;
        let had = found.len();
        for record in read {
            if places.get(found.len()) == Some(&(record.partition, record.position)) {
                found.push(record);
            }
        }
        if found.len() == had {
            return Err(Fault::unavailable(format!("the log does not show {partition}:{position}")));
        }
    }
    Ok(found)
}
