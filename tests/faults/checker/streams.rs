//! C4: what each watcher was told is the log, filtered: no gap, nothing twice, in order, over all its connections.

use std::collections::{BTreeMap, HashMap};

use serde_json::Value;

use super::Verdict;
use super::answers::{difference, status_after, statuses};
use super::log::{Event, Log, position};
use super::orders::Order;

/// A frame as the log makes it.
struct Frame {
    event: &'static str,
    position: u64,
    /// Members that must be in its data.
    data: Vec<(&'static str, Value)>,
}

/// One line of a watcher's record.
struct Told {
    what: String,
    event: String,
    id: Option<u64>,
    data: Value,
    last: Option<u64>,
}

pub fn judge(text: &str, log: &Log, orders: &HashMap<String, Order>, verdict: &mut Verdict) -> Result<(), String> {
    let mut watchers: BTreeMap<(String, String, String), Vec<Told>> = BTreeMap::new();
    for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
        let value: Value = serde_json::from_str(line).map_err(|e| format!("streams, line {}: {e}", number + 1))?;
        let word = |member: &str| value[member].as_str().unwrap_or_default().to_owned();
        let place = |member: &str| value[member].as_str().and_then(position).map(|(_, position)| position);
        let told = Told {
            what: word("what"),
            event: word("event"),
            id: place("id"),
            data: value["data"].clone(),
            last: place("last"),
        };
        watchers.entry((word("watcher"), word("topic"), word("target"))).or_default().push(told);
    }
    let mut topics: HashMap<(&str, &str), Vec<Frame>> = HashMap::new();
    for (watcher, topic, target) in watchers.keys() {
        let name = format!("{watcher} ({topic} of {target})");
        let expected = topics.entry((topic, target)).or_insert_with(|| frames(log, orders, topic, target));
        let key = (watcher.clone(), topic.clone(), target.clone());
        Watcher { name: &name, log, topic, target, expected, next: None, complete: None }
            .judge(&watchers[&key], verdict);
    }
    Ok(())
}

/// All frames that a topic ever had.
fn frames(log: &Log, orders: &HashMap<String, Order>, topic: &str, target: &str) -> Vec<Frame> {
    let mut all = Vec::new();
    for unit in log.units() {
        let Some(end) = unit.last().map(|event| event.position) else { continue };
        match topic {
            "seats" => seats(unit, end, target, &mut all),
            "store" => all.extend(unit.iter().filter(|event| of(event, "store", target)).filter_map(counter)),
            "order" if unit.iter().any(|event| of(event, "order", target)) => {
                let status = orders.get(target).and_then(|order| order.history.get(&end)).copied();
                all.push(Frame { event: "order", position: end, data: vec![("status", status.into())] });
            }
            _ => {}
        }
    }
    all
}

fn of(event: &Event, noun: &str, id: &str) -> bool {
    event.stream.split_once('/') == Some((noun, id))
}

fn counter(event: &Event) -> Option<Frame> {
    let (name, members): (_, &[&'static str]) = match event.kind.as_str() {
        "store.payment_recorded" => ("payment", &["payment_id", "amount"]),
        "store.payment_cancelled" => ("payment.cancelled", &["payment_id", "amount", "remaining"]),
        _ => return None,
    };
    let data = members.iter().map(|member| (*member, event.data[*member].clone())).collect();
    Some(Frame { event: name, position: event.position, data })
}

/// One frame for each run of equal changes; the last is named by the unit's end.
fn seats(unit: &[Event], end: u64, performance: &str, all: &mut Vec<Frame>) {
    let mut runs: Vec<(Option<&str>, Vec<Value>, u64)> = Vec::new();
    for event in unit {
        let Some(rest) = event.stream.strip_prefix("seat/").and_then(|rest| rest.strip_prefix(performance)) else {
            continue;
        };
        let (status, seat) = (status_after(&event.kind), Value::from(rest.trim_start_matches('/')));
        match runs.last_mut() {
            Some((last, seats, position)) if *last == status => {
                seats.push(seat);
                *position = event.position;
            }
            _ => runs.push((status, vec![seat], event.position)),
        }
    }
    let count = runs.len();
    for (index, (status, seats, position)) in runs.into_iter().enumerate() {
        let event = match status {
            Some("held") => "seat.held",
            Some("sold") => "seat.sold",
            Some(_) => "seat.blocked",
            None => "seat.released",
        };
        let position = if index + 1 == count { end } else { position };
        all.push(Frame { event, position, data: vec![("seats", Value::Array(seats))] });
    }
}

struct Watcher<'a> {
    name: &'a str,
    log: &'a Log,
    topic: &'a str,
    target: &'a str,
    expected: &'a [Frame],
    /// Which frame comes next; not known before the first.
    next: Option<usize>,
    /// Nothing may be missing up to here.
    complete: Option<u64>,
}

