//! What has become of each order? Its seats, attempts, tickets and refunds, folded from the log, and I1, I2, I3, M1 and M2 on
//! the way: they must hold after every unit.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::Verdict;
use super::log::{Event, Log};

#[derive(Clone, Debug, Default)]
pub struct Order {
    pub id: String,
    pub partition: u64,
    pub account: String,
    pub performance: String,
    pub reference: Option<String>,
    pub seats: BTreeSet<String>,
    pub amount: u64,
    pub hold_until: String,
    pub counted: bool,
    pub attempts: BTreeMap<u64, Attempt>,
    pub tickets: BTreeMap<String, Ticket>,
    pub refunds: BTreeMap<String, Refund>,
    completed: bool,
    /// It ended without tickets.
    over: bool,
    stands: &'static str,
    review: Option<String>,
    /// Ends of its units, and how it stood there.
    pub history: BTreeMap<u64, &'static str>,
    /// Where it was cancelled, by whom whatever, or a refund was asked for.
    pub undone: bool,
}

#[derive(Clone, Debug)]
pub struct Attempt {
    pub key: String,
    pub amount: u64,
    pub state: State,
    pub asked_back: u64,
    pub given_back: u64,
    /// Where it was requested.
    pub position: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Open,
    Declined,
    Captured(u64),
}

#[derive(Clone, Debug)]
pub struct Ticket {
    pub seat: String,
    pub paid: u64,
    pub live: bool,
    /// Its seat is free again.
    pub given_back: bool,
}

#[derive(Clone, Debug)]
pub struct Refund {
    pub attempt: u64,
    pub amount: u64,
    pub tickets: Vec<String>,
    pub done: bool,
}

impl Attempt {
    pub fn captured(&self) -> u64 {
        if let State::Captured(amount) = self.state { amount } else { 0 }
    }
}

impl Order {
    pub fn status(&self) -> &'static str {
        if self.review.is_some() { "review" } else { self.stands }
    }

    /// The first position at which it stood.
    pub fn placed_at(&self) -> Option<u64> {
        self.history.keys().next().copied()
    }

    fn holds(&self) -> bool {
        !self.completed && !self.over
    }
}

/// Who has a seat.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Seat {
    Held(String),
    Sold(String),
    Blocked,
}

#[derive(Debug, Default)]
pub struct Orders {
    pub orders: HashMap<String, Order>,
    seats: HashMap<String, Seat>,
}

/// Folds the log. Every order that ever was is in the result.
pub fn judge(log: &Log, verdict: &mut Verdict) -> HashMap<String, Order> {
    let mut all = Orders::default();
    for unit in log.units() {
        let mut touched = BTreeSet::new();
        for event in unit {
            match event.stream.split_once('/') {
                Some(("seat", seat)) => all.seat(seat, event, &mut touched, verdict),
                Some(("order", id)) => {
                    touched.insert(id.to_owned());
                    all.order(id, event, verdict);
                }
                _ => {}
            }
        }
        let Some(last) = unit.last() else { continue };
        for id in touched {
            all.settle(&id, last, verdict);
        }
    }
    all.orders
}

impl Orders {
    fn seat(&mut self, seat: &str, event: &Event, touched: &mut BTreeSet<String>, verdict: &mut Verdict) {
        let order = event.text("order_id").to_owned();
        let before = self.seats.get(seat).cloned();
        let place = event.place();
        let wrong = |what: &str| format!("{place}: {seat} is {what} while it is {before:?}");
        match event.kind.as_str() {
            "seat.held" => {
                if before.is_some() {
                    verdict.broken("I1", wrong(&format!("held by {order}")));
                }
                self.seats.insert(seat.to_owned(), Seat::Held(order.clone()));
            }
            "seat.sold" => {
                if before != Some(Seat::Held(order.clone())) {
                    verdict.broken("I1", wrong(&format!("sold to {order}")));
                }
                verdict.saw("seats sold");
                self.seats.insert(seat.to_owned(), Seat::Sold(order.clone()));
            }
            "seat.released" => {
                let reason = event.text("reason");
                let due = if reason == "refunded" { Seat::Sold(order.clone()) } else { Seat::Held(order.clone()) };
                if before != Some(due) {
                    verdict.broken("I2", wrong(&format!("released by {order} ({reason})")));
                }
                let deadline = self.orders.get(&order).map(|order| order.hold_until.as_str());
                if reason == "expired" && deadline.is_some_and(|deadline| event.at.as_str() < deadline) {
                    verdict.broken("I2", format!("{place}: the hold of {seat} ends before {deadline:?}"));
                }
                self.seats.remove(seat);
            }
            "seat.blocked" => {
                if before.is_some() {
                    verdict.broken("I1", wrong("blocked"));
                }
                self.seats.insert(seat.to_owned(), Seat::Blocked);
            }
            "seat.unblocked" => {
                if before != Some(Seat::Blocked) {
                    verdict.broken("I1", wrong("unblocked"));
                }
                self.seats.remove(seat);
            }
            _ => {}
        }
        if !order.is_empty() {
            touched.insert(order);
        }
    }

