//! Was the promise kept? Holds the log against the invariants, and what clients and watchers were told against the log.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;

use onsale::audit;
use onsale::events::order::OrderSeat;
use onsale::events::{Event, OrderEvent, PerformanceEvent, Record, SeatEvent};
use onsale::ids::{AccountId, CommandId, OrderId, SeatId};
use onsale::timestamp::Timestamp;
use tokio::task::JoinSet;

use crate::trouble::Odds;
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

pub async fn log(world: &World) -> Vec<String> {
    let mut violations = Vec::new();
    match audit::run(world.journal.as_ref(), |_| {}).await {
        Ok(report) => violations.extend(report.violations.iter().map(|violation| format!("{violation:?}"))),
        Err(fault) => violations.push(format!("the audit could not run: {fault}")),
    }
    let records = world.journal.dump();
    violations.extend(acknowledged(world, &records));
    violations.extend(holds(world, &records));
    violations.extend(members(world, &records));
    for record in &records {
        match record.event() {
            Ok(Event::Order(OrderEvent::Expired(_))) => world.tally.count("order expired"),
            Ok(_) => {}
            Err(error) => violations.push(format!("{}:{} {error}", record.partition, record.position)),
        }
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

/// I1, I2 and I3 once more, with a model of this run's own: seats, and when their holds ended.
fn holds(world: &World, records: &[Record]) -> Vec<String> {
    let mut violations = Vec::new();
    let mut holder: BTreeMap<SeatId, OrderId> = BTreeMap::new();
    let mut until: BTreeMap<OrderId, (Timestamp, Vec<OrderSeat>)> = BTreeMap::new();
    // A run with trouble may be recovering when a hold runs out; a quiet one has no excuse.
    let late = if Odds::of(world.seed).unknown == 0 { 1_000 } else { 20_000 };
    for record in records {
        let here = format!("{}:{}", record.partition, record.position);
        match (record.event(), record.stream.seat_id()) {
            (Ok(Event::Seat(SeatEvent::Held(held))), Some(seat)) => {
                if let Some(other) = holder.insert(seat.clone(), held.order_id.clone()) {
                    violations.push(format!("I1 at {here}: {seat} is held by {other} already"));
                }
            }
            (Ok(Event::Seat(SeatEvent::Released(released))), Some(seat)) => {
                let before = holder.remove(&seat);
                if before.as_ref() != Some(&released.order_id) {
                    violations.push(format!("I2 at {here}: {seat} is released by an order that does not hold it"));
                }
            }
            (Ok(Event::Order(OrderEvent::Placed(placed))), _) => {
                let all = placed.seats.iter().all(|seat| holder.get(&seat.seat_id) == Some(&placed.order_id));
                if !all {
                    violations.push(format!("I3 at {here}: {} is placed without all its seats", placed.order_id));
                }
                until.insert(placed.order_id, (placed.hold_until, placed.seats));
            }
            (Ok(Event::Order(OrderEvent::Expired(expired))), _) => {
                let Some((due, _)) = until.remove(&expired.order_id) else {
                    violations.push(format!("I2 at {here}: {} ended twice", expired.order_id));
                    continue;
                };
                let lag = record.at.0 - due.0;
                if !(0..=late).contains(&lag) {
                    violations.push(format!("I2 at {here}: {} expired {lag} ms after its time", expired.order_id));
                }
            }
            (Ok(Event::Order(OrderEvent::Cancelled(cancelled))), _) if until.remove(&cancelled.order_id).is_none() => {
                violations.push(format!("I2 at {here}: {} ended twice", cancelled.order_id));
            }
            _ => {}
        }
    }
    violations.extend(until.keys().map(|order| format!("I2: {order} was never ended")));
    violations.extend(holder.keys().map(|seat| format!("I2: {seat} is still held at the end")));
    violations
}

/// I5 once more, from the seats alone: whoever places an order has no more of them than granted.
fn members(world: &World, records: &[Record]) -> Vec<String> {
    let mut violations = Vec::new();
    let mut holder: BTreeMap<SeatId, OrderId> = BTreeMap::new();
    let mut buyer: BTreeMap<OrderId, AccountId> = BTreeMap::new();
    let mut granted = world.granted;
    for record in records {
        let here = format!("{}:{}", record.partition, record.position);
        match (record.event(), record.stream.seat_id()) {
            (Ok(Event::Seat(SeatEvent::Held(held))), Some(seat)) => drop(holder.insert(seat, held.order_id)),
            (Ok(Event::Seat(SeatEvent::Released(_))), Some(seat)) => drop(holder.remove(&seat)),
            (Ok(Event::Order(OrderEvent::Placed(placed))), _) => {
                buyer.insert(placed.order_id, placed.account_id.clone());
                let of_buyer = |order: &&OrderId| buyer.get(*order) == Some(&placed.account_id);
                let orders: BTreeSet<&OrderId> = holder.values().filter(of_buyer).collect();
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

/// C4: what each watcher saw, across all its connections, is what the log says.
pub async fn watchers(world: &World, mut watching: JoinSet<Diary>) -> Vec<String> {
    let mut violations = Vec::new();
    world.over.store(true, Ordering::SeqCst);
    world.hub.shutdown();
    let frames = Diary::of_log(&world.journal.dump(), &world.performance);
    while let Some(diary) = watching.join_next().await {
        match diary {
            Ok(diary) => violations.extend(diary.compare(&frames)),
            Err(error) => violations.push(format!("a watcher failed: {error}")),
        }
    }
    violations
}
