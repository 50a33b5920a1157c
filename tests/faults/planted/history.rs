//! A sale that went well, made up event by event: the log, what clients and watchers saw of it, and the provider's books.
//!
//! Written from the public contract alone. It is not random: what is planted into it has to be found every time.

use std::collections::{BTreeMap, HashMap};

use serde_json::{Value, json};

use crate::checker::Files;

pub const PERFORMANCE: &str = "pf_1";
pub const COUPON: &str = "cp_1";
pub const STORE: &str = "st_1";
/// Of the performance, the coupon and the store.
const HALL: u64 = 3;
const DESK: u64 = 5;
const TILL: u64 = 7;

/// The files of a run, line by line.
#[derive(Clone, Debug, Default)]
pub struct History {
    pub log: Vec<Value>,
    pub clients: Vec<Value>,
    pub streams: Vec<Value>,
    pub ledger: Vec<Value>,
    pub run: Value,
    heads: BTreeMap<u64, u64>,
    versions: HashMap<String, u64>,
    commands: u64,
    calls: u64,
    /// Milliseconds of the log's time; calls have the same in microseconds.
    clock: u64,
    frame: BTreeMap<u64, u64>,
    watched: Vec<(&'static str, &'static str, &'static str)>,
}

/// One event of a unit: stream, kind, data.
type Fact = (String, &'static str, Value);

pub fn lines(values: &[Value]) -> String {
    values.iter().map(|value| format!("{value}\n")).collect()
}

impl History {
    pub fn files(&self) -> Files {
        Files {
            log: lines(&self.log),
            clients: lines(&self.clients),
            streams: lines(&self.streams),
            ledger: Some(lines(&self.ledger)),
            run: self.run.clone(),
        }
    }

    pub fn at(millis: u64) -> String {
        let (seconds, millis) = (millis / 1_000, millis % 1_000);
        format!("2026-11-21T20:{:02}:{:02}.{millis:03}Z", seconds / 60, seconds % 60)
    }

    /// Appends a unit; its end.
    pub fn unit(&mut self, partition: u64, facts: &[Fact]) -> u64 {
        self.clock += 5;
        self.commands += 1;
        let command = format!("{:032x}", self.commands);
        let head = self.heads.entry(partition).or_default();
        for (index, (stream, kind, data)) in facts.iter().enumerate() {
            *head += 1;
            let version = self.versions.entry(stream.clone()).or_default();
            *version += 1;
            self.log.push(json!({"partition": partition, "position": *head, "stream": stream, "version": *version,
                "kind": kind, "schema": 1, "command": command, "principal": "somebody", "epoch": 1, "node": "node-1",
                "at": Self::at(self.clock), "recorded_at": Self::at(self.clock), "unit_last": index + 1 == facts.len(),
                "chain": format!("{:064x}", self.log.len() + 1), "data": data}));
        }
        *head
    }

    /// A call that was answered, or not.
    pub fn call(&mut self, who: (&str, &str, &str, &str), asked: Value, answer: (u64, Value)) -> &mut Self {
        let (client, what, target, key) = who;
        let (status, answer) = answer;
        let outcome = match status {
            200..300 => "ok",
            0 | 503 => "unknown",
            _ => "refused",
        };
        let began = self.clock * 1_000 - 4_000 + self.calls % 7;
        self.clock += 2;
        let line = |outcome: &str, ended: Option<u64>, status: Option<u64>, answer: &Value| {
            json!({"client": client, "call": self.calls, "key": key, "what": what, "target": target, "node": "node-1",
                "asked": asked, "begun_us": began, "ended_us": ended, "outcome": outcome, "status": status,
                "code": answer["code"].as_str().unwrap_or_default(), "answer": answer})
        };
        let ends =
            [line("begun", None, None, &Value::Null), line(outcome, Some(self.clock * 1_000), Some(status), &answer)];
        self.clients.extend(ends);
        self.calls += 1;
        self.clock += 5;
        self
    }

    fn frame(&mut self, topic: &str, target: &str, event: &str, position: u64, data: Value) {
        let partition = if topic == "store" { TILL } else { HALL };
        let id = format!("{partition}:{position}");
        let watchers: Vec<_> = self.watched.iter().filter(|one| (one.1, one.2) == (topic, target)).copied().collect();
        for (watcher, ..) in watchers {
            self.streams.push(json!({"watcher": watcher, "topic": topic, "target": target, "what": "frame",
                "event": event, "id": id, "data": data}));
        }
    }

    /// Begins to watch, after `last`.
    fn watch(&mut self, watcher: &'static str, topic: &'static str, target: &'static str, last: Option<String>) {
        self.watched.push((watcher, topic, target));
        self.streams
            .push(json!({"watcher": watcher, "topic": topic, "target": target, "what": "connect", "last": last}));
    }

    fn leave(&mut self, watcher: &str) {
        self.watched.retain(|one| one.0 != watcher);
    }

    /// Seats of the performance change: the facts' frame.
    fn seats(&mut self, event: &str, seats: &[&str], status: &str, position: u64) {
        let prev = self.frame.insert(HALL, position).unwrap_or_default();
        let data =
            json!({"seats": seats, "status": status, "at": Self::at(self.clock), "prev": format!("{HALL}:{prev}")});
        self.frame("seats", PERFORMANCE, event, position, data);
    }
}

fn seat(id: &str) -> String {
    format!("seat/{PERFORMANCE}/{id}")
}

fn order(id: &str) -> String {
    format!("order/{id}")
}

fn member(id: &str) -> String {
    format!("member/{PERFORMANCE}/{id}")
}

fn place(position: u64) -> String {
    format!("{HALL}:{position}")
}

/// An order of these seats, 1,000 each.
struct Buyer {
    id: &'static str,
    order: &'static str,
    seats: &'static [&'static str],
}

impl Buyer {
    fn amount(&self) -> u64 {
        1_000 * self.seats.len() as u64
    }

