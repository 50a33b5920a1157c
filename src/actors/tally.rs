//! What did commands come to? Counts by noun and outcome for operators, and refusals by stream for whoever asks.
//!
//! Refusals append nothing, so the log cannot tell how many there were; these counts are of this node and of this run, and
//! say since when. A sale refuses tens of thousands a second: one short lock each, and no text is made.

use std::collections::HashMap;

use metrics::Counter;
use parking_lot::{Mutex, RwLock};

use super::{CommandError, Outcome};
use crate::domain::{Aggregate, Refusal};
use crate::ids::StreamId;
use crate::timestamp::Timestamp;
use crate::{limits, telemetry};

/// The label of each outcome, in the order of the counters.
const OUTCOMES: [&str; 4] = ["accepted", "replayed", "refused", "failed"];

/// What was refused at one stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusals {
    /// Nothing since then is missing.
    pub since: Timestamp,
    /// By the code of the refusal, most frequent first.
    pub by_code: Vec<(&'static str, u64)>,
}

impl Refusals {
    fn total(&self) -> u64 {
        self.by_code.iter().map(|(_, count)| count).sum()
    }

    fn add(&mut self, code: &'static str) {
        match self.by_code.iter_mut().find(|(known, _)| *known == code) {
            Some((_, count)) => *count += 1,
            None => self.by_code.push((code, 1)),
        }
    }
}

pub struct Tally {
    /// A look-up in the registry of metrics per command would cost more than the count.
    outcomes: RwLock<Vec<(&'static str, [Counter; 4])>>,
    refusals: Mutex<Book>,
}

struct Book {
    /// A stream that is not here was not refused anything since then.
    since: Timestamp,
    streams: HashMap<StreamId, Refusals>,
}

impl Tally {
    pub fn since(since: Timestamp) -> Self {
        Self { outcomes: RwLock::default(), refusals: Mutex::new(Book { since, streams: HashMap::new() }) }
    }

    /// Takes in what a command came to.
    pub fn count<A: Aggregate>(
        &self,
        stream: &StreamId,
        command: &A::Command,
        result: &Result<Outcome<A::Event>, CommandError>,
        now: impl FnOnce() -> Timestamp,
    ) {
        let outcome = match result {
            Ok(outcome) => usize::from(outcome.replayed),
            Err(CommandError::Refused(_)) => 2,
            Err(CommandError::Failed(_)) => 3,
        };
        self.outcome(A::NOUN, outcome);
        // Where a new stream asks a neighbour for its terms, the neighbour's is the name that people know.
        if let Err(CommandError::Refused(refusal)) = result
            && tells_of_its_stream(refusal)
        {
            match A::context(&A::State::default(), command) {
                Some(neighbour) => self.refused(&neighbour, refusal.code(), now),
                None if !A::RESTS => self.refused(stream, refusal.code(), now),
                None => {}
            }
        }
    }

