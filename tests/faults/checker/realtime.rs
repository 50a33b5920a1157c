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