    fn view(&self, status: &str, position: u64) -> Value {
        let seats: Vec<Value> = self.seats.iter().map(|seat| json!({"seat_id": seat, "price": 1_000})).collect();
        json!({"order_id": self.order, "status": status, "seats": seats, "amount": self.amount(), "position": place(position)})
    }

    fn place(&self, history: &mut History) -> u64 {
        let hold_until = History::at(history.clock + 5 + 60_000);
        let seats: Vec<Value> = self.seats.iter().map(|seat| json!({"seat_id": seat, "price": 1_000})).collect();
        let mut facts: Vec<Fact> =
            self.seats.iter().map(|id| (seat(id), "seat.held", json!({"order_id": self.order}))).collect();
        facts.push((
            order(self.order),
            "order.placed",
            json!({"order_id": self.order, "account_id": self.id, "performance_id": PERFORMANCE, "seats": seats,
                "amount": self.amount(), "currency": "KRW", "hold_until": hold_until, "counted": true,
                "reference": format!("{}-{}", self.id, self.order)}),
        ));
        let held = json!({"order_id": self.order, "account_id": self.id, "seats": self.seats.len()});
        facts.push((member(self.id), "member.held", held));
        let end = history.unit(HALL, &facts);
        history.seats("seat.held", self.seats, "held", end);
        end
    }

    fn placed(&self, history: &mut History, status: u64, position: u64) {
        let asked = json!({"seats": self.seats, "reference": format!("{}-{}", self.id, self.order)});
        let answer = if status == 0 { Value::Null } else { self.view("awaiting_payment", position) };
        history.call((self.id, "place", PERFORMANCE, self.order), asked, (status, answer));
    }

    fn request(&self, history: &mut History, attempt: u64) -> u64 {
        let data = json!({"order_id": self.order, "attempt": attempt, "amount": self.amount(),
            "payment_key": self.key(attempt), "psp_key": format!("psp-{attempt}")});
        let end = history.unit(HALL, &[(order(self.order), "payment.requested", data)]);
        self.shown(history, "paying", end);
        end
    }

    fn key(&self, attempt: u64) -> String {
        format!("pk_{}_{attempt}", self.order)
    }

    fn shown(&self, history: &mut History, status: &str, end: u64) {
        let view = self.view(status, end);
        history.frame("order", self.order, "order", end, view);
    }

    fn pay_call(&self, history: &mut History, attempt: u64, answer: (u64, Value)) {
        let asked = json!({"payment_key": self.key(attempt), "amount": self.amount()});
        history.call((self.id, "pay", self.order, &format!("pay-{attempt}")), asked, answer);
    }

    fn ledger(&self, history: &mut History, attempt: u64, what: Value) {
        let n = history.ledger.len() + 1;
        history
            .ledger
            .push(json!({"n": n, "at": History::at(history.clock), "payment_key": self.key(attempt), "what": what}));
    }

