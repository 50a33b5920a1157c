//! Did the promise hold? Judges the files of a run, and nothing else: the exported log, what clients and watchers saw, and
//! the payment provider's books.
//!
//! It shares no code with the server: what is wrong there must not be wrong here in the same way. Start at
//! [`judge_directory`]; every rule has the name of the invariant it looks after (DESIGN.md in its own words: ARCHITECTURE.md).

mod answers;
mod calls;
mod coupons;
mod ledger;
mod log;
mod members;
mod orders;
mod realtime;
mod settled;
mod streams;

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use serde_json::Value;

use self::answers::Facts;
use self::log::Log;

pub const LOG: &str = "log.jsonl";
pub const CLIENTS: &str = "clients.jsonl";
pub const STREAMS: &str = "streams.jsonl";
pub const LEDGER: &str = "psp.jsonl";
pub const RUN: &str = "run.json";

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    pub rule: &'static str,
    pub detail: String,
}

/// What came out.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    pub violations: Vec<Violation>,
    /// What was seen, by name: a check that saw nothing has shown nothing.
    pub seen: BTreeMap<&'static str, u64>,
}

impl Verdict {
    pub fn broken(&mut self, rule: &'static str, detail: String) {
        self.violations.push(Violation { rule, detail });
    }

    pub fn saw(&mut self, what: &'static str) {
        *self.seen.entry(what).or_default() += 1;
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (what, count) in &self.seen {
            writeln!(f, "{count:>9}  {what}")?;
        }
        for Violation { rule, detail } in &self.violations {
            writeln!(f, "VIOLATION {rule}: {detail}")?;
        }
        Ok(())
    }
}

/// The texts of a run's files; empty where there was none.
#[derive(Clone, Debug, Default)]
pub struct Files {
    pub log: String,
    pub clients: String,
    pub streams: String,
    pub ledger: Option<String>,
    /// `{ended_at}`, in the log's time: by then everything had to be settled.
    pub run: Value,
}

/// Reads `log.jsonl`, and beside it `clients.jsonl`, `streams.jsonl`, `psp.jsonl` and `run.json` where they are.
pub fn judge_directory(directory: &Path) -> Result<Verdict, String> {
    let read = |name: &str| std::fs::read_to_string(directory.join(name));
    let log = read(LOG).map_err(|e| format!("{}: {e}", directory.join(LOG).display()))?;
    let run = read(RUN).ok().map(|text| serde_json::from_str(&text).map_err(|e| format!("{RUN}: {e}"))).transpose()?;
    judge(&Files {
        log,
        clients: read(CLIENTS).unwrap_or_default(),
        streams: read(STREAMS).unwrap_or_default(),
        ledger: read(LEDGER).ok(),
        run: run.unwrap_or_default(),
    })
}

/// `Err`: a file is not what it should be, so that nothing can be said.
pub fn judge(files: &Files) -> Result<Verdict, String> {
    let mut verdict = Verdict::default();
    let log = Log::read(&files.log)?;
    log::judge(&log, &mut verdict);
    let orders = orders::judge(&log, &mut verdict);
    let coupons = coupons::judge(&log, &mut verdict);
    members::judge(&log, &orders, &mut verdict);
    if let Some(ledger) = &files.ledger {
        ledger::judge(ledger, &orders, &mut verdict)?;
    }
    let calls = calls::read(&files.clients)?;
    let wishes = calls::wishes(&calls);
    let facts = Facts::of(&log, &orders, &coupons);
    answers::judge(&facts, &wishes, &mut verdict);
    answers::readings(&facts, &calls, &mut verdict);
    realtime::judge(&facts, &calls, &wishes, &mut verdict);
    streams::judge(&files.streams, &log, &orders, &mut verdict)?;
    settled::judge(&files.run, &orders, &wishes, &mut verdict);
    Ok(verdict)
}
