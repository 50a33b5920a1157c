//! I1, I2 and I3: does every seat have one holder at a time, does every hold end once and not too early, and do all seats
//! of an order go together, to a buyer and back?
//!
//! Of money it knows one thing, which payments of an order are open: such an order must not end. Whether a hold ended
//! late enough *after* its deadline cannot be seen in the log: nobody may have owned the partition.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Row;
use super::findings::Findings;
use crate::events::order::{Completed, Placed, RefundDone};
use crate::events::seat::ReleaseReason;
use crate::events::{Event, OrderEvent, Record, SeatEvent};
use crate::ids::{OrderId, PerformanceId, StreamId, TicketId};
use crate::timestamp::Timestamp;

#[derive(Default)]
pub(super) struct Seats {
    /// Seats that are not free.
    seats: HashMap<StreamId, Seat>,
    /// Orders that hold their seats.
    orders: HashMap<OrderId, Order>,
    /// The seats of the tickets that were sold and not given back.
    tickets: HashMap<TicketId, StreamId>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Seat {
    Held(OrderId),
    Sold(OrderId),
    Blocked,
}

struct Order {
    hold_until: Timestamp,
    performance: PerformanceId,
    seats: BTreeSet<StreamId>,
    /// Attempts of which neither yes nor no is known.
    paying: BTreeSet<u32>,
}

/// What a unit did to the seats of each order.
#[derive(Default)]
struct Moves {
    held: BTreeMap<OrderId, BTreeSet<StreamId>>,
    sold: BTreeMap<OrderId, BTreeSet<(StreamId, TicketId)>>,
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
                self.payment_fact(event);
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
            findings.at(&last.record, "I3", format!("{seats:?} sold to {order}, which is not completed with them"));
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
                moves.sold.entry(sold.order_id.clone()).or_default().insert((name.clone(), sold.ticket_id.clone()));
                self.seats.insert(name.clone(), Seat::Sold(sold.order_id.clone()));
            }
            SeatEvent::Released(released) => {
                let order = &released.order_id;
                let due = match released.reason {
                    ReleaseReason::Refunded => Seat::Sold(order.clone()),
                    ReleaseReason::Expired | ReleaseReason::Cancelled | ReleaseReason::Failed => {
                        Seat::Held(order.clone())
                    }
                };
                if before != Some(due) {
                    let why = word(released.reason);
                    findings.at(record, "I2", format!("{name} is released by {order} ({why}) while it is {before:?}"));
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

    /// Before the other facts of the unit: a payment that is settled in it does not keep the order from ending.
    fn payment_fact(&mut self, event: &OrderEvent) {
        let (id, attempt, open) = match event {
            OrderEvent::Requested(requested) => (&requested.order_id, requested.attempt, true),
            OrderEvent::Captured(captured) => (&captured.order_id, captured.attempt, false),
            OrderEvent::Declined(declined) => (&declined.order_id, declined.attempt, false),
            _ => return,
        };
        let Some(order) = self.orders.get_mut(id) else { return };
        if open {
            order.paying.insert(attempt);
        } else {
            order.paying.remove(&attempt);
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
            OrderEvent::Failed(failed) => {
                self.ended(record, &failed.order_id, ReleaseReason::Failed, moves, findings);
            }
            OrderEvent::Completed(completed) => self.completed(record, completed, moves, findings),
            OrderEvent::RefundDone(done) => self.refunded(record, done, moves, findings),
            // Of these no seat moves: who would move one with them is found by what is left over.
            OrderEvent::Refunded(_)
            | OrderEvent::CouponSettled(_)
            | OrderEvent::Requested(_)
            | OrderEvent::Captured(_)
            | OrderEvent::Declined(_)
            | OrderEvent::RefundRequested(_)
            | OrderEvent::ReviewOpened(_)
            | OrderEvent::ReviewSettled(_)
            | OrderEvent::CheckedIn(_) => {}
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
        let (hold_until, performance) = (placed.hold_until, placed.performance_id.clone());
        let new = Order { hold_until, performance, seats: wanted, paying: BTreeSet::new() };
        self.orders.insert(order.clone(), new);
    }

    fn ended(&mut self, record: &Record, id: &OrderId, why: ReleaseReason, moves: &mut Moves, findings: &mut Findings) {
        let released = moves.released.remove(id).unwrap_or_default();
        let Some(order) = self.leave(record, id, findings) else { return };
        let expected: BTreeSet<_> = order.seats.into_iter().map(|seat| (seat, word(why))).collect();
        if released != expected {
            findings.at(record, "I3", format!("{id} ends with {expected:?}, but {released:?} is released"));
        }
    }

    fn completed(&mut self, record: &Record, completed: &Completed, moves: &mut Moves, findings: &mut Findings) {
        let id = &completed.order_id;
        let sold = moves.sold.remove(id).unwrap_or_default();
        let Some(order) = self.leave(record, id, findings) else { return };
        let named = completed.tickets.iter();
        let tickets: BTreeSet<(StreamId, TicketId)> = named
            .map(|ticket| (StreamId::seat(&order.performance, &ticket.seat_id), ticket.ticket_id.clone()))
            .collect();
        let seats: BTreeSet<StreamId> = tickets.iter().map(|(seat, _)| seat.clone()).collect();
        if sold != tickets || seats != order.seats || tickets.len() != order.seats.len() {
            let seats = order.seats;
            findings.at(record, "I3", format!("{id} of {seats:?} is completed with {tickets:?}, but {sold:?} is sold"));
        }
        for (seat, ticket) in tickets {
            if self.tickets.insert(ticket.clone(), seat).is_some() {
                findings.at(record, "I1", format!("ticket {ticket} is sold a second time"));
            }
        }
    }

    /// The order stops holding its seats, in whatever way.
    fn leave(&mut self, record: &Record, id: &OrderId, findings: &mut Findings) -> Option<Order> {
        let Some(order) = self.orders.remove(id) else {
            findings.at(record, "I2", format!("{id} ends, but it is not open"));
            return None;
        };
        if !order.paying.is_empty() {
            findings.at(record, "I2", format!("{id} ends while its payment {:?} is open", order.paying));
        }
        Some(order)
    }

    /// Money that came too late names no ticket, and gives no seat back.
    fn refunded(&mut self, record: &Record, done: &RefundDone, moves: &mut Moves, findings: &mut Findings) {
        let id = &done.order_id;
        let mut expected = BTreeSet::new();
        for ticket in &done.tickets {
            match self.tickets.remove(ticket) {
                Some(seat) => {
                    expected.insert((seat, word(ReleaseReason::Refunded)));
                }
                None => findings.at(record, "I2", format!("ticket {ticket} is given back, but nobody has it")),
            }
        }
        // Another refund of the same order in this unit, or the end of its hold, has releases of its own.
        let Some(released) = moves.released.get_mut(id) else {
            if !expected.is_empty() {
                findings.at(record, "I3", format!("{} is done, but of {expected:?} none is released", done.refund_id));
            }
            return;
        };
        let missing: Vec<_> = expected.iter().filter(|seat| !released.remove(seat)).collect();
        if !missing.is_empty() {
            findings.at(record, "I3", format!("{} is done, but {missing:?} is not released", done.refund_id));
        }
        if released.is_empty() {
            moves.released.remove(id);
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
