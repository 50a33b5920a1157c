//! What does one way of reading the whole log take? Time, processor and memory, each phase for itself.

use crate::app;
use crate::cli::bench::machine::{Watched, forget_peak};
use crate::cli::bench::report::Measured;
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::journal::SharedJournal;
use crate::journal::open::Target as Log;

/// What all phases share.
pub struct Bench {
    pub config: Config,
    pub journal: SharedJournal,
    pub watched: Watched,
    pub events: u64,
}

impl Bench {
    /// Runs one way of reading the whole log, and says what it took.
    pub async fn measure<T, E>(
        &self,
        title: &'static str,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<(T, Measured), Failure>
    where
        Failure: From<E>,
    {
        forget_peak();
        let (before, begun) = (self.watched.sample(), SystemClock.elapsed());
        let result = work.await?;
        let seconds = SystemClock.elapsed().saturating_sub(begun).as_secs_f64();
        let mut measured =
            Measured { title, processes: self.watched.rows(&before, &self.watched.sample()), ..Measured::default() };
        measured.figure("read", self.events as f64 / seconds, "events/s");
        measured.figure("it took", seconds, "s");
        Ok((result, measured))
    }
}

pub async fn watched(config: &Config) -> Watched {
    let mut watched = Watched::default();
    watched.add_ourselves();
    if let Log::Postgres { url } = app::target(config) {
        watched.add_postgres(&url).await;
    }
    watched
}