impl Watcher<'_> {
    fn judge(mut self, record: &[Told], verdict: &mut Verdict) {
        let mut connected = false;
        for told in record {
            match (told.what.as_str(), told.event.as_str()) {
                ("connect", _) => {
                    verdict.saw("connections of watchers");
                    // Who forgets its place may begin anywhere; who names one goes on after it.
                    self.next = told.last.map(|last| self.after(last));
                    connected = true;
                }
                ("complete", _) => self.complete = Some(told.id.unwrap_or(u64::MAX)),
                ("frame", "reset") => {
                    verdict.saw("resets");
                    self.next = told.id.map(|id| self.after(id));
                }
                ("frame", "hb") => {}
                ("frame", "snapshot") => self.snapshot(told, verdict),
                ("frame", "result") if self.topic == "task" => verdict.saw("frames"),
                ("frame", _) => {
                    self.frame(told, connected, verdict);
                    connected = false;
                }
                _ => {}
            }
        }
        let Some(complete) = self.complete.filter(|_| self.topic != "task") else { return };
        if let Some(next) = self.next.filter(|next| *next < self.after(complete)) {
            let missing = self.expected.get(next).map(|frame| frame.position);
            verdict.broken("C4", format!("{}: it never got the frame at {missing:?} and what follows", self.name));
        }
    }

    fn after(&self, position: u64) -> usize {
        self.expected.partition_point(|frame| frame.position <= position)
    }

    fn snapshot(&mut self, told: &Told, verdict: &mut Verdict) {
        let Some(id) = told.id else {
            verdict.broken("C4", format!("{}: a snapshot without a place", self.name));
            return;
        };
        verdict.saw("snapshots");
        if self.next.is_some_and(|next| self.after(id) < next) {
            verdict.broken("C4", format!("{}: a snapshot of {id}, older than what it had", self.name));
        }
        self.next = Some(self.after(id));
        if self.topic != "seats" {
            return;
        }
        let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
        let prefix = format!("seat/{}/", self.target);
        let events = self.log.partitions.values().flatten().filter(|event| event.position <= id);
        for event in events {
            let Some(seat) = event.stream.strip_prefix(&prefix) else { continue };
            match status_after(&event.kind) {
                Some(status) => taken.insert(seat, status),
                None => taken.remove(seat),
            };
        }
        let shown = statuses(&told.data["seats"]);
        if shown != taken {
            verdict.broken("C4", format!("{}: snapshot of {id}: {}", self.name, difference(&shown, &taken)));
        }
    }

    fn frame(&mut self, told: &Told, first: bool, verdict: &mut Verdict) {
        verdict.saw("frames");
        let Some(id) = told.id else {
            verdict.broken("C4", format!("{}: {} without a place", self.name, told.event));
            return;
        };
        let Ok(found) = self.expected.binary_search_by_key(&id, |frame| frame.position) else {
            // Nothing of the kind is in the log: it was shown before it was durable, or made up.
            verdict.broken("C3", format!("{}: {} at {id}, which is not in the log", self.name, told.event));
            return;
        };
        let due = self.next.unwrap_or(found);
        // After a connection, a counter's screen is told the latest only, and how many it missed.
        let skipped = usize::try_from(told.data["skipped"].as_u64().unwrap_or_default()).unwrap_or_default();
        let jump = first && skipped > 0 && found == due + skipped;
        if found != due && !jump {
            let due = self.expected.get(due).map(|frame| frame.position);
            verdict.broken("C4", format!("{}: {} at {id} where {due:?} is due", self.name, told.event));
        }
        let frame = &self.expected[found];
        let wrong = frame.data.iter().find(|(member, value)| told.data[*member] != *value);
        if told.event != frame.event || wrong.is_some() {
            verdict.broken("C4", format!("{}: {} at {id} is told as {}", self.name, frame.event, told.data));
        }
        let before = found.checked_sub(1).map_or(0, |before| self.expected[before].position);
        let prev = told.data["prev"].as_str().and_then(position).map(|(_, position)| position);
        if prev.is_some_and(|prev| prev != before) {
            verdict.broken(
                "C4",
                format!("{}: {} at {id} names {prev:?} before it, it is {before}", self.name, told.event),
            );
        }
        self.next = Some(found + 1);
    }
}
