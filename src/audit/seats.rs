//! I1, I2 and I3: does every seat have one holder at a time, does every hold end once and not too early, and do all seats
//! of an order go together?
//!
//! Whether a hold ended late enough *after* its deadline cannot be seen in the log: nobody may have owned the partition.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Row;
use super::findings::Findings;
use crate::events::order::Placed;
use crate::events::seat::ReleaseReason;
use crate::events::{Event, OrderEvent, Record, SeatEvent};
use crate::ids::{OrderId, StreamId};
use crate::timestamp::Timestamp;

#[derive(Default)]
pub(super) struct Seats {
    /// Seats that are not free.
    seats: HashMap<StreamId, Seat>,
    /// Orders that have neither expired nor been cancelled.
    orders: HashMap<OrderId, Order>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Seat {
    Held(OrderId),
    Sold(OrderId),
    Blocked,
}

struct Order {
    hold_until: Timestamp,
    seats: BTreeSet<StreamId>,
}

/// What a unit did to the seats of each order.
#[derive(Default)]
struct Moves {
    held: BTreeMap<OrderId, BTreeSet<StreamId>>,
    sold: BTreeMap<OrderId, BTreeSet<StreamId>>,
    released: BTreeMap<OrderId, BTreeSet<(StreamId, &'static str)>>,
}

impl Seats {
    pub fn judge(&mut self, unit: &[Row], findings: &mut Findings) {
        let mut moves = Moves::default();
        for row in unit {
            if let Some(Event::Seat(event)) = &row.event {
                self.seat_fact(&row.record, event, &mut moves, findings);
            }
        }
        for row in unit {
            if let Some(Event::Order(event)) = &row.event {
                self.order_fact(&row.record, event, &mut moves, findings);
            }
        }
        let Some(last) = unit.last() else { return };
        // What the order's facts of this unit did not account for is part of an order only.
        for (order, seats) in moves.held {
            findings.at(&last.record, "I3", format!("{seats:?} held for {order}, which is not placed with them"));
        }
        for (order, seats) in moves.released {
            findings.at(&last.record, "I3", format!("{seats:?} released by {order}, which does not end with them"));
        }
        for (order, seats) in moves.sold {
            if self.orders.get(&order).is_some_and(|placed| placed.seats != seats) {
                findings.at(&last.record, "I3", format!("only {seats:?} of {order} are sold together"));
            }
        }
    }

    fn seat_fact(&mut self, record: &Record, event: &SeatEvent, moves: &mut Moves, findings: &mut Findings) {
        let name = &record.stream;
        let before = self.seats.get(name).cloned();
        match event {
            SeatEvent::Held(held) => {
                if before.is_some() {
                    findings.at(record, "I1", format!("{name} is held by {} while it is {before:?}", held.order_id));
                }
                moves.held.entry(held.order_id.clone()).or_default().insert(name.clone());
                self.seats.insert(name.clone(), Seat::Held(held.order_id.clone()));
            }
            SeatEvent::Sold(sold) => {
                if before != Some(Seat::Held(sold.order_id.clone())) {
                    findings.at(record, "I1", format!("{name} is sold to {} while it is {before:?}", sold.order_id));
                }
                moves.sold.entry(sold.order_id.clone()).or_default().insert(name.clone());
                self.seats.insert(name.clone(), Seat::Sold(sold.order_id.clone()));
            }
            SeatEvent::Released(released) => {
                let order = &released.order_id;
                let refund = released.reason == ReleaseReason::Refunded && before == Some(Seat::Sold(order.clone()));
                if !refund && before != Some(Seat::Held(order.clone())) {
                    findings.at(record, "I2", format!("{name} is released by {order} while it is {before:?}"));
                }
                let deadline = self.orders.get(order).map(|order| order.hold_until);
                if released.reason == ReleaseReason::Expired && deadline.is_some_and(|deadline| record.at < deadline) {
                    findings.at(record, "I2", format!("the hold of {name} expires before its deadline"));
                }
                moves.released.entry(order.clone()).or_default().insert((name.clone(), word(released.reason)));
                self.seats.remove(name);
            }
            SeatEvent::Blocked(_) => {
                if before.is_some() {
                    findings.at(record, "I1", format!("{name} is blocked while it is {before:?}"));
                }
                self.seats.insert(name.clone(), Seat::Blocked);
            }
            SeatEvent::Unblocked(_) => {
                if before != Some(Seat::Blocked) {
                    findings.at(record, "I1", format!("{name} is unblocked while it is {before:?}"));
                }
                self.seats.remove(name);
            }
        }
    }

    fn order_fact(&mut self, record: &Record, event: &OrderEvent, moves: &mut Moves, findings: &mut Findings) {
        match event {
            OrderEvent::Placed(placed) => self.placed(record, placed, moves, findings),
            OrderEvent::Expired(expired) => {
                let deadline = self.orders.get(&expired.order_id).map(|order| order.hold_until);
                if deadline.is_some_and(|deadline| record.at < deadline) {
                    findings.at(record, "I2", format!("{} expires before its deadline", expired.order_id));
                }
                self.ended(record, &expired.order_id, ReleaseReason::Expired, moves, findings);
            }
            OrderEvent::Cancelled(cancelled) => {
                self.ended(record, &cancelled.order_id, ReleaseReason::Cancelled, moves, findings);
            }
            _ => {}
        }
    }

    fn placed(&mut self, record: &Record, placed: &Placed, moves: &mut Moves, findings: &mut Findings) {
        let order = &placed.order_id;
        if record.version.0 != 1 || record.stream != StreamId::order(order) {
            findings.at(record, "I3", format!("{order} is placed where it cannot begin"));
        }
        let wanted: BTreeSet<StreamId> =
            placed.seats.iter().map(|seat| StreamId::seat(&placed.performance_id, &seat.seat_id)).collect();
        let held = moves.held.remove(order).unwrap_or_default();
        if held != wanted || wanted.len() != placed.seats.len() {
            findings.at(record, "I3", format!("{order} is placed over {wanted:?}, but holds {held:?}"));
        }
        self.orders.insert(order.clone(), Order { hold_until: placed.hold_until, seats: wanted });
    }

    fn ended(&mut self, record: &Record, id: &OrderId, why: ReleaseReason, moves: &mut Moves, findings: &mut Findings) {
        let released = moves.released.remove(id).unwrap_or_default();
        let Some(order) = self.orders.remove(id) else {
            findings.at(record, "I2", format!("{id} ends, but it is not open"));
            return;
        };
        let expected: BTreeSet<_> = order.seats.into_iter().map(|seat| (seat, word(why))).collect();
        if released != expected {
            findings.at(record, "I3", format!("{id} ends with {expected:?}, but {released:?} is released"));
        }
    }
}

fn word(reason: ReleaseReason) -> &'static str {
    match reason {
        ReleaseReason::Expired => "expired",
        ReleaseReason::Cancelled => "cancelled",
        ReleaseReason::Failed => "failed",
        ReleaseReason::Refunded => "refunded",
    }
}
