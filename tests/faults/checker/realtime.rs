//! C3 in real time: what was answered before another thing began stands before it in the log; and whoever asks a node sees at
//! least what it had acknowledged.

use std::collections::{BTreeMap, HashMap};

use super::Verdict;
use super::answers::Facts;
use super::calls::{Call, Outcome, Wish};

/// Moments, and the highest position that was known by then.
type Known = Vec<(u64, u64, u64)>;

pub fn judge(facts: &Facts<'_>, calls: &[Call], wishes: &[Wish<'_>], verdict: &mut Verdict) {
    order_of_answers(facts, calls, wishes, verdict);
    fresh(calls, verdict);
    refusals(facts, calls, wishes, verdict);
}

/// Every position that was shown was durable when it was shown: what began later stands after it.
fn order_of_answers(facts: &Facts<'_>, calls: &[Call], wishes: &[Wish<'_>], verdict: &mut Verdict) {
    let mut known: BTreeMap<u64, Known> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.outcome == Outcome::Ok) {
        if let Some((partition, position)) = call.position() {
            known.entry(partition).or_default().push((call.ended, position, call.number));
        }
    }
    for shown in known.values_mut() {
        highest(shown);
    }
    for wish in wishes {
        let Some((partition, position)) = facts.effect(wish) else { continue };
        let Some((_, before, number)) = known.get(&partition).and_then(|shown| by(shown, wish.begun())) else {
            continue;
        };
        verdict.saw("pairs in real time");
        if before >= position {
            let name = wish.first().name();
            verdict.broken(
                "C3",
                format!("{name} stands at {partition}:{position}, but call {number} showed {before} before it began"),
            );
        }
    }
}

/// Readings at one node: never behind what it had answered before they began.
fn fresh(calls: &[Call], verdict: &mut Verdict) {
    // By node and order (or performance, of which orders take seats).
    let mut known: HashMap<(&str, &str), Known> = HashMap::new();
    for call in calls.iter().filter(|call| call.outcome == Outcome::Ok) {
        let Some((_, position)) = call.position() else { continue };
        let thing = match call.what.as_str() {
            "place" => call.answered("order_id"),
            "pay" | "cancel" | "read-order" | "read-seats" | "read-coupon" | "issue" => call.target.as_str(),
            _ => continue,
        };
        known.entry((&call.node, thing)).or_default().push((call.ended, position, call.number));
        if call.what == "place" {
            known.entry((&call.node, &call.target)).or_default().push((call.ended, position, call.number));
        }
    }
    for shown in known.values_mut() {
        highest(shown);
    }
    for call in calls.iter().filter(|call| call.outcome == Outcome::Ok && call.what.starts_with("read-")) {
        let Some((_, position)) = call.position() else { continue };
        let shown = known.get(&(call.node.as_str(), call.target.as_str()));
        let Some((_, before, number)) = shown.and_then(|shown| by(shown, call.begun)) else { continue };
        verdict.saw("readings after an answer");
        if position < before {
            verdict.broken(
                "C3",
                format!("{} shows {position}, call {number} at the same node had shown {before}", call.name()),
            );
        }
    }
}

/// A seat that is said to be taken was taken at some position between what was known before the question and what began
/// after the answer.
fn refusals(facts: &Facts<'_>, calls: &[Call], wishes: &[Wish<'_>], verdict: &mut Verdict) {
    let mut known: BTreeMap<u64, Known> = BTreeMap::new();
    for call in calls.iter().filter(|call| call.outcome == Outcome::Ok) {
        if let Some((partition, position)) = call.position() {
            known.entry(partition).or_default().push((call.ended, position, call.number));
        }
    }
    known.values_mut().for_each(highest);
    let mut later: BTreeMap<u64, Vec<(u64, u64)>> = BTreeMap::new();
    for wish in wishes {
        if let Some((partition, position)) = facts.effect(wish) {
            later.entry(partition).or_default().push((wish.begun(), position));
        }
    }
    for effects in later.values_mut() {
        effects.sort_unstable();
        // From the last to the first: the lowest position of everything that began then or later.
        let mut least = u64::MAX;
        for (_, position) in effects.iter_mut().rev() {
            least = least.min(*position);
            *position = least;
        }
    }
    for call in calls.iter().filter(|call| call.code == "seat-unavailable") {
        for seat in call.answer["seats"].as_array().into_iter().flatten().filter_map(|seat| seat.as_str()) {
            let Some(changes) = facts.seats.get(&format!("{}/{seat}", call.target)) else {
                verdict.broken("C3", format!("{}: {seat} was never taken", call.name()));
                continue;
            };
            verdict.saw("seats refused");
            let partition = changes[0].0;
            let from =
                known.get(&partition).and_then(|shown| by(shown, call.begun)).map_or(0, |(_, position, _)| position);
            let effects = later.get(&partition).map(Vec::as_slice).unwrap_or_default();
            let next = effects.partition_point(|(begun, _)| *begun < call.ended);
            let until = effects.get(next).map_or(u64::MAX, |(_, position)| *position);
            let before =
                changes.iter().rev().find(|(_, position, _)| *position <= from).is_some_and(|(.., taken)| *taken);
            let within = changes.iter().any(|(_, position, taken)| *taken && *position > from && *position < until);
            if !before && !within {
                verdict.broken("C3", format!("{}: {seat} was free between {from} and {until}", call.name()));
            }
        }
    }
}

fn highest(shown: &mut Known) {
    shown.sort_unstable();
    let (mut most, mut whose) = (0, 0);
    for (_, position, number) in shown {
        if *position > most {
            (most, whose) = (*position, *number);
        }
        (*position, *number) = (most, whose);
    }
}

/// What was known before this moment.
fn by(shown: &Known, moment: u64) -> Option<(u64, u64, u64)> {
    shown.partition_point(|(ended, ..)| *ended < moment).checked_sub(1).map(|last| shown[last])
}
