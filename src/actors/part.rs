//! How do streams of several nouns take part in one unit? Each noun's streams together, behind one face.
//!
//! The decision (`decision.rs`) speaks to that face alone and knows no noun but the lead's. A borrowed state goes back
//! when its loan is dropped, whatever happens in between.

use std::any::Any;
use std::sync::Arc;

use futures::future::{BoxFuture, try_join_all};
use tokio::sync::oneshot;

use super::cell::Cell;
use super::decision::{Encoded, Stamp, encode, evolve};
use super::node::Node;
use super::registry::{Handle, Lease};
use super::shell::Message;
use crate::domain::{Aggregate, Ask, Asked, Asks, Decision, Refusal};
use crate::fault::Fault;
use crate::ids::{Partition, Position, StreamId};
use crate::journal::TimerChange;

/// A state that is out of its actor's hands for one decision.
pub struct Loan<A: Aggregate> {
    cell: Option<Box<Cell<A>>>,
    back: Option<oneshot::Sender<Box<Cell<A>>>>,
}

impl<A: Aggregate> Loan<A> {
    pub fn new(cell: Box<Cell<A>>, back: oneshot::Sender<Box<Cell<A>>>) -> Self {
        Self { cell: Some(cell), back: Some(back) }
    }

    /// Present from the loan's making until its drop.
    pub(super) fn cell(&mut self) -> Result<&mut Cell<A>, Fault> {
        self.cell.as_deref_mut().ok_or_else(|| Fault::internal("a loan without a state"))
    }
}

impl<A: Aggregate> Drop for Loan<A> {
    fn drop(&mut self) {
        if let (Some(cell), Some(back)) = (self.cell.take(), self.back.take()) {
            // The lender waits for it in its own handler; it is gone only when the node is.
            drop(back.send(cell));
        }
    }
}

/// One noun's streams that take part in a unit: woken, then borrowed, then asked.
pub trait Part: Any + Send {
    /// Leases on the actors, all with one load.
    fn wake<'a>(&'a mut self, node: &'a Arc<Node>, partition: Partition) -> BoxFuture<'a, Result<(), Fault>>;

    /// Takes the states of those that are awake, in stream order.
    fn borrow<'a>(&'a mut self, node: &'a Node) -> BoxFuture<'a, Result<(), Fault>>;

    /// All of one generation, and none spoilt.
    fn usable(&mut self, generation: u64) -> bool;

    /// The highest position that any of them has shown.
    fn shown(&mut self) -> Position;

    /// Asks them. Their facts go to `encoded` and are kept for `evolve`; who refuses goes to `refused`.
    fn propose(
        &mut self,
        asked: &Asked,
        encoded: &mut Vec<Encoded>,
        refused: &mut Vec<(StreamId, Refusal)>,
    ) -> Result<(), Fault>;

    /// What they said has happened.
    fn evolve(&mut self, stamp: Stamp, timers: &mut Vec<TimerChange>);

    /// Those that have facts in the unit show its end from now on.
    fn show(&mut self, last: Position);

    fn poison(&mut self);

    /// Takes over the asks of a part of the same noun over the very same streams; false: it is another one.
    fn ask_instead(&mut self, other: Box<dyn Part>) -> bool;
}

/// The streams of noun `P`; the lists beside `asks` are in its order, as far as they are filled.
struct PartOf<P: Aggregate> {
    asks: Vec<(StreamId, P::Command)>,
    awake: Vec<Lease>,
    loans: Vec<Loan<P>>,
    says: Vec<Vec<P::Event>>,
}

impl<P: Aggregate> PartOf<P> {
    /// The states that are here; those of dropped loans are not.
    fn cells(&mut self) -> impl Iterator<Item = &mut Cell<P>> {
        self.loans.iter_mut().filter_map(|loan| loan.cell().ok())
    }
}