    fn outcome(&self, noun: &'static str, outcome: usize) {
        let known = |all: &[(&'static str, [Counter; 4])]| {
            let counters = all.iter().find(|(of, _)| *of == noun).and_then(|(_, counters)| counters.get(outcome));
            counters.map(|counter| counter.increment(1)).is_some()
        };
        if known(&self.outcomes.read()) {
            return;
        }
        let mut all = self.outcomes.write();
        if !known(&all) {
            let made = OUTCOMES.map(|label| metrics::counter!(telemetry::COMMANDS, "noun" => noun, "outcome" => label));
            made[outcome].increment(1);
            all.push((noun, made));
        }
    }

    fn refused(&self, stream: &StreamId, code: &'static str, now: impl FnOnce() -> Timestamp) {
        let mut book = self.refusals.lock();
        if let Some(refusals) = book.streams.get_mut(stream) {
            refusals.add(code);
            return;
        }
        if book.streams.len() >= 2 * limits::TALLIED_STREAMS {
            book.shrink(now());
        }
        let since = book.since;
        book.streams.insert(stream.clone(), Refusals { since, by_code: vec![(code, 1)] });
    }

    pub fn of(&self, stream: &StreamId) -> Refusals {
        let book = self.refusals.lock();
        let nothing = || Refusals { since: book.since, by_code: Vec::new() };
        let mut found = book.streams.get(stream).cloned().unwrap_or_else(nothing);
        found.by_code.sort_unstable_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        found
    }
}

impl Book {
    /// The least refused half goes. Who comes back later counts from now on.
    fn shrink(&mut self, now: Timestamp) {
        let mut order: Vec<(u64, StreamId)> =
            self.streams.iter().map(|(stream, refusals)| (refusals.total(), stream.clone())).collect();
        order.sort_unstable_by(|a, b| b.cmp(a));
        for (_, stream) in order.drain(limits::TALLIED_STREAMS.min(order.len())..) {
            self.streams.remove(&stream);
        }
        self.since = now;
    }
}

/// Not where the stream may not even exist: made-up names must not push out those that people ask for.
fn tells_of_its_stream(refusal: &Refusal) -> bool {
    !matches!(refusal, Refusal::NotFound | Refusal::InvalidValue { .. })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::coupon::{Command as Ask, Coupon};
    use crate::domain::order::{Command, Order, Place};
    use crate::fault::Fault;
    use crate::ids::{CommandId, CouponId, OrderId, Partition, PerformanceId};

    fn stream(number: usize) -> StreamId {
        StreamId::coupon(&CouponId::new(format!("cp_{number}")))
    }

    fn refuse(tally: &Tally, number: usize, refusal: Refusal, at: i64) {
        let command = Ask::Issue { keyed: false };
        tally.count::<Coupon>(&stream(number), &command, &Err(refusal.into()), || Timestamp(at));
    }

    #[test]
    fn refusals_are_counted_by_stream_and_code() {
        let tally = Tally::since(Timestamp(5));
        refuse(&tally, 1, Refusal::CouponAlreadyIssued { serial: 1 }, 0);
        refuse(&tally, 1, Refusal::CouponSoldOut, 0);
        refuse(&tally, 1, Refusal::CouponSoldOut, 0);
        refuse(&tally, 2, Refusal::CouponClosed, 0);
        refuse(&tally, 3, Refusal::NotFound, 0);
        tally
            .count::<Coupon>(&stream(4), &Ask::Issue { keyed: false }, &Err(Fault::Superseded.into()), || Timestamp(0));
        let by_code = |number| tally.of(&stream(number)).by_code;
        assert_eq!(by_code(1), [("coupon-sold-out", 2), ("coupon-already-issued", 1)]);
        assert_eq!(by_code(2), [("coupon-closed", 1)]);
        assert_eq!((by_code(3), by_code(4)), (vec![], vec![]), "no such thing, and no refusal");
        assert_eq!(tally.of(&stream(1)).since, Timestamp(5));
    }

    #[test]
    fn a_refused_order_counts_for_its_performance() {
        let tally = Tally::since(Timestamp(5));
        let performance_id = PerformanceId::derive(&CommandId::default());
        let order_id = OrderId::derive(Partition(1), &CommandId::default());
        let place = Place {
            order_id: order_id.clone(),
            performance_id: performance_id.clone(),
            seats: vec![],
            reference: None,
            coupon: None,
        };
        let now = || Timestamp(0);
        let order = StreamId::order(&order_id);
        tally.count::<Order>(&order, &Command::Place(place), &Err(Refusal::SaleClosed.into()), now);
        let refused = Err(Refusal::OrderNotCancellable { status: "expired" }.into());
        tally.count::<Order>(&order, &Command::Due, &refused, now);
        assert_eq!(tally.of(&StreamId::performance(&performance_id)).by_code, [("sale-closed", 1)]);
        assert!(tally.of(&order).by_code.is_empty(), "an order is asked once: it would only fill the memory");
    }

    #[test]
    fn the_least_refused_fall_out_and_say_so() {
        let tally = Tally::since(Timestamp(5));
        for number in 0..2 * limits::TALLIED_STREAMS {
            (0..=usize::from(number < 3)).for_each(|_| refuse(&tally, number, Refusal::CouponSoldOut, 7));
        }
        let late = 3 * limits::TALLIED_STREAMS;
        refuse(&tally, late, Refusal::CouponSoldOut, 9);
        let kept = tally.refusals.lock().streams.len();
        assert_eq!(kept, limits::TALLIED_STREAMS + 1);
        let of = |number| tally.of(&stream(number));
        let counted = |since, count| Refusals { since: Timestamp(since), by_code: vec![("coupon-sold-out", count)] };
        assert_eq!((of(0), of(1), of(2)), (counted(5, 2), counted(5, 2), counted(5, 2)), "the busiest stay");
        assert_eq!(of(late), counted(9, 1));
        let gone = (3..2 * limits::TALLIED_STREAMS).filter(|number| of(*number).by_code.is_empty());
        assert!(gone.map(|number| of(number).since).all(|since| since == Timestamp(9)), "nobody is told a lie");
    }
}
