//! P1 and P2: are the derived things what the log gives? Read models in any order and any batches; snapshots with tails.

use std::collections::BTreeMap;
use std::sync::Arc;

use onsale::actors::Dispatch;
use onsale::clock::Entropy;
use onsale::domain::{Aggregate, coupon, member, order, performance, seat, store};
use onsale::events::Record;
use onsale::ids::{Partition, StreamId};
use onsale::journal::SharedJournal;
use onsale::journal::memory::MemoryJournal;
use onsale::projections::table::{Cells, Key};
use onsale::projections::{Fact, Needed, Projection, ROSTER, Rows, Unfit};

use crate::door::Door;
use crate::world::World;

/// The tables of one read model.
#[derive(Debug, Default, PartialEq, Eq)]
struct Tables(BTreeMap<&'static str, BTreeMap<Key, Cells>>);

impl Tables {
    /// One transaction, as a runner makes it: look, apply, write once.
    fn apply(&mut self, projection: &dyn Projection, batch: &[Fact]) -> Result<(), Unfit> {
        let (mut needed, mut rows) = (Needed::default(), Rows::default());
        let concerns = |fact: &&Fact| {
            let (kind, noun) = (&*fact.record.kind, fact.record.kind.split('.').next().unwrap_or_default());
            projection.follows().iter().any(|follows| *follows == kind || *follows == noun)
        };
        batch.iter().filter(concerns).for_each(|fact| projection.reads(fact, &mut needed));
        for (table, keys) in needed.into_tables() {
            let stored = self.0.get(table.name);
            let found = keys.iter().filter_map(|key| stored.and_then(|rows| rows.get(key)).cloned()).collect();
            rows.loaded(table, keys, found);
        }
        for fact in batch.iter().filter(concerns) {
            projection.apply(fact, &mut rows)?;
            rows.keep();
        }
        for change in rows.changes() {
            let stored = self.0.entry(change.table.name).or_default();
            for cells in change.adds.into_iter().chain(change.upserts) {
                stored.insert(change.table.key_of(&cells), cells);
            }
            for key in change.deletes {
                stored.remove(&key);
            }
        }
        Ok(())
    }
}

/// P1: each read model in batches of any size, partitions interleaved in any way, against one fact after another.
pub fn projections(seed: u64, records: &[Record]) -> Vec<String> {
    let entropy = Entropy::seeded(seed ^ 0x9807);
    let facts: Vec<Fact> = records
        .iter()
        .filter_map(|record| Some(Fact { event: Arc::new(record.event().ok()?), record: Arc::new(record.clone()) }))
        .collect();
    let mut violations = Vec::new();
    // All of them in every run would be most of its work.
    let projection = ROSTER[usize::try_from(seed % ROSTER.len() as u64).expect("an index")];
    let name = projection.name();
    let (mut straight, mut running) = (Tables::default(), Tables::default());
    for fact in &facts {
        if let Err(unfit) = straight.apply(projection, std::slice::from_ref(fact)) {
            violations.push(format!("P1: {name} cannot apply {:?}: {unfit}", fact.position()));
        }
    }
    let mixed = interleaved(&facts, &entropy);
    let mut rest = mixed.as_slice();
    while !rest.is_empty() {
        let many = usize::try_from(1 + entropy.below(40)).expect("a small number").min(rest.len());
        if let Err(unfit) = running.apply(projection, &rest[..many]) {
            violations.push(format!("P1: {name} cannot apply a batch: {unfit}"));
        }
        rest = &rest[many..];
    }
    straight.0.retain(|_, rows| !rows.is_empty());
    running.0.retain(|_, rows| !rows.is_empty());
    if straight != running {
        violations.push(format!("P1: {name} in batches is not {name} one by one"));
    }
    violations
}

/// The same facts with the partitions interleaved in another way.
fn interleaved(facts: &[Fact], entropy: &Entropy) -> Vec<Fact> {
    let mut partitions: BTreeMap<Partition, Vec<Fact>> = BTreeMap::new();
    for fact in facts.iter().rev() {
        partitions.entry(fact.record.partition).or_default().push(fact.clone());
    }
    let mut mixed = Vec::with_capacity(facts.len());
    while !partitions.is_empty() {
        let which = usize::try_from(entropy.below(partitions.len() as u64)).expect("an index");
        let partition = *partitions.keys().nth(which).expect("one is left");
        let queue = partitions.get_mut(&partition).expect("it is there");
        mixed.extend(queue.pop());
        if queue.is_empty() {
            partitions.remove(&partition);
        }
    }
    mixed
}

/// P2: each stream's state from what was kept and its tail, through a door that cuts some of it short, against its state
/// from the first event on.
pub async fn snapshots(world: &World, records: &[Record]) -> Vec<String> {
    let seed = world.plan.seed;
    let bare = MemoryJournal::found(crate::run::PARTITIONS, world.clock.clone(), records.to_vec());
    let door = Door::new(world.journal.clone(), seed ^ 0x9292, &world.plan, world.tally.clone());
    let reader = |journal: SharedJournal| Dispatch::elsewhere(journal, world.clock.clone(), Entropy::seeded(seed));
    let both = Both { kept: reader(Arc::new(door)), whole: reader(Arc::new(bare)) };
    let mut streams: Vec<&StreamId> = records.iter().map(|record| &record.stream).collect();
    streams.sort();
    streams.dedup();
    let mut violations = Vec::new();
    for stream in streams {
        violations.extend(match stream.noun() {
            "coupon" => both.compare::<coupon::Coupon>(stream).await,
            "store" => both.compare::<store::Store>(stream).await,
            "performance" => both.compare::<performance::Performance>(stream).await,
            "order" => both.compare::<order::Order>(stream).await,
            "member" => both.compare::<member::Member>(stream).await,
            "seat" => both.compare::<seat::Seat>(stream).await,
            _ => Some(format!("P2: {stream} is of a noun that nobody compares")),
        });
    }
    violations
}

struct Both {
    kept: Dispatch,
    whole: Dispatch,
}

impl Both {
    async fn compare<A: Aggregate>(&self, stream: &StreamId) -> Option<String> {
        let text = |state: &A::State| serde_json::to_string(state).unwrap_or_else(|error| error.to_string());
        let kept = self.kept.read::<A, _>(stream.clone(), text).await;
        let whole = self.whole.read::<A, _>(stream.clone(), text).await;
        match (kept, whole) {
            (Ok(kept), Ok(whole)) if kept.value == whole.value && kept.version == whole.version => None,
            (kept, whole) => Some(format!("P2: {stream} is {kept:?} with snapshots and {whole:?} without")),
        }
    }
}