impl<P: Aggregate> Part for PartOf<P> {
    fn wake<'a>(&'a mut self, node: &'a Arc<Node>, partition: Partition) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            let streams: Vec<StreamId> = self.asks.iter().map(|(stream, _)| stream.clone()).collect();
            self.awake = node.registry.wake::<P>(node, partition, &streams).await?;
            Ok(())
        })
    }

    fn borrow<'a>(&'a mut self, node: &'a Node) -> BoxFuture<'a, Result<(), Fault>> {
        Box::pin(async move {
            self.loans.reserve(self.awake.len());
            for lease in self.awake.drain(..) {
                let (to, lent) = oneshot::channel();
                Handle::send::<P>(lease, node, |lease| Message::Lend(to, lease)).await?;
                self.loans.push(lent.await.map_err(|_| Fault::Superseded)?);
            }
            Ok(())
        })
    }

    fn usable(&mut self, generation: u64) -> bool {
        let all = self.asks.len();
        self.cells().filter(|cell| cell.generation == generation && !cell.poisoned).count() == all
    }

    fn shown(&mut self) -> Position {
        self.cells().map(|cell| cell.shown).max().unwrap_or_default()
    }

    fn propose(
        &mut self,
        asked: &Asked,
        encoded: &mut Vec<Encoded>,
        refused: &mut Vec<(StreamId, Refusal)>,
    ) -> Result<(), Fault> {
        self.says = Vec::with_capacity(self.loans.len());
        for (loan, (_, command)) in self.loans.iter_mut().zip(&self.asks) {
            let cell = loan.cell()?;
            match P::decide(&cell.state, command, None, asked) {
                Ok(Decision::Append(events)) => {
                    encode(cell, &events, encoded)?;
                    self.says.push(events);
                }
                Ok(Decision::Replay(_) | Decision::Unchanged) => self.says.push(Vec::new()),
                Err(refusal) => refused.push((cell.stream.clone(), refusal)),
            }
        }
        Ok(())
    }

    fn evolve(&mut self, stamp: Stamp, timers: &mut Vec<TimerChange>) {
        for (loan, events) in self.loans.iter_mut().zip(&self.says) {
            if let Ok(cell) = loan.cell() {
                evolve(cell, events, stamp, timers);
            }
        }
    }

    fn show(&mut self, last: Position) {
        for (loan, _) in self.loans.iter_mut().zip(&self.says).filter(|(_, events)| !events.is_empty()) {
            if let Ok(cell) = loan.cell() {
                cell.shown = last;
            }
        }
    }

    fn poison(&mut self) {
        self.cells().for_each(|cell| cell.poisoned = true);
    }

    fn ask_instead(&mut self, other: Box<dyn Part>) -> bool {
        let other: Box<dyn Any> = other;
        let Ok(other) = other.downcast::<Self>() else { return false };
        let streams =
            |asks: &[(StreamId, P::Command)]| asks.iter().map(|(stream, _)| stream.clone()).collect::<Vec<_>>();
        let same = streams(&self.asks) == streams(&other.asks);
        if same {
            self.asks = other.asks;
        }
        same
    }
}

/// What is asked of whom, by noun; nobody is awake yet.
#[derive(Default)]
pub struct Cast {
    parts: Vec<Box<dyn Part>>,
}

impl Cast {
    /// In stream order, whose first part is the noun; no stream twice.
    pub fn of<Q: Ask>(mut asks: Vec<(StreamId, Q)>) -> Self {
        asks.sort_by(|(a, _), (b, _)| a.cmp(b));
        asks.dedup_by(|(a, _), (b, _)| a == b);
        let mut cast = Self::default();
        asks.into_iter().for_each(|(stream, ask)| ask.put(stream, &mut cast));
        cast
    }

    /// Everybody awake, the nouns side by side, so that their loads share one look into the log.
    pub async fn awake(self, node: &Arc<Node>, partition: Partition) -> Result<Vec<Box<dyn Part>>, Fault> {
        let mut parts = self.parts;
        match parts.as_mut_slice() {
            [] => {}
            [one] => one.wake(node, partition).await?,
            several => drop(try_join_all(several.iter_mut().map(|part| part.wake(node, partition))).await?),
        }
        Ok(parts)
    }

