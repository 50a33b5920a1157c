//! What is said at the end? Figures, distributions, costs and checks, for people or as one JSON object.
//!
//! A check that does not hold ends the verb with exit code 1, after everything has been said.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde::Serialize;

use super::against::Comparison;
use super::load::{Plan, Ran};
use super::machine::{self, Machine};
use super::tally;
use crate::cli::failure::Failure;
use crate::cli::output;

/// Does what was claimed hold?
#[derive(Clone, Debug, Serialize)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    pub detail: String,
}

#[derive(Debug, Serialize)]
pub struct Figure {
    pub name: &'static str,
    pub value: f64,
    pub unit: &'static str,
}

/// What was measured at a stretch.
#[derive(Debug, Default, Serialize)]
pub struct Measured {
    pub title: &'static str,
    pub figures: Vec<Figure>,
    pub latencies: Vec<tally::Row>,
    /// What else was answered than what was hoped for, or no answer.
    pub failures: BTreeMap<String, u64>,
    pub processes: Vec<machine::Row>,
}

impl Measured {
    pub fn figure(&mut self, name: &'static str, value: f64, unit: &'static str) {
        self.figures.push(Figure { name, value, unit });
    }

    /// 0, if there is no such figure.
    pub fn value(&self, name: &str) -> f64 {
        self.figures.iter().find(|figure| figure.name == name).map_or(0.0, |figure| figure.value)
    }
}

#[derive(Debug, Serialize)]
pub struct Report {
    pub scenario: &'static str,
    pub version: &'static str,
    /// Of a build without optimisation, figures say nothing.
    pub optimised: bool,
    pub machine: Machine,
    pub target: String,
    /// What was asked for, in words.
    pub load: String,
    pub phases: Vec<Measured>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub comparisons: Vec<Comparison>,
    pub remarks: Vec<String>,
    pub checks: Vec<Check>,
}

impl Report {
    pub fn new(scenario: &'static str, target: String, load: String) -> Result<Self, Failure> {
        Ok(Self {
            scenario,
            version: env!("CARGO_PKG_VERSION"),
            optimised: !cfg!(debug_assertions),
            machine: Machine::look()?,
            target,
            load,
            phases: Vec::new(),
            comparisons: Vec::new(),
            remarks: Vec::new(),
            checks: Vec::new(),
        })
    }

    pub fn check(&mut self, name: &'static str, ok: bool, detail: String) {
        self.checks.push(Check { name, ok, detail });
    }

    /// What the load itself has to say.
    pub fn ran(&mut self, ran: &Ran) {
        if ran.unsent > 0 {
            self.remarks.push(format!(
                "of {} units on the timetable, {} were never begun: the connections were all busy",
                ran.planned, ran.unsent
            ));
        }
        if ran.late > 0 {
            self.remarks.push(format!("{} units began more than 5 ms late, which their latency holds", ran.late));
        }
        if ran.exhausted {
            self.remarks.push("there was nothing left to do before the time was up".to_owned());
        }
    }

    /// Says it, and fails if a check does not hold.
    pub fn say(&self, json: bool) -> Result<(), Failure> {
        let text = match json {
            true => serde_json::to_string(self).map_err(|e| Failure::of(format!("the report: {e}")))?,
            false => self.text(),
        };
        output::line(text.trim_end())?;
        if self.checks.iter().all(|check| check.ok) { Ok(()) } else { Err(Failure::said()) }
    }

    fn text(&self) -> String {
        let mut text = String::new();
        self.write(&mut text).expect("a String takes whatever is written to it");
        text
    }

    fn write(&self, text: &mut String) -> std::fmt::Result {
        let Machine { processors, model, memory_bytes, kernel } = &self.machine;
        writeln!(text, "{} of onsale {}: {}", self.scenario, self.version, self.load)?;
        writeln!(text, "{}", self.target)?;
        writeln!(text, "{processors} processors ({model}), {} memory, Linux {kernel}", size(*memory_bytes))?;
        if !self.optimised {
            writeln!(text, "a build without optimisation: its figures say nothing")?;
        }
        for phase in &self.phases {
            phase.write(text)?;
        }
        for comparison in &self.comparisons {
            writeln!(text, "{}", comparison.words())?;
        }
        for remark in &self.remarks {
            writeln!(text, "note: {remark}")?;
        }
        for Check { name, ok, detail } in &self.checks {
            writeln!(text, "{} {name}: {detail}", if *ok { "holds " } else { "BROKEN" })?;
        }
        Ok(())
    }
}

impl Measured {
    fn write(&self, text: &mut String) -> std::fmt::Result {
        writeln!(text, "\n{}", self.title)?;
        let wide = self.figures.iter().map(|figure| figure.name.len()).max().unwrap_or(0);
        for Figure { name, value, unit } in &self.figures {
            let digits = if value.fract() == 0.0 { 0 } else { 2 };
            writeln!(text, "{}", format!("  {name:wide$} {value:>12.digits$} {unit}").trim_end())?;
        }
        if !self.latencies.is_empty() {
            let wide = self.latencies.iter().map(|row| row.name.len()).max().unwrap_or(0);
            let [p50, p90, p99, p999] = ["p50", "p90", "p99", "p99.9"];
            writeln!(text, "  {:wide$} {:>10} {p50:>9} {p90:>9} {p99:>9} {p999:>9} {:>9}", "in ms", "count", "max")?;
            for tally::Row { name, count, p50_ms, p90_ms, p99_ms, p999_ms, max_ms } in &self.latencies {
                writeln!(
                    text,
                    "  {name:wide$} {count:>10} {p50_ms:>9.2} {p90_ms:>9.2} {p99_ms:>9.2} {p999_ms:>9.2} {max_ms:>9.2}"
                )?;
            }
        }
        if !self.failures.is_empty() {
            let all: Vec<String> = self.failures.iter().map(|(what, count)| format!("{what}: {count}")).collect();
            writeln!(text, "  failed: {}", all.join(", "))?;
        }
        for machine::Row { process, cpu_seconds, memory_bytes, peak_memory_bytes } in &self.processes {
            let peak = peak_memory_bytes.map(|peak| format!(", peak {}", size(peak))).unwrap_or_default();
            writeln!(text, "  {process:8} {cpu_seconds:.2} s of processor, {} of memory{peak}", size(*memory_bytes))?;
        }
        writeln!(text)
    }
}

/// The load in words.
pub fn words(plan: &Plan) -> String {
    let how = match plan.rate {
        None => format!("closed loop, {} connections", plan.connections),
        Some(rate) => format!("open loop, {rate}/s, at most {} under way", plan.connections),
    };
    format!("{how}, {} s after {} s of warm-up", plan.length.as_secs(), plan.warm_up.as_secs())
}

fn size(bytes: u64) -> String {
    let megabytes = bytes as f64 / f64::from(1 << 20);
    if megabytes < 4_096.0 { format!("{megabytes:.1} MiB") } else { format!("{:.1} GiB", megabytes / 1_024.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broken_check_is_said_and_fails() {
        let mut report = Report::new("purchase", "a node".to_owned(), "a load".to_owned()).expect("a machine");
        let mut measured = Measured { title: "one", ..Measured::default() };
        measured.figure("purchases", 1_234.5, "/s");
        report.phases.push(measured);
        report.check("audit", true, "fine".to_owned());
        assert!(report.say(true).is_ok() && report.say(false).is_ok());
        report.check("completed orders", false, "one is missing".to_owned());
        assert!(report.say(false).is_err());
        let text = report.text();
        assert!(text.contains("purchases      1234.50 /s") && text.contains("BROKEN completed orders: one is missing"));
    }
}
