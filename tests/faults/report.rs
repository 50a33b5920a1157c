//! What came of it: a table for people, and the same as JSON.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::rows::Row;
use crate::run::Round;

/// All rounds of a row.
pub struct Of<'a> {
    pub row: &'a Row,
    pub rounds: Vec<Round>,
    /// Rounds that were repeated because they had shown nothing.
    pub void: Vec<Round>,
}

impl Of<'_> {
    pub fn findings(&self) -> usize {
        self.rounds.iter().chain(&self.void).map(|round| round.findings.len()).sum()
    }

    /// The last round, if it too has shown nothing.
    pub fn shows_nothing(&self) -> bool {
        self.rounds.iter().any(|round| !round.missed.is_empty())
    }

    pub fn ran(&self) -> bool {
        self.rounds.iter().all(|round| round.not_run.is_none())
    }

    pub fn good(&self) -> bool {
        self.findings() == 0 && !self.shows_nothing()
    }

    fn states(&self) -> BTreeMap<&'static str, u64> {
        let mut sum = BTreeMap::new();
        for (state, count) in self.rounds.iter().flat_map(|round| &round.states) {
            *sum.entry(*state).or_default() += count;
        }
        sum
    }

    fn longest(&self, of: fn(&Round) -> Duration) -> Duration {
        self.rounds.iter().map(of).max().unwrap_or_default()
    }

    /// One line as soon as it is known, and what was wrong below it.
    pub fn print(&self) {
        if let Some(why) = self.rounds.iter().find_map(|round| round.not_run.as_ref()) {
            println!("  {:<18} NOT RUN HERE: {why}", self.row.name);
            return;
        }
        let word = if self.findings() > 0 {
            "BROKEN"
        } else if self.shows_nothing() {
            "VOID"
        } else {
            "holds"
        };
        println!(
            "  {:<18} {word:<6} {:>2} rounds ({} void), slowest answer {:.1} s, back after {:.1} s",
            self.row.name,
            self.rounds.len(),
            self.void.len(),
            self.longest(|round| round.slowest).as_secs_f64(),
            self.longest(|round| round.back).as_secs_f64()
        );
        let states: Vec<String> = self.states().iter().map(|(state, count)| format!("{count} {state}")).collect();
        println!("  {:<18}        {}", "", states.join(", "));
        for round in self.rounds.iter().chain(&self.void) {
            for finding in &round.findings {
                let detail: String = finding.detail.chars().take(600).collect();
                println!("      seed {}: {}: {detail}", round.seed, finding.rule);
            }
            if !round.missed.is_empty() {
                println!("      seed {}: never reached: {}", round.seed, round.missed.join(", "));
            }
            if let Some(evidence) = &round.evidence {
                println!("      seed {}: its files: {}", round.seed, evidence.display());
            }
        }
    }

    pub fn json(&self) -> Value {
        let rounds: Vec<Value> = self
            .rounds
            .iter()
            .map(|round| {
                let findings: Vec<Value> =
                    round.findings.iter().map(|f| json!({"rule": f.rule, "detail": f.detail})).collect();
                json!({"seed": round.seed, "states": round.states, "slowest_ms": round.slowest.as_millis() as u64,
                    "back_ms": round.back.as_millis() as u64, "findings": findings, "missed": round.missed,
                    "not_run": round.not_run})
            })
            .collect();
        json!({"row": self.row.name, "promise": self.row.promise, "good": self.good(), "void": self.void.len(),
            "states": self.states(), "rounds": rounds})
    }
}
