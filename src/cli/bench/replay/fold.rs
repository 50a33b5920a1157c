//! How fast is one in-memory fold of the log? Reads it, follows the chain, decodes each fact and lets the rules' own
//! `evolve` have it, stream by stream; a task reads ahead by a few pieces.
//!
//! What the states come to is compared with what the rows say without being decoded: how often each kind stands there.

use std::any::Any;
use std::collections::{BTreeMap, HashMap};

use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use crate::cli::bench::report::Check;
use crate::domain::order::Order;
use crate::domain::{Aggregate, EachAggregate, Fact, coupon, each_aggregate, seat};
use crate::events::{Chain, Event, NounEvent, Record};
use crate::fault::Fault;
use crate::ids::{Partition, Position, StreamId};
use crate::journal::SharedJournal;
use crate::limits;

/// Pieces of the log that are read but not folded yet.
const AHEAD: usize = 4;

/// All streams of one noun.
trait Streams: Send {
    /// `false`: the fact belongs to another noun.
    fn fold(&mut self, record: &Record, event: Event) -> bool;
    fn len(&self) -> usize;
    /// The map of its streams' states.
    fn states(&self) -> &dyn Any;
}

type States<A> = HashMap<StreamId, <A as Aggregate>::State>;

struct Of<A: Aggregate>(States<A>);

impl<A: Aggregate> Streams for Of<A> {
    fn fold(&mut self, record: &Record, event: Event) -> bool {
        let Some(event) = A::Event::from_event(event) else { return false };
        if !self.0.contains_key(&record.stream) {
            self.0.insert(record.stream.clone(), A::State::default());
        }
        let Some(state) = self.0.get_mut(&record.stream) else { return false };
        A::evolve(state, Fact { event: &event, at: record.at, version: record.version, command: record.command });
        true
    }

    fn len(&self) -> usize {
        self.0.len()
    }

    fn states(&self) -> &dyn Any {
        &self.0
    }
}

/// Every noun of the roster, by its name.
#[derive(Default)]
struct Nouns(HashMap<&'static str, Box<dyn Streams>>);

impl EachAggregate for Nouns {
    fn visit<A: Aggregate>(&mut self) {
        self.0.insert(A::NOUN, Box::new(Of::<A>(HashMap::new())));
    }
}

impl Nouns {
    fn of<A: Aggregate>(&self) -> Option<&States<A>> {
        self.0.get(A::NOUN)?.states().downcast_ref()
    }
}

/// What the log came to.
pub struct Folded {
    pub events: u64,
    pub payload_bytes: u64,
    /// How often each kind stands in the log.
    kinds: BTreeMap<String, u64>,
    nouns: Nouns,
}

/// Folds everything up to `heads`. A row that is missing, does not follow or cannot be read is an error.
pub async fn fold(journal: &SharedJournal, heads: &[Position]) -> Result<Folded, Fault> {
    let mut nouns = Nouns::default();
    each_aggregate(&mut nouns);
    let mut folded = Folded { events: 0, payload_bytes: 0, kinds: BTreeMap::new(), nouns };
    let (pieces, mut read) = mpsc::channel(AHEAD);
    let (log, to) = (journal.clone(), heads.to_vec());
    let _reading = AbortOnDropHandle::new(tokio::spawn(async move {
        for (number, head) in (0..).zip(to) {
            let mut after = Position(0);
            while after < head {
                let piece = log.read_partition(Partition(number), after, limits::READ_BATCH).await;
                let last = piece.as_ref().ok().and_then(|piece| piece.last()).map(|last| last.position);
                // Whoever folds has ended, or will with this; nothing to be read is found by it as a missing row.
                if pieces.send((Partition(number), head, piece)).await.is_err() || last.is_none() {
                    return;
                }
                after = last.unwrap_or(head);
            }
        }
    }));
    let mut place = (Partition(0), Position(0), Chain::default());
    while let Some((partition, head, piece)) = read.recv().await {
        let piece = piece?;
        if place.0 != partition {
            place = (partition, Position(0), Chain::default());
        }
        if piece.is_empty() {
            return Err(damaged(partition, place.1.next(), "the row is missing"));
        }
        for record in piece.iter().filter(|record| record.position <= head) {
            folded.take(record, &mut place)?;
        }
    }
    Ok(folded)
}

fn damaged(partition: Partition, position: Position, detail: &str) -> Fault {
    Fault::Damaged { partition, position, detail: detail.to_owned() }
}

impl Folded {
    fn take(&mut self, record: &Record, place: &mut (Partition, Position, Chain)) -> Result<(), Fault> {
        let (partition, after, chain) = place;
        let (partition, due) = (*partition, after.next());
        if record.position != due {
            return Err(damaged(partition, due, "the row is missing"));
        }
        if record.chain_after(chain) != record.chain {
            return Err(damaged(partition, due, "the row does not follow from the one before it"));
        }
        (*after, *chain) = (due, record.chain);
        let event = record.event().map_err(|e| damaged(partition, due, &e.to_string()))?;
        let known = self.nouns.0.get_mut(record.stream.noun()).is_some_and(|noun| noun.fold(record, event));
        if !known {
            return Err(damaged(partition, due, "the fact is not of its stream's noun"));
        }
        self.events += 1;
        self.payload_bytes += record.payload.len() as u64;
        match self.kinds.get_mut(&*record.kind) {
            Some(count) => *count += 1,
            None => drop(self.kinds.insert(record.kind.to_string(), 1)),
        }
        Ok(())
    }

    pub fn streams(&self) -> usize {
        self.nouns.0.values().map(|noun| noun.len()).sum()
    }

    fn kind(&self, name: &str) -> u64 {
        self.kinds.get(name).copied().unwrap_or(0)
    }

    /// Coupons that were issued, as the states have it.
    pub fn issued(&self) -> u64 {
        self.nouns.of::<coupon::Coupon>().into_iter().flatten().map(|(_, state)| state.issued()).sum()
    }

    /// Orders that became tickets, as the states have it.
    pub fn completed(&self) -> u64 {
        let orders = self.nouns.of::<Order>().into_iter().flatten();
        orders.filter(|(_, state)| !state.tickets.is_empty()).count() as u64
    }

    /// Seats that somebody holds or has.
    pub fn taken(&self) -> u64 {
        let seats = self.nouns.of::<seat::Seat>().into_iter().flatten();
        let taken = |state: &seat::State| matches!(state, seat::State::Held { .. } | seat::State::Sold { .. });
        seats.filter(|(_, state)| taken(state)).count() as u64
    }

    /// Do the states agree with the kinds of the rows?
    pub fn check(&self, heads: &[Position]) -> Vec<Check> {
        let check = |name, found: u64, due: u64, what| Check {
            name,
            ok: found == due,
            detail: if found == due { format!("{found} {what}") } else { format!("{found} {what}, due are {due}") },
        };
        let heads = heads.iter().map(|head| head.0).sum();
        let taken = self.kind("seat.held").saturating_sub(self.kind("seat.released"));
        vec![
            check("events", self.events, heads, "were folded up to the heads, each following from the one before"),
            check("coupons", self.issued(), self.kind("coupon.issued"), "are issued"),
            check("orders", self.completed(), self.kind("order.completed"), "are completed"),
            check("seats", self.taken(), taken, "are held or sold"),
        ]
    }
}