    /// Puts these asks in the place of those that `parts` carry, if they go to the very same streams.
    pub fn replaces(self, parts: &mut [Box<dyn Part>]) -> bool {
        parts.len() == self.parts.len()
            && parts.iter_mut().zip(self.parts).all(|(part, instead)| part.ask_instead(instead))
    }
}

impl Asks for Cast {
    fn take<P: Aggregate>(&mut self, stream: StreamId, command: P::Command) {
        let last = self.parts.last_mut().map(|part| -> &mut dyn Any { part.as_mut() });
        if let Some(part) = last.and_then(|part| part.downcast_mut::<PartOf<P>>()) {
            part.asks.push((stream, command));
            return;
        }
        let asks = vec![(stream, command)];
        self.parts.push(Box::new(PartOf::<P> { asks, awake: Vec::new(), loans: Vec::new(), says: Vec::new() }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::member::{self, Limits, Member};
    use crate::domain::order::Part as Ours;
    use crate::domain::seat;
    use crate::ids::{AccountId, OrderId, PerformanceId, SeatId};

    fn performance() -> PerformanceId {
        PerformanceId::new("pf_1")
    }

    fn of_seat(number: u8) -> (StreamId, Ours) {
        let hold = seat::Command::Hold { order_id: OrderId::new("o1") };
        (StreamId::seat(&performance(), &SeatId::new(format!("A-1-{number}"))), Ours::Seat(hold))
    }

    fn of_member(most: u32) -> (StreamId, Ours) {
        let limits = Limits { seats: Some(most), ..Limits::default() };
        let hold = member::Command::Hold { order_id: OrderId::new("o1"), seats: 2, limits };
        (StreamId::member(&performance(), &AccountId::new("ann")), Ours::Member(hold))
    }

    fn part<P: Aggregate>(parts: &[Box<dyn Part>]) -> Vec<&(StreamId, P::Command)> {
        let any = parts.iter().map(|part| -> &dyn Any { part.as_ref() });
        any.filter_map(|part| part.downcast_ref::<PartOf<P>>()).flat_map(|part| &part.asks).collect()
    }

    #[test]
    fn nouns_stand_together_and_all_streams_in_their_order() {
        let cast = Cast::of(vec![of_seat(2), of_member(3), of_seat(1), of_seat(2)]);
        assert_eq!(cast.parts.len(), 2, "one for each noun");
        let names =
            |asks: Vec<&(StreamId, seat::Command)>| asks.iter().map(|ask| ask.0.to_string()).collect::<Vec<_>>();
        assert_eq!(names(part::<seat::Seat>(&cast.parts)), ["seat/pf_1/A-1-1", "seat/pf_1/A-1-2"]);
        let first: &dyn Any = cast.parts[0].as_ref();
        assert!(first.is::<PartOf<Member>>(), "accounts are borrowed before seats, always");
    }

    #[test]
    fn the_same_streams_are_asked_again_and_others_are_not() {
        let asked = || Cast::of(vec![of_member(3), of_seat(1), of_seat(2)]).parts;
        let mut parts = asked();
        assert!(Cast::of(vec![of_seat(2), of_seat(1), of_member(1)]).replaces(&mut parts));
        let limits = part::<Member>(&parts).into_iter().map(|(_, ask)| match ask {
            member::Command::Hold { limits, .. } => limits.seats,
            other => panic!("it was to hold, not {other:?}"),
        });
        assert_eq!(limits.collect::<Vec<_>>(), [Some(1)], "what has to be asked now");
        for other in [
            vec![of_seat(1), of_seat(2)],
            vec![of_member(3), of_seat(1)],
            vec![of_member(3), of_seat(1), of_seat(3)],
            vec![of_member(3), of_seat(1), of_seat(2), of_seat(3)],
            vec![of_member(3)],
            vec![],
        ] {
            assert!(!Cast::of(other.clone()).replaces(&mut asked()), "{other:?}");
        }
    }
}