    fn order(&mut self, id: &str, event: &Event, verdict: &mut Verdict) {
        let place = event.place();
        if event.kind == "order.placed" {
            if self.orders.contains_key(id) {
                verdict.broken("C2", format!("{place}: {id} is placed a second time"));
                return;
            }
            verdict.saw("orders placed");
            self.orders.insert(id.to_owned(), placed(id, event));
            return;
        }
        let Some(order) = self.orders.get_mut(id) else {
            verdict.broken("I3", format!("{place}: {} of {id}, which was never placed", event.kind));
            return;
        };
        order.fact(event, verdict);
    }

    /// What must hold of an order between two units.
    fn settle(&mut self, id: &str, last: &Event, verdict: &mut Verdict) {
        let place = last.place();
        let Some(order) = self.orders.get_mut(id) else {
            verdict.broken("I3", format!("{place}: seats move for {id}, which was never placed"));
            return;
        };
        order.history.insert(last.position, order.status());
        let stream = |seat: &String| format!("{}/{seat}", order.performance);
        let holds = order.holds();
        for seat in &order.seats {
            let sold = order.tickets.values().any(|ticket| ticket.seat == *seat && !ticket.given_back);
            let due = match (holds, sold) {
                (true, _) => Some(Seat::Held(id.to_owned())),
                (false, true) => Some(Seat::Sold(id.to_owned())),
                (false, false) => None,
            };
            let is = self.seats.get(&stream(seat));
            let ours = matches!(is, Some(Seat::Held(other) | Seat::Sold(other)) if other == id);
            if due.is_some() && is != due.as_ref() || due.is_none() && ours {
                let status = order.status();
                verdict.broken("I3", format!("{place}: {seat} of {id} ({status}) is {is:?}, due is {due:?}"));
            }
        }
        let kept: u64 = order.attempts.values().map(|one| one.captured().saturating_sub(one.asked_back)).sum();
        let live: u64 = order.tickets.values().filter(|ticket| ticket.live).map(|ticket| ticket.paid).sum();
        if kept != live {
            verdict.broken("M2", format!("{place}: {kept} is kept of {id}, whose live tickets cost {live}"));
        }
        let open = order.attempts.values().filter(|one| one.state == State::Open).count();
        if open > 1 {
            verdict.broken("M1", format!("{place}: {open} payments of {id} are open at the same time"));
        }
        if open > 0 && !holds {
            verdict.broken("M1", format!("{place}: {id} is over while a payment of it is open"));
        }
    }
}

fn placed(id: &str, event: &Event) -> Order {
    let seats = event.data["seats"].as_array().into_iter().flatten();
    Order {
        id: id.to_owned(),
        partition: event.partition,
        account: event.text("account_id").to_owned(),
        performance: event.text("performance_id").to_owned(),
        reference: event.data["reference"].as_str().map(str::to_owned),
        seats: seats.filter_map(|seat| seat["seat_id"].as_str()).map(str::to_owned).collect(),
        amount: event.number("amount"),
        hold_until: event.text("hold_until").to_owned(),
        counted: event.data["counted"].as_bool().unwrap_or_default(),
        stands: "awaiting_payment",
        ..Order::default()
    }
}

impl Order {
    fn fact(&mut self, event: &Event, verdict: &mut Verdict) {
        let place = format!("{} of {}", event.place(), self.id);
        match event.kind.as_str() {
            "order.expired" => {
                verdict.saw("orders expired");
                if event.at < self.hold_until {
                    verdict.broken("I2", format!("{place} expires before {}", self.hold_until));
                }
                self.end("expired", &place, verdict);
            }
            "order.cancelled" => {
                self.undone = true;
                self.end("cancelled", &place, verdict);
            }
            "order.failed" => self.end("failed", &place, verdict),
            "order.refunded" => {
                self.stands = "refunded";
                if self.tickets.values().any(|ticket| !ticket.given_back) || !self.completed {
                    verdict.broken("M2", format!("{place} is refunded, but tickets of it are not"));
                }
            }
            "order.completed" => self.complete(event, &place, verdict),
            "payment.requested" | "payment.captured" | "payment.declined" => self.payment(event, &place, verdict),
            "refund.requested" => self.refund_requested(event, &place, verdict),
            "refund.done" => self.refund_done(event, &place, verdict),
            "review.opened" => {
                verdict.saw("reviews opened");
                self.review = Some(event.data["about"].to_string());
            }
            "review.settled" => self.review = None,
            "ticket.checked_in" if !self.tickets.get(event.text("ticket_id")).is_some_and(|ticket| ticket.live) => {
                verdict.broken("M2", format!("{place}: a ticket that is not live is checked in"));
            }
            _ => {}
        }
    }

    fn end(&mut self, how: &'static str, place: &str, verdict: &mut Verdict) {
        if !self.holds() {
            verdict.broken("I2", format!("{place} is {how}, but ended before"));
        }
        (self.over, self.stands) = (true, how);
    }

