//! How fast does the log become read models? What `onsale replay` does: all of them with one reading of the log, and then
//! each alone, of which the slowest is told.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::phase::Bench;
use crate::app;
use crate::cli::bench::report::{Measured, Report};
use crate::cli::failure::Failure;
use crate::cli::fresh::Fresh;
use crate::clock::SystemClock;
use crate::ids::Position;
use crate::journal::open::Target as Log;
use crate::projections::rebuild::Pace;
use crate::projections::replay::Replay;
use crate::projections::store::{self, Purpose, Store};
use crate::projections::{Projection, ROSTER};

/// `scratch`: where to make them, if not beside the log.
pub async fn measure(
    bench: &Bench,
    heads: &[Position],
    scratch: Option<&Fresh>,
    report: &mut Report,
) -> Result<(), Failure> {
    let store = match scratch {
        None => app::open_store(&bench.config).await?,
        Some(fresh) => {
            report.remarks.push("read models are made in files of their own: nothing is written beside the log".into());
            store::open(&Log::Sqlite { dir: fresh.path().to_owned() }).await?
        }
    };
    let title = "into SQL: all read models at once";
    let (_, mut measured) = bench.measure(title, replay(bench, &store, ROSTER)).await?;
    measured.figure("read models", ROSTER.len() as f64, "");
    report.phases.push(measured);
    check(&*store, heads, report).await?;

    let mut slowest: Option<(&'static str, Measured)> = None;
    let mut each = Vec::new();
    for projection in ROSTER {
        let title = "into SQL: the slowest read model alone";
        let (_, measured) = bench.measure(title, replay(bench, &store, &[*projection])).await?;
        let rate = rate(&measured);
        each.push(format!("{} {rate:.0}/s", projection.name()));
        if slowest.as_ref().is_none_or(|(_, known)| rate < self::rate(known)) {
            slowest = Some((projection.name(), measured));
        }
    }
    if let Some((name, measured)) = slowest {
        report.phases.push(measured);
        report.remarks.push(format!("the slowest read model is {name}; alone: {}", each.join(", ")));
    }
    check(&*store, heads, report).await
}

fn rate(measured: &Measured) -> f64 {
    measured.figures.first().map_or(0.0, |figure| figure.value)
}

/// From zero to the end of the log, and switched to, at full speed: nobody is served beside it, or it is read only.
async fn replay(bench: &Bench, store: &Arc<dyn Store>, wanted: &[&'static dyn Projection]) -> Result<(), Failure> {
    let work = Replay {
        store: store.clone(),
        journal: bench.journal.clone(),
        clock: Arc::new(SystemClock),
        stop: CancellationToken::new(),
        pace: Pace::default(),
    };
    let making = work.begin(wanted, Purpose::Serve).await?;
    let making = work.build(making, false, |_| {}).await?;
    Ok(work.switch(making).await?)
}

/// Every read model stands at the heads, or beyond them where the log has grown meanwhile, and nothing of it is parked.
async fn check(store: &dyn Store, heads: &[Position], report: &mut Report) -> Result<(), Failure> {
    let registered = store.registered().await?;
    let mut wrong = Vec::new();
    for projection in ROSTER {
        let name = projection.name();
        let Some(known) = registered.iter().find(|known| known.name == name) else {
            wrong.push(format!("{name} is not there"));
            continue;
        };
        let build = store.open(*projection, known.active).await?;
        if build.cursors().await?.iter().zip(heads).any(|(cursor, head)| cursor < head) {
            wrong.push(format!("{name} ends before the log"));
        }
        if !build.parked_keys(None, 1).await?.is_empty() {
            wrong.push(format!("{name} could not apply everything"));
        }
    }
    let detail = if wrong.is_empty() { "all stand at the heads, nothing is parked".into() } else { wrong.join(", ") };
    report.check("read models", wrong.is_empty(), detail);
    Ok(())
}
