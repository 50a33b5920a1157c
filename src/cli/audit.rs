//! `onsale audit`: does the log keep its promises, and do the read models say what it says? Prints every violation with
//! its invariant and place; exit code 1 if there is one. What is checked is the business of `crate::audit` and of
//! `projections::check`; beside it stand, if given, the books of the payment provider.

use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::failure::Failure;
use super::progress::Shown;
use super::{Global, output};
use crate::audit::psp::{Booked, compare};
use crate::clock::{Entropy, SystemClock};
use crate::config::Config;
use crate::gateways::payments::simulator::ledger;
use crate::gateways::payments::simulator::{Entry, What};
use crate::ids::PaymentKey;
use crate::journal::SharedJournal;
use crate::journal::open::{Role, Target};
use crate::projections::check::{Check, Verdict as OfRows};
use crate::projections::rebuild::Pace;
use crate::projections::{ROSTER, store};
use crate::{app, audit, limits};

/// Events between two lines of progress.
const SHOW_EVERY: u64 = 10_000;

#[derive(clap::Args, Debug)]
pub struct Audit {
    /// The simulated provider's ledger: its money is compared with the log's. Payments should rest meanwhile.
    #[arg(long, value_name = "FILE")]
    psp: Option<PathBuf>,
}

/// What the audit found, ready to print.
pub struct Verdict {
    /// One line each: invariant, place, what is wrong.
    pub violations: Vec<String>,
    pub summary: String,
}

impl Audit {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let ledger = self.psp.as_deref();
        if ledger.is_some_and(|path| path.to_string_lossy().starts_with("http")) {
            return Err(Failure::usage("--psp takes the path of a ledger file, not an address"));
        }
        let config = global.load(Vec::new())?;
        let journal = app::open_journal(&config, Role::Read).await?;
        let verdict = check(&config, &journal, ledger).await?;
        for violation in &verdict.violations {
            output::line(violation)?;
        }
        if verdict.violations.is_empty() { Ok(output::line(&verdict.summary)?) } else { Err(Failure::said()) }
    }
}

/// Audits the log up to its present heads, the read models up to where they stand, and the money against the ledger.
pub async fn check(config: &Config, journal: &SharedJournal, ledger: Option<&Path>) -> Result<Verdict, Failure> {
    let (mut verdict, payments) = check_log(journal).await?;
    // A damaged log gives no reference to judge anything else by.
    if !verdict.violations.is_empty() {
        return Ok(verdict);
    }
    let scratch = Scratch::new()?;
    let (rows, models) = check_rows(config, journal, &scratch, &mut verdict.violations).await?;
    verdict.summary.push_str(&format!(", {rows} rows in {models} read models"));
    if let Some(path) = ledger {
        check_money(path, &payments, &mut verdict)?;
    }
    Ok(verdict)
}

/// The provider's books are read after the log, so that they have at least what the log says was done.
fn check_money(path: &Path, payments: &[audit::Payment], verdict: &mut Verdict) -> Result<(), Failure> {
    let (_, entries) = ledger::read(path).map_err(|e| Failure::of(e.to_string()))?;
    let compared = compare(payments, &booked(entries));
    verdict.violations.extend(compared.violations.iter().map(|violation| format!("PSP: {violation}")));
    verdict.summary.push_str(&format!(", {} payments agree with the provider's ledger", compared.agreeing));
    if compared.open > 0 {
        verdict.summary.push_str(&format!(", {} are open", compared.open));
    }
    Ok(())
}

/// What the lines of the ledger add up to, one row a payment.
fn booked(entries: Vec<Entry>) -> Vec<Booked> {
    let mut rows: BTreeMap<PaymentKey, Booked> = BTreeMap::new();
    for Entry { payment_key, what, .. } in entries {
        match what {
            What::Captured { order_id, amount, .. } => {
                let (key, captured) = (payment_key.clone(), amount.minor());
                rows.insert(payment_key, Booked { key, order: order_id, captured, cancelled: 0 });
            }
            What::Cancelled { amount, .. } => {
                if let Some(row) = rows.get_mut(&payment_key) {
                    row.cancelled += amount.minor();
                }
            }
            // No money moves with these.
            What::Opened { .. } | What::Declined { .. } | What::Refused { .. } | What::Fault { .. } => {}
        }
    }
    rows.into_values().collect()
}

/// A directory for the reference, which goes away with the audit.
struct Scratch(std::path::PathBuf);

impl Scratch {
    fn new() -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("onsale-audit-{}", Entropy::from_system().hash16()));
        std::fs::create_dir_all(&path).map_err(|e| Failure::of(format!("no place for the reference: {e}")))?;
        Ok(Self(path))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, directory = %self.0.display(), "the reference of the audit was not removed");
        }
    }
}

/// P1: the rows of each live read model against those that the log gives.
async fn check_rows(
    config: &Config,
    journal: &SharedJournal,
    scratch: &Scratch,
    violations: &mut Vec<String>,
) -> Result<(u64, usize), Failure> {
    let Some(live) = app::look_at_store(config).await? else { return Ok((0, 0)) };
    let check = Check {
        live,
        scratch: store::open(&Target::Sqlite { dir: scratch.0.clone() }).await?,
        journal: journal.clone(),
        clock: Arc::new(SystemClock),
        stop: CancellationToken::new(),
        pace: Pace::careful(),
    };
    let _watching = AbortOnDropHandle::new(app::watch_log(journal.clone(), check.pace.clone()));
    let mut told: BTreeMap<&str, u64> = BTreeMap::new();
    let mut differences = Vec::new();
    let mut shown = Shown::new("read models").quiet();
    let found = check
        .check(
            ROSTER,
            |progress| shown.show(progress),
            |name, difference| {
                let told = told.entry(name).or_default();
                *told += 1;
                if *told <= limits::DIFFERENCES_TOLD {
                    differences.push(format!("P1 broken in {name}: {difference}"));
                }
            },
        )
        .await?;
    shown.end();
    violations.append(&mut differences);
    let (mut rows, mut models) = (0, 0);
    for (name, verdict) in found {
        match verdict {
            OfRows::Compared(compared) => {
                (rows, models) = (rows + compared.rows, models + 1);
                let listed = told.get(name).copied().unwrap_or(0).min(limits::DIFFERENCES_TOLD);
                if compared.differences > listed {
                    violations.push(format!("P1 broken in {name}: {} differences in all", compared.differences));
                }
            }
            OfRows::Missing => {}
            OfRows::Ahead(position) => {
                violations.push(format!("P1 broken in {name}: it has seen {position}, which is not in the log"));
            }
        }
    }
    Ok((rows, models))
}

/// The log alone; on a terminal, a line on stderr shows how far it is.
async fn check_log(journal: &SharedJournal) -> Result<(Verdict, Vec<audit::Payment>), Failure> {
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
    Ok((Verdict { violations, summary }, report.payments))
}

/// Over itself; an unwritable stderr is no reason to stop checking.
fn eprint_line(text: &str) {
    let _unseen = write!(std::io::stderr(), "\r\x1b[K{text}");
}
