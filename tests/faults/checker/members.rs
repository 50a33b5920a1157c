//! I5: does nobody have more seats of a performance than it grants? Counted from the orders, unit by unit, and compared with
//! the member's own account where one is kept.

use std::collections::HashMap;

use super::Verdict;
use super::log::{Event, Log};
use super::orders::Order;

#[derive(Clone, Copy, Debug, Default)]
struct Terms {
    per_order: Option<u64>,
    per_member: Option<u64>,
    live_orders: Option<u64>,
}

/// Seats of a member at a performance.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Count {
    held: i64,
    sold: i64,
}

#[derive(Default)]
struct Accounts {
    terms: HashMap<String, Terms>,
    /// By performance and member: what the orders come to, and what the account says.
    due: HashMap<String, Count>,
    told: HashMap<String, Count>,
    live: HashMap<String, i64>,
}

pub fn judge(log: &Log, orders: &HashMap<String, Order>, verdict: &mut Verdict) {
    let mut accounts = Accounts::default();
    for unit in log.units() {
        let mut touched = Vec::new();
        for event in unit {
            touched.extend(accounts.fact(event, orders, verdict));
        }
        let Some(last) = unit.last() else { continue };
        for name in touched {
            let (due, told) = (accounts.due.get(&name), accounts.told.get(&name));
            if due != told {
                verdict.broken("I5", format!("{}: {name} is told {told:?}, its orders come to {due:?}", last.place()));
            }
        }
    }
}

impl Accounts {
    /// The account that has to be looked at when the unit is complete.
    fn fact(&mut self, event: &Event, orders: &HashMap<String, Order>, verdict: &mut Verdict) -> Option<String> {
        if let "performance.scheduled" | "performance.changed" = event.kind.as_str() {
            let id = event.stream.split_once('/').map_or("", |(_, id)| id);
            let number = |member: &str| event.data[member].as_u64();
            let terms = Terms {
                per_order: number("max_seats_per_order"),
                per_member: number("max_seats_per_member"),
                live_orders: number("max_live_orders_per_member"),
            };
            self.terms.insert(id.to_owned(), terms);
            return None;
        }
        let order = orders.get(event.text("order_id"))?;
        let name = format!("{}/{}", order.performance, order.account);
        let seats = i64::try_from(order.seats.len()).unwrap_or(i64::MAX);
        if let Some(rest) = event.kind.strip_prefix("member.") {
            let told = self.told.entry(name.clone()).or_default();
            let seats = i64::try_from(event.number("seats")).unwrap_or(i64::MAX);
            match (rest, event.text("reason")) {
                ("held", _) => told.held += seats,
                ("sold", _) => (told.held, told.sold) = (told.held - seats, told.sold + seats),
                (_, "refunded") => told.sold -= seats,
                _ => told.held -= seats,
            }
            return Some(name);
        }
        if event.kind == "order.placed" {
            self.placed(event, order, verdict);
        }
        if !order.counted {
            return None;
        }
        let due = self.due.entry(name.clone()).or_default();
        match event.kind.as_str() {
            "order.placed" => due.held += seats,
            "order.completed" => (due.held, due.sold) = (due.held - seats, due.sold + seats),
            "order.expired" | "order.cancelled" | "order.failed" => due.held -= seats,
            "refund.done" => {
                due.sold -= event.data["tickets"].as_array().map_or(0, |all| i64::try_from(all.len()).unwrap_or(0));
            }
            _ => return None,
        }
        if let "order.completed" | "order.expired" | "order.cancelled" | "order.failed" = event.kind.as_str() {
            *self.live.entry(name.clone()).or_default() -= 1;
        }
        self.granted(event, order, &name, verdict);
        Some(name)
    }

    fn placed(&mut self, event: &Event, order: &Order, verdict: &mut Verdict) {
        let terms = self.terms.get(&order.performance).copied().unwrap_or_default();
        let seats = order.seats.len() as u64;
        if terms.per_order.is_some_and(|most| seats > most) {
            verdict.broken("I5", format!("{}: {} has {seats} seats of {:?}", event.place(), order.id, terms.per_order));
        }
        if (terms.per_member.is_some() || terms.live_orders.is_some()) && !order.counted {
            verdict.broken("I5", format!("{}: {} is not counted for its member", event.place(), order.id));
        }
        if order.counted {
            *self.live.entry(format!("{}/{}", order.performance, order.account)).or_default() += 1;
        }
    }

    fn granted(&self, event: &Event, order: &Order, name: &str, verdict: &mut Verdict) {
        if event.kind != "order.placed" {
            return;
        }
        let terms = self.terms.get(&order.performance).copied().unwrap_or_default();
        let (due, live) = (&self.due[name], self.live.get(name).copied().unwrap_or_default());
        let over = |most: Option<u64>, is: i64| most.is_some_and(|most| is > i64::try_from(most).unwrap_or(i64::MAX));
        if over(terms.per_member, due.held + due.sold) {
            verdict.broken("I5", format!("{}: {name} has {due:?} of {:?}", event.place(), terms.per_member));
        }
        if over(terms.live_orders, live) {
            verdict
                .broken("I5", format!("{}: {name} has {live} live orders of {:?}", event.place(), terms.live_orders));
        }
    }
}
