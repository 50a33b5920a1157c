//! Does the judge find what was planted? A sound history, made up here, and one thing wrong with it at a time.
//!
//! The history is written from the public contract, not from the checker: where they disagree, one of them is wrong.

mod history;
mod plants;

use std::collections::BTreeSet;

use crate::checker::{self, Verdict};
use history::History;

/// True if everything was found by the rule that names it, and nothing where nothing is. `loud`: says what was found by what.
pub fn self_test(loud: bool) -> bool {
    let sound = history::sound();
    let mut good = true;
    match judged(&sound) {
        Ok(verdict) if verdict.violations.is_empty() => {
            let unseen: Vec<_> = SEEN.iter().filter(|what| !verdict.seen.contains_key(**what)).collect();
            if !unseen.is_empty() {
                println!("self-test: the sound history does not show {unseen:?}");
                good = false;
            }
        }
        Ok(verdict) => {
            println!("self-test: violations are found where there are none\n{verdict}");
            good = false;
        }
        Err(problem) => {
            println!("self-test: the sound history cannot be read: {problem}");
            good = false;
        }
    }
    let mut rules = BTreeSet::new();
    for plant in plants::PLANTS {
        let mut history = sound.clone();
        (plant.act)(&mut history);
        let found: BTreeSet<&str> = match judged(&history) {
            Ok(verdict) => verdict.violations.iter().map(|violation| violation.rule).collect(),
            Err(problem) => {
                println!("self-test: {}: {problem}", plant.name);
                BTreeSet::new()
            }
        };
        if found.contains(plant.rule) {
            rules.insert(plant.rule);
        } else {
            println!("self-test: {} is not found by {}, only {found:?}", plant.name, plant.rule);
            good = false;
        }
        if loud {
            println!("{:>8}  {} {found:?}", plant.rule, plant.name);
        }
    }
    println!(
        "self-test: {} planted violations, {} rules, {}",
        plants::PLANTS.len(),
        rules.len(),
        if good { "all found" } else { "FAILED" }
    );
    good
}

/// What a history has to show before its silence means anything.
const SEEN: &[&str] = &[
    "events",
    "units",
    "orders placed",
    "seats sold",
    "payments captured",
    "payments declined",
    "refunds done",
    "orders expired",
    "reviews opened",
    "payments compared with the provider",
    "coupons issued",
    "commands answered with success",
    "answers that were given again",
    "unknown outcomes that were asked about again",
    "wishes refused",
    "orders shown",
    "seat maps shown",
    "coupons shown",
    "pairs in real time",
    "readings after an answer",
    "seats refused",
    "connections of watchers",
    "snapshots",
    "frames",
];

fn judged(history: &History) -> Result<Verdict, String> {
    checker::judge(&history.files())
}
