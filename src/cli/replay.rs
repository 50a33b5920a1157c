//! `onsale replay`: makes read models anew from the log, beside a serving node, compares them, switches to them; or shows
//! the past. Exit code 1 if a comparison finds a difference.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::failure::Failure;
use super::progress::Shown;
use super::{Global, output};
use crate::app::{self, StopSignals};
use crate::clock::SystemClock;
use crate::ids::LogPosition;
use crate::journal::open::Role;
use crate::limits;
use crate::projections::rebuild::Pace;
use crate::projections::replay::{Replay as Work, ReplayError, Until};
use crate::projections::store::Purpose;
use crate::projections::{Projection, ROSTER, named};
use crate::timestamp::Timestamp;

#[derive(clap::Args, Debug)]
pub struct Replay {
    /// Which read models; all of them when none is named.
    #[arg(value_name = "PROJECTION")]
    projections: Vec<String>,
    /// Compare old and new row by row, and switch only if they are the same.
    #[arg(long, conflicts_with = "until")]
    verify: bool,
    /// Show the past instead: tables of their own with everything up to this time (2026-11-21T10:00:00Z) or position (3:17).
    #[arg(long, value_name = "TIME or POSITION", value_parser = until)]
    until: Option<Until>,
}

fn until(text: &str) -> Result<Until, String> {
    let time = || Timestamp::parse(text).map(Until::Time);
    let found = LogPosition::parse(text).map(Until::Position).or_else(time);
    found.ok_or_else(|| "neither a time (RFC 3339) nor a position (<partition>:<n>)".to_owned())
}

impl Replay {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let wanted = self.wanted()?;
        let mut signals = StopSignals::listen()?;
        let config = global.load(Vec::new())?;
        let stop = CancellationToken::new();
        let work = Work {
            store: app::open_store(&config).await?,
            journal: app::open_journal(&config, Role::Read).await?,
            clock: Arc::new(SystemClock),
            stop: stop.clone(),
            pace: Pace::careful(),
        };
        let _watching = AbortOnDropHandle::new(app::watch_log(work.journal.clone(), work.pace.clone()));
        let ended = tokio::spawn(async move {
            match self.until {
                Some(until) => past(&work, &wanted, until).await,
                None => rebuild(&work, &wanted, self.verify).await,
            }
        });
        let interrupt = async {
            signals.heard().await;
            stop.cancel();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = ended => ended.map_err(|e| Failure::of(e.to_string()))?,
            () = interrupt => Ok(()),
        }
    }

    fn wanted(&self) -> Result<Vec<&'static dyn Projection>, Failure> {
        let unknown = |name: &String| {
            let names: Vec<&str> = ROSTER.iter().map(|projection| projection.name()).collect();
            Failure::usage(format!("there is no read model {name}; there are: {}", names.join(", ")))
        };
        let mut wanted: Vec<&'static dyn Projection> = Vec::new();
        for name in &self.projections {
            let projection = named(name).ok_or_else(|| unknown(name))?;
            if wanted.iter().all(|known| known.name() != projection.name()) {
                wanted.push(projection);
            }
        }
        Ok(if wanted.is_empty() { ROSTER.to_vec() } else { wanted })
    }
}

async fn past(work: &Work, wanted: &[&'static dyn Projection], until: Until) -> Result<(), Failure> {
    let making = work.begin(wanted, Purpose::Past).await?;
    let mut shown = Shown::new("replay");
    let places = work.past(making, until, |progress| shown.show(progress)).await?;
    shown.end();
    for (name, place) in places {
        output::line(&format!("{name}: {place}"))?;
    }
    Ok(())
}

async fn rebuild(work: &Work, wanted: &[&'static dyn Projection], verify: bool) -> Result<(), Failure> {
    let making = work.begin(wanted, Purpose::Serve).await?;
    let mut shown = Shown::new("replay");
    let mut making = work.build(making, verify, |progress| shown.show(progress)).await?;
    shown.end();
    if verify {
        let mut told = 0;
        let mut unsaid: Result<(), Failure> = Ok(());
        let compared = work
            .verify(&mut making, |name, difference| {
                told += 1;
                if told <= limits::DIFFERENCES_TOLD && unsaid.is_ok() {
                    unsaid = output::line(&format!("{name}: {difference}")).map_err(Failure::from);
                }
            })
            .await?;
        unsaid?;
        let different: u64 = compared.iter().map(|(_, compared)| compared.differences).sum();
        if different > limits::DIFFERENCES_TOLD {
            output::line(&format!("and {} more differences", different - limits::DIFFERENCES_TOLD))?;
        }
        for (name, compared) in &compared {
            let parked = match compared.parked {
                0 => String::new(),
                n => format!(" ({n} events are parked in the live one)"),
            };
            output::line(&format!("{name}: {} rows, {} differ{parked}", compared.rows, compared.differences))?;
        }
        if different > 0 {
            output::line(
                "nothing was switched; without --verify the rebuilt read models take the place of the live ones",
            )?;
            return Err(Failure::said());
        }
    }
    match work.switch(making).await {
        Ok(()) => {}
        Err(error @ ReplayError::Overtaken(_)) => return Err(error.into()),
        Err(error) => return Err(error.into()),
    }
    let names: Vec<&str> = wanted.iter().map(|projection| projection.name()).collect();
    Ok(output::line(&format!("rebuilt and switched: {}", names.join(", ")))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_positions_are_told_apart() {
        assert!(matches!(until("3:17"), Ok(Until::Position(_))));
        assert!(matches!(until("2026-11-21T10:00:00+09:00"), Ok(Until::Time(_))));
        for junk in ["", "yesterday", "3:", "3:017", "2026-11-21"] {
            assert!(until(junk).is_err(), "{junk}");
        }
    }
}
