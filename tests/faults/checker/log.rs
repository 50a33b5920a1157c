//! What does the exported log say, row by row? Reads it, and judges L1 (rows follow from each other) and the log's part of C2
//! (a command has one unit). Chains can only be looked at from outside: each row has its own, and none comes twice.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::Value;

use super::Verdict;

#[derive(Clone, Debug)]
pub struct Event {
    pub partition: u64,
    pub position: u64,
    pub stream: String,
    pub version: u64,
    pub kind: String,
    /// RFC 3339 in UTC with milliseconds: texts sort as times do.
    pub at: String,
    pub epoch: u64,
    pub unit_last: bool,
    pub command: String,
    pub chain: String,
    pub data: Value,
}

impl Event {
    pub fn text(&self, member: &str) -> &str {
        self.data[member].as_str().unwrap_or_default()
    }

    pub fn number(&self, member: &str) -> u64 {
        self.data[member].as_u64().unwrap_or_default()
    }

    pub fn place(&self) -> String {
        format!("{}:{}", self.partition, self.position)
    }
}

#[derive(Clone, Debug, Default)]
pub struct Log {
    pub partitions: BTreeMap<u64, Vec<Event>>,
}

impl Log {
    pub fn read(text: &str) -> Result<Self, String> {
        let mut log = Self::default();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let value: Value = serde_json::from_str(line).map_err(|e| format!("log, line {}: {e}", number + 1))?;
            let event = event(&value).ok_or_else(|| format!("log, line {}: a member is missing", number + 1))?;
            log.partitions.entry(event.partition).or_default().push(event);
        }
        Ok(log)
    }

    /// In order, partition after partition.
    pub fn units(&self) -> impl Iterator<Item = &[Event]> {
        self.partitions.values().flat_map(|events| events.split_inclusive(|event| event.unit_last))
    }

    /// The unit that ends here.
    pub fn unit_ending(&self, partition: u64, position: u64) -> Option<&[Event]> {
        let events = self.partitions.get(&partition)?;
        let end = events.binary_search_by_key(&position, |event| event.position).ok()?;
        if !events[end].unit_last {
            return None;
        }
        let begin = events[..end].iter().rposition(|event| event.unit_last).map_or(0, |last| last + 1);
        Some(&events[begin..=end])
    }
}

fn event(value: &Value) -> Option<Event> {
    let text = |member: &str| value[member].as_str().map(str::to_owned);
    Some(Event {
        partition: value["partition"].as_u64()?,
        position: value["position"].as_u64()?,
        stream: text("stream")?,
        version: value["version"].as_u64()?,
        kind: text("kind")?,
        at: text("at")?,
        epoch: value["epoch"].as_u64()?,
        unit_last: value["unit_last"].as_bool()?,
        command: text("command")?,
        chain: text("chain")?,
        data: value["data"].clone(),
    })
}

/// `"<partition>:<n>"`.
pub fn position(text: &str) -> Option<(u64, u64)> {
    let (partition, position) = text.split_once(':')?;
    Some((partition.parse().ok()?, position.parse().ok()?))
}

/// Milliseconds since 1970 of a time as the log writes it.
pub fn millis(text: &str) -> Option<i64> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    // Days by the civil calendar, counted from March, so that the leap day is a year's last.
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days =
        year * 365 + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (month * 153 + 2) / 5 + day
            - 1
            - 719_468;
    let seconds = days * 86_400 + number(11..13)? * 3_600 + number(14..16)? * 60 + number(17..19)?;
    Some(seconds * 1_000 + number(20..23)?)
}

pub fn judge(log: &Log, verdict: &mut Verdict) {
    let mut commands: HashMap<&str, String> = HashMap::new();
    for events in log.partitions.values() {
        rows(events, verdict);
    }
    for unit in log.units() {
        let (Some(first), Some(last)) = (unit.first(), unit.last()) else { continue };
        one_unit(first, last, &mut commands, verdict);
        for event in unit.iter().filter(|event| event.command != first.command) {
            verdict.broken("C2", format!("{} stands in a unit of another command", event.place()));
        }
    }
}

fn one_unit<'a>(first: &'a Event, last: &Event, commands: &mut HashMap<&'a str, String>, verdict: &mut Verdict) {
    verdict.saw("units");
    if !last.unit_last {
        verdict.broken("L1", format!("the unit at {} has no end", first.place()));
    }
    if let Some(before) = commands.insert(&first.command, first.place()) {
        verdict.broken("C2", format!("the command of {} had its effect at {before} already", first.place()));
    }
}

fn rows(events: &[Event], verdict: &mut Verdict) {
    let mut versions: HashMap<&str, u64> = HashMap::new();
    let mut chains = HashSet::new();
    let (mut position, mut epoch, mut at) = (0, 0, "");
    for event in events {
        verdict.saw("events");
        let place = event.place();
        if event.position != position + 1 {
            verdict.broken("L1", format!("{place} comes after {position}"));
        }
        let version = versions.entry(&event.stream).or_default();
        if event.version != *version + 1 {
            verdict.broken("L1", format!("{place}: {} goes from version {version} to {}", event.stream, event.version));
        }
        if event.epoch < epoch {
            verdict.broken("L1", format!("{place} was written under epoch {}, after {epoch}", event.epoch));
        }
        if event.epoch > epoch && epoch > 0 {
            verdict.saw("changes of epoch");
        }
        if event.at.as_str() < at {
            verdict.broken("L1", format!("{place}: time falls from {at} to {}", event.at));
        }
        if event.chain.len() != 64 || !chains.insert(&event.chain) {
            verdict.broken("L1", format!("{place} has no chain of its own"));
        }
        (*version, position, epoch, at) = (event.version, event.position, event.epoch, &event.at);
    }
}
