//! Was the promise kept? Holds the log against the invariants, and what everybody was told against the log.
//!
//! The product's own audit is asked as well, but not believed alone: the files beside this one have models of their own.

mod holds;
mod models;
mod money;

use std::collections::{BTreeMap, BTreeSet};

use onsale::audit;
use onsale::events::order::ReviewOf;
use onsale::events::{CouponEvent, Event, OrderEvent, Record};
use onsale::ids::{CommandId, OrderId};
use tokio::task::JoinSet;

use crate::watchers::Diary;
use crate::world::World;

/// BLAKE3 over the whole log: envelopes, payloads and chains.
pub fn hash(records: &[Record]) -> String {
    let mut hasher = blake3::Hasher::new();
    for record in records {
        hasher.update(&record.chain.0);
        hasher.update(record.stream.as_str().as_bytes());
    }
    hasher.finalize().to_hex().to_string()
}

pub async fn all(world: &World) -> Vec<String> {
    let mut violations = std::mem::take(&mut *world.violations.lock());
    violations.extend(world.fleet.violations());
    let records = world.journal.dump();
    match audit::run(&world.journal, |_| {}).await {
        Ok(report) => {
            violations.extend(report.violations.iter().map(|violation| format!("audit: {violation:?}")));
            violations.extend(money::judge(world, &records, &report.payments));
        }
        Err(fault) => violations.push(format!("the audit could not run: {fault}")),
    }
    violations.extend(acknowledged(world, &records));
    violations.extend(holds::holds(world, &records));
    violations.extend(holds::members(world, &records));
    violations.extend(coupons(&records));
    violations.extend(models::projections(world.plan.seed, &records));
    violations.extend(models::snapshots(world, &records).await);
    violations.extend(count(world, &records));
    violations
}

/// What the log says was reached.
fn count(world: &World, records: &[Record]) -> Vec<String> {
    let mut violations = Vec::new();
    for record in records {
        let reached = match record.event() {
            Ok(Event::Order(OrderEvent::Expired(_))) => "order expired",
            Ok(Event::Order(OrderEvent::Failed(_))) => "order failed",
            Ok(Event::Order(OrderEvent::Completed(_))) => "order completed",
            Ok(Event::Order(OrderEvent::Declined(_))) => "payment declined",
            Ok(Event::Order(OrderEvent::RefundDone(_))) => "refund done",
            Ok(Event::Order(OrderEvent::Refunded(_))) => "order refunded",
            Ok(Event::Order(OrderEvent::ReviewOpened(opened))) => match opened.about {
                ReviewOf::Payment { .. } => "review of a payment opened",
                ReviewOf::Refund { .. } => "review of a refund opened",
            },
            Ok(Event::Order(OrderEvent::RefundRequested(request))) => match request.why {
                onsale::events::order::RefundReason::TooLate => "money came too late",
                onsale::events::order::RefundReason::PerformanceCancelled => "refund of a called-off performance",
                onsale::events::order::RefundReason::Cancelled => "refund asked for",
            },
            Ok(Event::Coupon(CouponEvent::Used(_))) => "coupon used",
            Ok(Event::Coupon(CouponEvent::Returned(_))) => "coupon returned",
            Ok(_) => continue,
            Err(error) => {
                violations.push(format!("{}:{} {error}", record.partition, record.position));
                continue;
            }
        };
        world.tally.count(reached);
    }
    violations
}

/// C1 and C2: every answer is in the log, where it said, and no command is there twice.
fn acknowledged(world: &World, records: &[Record]) -> Vec<String> {
    let mut units: BTreeMap<CommandId, BTreeSet<(u16, u64)>> = BTreeMap::new();
    for record in records.iter().filter(|record| record.unit_last) {
        units.entry(record.command).or_default().insert((record.partition.0, record.position.0));
    }
    let mut violations: Vec<String> = units
        .iter()
        .filter(|(_, places)| places.len() > 1)
        .map(|(command, places)| format!("C2: command {command} has {} effects: {places:?}", places.len()))
        .collect();
    for told in world.told.lock().iter().filter(|told| told.appended) {
        let place = (told.position.partition.0, told.position.position.0);
        if !units.get(&told.command).is_some_and(|places| places.contains(&place)) {
            violations.push(format!("C1: {} was answered with {} but is not there", told.command, told.position));
        }
    }
    violations
}

/// A coupon that was kept for an order is used up if the order has tickets, and given back otherwise. What is under review
/// is not known yet.
fn coupons(records: &[Record]) -> Vec<String> {
    let mut kept: BTreeMap<OrderId, i64> = BTreeMap::new();
    let mut used: BTreeMap<OrderId, i64> = BTreeMap::new();
    for record in records {
        match record.event() {
            Ok(Event::Coupon(CouponEvent::Reserved(fact))) => *kept.entry(fact.order_id).or_default() += 1,
            Ok(Event::Coupon(CouponEvent::Used(fact))) => {
                *kept.entry(fact.order_id.clone()).or_default() -= 1;
                *used.entry(fact.order_id).or_default() += 1;
            }
            Ok(Event::Coupon(CouponEvent::Returned(fact))) => {
                match used.get_mut(&fact.order_id).filter(|used| **used > 0) {
                    Some(used) => *used -= 1,
                    None => *kept.entry(fact.order_id).or_default() -= 1,
                }
            }
            _ => {}
        }
    }
    let orders = money::orders(records);
    let mut violations = Vec::new();
    for (order, kept) in kept {
        let state = orders.get(&order);
        if state.is_some_and(|state| state.review) {
            continue;
        }
        if kept != 0 {
            violations.push(format!("coupons: {kept} of {order} are still kept after its end"));
        }
        let has_tickets = state.is_some_and(|state| !state.live.is_empty());
        let used = used.get(&order).copied().unwrap_or(0);
        if used != i64::from(has_tickets) {
            violations.push(format!("coupons: {used} used by {order}, which has tickets: {has_tickets}"));
        }
    }
    violations
}

/// C4: what each watcher saw, across all its connections, is what the log says.
pub async fn watchers(world: &World, mut watching: JoinSet<Option<Diary>>) -> Vec<String> {
    let mut violations = Vec::new();
    world.follower.end();
    let records = world.journal.dump();
    while let Some(diary) = watching.join_next().await {
        match diary {
            Ok(Some(diary)) => violations.extend(diary.compare(&diary.of_log(&records))),
            Ok(None) => {}
            Err(error) => violations.push(format!("a watcher failed: {error}")),
        }
    }
    violations
}
