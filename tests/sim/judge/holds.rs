//! I1, I2, I3 and I5 once more, with models of this run's own: seats, when their holds ended, and who had how many.

use std::collections::{BTreeMap, BTreeSet};

use onsale::events::{Event, OrderEvent, PerformanceEvent, Record, SeatEvent};
use onsale::ids::{AccountId, OrderId, SeatId};
use onsale::timestamp::Timestamp;

use crate::world::World;

/// A run with trouble may be recovering when a hold runs out; a quiet one has no excuse.
const LATE_QUIET: i64 = 1_000;
const LATE: i64 = 30_000;

/// An order that has not ended.
struct Open {
    until: Timestamp,
    /// Since when nothing keeps it from running out; `None` while its payment is open.
    free_since: Option<Timestamp>,
    review: bool,
}

pub fn holds(world: &World, records: &[Record]) -> Vec<String> {
    let mut violations = Vec::new();
    let mut holder: BTreeMap<SeatId, OrderId> = BTreeMap::new();
    let mut open: BTreeMap<OrderId, Open> = BTreeMap::new();
    let late = if world.plan.is_quiet() { LATE_QUIET } else { LATE };
    for record in records {
        let here = format!("{}:{}", record.partition, record.position);
        if let (Ok(Event::Seat(event)), Some(seat)) = (record.event(), record.stream.seat_id()) {
            violations.extend(seat_fact(&mut holder, &seat, &event).map(|problem| format!("{problem} at {here}")));
        }
        let Ok(Event::Order(event)) = record.event() else { continue };
        let order = OrderId::new(record.stream.id());
        match event {
            OrderEvent::Placed(placed) => {
                if !placed.seats.iter().all(|seat| holder.get(&seat.seat_id) == Some(&order)) {
                    violations.push(format!("I3 at {here}: {order} is placed without all its seats"));
                }
                open.insert(order, Open { until: placed.hold_until, free_since: Some(record.at), review: false });
            }
            OrderEvent::Requested(_) => {
                open.entry(order)
                    .and_modify(|open| open.free_since = None)
                    .or_insert_with(|| {
                        violations.push(format!("I2 at {here}: an order that has ended asks for money"));
                        Open { until: record.at, free_since: None, review: false }
                    })
                    .review = false
            }
            OrderEvent::Declined(_) => {
                if let Some(open) = open.get_mut(&order) {
                    (open.free_since, open.review) = (Some(record.at), false);
                }
            }
            OrderEvent::ReviewOpened(_) => {
                if let Some(open) = open.get_mut(&order) {
                    open.review = true;
                }
            }
            OrderEvent::Expired(_) => match open.remove(&order) {
                Some(Open { until, free_since: Some(since), .. }) => {
                    let lag = record.at.0 - until.0.max(since.0);
                    if record.at < until || !(0..=late).contains(&lag) {
                        violations.push(format!("I2 at {here}: {order} expired {lag} ms after its time"));
                    }
                }
                Some(_) => violations.push(format!("I2 at {here}: {order} expired while its payment is open")),
                None => violations.push(format!("I2 at {here}: {order} ended twice")),
            },
            OrderEvent::Cancelled(_) | OrderEvent::Failed(_) | OrderEvent::Completed(_)
                if open.remove(&order).is_none() =>
            {
                violations.push(format!("I2 at {here}: {order} ended twice"));
            }
            _ => {}
        }
    }
    let left = open.iter().filter(|(_, open)| !open.review);
    violations.extend(left.map(|(order, _)| format!("I2: {order} was never ended")));
    violations
}

/// `Some`: what is wrong with it.
fn seat_fact(holder: &mut BTreeMap<SeatId, OrderId>, seat: &SeatId, event: &SeatEvent) -> Option<String> {
    match event {
        SeatEvent::Held(held) => {
            let other = holder.insert(seat.clone(), held.order_id.clone())?;
            Some(format!("I1: {seat} is {other}'s already"))
        }
        SeatEvent::Sold(sold) if holder.get(seat) != Some(&sold.order_id) => {
            Some(format!("I1: {seat} is sold by an order that does not hold it"))
        }
        SeatEvent::Released(released) => {
            let before = holder.remove(seat);
            (before.as_ref() != Some(&released.order_id))
                .then(|| format!("I2: {seat} is released by an order that does not hold it"))
        }
        _ => None,
    }
}

/// I5 once more, from the seats alone: whoever places an order has no more of them than granted.
pub fn members(world: &World, records: &[Record]) -> Vec<String> {
    let mut violations = Vec::new();
    let mut holder: BTreeMap<SeatId, OrderId> = BTreeMap::new();
    let mut buyer: BTreeMap<OrderId, AccountId> = BTreeMap::new();
    let mut paid: BTreeSet<OrderId> = BTreeSet::new();
    let mut granted = world.granted;
    for record in records {
        let here = format!("{}:{}", record.partition, record.position);
        match (record.event(), record.stream.seat_id()) {
            (Ok(Event::Seat(SeatEvent::Held(held))), Some(seat)) => drop(holder.insert(seat, held.order_id)),
            (Ok(Event::Seat(SeatEvent::Released(_))), Some(seat)) => drop(holder.remove(&seat)),
            (Ok(Event::Order(OrderEvent::Completed(completed))), _) => drop(paid.insert(completed.order_id)),
            (Ok(Event::Order(OrderEvent::Placed(placed))), _) => {
                buyer.insert(placed.order_id, placed.account_id.clone());
                let of_buyer = |order: &&OrderId| buyer.get(*order) == Some(&placed.account_id);
                let orders: BTreeSet<&OrderId> =
                    holder.values().filter(of_buyer).filter(|order| !paid.contains(*order)).collect();
                let seats = holder.values().filter(of_buyer).count();
                let over = |most: Option<u32>, count: usize| most.is_some_and(|most| count > most as usize);
                if over(granted.seats, seats) || over(granted.live_orders, orders.len()) {
                    violations.push(format!("I5 at {here}: {} has {seats} seats of {orders:?}", placed.account_id));
                }
            }
            (Ok(Event::Performance(PerformanceEvent::Changed(terms))), _) => {
                granted.seats = terms.max_seats_per_member;
            }
            (Ok(Event::Member(_)), _) if !world.granted.counted() => {
                violations.push(format!("I5 at {here}: nobody is counted here"));
            }
            _ => {}
        }
    }
    violations
}