    fn complete(&mut self, event: &Event, place: &str, verdict: &mut Verdict) {
        if !self.holds() {
            verdict.broken("M1", format!("{place} becomes tickets, but ended before"));
        }
        (self.completed, self.stands) = (true, "completed");
        for ticket in event.data["tickets"].as_array().into_iter().flatten() {
            let text = |member: &str| ticket[member].as_str().unwrap_or_default().to_owned();
            let paid = ticket["paid"].as_u64().unwrap_or_default();
            let new = Ticket { seat: text("seat_id"), paid, live: true, given_back: false };
            if self.tickets.insert(text("ticket_id"), new).is_some() {
                verdict.broken("I1", format!("{place}: a ticket is given out twice"));
            }
        }
        let seats: BTreeSet<String> = self.tickets.values().map(|ticket| ticket.seat.clone()).collect();
        if seats != self.seats || self.tickets.len() != self.seats.len() {
            verdict.broken("I3", format!("{place}: of {:?} these became tickets: {seats:?}", self.seats));
        }
        let paid: u64 = self.tickets.values().map(|ticket| ticket.paid).sum();
        if paid != self.amount {
            verdict.broken("M2", format!("{place} costs {}, its tickets {paid}", self.amount));
        }
    }

    fn payment(&mut self, event: &Event, place: &str, verdict: &mut Verdict) {
        let (attempt, amount) = (event.number("attempt"), event.number("amount"));
        if event.kind == "payment.requested" {
            if !self.holds() || amount != self.amount || self.attempts.contains_key(&attempt) {
                let detail = format!("{place}: attempt {attempt} asks {amount} for an order of {}", self.amount);
                verdict.broken("M1", format!("{detail} that is {}", self.status()));
            }
            let (key, position) = (event.text("payment_key").to_owned(), event.position);
            let new = Attempt { key, amount, state: State::Open, asked_back: 0, given_back: 0, position };
            self.attempts.insert(attempt, new);
            self.stands = "paying";
            return;
        }
        let Some(asked) = self.attempts.get_mut(&attempt).filter(|asked| asked.state == State::Open) else {
            verdict.broken("M1", format!("{place}: {} of attempt {attempt}, which is not open", event.kind));
            return;
        };
        if amount != asked.amount {
            verdict.broken("M1", format!("{place}: {amount} in answer to {} asked", asked.amount));
        }
        if event.kind == "payment.captured" {
            verdict.saw("payments captured");
            asked.state = State::Captured(amount);
        } else {
            verdict.saw("payments declined");
            asked.state = State::Declined;
            self.stands = "awaiting_payment";
        }
        self.known(&format!("{{\"payment\":{{\"attempt\":{attempt}}}}}"));
    }

    fn refund_requested(&mut self, event: &Event, place: &str, verdict: &mut Verdict) {
        let (id, attempt, amount) = (event.text("refund_id"), event.number("attempt"), event.number("amount"));
        let tickets: Vec<String> = names(event, "tickets");
        for ticket in &tickets {
            match self.tickets.get_mut(ticket) {
                Some(sold) if sold.live => sold.live = false,
                _ => verdict.broken("M2", format!("{place}: {ticket} is given back, but not live")),
            }
        }
        if !tickets.is_empty() && self.tickets.values().all(|ticket| !ticket.live) {
            self.stands = "refunding";
        }
        self.undone = true;
        match self.attempts.get_mut(&attempt) {
            Some(asked) => {
                asked.asked_back += amount;
                if asked.asked_back > asked.captured() {
                    let captured = asked.captured();
                    verdict.broken("M1", format!("{place}: {} of {captured} is asked back", asked.asked_back));
                }
            }
            None if attempt == 0 && amount == 0 => {}
            None => verdict.broken("M1", format!("{place}: {id} is of an attempt that never was")),
        }
        if self.refunds.insert(id.to_owned(), Refund { attempt, amount, tickets, done: false }).is_some() {
            verdict.broken("M1", format!("{place}: {id} is requested twice"));
        }
    }

    fn refund_done(&mut self, event: &Event, place: &str, verdict: &mut Verdict) {
        let (id, amount) = (event.text("refund_id"), event.number("amount"));
        let Some(refund) = self.refunds.get_mut(id).filter(|refund| !refund.done && refund.amount == amount) else {
            verdict.broken("M1", format!("{place}: {id} of {amount} is done, but not open"));
            return;
        };
        verdict.saw("refunds done");
        refund.done = true;
        for ticket in &refund.tickets {
            if let Some(sold) = self.tickets.get_mut(ticket) {
                sold.given_back = true;
            }
        }
        if let Some(asked) = self.attempts.get_mut(&refund.attempt) {
            asked.given_back += amount;
        }
        self.known(&format!("{{\"refund\":{{\"refund_id\":\"{id}\"}}}}"));
    }

    /// What is known now ends the review about it.
    fn known(&mut self, about: &str) {
        self.review.take_if(|open| open == about);
    }
}

pub fn names(event: &Event, member: &str) -> Vec<String> {
    let all = event.data[member].as_array().into_iter().flatten();
    all.filter_map(|name| name.as_str()).map(str::to_owned).collect()
}
