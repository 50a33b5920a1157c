//! `onsale audit`: does the log keep its promises? Prints every violation with its invariant and place; exit code 1 if
//! there is one. What is checked is `crate::audit`'s business.

use std::io::{IsTerminal, Write};

use super::failure::Failure;
use super::{Global, output};
use crate::journal::SharedJournal;
use crate::journal::open::Role;
use crate::{app, audit};

/// Events between two lines of progress.
const SHOW_EVERY: u64 = 10_000;

#[derive(clap::Args, Debug)]
pub struct Audit {}

/// What the audit found, ready to print.
pub struct Verdict {
    /// One line each: invariant, place, what is wrong.
    pub violations: Vec<String>,
    pub summary: String,
}

impl Audit {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load(Vec::new())?;
        let journal = app::open_journal(&config, Role::Read).await?;
        let verdict = check(&journal).await?;
        for violation in &verdict.violations {
            output::line(violation)?;
        }
        if verdict.violations.is_empty() { Ok(output::line(&verdict.summary)?) } else { Err(Failure::said()) }
    }
}

/// Audits the log up to its present heads; on a terminal, a line on stderr shows how far it is.
pub async fn check(journal: &SharedJournal) -> Result<Verdict, Failure> {
    let terminal = std::io::stderr().is_terminal();
    let mut shown = 0;
    let report = audit::run(journal.as_ref(), |progress| {
        if terminal && progress.records >= shown + SHOW_EVERY {
            shown = progress.records;
            eprint_line(&format!("{} events, partition {}", progress.records, progress.partition));
        }
    })
    .await?;
    if shown > 0 {
        eprint_line("");
    }
    let line = |v: &audit::Violation| format!("{} broken at {}:{}: {}", v.invariant, v.partition, v.position, v.detail);
    let mut violations: Vec<String> = report.violations.iter().map(line).collect();
    let listed = violations.len() as u64;
    if report.found > listed {
        violations.push(format!("and {} more", report.found - listed));
    }
    let summary = format!("audit ok: {} events in {} partitions", report.records, report.partitions);
    Ok(Verdict { violations, summary })
}

/// Over itself; an unwritable stderr is no reason to stop checking.
fn eprint_line(text: &str) {
    let _unseen = write!(std::io::stderr(), "\r\x1b[K{text}");
}
