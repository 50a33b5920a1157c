//! `onsale bench growth`: what does a large log cost? Fills an empty Postgres log up to each of some sizes and measures the
//! same at each: appends, loads, a start, and bytes.

mod database;
mod fill;
mod step;

use self::database::Database;
use self::fill::Filler;
use self::step::{Cost, Step};
use super::machine::Watched;
use super::report::Report;
use super::target::prepare;
use crate::cli::Global;
use crate::cli::failure::Failure;
use crate::journal::open::{Role, Target as Log};
use crate::{app, limits};

#[derive(clap::Args, Debug)]
pub struct Growth {
    /// Sizes of the log, each larger than the one before.
    #[arg(long, value_name = "N,N,…", value_delimiter = ',', default_values_t = [1_000_000, 10_000_000, 50_000_000],
        value_parser = clap::value_parser!(u64).range(1_000..=limits::BENCH_FILL))]
    events: Vec<u64>,
    /// Appends of each size that are measured at each step.
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rounds: u32,
    /// One JSON object instead of a text for people.
    #[arg(long)]
    json: bool,
}

impl Growth {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load(Vec::new())?;
        let log = app::target(&config);
        let Log::Postgres { url } = &log else {
            return Err(Failure::usage("growth is measured on Postgres: name an empty database with --database-url"));
        };
        if !self.events.is_sorted_by(|one, next| one < next) {
            return Err(Failure::usage("--events: each size must be larger than the one before"));
        }
        prepare(&config, &log).await?;
        let mut watched = Watched::default();
        watched.add_postgres(url).await;
        let mut database = Database::connect(url, watched.postgres_is_here()).await?;
        let partitions = app::open_journal(&config, Role::Read).await?.partitions();
        let mut filler = Filler::new(url.clone(), partitions)?;

        let load = format!("{} rounds of appends at each size", self.rounds);
        let mut report = Report::new("growth", "a filled log on postgres".to_owned(), load)?;
        let mut first: Option<Cost> = None;
        for size in &self.events {
            let present = app::open_journal(&config, Role::Read).await?.heads().await?.iter().map(|head| head.0).sum();
            // All of it before the first row, so that hours are not wasted; then again with what was measured.
            let last = self.events.last().copied().unwrap_or(*size);
            if !database.check_room(present, last.saturating_sub(present)).await? && first.is_none() {
                report.remarks.push("whether the disk is large enough cannot be seen from here".to_owned());
            }
            filler.add(size.saturating_sub(present)).await?;
            let refused = database.rest().await?;
            report.remarks.extend(refused.filter(|_| first.is_none()));
            let step = step::measure(&self, &config, &mut database, &filler).await?;
            add(&mut report, step, &mut first);
        }
        report.remarks.push(
            "fillers have true widths and names, but no chain; they are vacuumed, and a checkpoint is made, before each \
             measurement"
                .to_owned(),
        );
        report.say(self.json)
    }
}

/// Beside the first step's costs.
fn add(report: &mut Report, step: Step, first: &mut Option<Cost>) {
    let Step { mut measured, cost, checks } = step;
    let base = *first.get_or_insert(cost);
    measured.figure("cost in batches of 500", cost.large / base.large, "times the first step's");
    measured.figure("cost in batches of 10", cost.small / base.small, "times the first step's");
    report.phases.push(measured);
    report.checks.extend(checks);
}