    fn capture(&self, history: &mut History, attempt: u64) -> u64 {
        let amount = self.amount();
        self.ledger(history, attempt, json!({"kind": "captured", "order_id": self.order, "amount": amount}));
        let mut facts: Vec<Fact> = Vec::new();
        let mut tickets = Vec::new();
        for (index, id) in self.seats.iter().enumerate() {
            let ticket = format!("t_{}_{}", self.order, index + 1);
            facts.push((seat(id), "seat.sold", json!({"order_id": self.order, "ticket_id": ticket, "price": 1_000})));
            tickets.push(json!({"ticket_id": ticket, "seat_id": id, "price": 1_000, "paid": 1_000}));
        }
        let captured =
            json!({"order_id": self.order, "attempt": attempt, "amount": amount, "payment_key": self.key(attempt)});
        facts.push((order(self.order), "payment.captured", captured));
        facts.push((order(self.order), "order.completed", json!({"order_id": self.order, "tickets": tickets})));
        facts.push((member(self.id), "member.sold", json!({"order_id": self.order, "seats": self.seats.len()})));
        let end = history.unit(HALL, &facts);
        history.seats("seat.sold", self.seats, "sold", end);
        self.shown(history, "completed", end);
        end
    }

    /// Expired, cancelled or failed: all seats go.
    fn end(&self, history: &mut History, reason: &'static str, kind: &'static str) -> u64 {
        let released = json!({"order_id": self.order, "reason": reason});
        let mut facts: Vec<Fact> = self.seats.iter().map(|id| (seat(id), "seat.released", released.clone())).collect();
        facts.push((order(self.order), kind, json!({"order_id": self.order})));
        let seats = self.seats.len();
        let data = json!({"order_id": self.order, "seats": seats, "reason": reason, "unpaid": true});
        facts.push((member(self.id), "member.released", data));
        let end = history.unit(HALL, &facts);
        history.seats("seat.released", self.seats, "available", end);
        end
    }

