//! `onsale bench replay`: how fast is the log read back? Into states in memory, into read models as `onsale replay` makes
//! them, and before the audit.
//!
//! Without a log that exists already it writes one of its own first, whose writing is not measured. One that exists is only
//! read: then the read models are made in a directory of our own.

mod fold;
mod phase;
mod sql;

use self::phase::{Bench, watched};
use super::author::Author;
use super::history::{History, Told};
use super::report::{Check, Report};
use super::target::prepare;
use crate::cli::failure::Failure;
use crate::cli::fresh::Fresh;
use crate::cli::{Global, audit as verb};
use crate::clock::{Clock, Entropy, SystemClock};
use crate::config::{Config, Secret};
use crate::journal::open::{Role, Target as Log};
use crate::{app, audit, limits};

/// Events of one transaction of the log that is made.
const BATCH: usize = 2_000;

#[derive(clap::Args, Debug)]
pub struct Replay {
    /// Events of the log that is made for the measurement: on a fresh directory or on the empty database that
    /// --database-url names.
    #[arg(long, value_name = "N", default_value_t = 200_000, conflicts_with = "existing",
        value_parser = clap::value_parser!(u64).range(1_000..=limits::BENCH_EVENTS))]
    events: u64,
    /// Read the log that --data or --database-url names, and write nothing to it.
    #[arg(long)]
    existing: bool,
    /// One JSON object instead of a text for people.
    #[arg(long)]
    json: bool,
}

impl Replay {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let mut config = global.load(Vec::new())?;
        let fresh = Fresh::new("bench")?;
        let made = if self.existing { None } else { Some(self.make(&mut config, &fresh).await?) };
        let journal = app::open_journal(&config, Role::Read).await?;
        let heads = journal.heads().await?;
        let events: u64 = heads.iter().map(|head| head.0).sum();
        if events == 0 {
            return Err(Failure::usage("the log is empty: there is nothing to read"));
        }
        let bench = Bench { watched: watched(&config).await, journal, config, events };
        let whose = if self.existing { "that existed" } else { "of its own" };
        let target = format!("a log {whose} on {}", bench.journal.engine());
        let mut report = Report::new("replay", target, format!("{events} events"))?;

        let (folded, mut measured) = bench.measure("one fold in memory", fold::fold(&bench.journal, &heads)).await?;
        measured.figure("streams", folded.streams() as f64, "");
        measured.figure("payload", folded.payload_bytes as f64 / events as f64, "bytes/event");
        report.phases.push(measured);
        report.checks.extend(folded.check(&heads));
        report.checks.extend(made.map(|told| as_written(told, &folded)));
        drop(folded);

        sql::measure(&bench, &heads, self.existing.then_some(&fresh), &mut report).await?;
        let (told, measured) = bench.measure("audit of the log", audit::run(&*bench.journal, |_| {})).await?;
        report.phases.push(measured);
        let found = format!("{} violations in {} events", told.found, told.records);
        report.check("audit of the log", told.found == 0 && told.records >= events, found);
        let rows = verb::check(&bench.config, &bench.journal, None);
        let (verdict, measured) = bench.measure("audit with all rows of the read models", rows).await?;
        report.phases.push(measured);
        let broken = verdict.violations.len();
        report.check("audit", broken == 0, verdict.violations.into_iter().next().unwrap_or(verdict.summary));
        report.say(self.json)
    }

    /// Writes a log and says what happened in it. Its owner is gone afterwards.
    async fn make(&self, config: &mut Config, fresh: &Fresh) -> Result<Told, Failure> {
        config.data.dir = fresh.path().to_owned();
        if config.database.url.expose().starts_with("sqlite:") {
            config.database.url = Secret::default();
        }
        if let log @ Log::Postgres { .. } = app::target(config) {
            prepare(config, &log).await?;
        }
        let journal = app::open_journal(config, Role::Serve).await?;
        let entropy = Entropy::from_system();
        let mut history = History::new(entropy.clone(), journal.partitions(), SystemClock.wall());
        let mut author = Author::claim(journal, entropy).await?;
        let mut left = usize::try_from(self.events).unwrap_or(usize::MAX);
        while left > 0 {
            let drafts = history.take(left.min(BATCH));
            left = left.saturating_sub(drafts.iter().map(|draft| draft.facts.len()).sum());
            let batches = author.batches(drafts)?;
            author.append(&batches).await?;
        }
        // An order is not left half told.
        let batches = author.batches(history.rest())?;
        author.append(&batches).await?;
        author.release().await?;
        Ok(history.told)
    }
}

/// The states against what was written, which who wrote it knows without any log.
fn as_written(told: Told, folded: &fold::Folded) -> Check {
    let found = (folded.issued(), folded.completed());
    let due = (told.issued, told.completed);
    Check {
        name: "as written",
        ok: found == due,
        detail: format!("{} coupons and {} orders, written were {} and {}", found.0, found.1, due.0, due.1),
    }
}