    /// Gives these tickets back, asked and done.
    fn refund(&self, history: &mut History, attempt: u64, seats: &[&'static str], number: u64) -> u64 {
        let id = format!("r_{}_{number}", self.order);
        let index = |seat: &str| self.seats.iter().position(|one| *one == seat).unwrap_or_default() + 1;
        let tickets: Vec<String> = seats.iter().map(|seat| format!("t_{}_{}", self.order, index(seat))).collect();
        let amount = 1_000 * seats.len() as u64;
        let whole = seats.len() == self.seats.len();
        let asked = json!({"order_id": self.order, "refund_id": id, "attempt": attempt, "amount": amount, "whole": whole,
            "tickets": tickets, "why": "cancelled"});
        let end = history.unit(HALL, &[(order(self.order), "refund.requested", asked)]);
        self.shown(history, if whole { "refunding" } else { "completed" }, end);
        self.ledger(history, attempt, json!({"kind": "cancelled", "amount": amount, "reason": "cancelled"}));
        let released = json!({"order_id": self.order, "reason": "refunded"});
        let mut facts: Vec<Fact> = seats.iter().map(|id| (seat(id), "seat.released", released.clone())).collect();
        let done = json!({"order_id": self.order, "refund_id": id, "amount": amount, "tickets": tickets});
        facts.push((order(self.order), "refund.done", done));
        if whole {
            facts.push((order(self.order), "order.refunded", json!({"order_id": self.order})));
        }
        let data = json!({"order_id": self.order, "seats": seats.len(), "reason": "refunded", "unpaid": false});
        facts.push((member(self.id), "member.released", data));
        let end = history.unit(HALL, &facts);
        history.seats("seat.released", seats, "available", end);
        self.shown(history, if whole { "refunded" } else { "completed" }, end);
        end
    }

    fn cancel_call(&self, history: &mut History, answer: (u64, Value)) {
        history.call((self.id, "cancel", self.order, "cancel"), json!({}), answer);
    }

    fn read(&self, history: &mut History, status: &str, position: u64) {
        let view = self.view(status, position);
        history.call((self.id, "read-order", self.order, ""), json!({}), (200, view));
    }
}

/// The whole sale.
pub fn sound() -> History {
    let mut history = History { clock: 10, ..History::default() };
    let terms = json!({"performance_id": PERFORMANCE, "max_seats_per_order": 4, "max_seats_per_member": 4,
        "max_live_orders_per_member": 2});
    history.unit(HALL, &[(format!("performance/{PERFORMANCE}"), "performance.scheduled", terms)]);
    history.watch("w1", "seats", PERFORMANCE, None);
    history.frame("seats", PERFORMANCE, "snapshot", 0, json!({"position": "3:0", "seats": []}));
    seats(&mut history);
    coupons(&mut history);
    counter(&mut history);
    history.clock += 120_000;
    for (watcher, topic, target) in history.watched.clone() {
        history.streams.push(json!({"watcher": watcher, "topic": topic, "target": target, "what": "complete"}));
    }
    history.run = json!({"ended_at": History::at(history.clock)});
    history
}

fn seats(history: &mut History) {
    let one = Buyer { id: "buyer-1", order: "o1", seats: &["A-1", "A-2"] };
    let two = Buyer { id: "buyer-2", order: "o2", seats: &["A-3"] };
    let three = Buyer { id: "buyer-2", order: "o3", seats: &["A-4", "A-5"] };
    let four = Buyer { id: "buyer-3", order: "o4", seats: &["A-6"] };
    let five = Buyer { id: "buyer-4", order: "o5", seats: &["A-4"] };
    let six = Buyer { id: "buyer-3", order: "o6", seats: &["A-7"] };
    history.watch("w2", "seats", PERFORMANCE, None);
    let at = one.place(history);
    // The answer was lost; asked again, it is the same.
    one.placed(history, 0, at);
    one.placed(history, 201, at);
    history.watch("w5", "order", "o1", None);
    one.shown(history, "awaiting_payment", at);
    let at = two.place(history);
    two.placed(history, 201, at);
    let expires = two.place_of(history);
    let last = format!("3:{}", history.frame[&HALL]);
    history.leave("w2");
    one.request(history, 1);
    let at = one.capture(history, 1);
    one.pay_call(history, 1, (200, one.view("completed", at)));
    one.read(history, "completed", at);
    let at = three.place(history);
    three.placed(history, 201, at);
    five.place_refused(history);
    three.request(history, 1);
    let data = json!({"order_id": three.order, "attempt": 1, "amount": three.amount(), "psp_code": "REJECT"});
    three.ledger(
        history,
        1,
        json!({"kind": "declined", "order_id": three.order, "amount": three.amount(), "code": "REJECT"}),
    );
    history.unit(HALL, &[(order(three.order), "payment.declined", data)]);
    three.pay_call(history, 1, (402, json!({"code": "payment-declined", "psp_code": "REJECT"})));
    three.request(history, 2);
    let at = three.capture(history, 2);
    three.pay_call(history, 2, (200, three.view("completed", at)));
    resume(history, "w2", &last);
    let map: Vec<Value> = [("A-1", "sold"), ("A-2", "sold"), ("A-3", "held"), ("A-4", "sold"), ("A-5", "sold")]
        .into_iter()
        .map(|(seat, status)| json!({"seat_id": seat, "status": status}))
        .collect();
    let shown = json!({"performance_id": PERFORMANCE, "position": place(at), "seats": map});
    history.call(("buyer-4", "read-seats", PERFORMANCE, ""), json!({}), (200, shown.clone()));
    history.watch("w3", "seats", PERFORMANCE, None);
    history.streams.push(json!({"watcher": "w3", "topic": "seats", "target": PERFORMANCE, "what": "frame",
        "event": "snapshot", "id": place(at), "data": shown}));
    let at = three.refund(history, 2, &["A-4"], 1);
    history.call(
        (three.id, "cancel", three.order, "part"),
        json!({"tickets": ["t_o3_1"]}),
        (200, three.view("completed", at)),
    );
    let at = four.place(history);
    four.placed(history, 201, at);
    let at = four.end(history, "cancelled", "order.cancelled");
    four.cancel_call(history, (200, four.view("cancelled", at)));
    let at = one.refund(history, 1, &["A-1", "A-2"], 1);
    one.cancel_call(history, (200, one.view("refunded", at)));
    let at = six.place(history);
    six.placed(history, 201, at);
    six.request(history, 1);
    history.clock = history.clock.max(expires) + 10;
    two.end(history, "expired", "order.expired");
    let about = json!({"order_id": six.order, "about": {"payment": {"attempt": 1}}, "psp_code": null});
    let at = history.unit(HALL, &[(order(six.order), "review.opened", about)]);
    six.pay_call(history, 1, (202, six.view("review", at)));
}

impl Buyer {
    /// When the hold of the order runs out.
    fn place_of(&self, history: &History) -> u64 {
        history.clock + 60_000
    }

    fn place_refused(&self, history: &mut History) {
        let asked = json!({"seats": self.seats, "reference": format!("{}-{}", self.id, self.order)});
        let answer = json!({"code": "seat-unavailable", "seats": self.seats});
        history.call((self.id, "place", PERFORMANCE, self.order), asked, (409, answer));
    }
}

/// Connects again after `last`: first everything that was missed, which is what w1 has seen meanwhile.
fn resume(history: &mut History, watcher: &'static str, last: &str) {
    let number = |id: &str| id.split_once(':').and_then(|(_, n)| n.parse::<u64>().ok()).unwrap_or_default();
    let missed: Vec<Value> = history
        .streams
        .iter()
        .filter(|line| line["watcher"] == "w1" && line["what"] == "frame")
        .filter(|line| line["id"].as_str().is_some_and(|id| number(id) > number(last)))
        .cloned()
        .collect();
    history.watch(watcher, "seats", PERFORMANCE, Some(last.to_owned()));
    for mut line in missed {
        line["watcher"] = json!(watcher);
        history.streams.push(line);
    }
}

fn coupons(history: &mut History) {
    let stream = || format!("coupon/{COUPON}");
    let created = json!({"coupon_id": COUPON, "stock": 3, "per_member": 1});
    history.unit(DESK, &[(stream(), "coupon.created", created)]);
    let data =
        |member: &str, serial: u64| json!({"account_id": member, "serial": serial, "task_id": format!("ct_{serial}")});
    for serial in 1..=3 {
        let member = format!("member-{serial}");
        let at = history.unit(DESK, &[(stream(), "coupon.issued", data(&member, serial))]);
        let answer = json!({"task_id": format!("ct_{serial}"), "status": "issued", "serial": serial, "position": format!("{DESK}:{at}")});
        history.call((&member, "issue", COUPON, "issue"), json!({}), (201, answer));
    }
    history.call(("member-4", "issue", COUPON, "issue"), json!({}), (409, json!({"code": "coupon-sold-out"})));
    let again = json!({"code": "coupon-already-issued", "serial": 1});
    history.call(("member-1", "issue", COUPON, "another"), json!({}), (409, again));
    let at = history.unit(DESK, &[(stream(), "coupon.revoked", data("member-2", 2))]);
    let shown = json!({"coupon_id": COUPON, "stock": 3, "issued": 2, "position": format!("{DESK}:{at}")});
    history.call(("member-1", "read-coupon", COUPON, ""), json!({}), (200, shown));
    history.unit(DESK, &[(stream(), "coupon.issued", data("member-5", 4))]);
    let mut reserved = data("member-1", 1);
    reserved["order_id"] = json!("o9");
    for kind in ["coupon.reserved", "coupon.used", "coupon.returned"] {
        history.unit(DESK, &[(stream(), kind, reserved.clone())]);
    }
}

fn counter(history: &mut History) {
    let stream = || format!("store/{STORE}");
    history.unit(TILL, &[(stream(), "store.created", json!({"store_id": STORE}))]);
    history.watch("w4", "store", STORE, None);
    let mut prev = 0;
    for number in 1..=4_u64 {
        if number == 3 {
            // Away for two payments; then the latest of them, and how many were missed.
            history.leave("w4");
        }
        let asked = json!({"payment_id": format!("p{number}"), "amount": 100 * number, "currency": "KRW"});
        let at = history.unit(TILL, &[(stream(), "store.payment_recorded", asked.clone())]);
        let mut data = asked.clone();
        data["prev"] = json!(format!("{TILL}:{prev}"));
        if number == 4 {
            history.watch("w4", "store", STORE, Some(format!("{TILL}:{}", prev - 1)));
            data["skipped"] = json!(1);
        }
        history.frame("store", STORE, "payment", at, data);
        prev = at;
        let answer = json!({"position": format!("{TILL}:{at}")});
        history.call(("till-1", "store-payment", STORE, ""), asked.clone(), (201, answer.clone()));
        if number == 1 {
            history.call(("till-1", "store-payment", STORE, ""), asked, (200, answer));
        }
    }
    let back = json!({"payment_id": "p2", "amount": 50, "remaining": 150});
    let at = history.unit(TILL, &[(stream(), "store.payment_cancelled", back.clone())]);
    let mut data = back.clone();
    data["prev"] = json!(format!("{TILL}:{prev}"));
    history.frame("store", STORE, "payment.cancelled", at, data);
    let mut answer = back;
    answer["position"] = json!(format!("{TILL}:{at}"));
    history.call(("till-1", "store-cancel", STORE, "back"), json!({"payment_id": "p2", "amount": 50}), (201, answer));
}
