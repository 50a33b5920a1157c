//! One measurement with watchers: open the streams, make the load, wait until everything that is owed has come, and judge.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::feed::{Counters, Store};
use super::watch::{self, Address, Audience, Watching};
use crate::cli::bench::load::{self, Plan, Ran};
use crate::cli::bench::machine::Watched;
use crate::cli::bench::report::{Measured, Report};
use crate::cli::bench::schedule::Timetable;
use crate::cli::bench::target::Target;
use crate::cli::failure::Failure;
use crate::clock::{Clock, SystemClock};
use crate::limits;

/// How often it is looked whether all frames have come.
const LOOK: Duration = Duration::from_millis(5);

/// Who watches what.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// By turns.
    Even,
    /// The first store; the payments go to all of them as before, so that there are as many deliveries.
    AllAtOne,
}

pub struct Phase<'a> {
    pub target: &'a Target,
    pub stores: Arc<Vec<Store>>,
    pub plan: Plan,
    pub watchers: u32,
    pub spread: Spread,
    pub number: usize,
}

impl Phase<'_> {
    pub async fn run(&self, report: &mut Report) -> Result<(), Failure> {
        let watched = self.target.watched().await;
        let before = watched.memory(self.node());
        let (audience, watchers) = self.open().await?;
        let counters = Counters::new(self.stores.clone(), audience.clone(), self.number);
        let counters = Arc::new(counters);
        let look = || (watched.sample(), audience.delivered.load(Ordering::Relaxed));
        let (ran, (used, delivered), (used_after, delivered_after)) = match self.plan.rate {
            Some(_) => load::run(&counters, self.plan, self.target.address, look).await?,
            None => {
                let before = look();
                tokio::time::sleep(self.plan.length).await;
                (Ran { measured: self.plan.length, ..Ran::default() }, before, look())
            }
        };
        let settled = self.settle(&audience, &counters, &watchers).await;
        report.ran(&ran);
        let mut measured = Measured { processes: watched.rows(&used, &used_after), ..self.measured() };
        match self.plan.rate {
            Some(_) => {
                let deliveries = (delivered_after - delivered) as f64;
                measured.figure("deliveries", deliveries / ran.measured.as_secs_f64(), "/s");
                tell_load(&audience, &counters, &mut measured);
            }
            None => {
                measured.figure("heartbeats", audience.heartbeats.load(Ordering::Relaxed) as f64, "");
                self.tell_memory(before, &watched, &mut measured);
            }
        }
        report.phases.push(measured);
        self.judge(&audience, &counters, &watchers, settled, report);
        Ok(())
    }

    fn node(&self) -> &'static str {
        if self.target.has_follower() { "follower" } else { "node" }
    }

    fn topic(&self, watcher: usize) -> usize {
        match self.spread {
            Spread::Even => watcher % self.stores.len(),
            Spread::AllAtOne => 0,
        }
    }

    async fn open(&self) -> Result<(Arc<Audience>, Vec<Watching>), Failure> {
        let table = self.plan.rate.map(Timetable::new);
        let planned = |length| table.map_or(0, |table| table.planned(length));
        let commands = planned(self.plan.warm_up + self.plan.length);
        if commands > limits::BENCH_COMMANDS {
            return Err(Failure::usage(format!("at most {} events in all", limits::BENCH_COMMANDS)));
        }
        let audience = Arc::new(Audience::new(self.stores.len(), commands, planned(self.plan.warm_up)));
        let address = Address {
            node: self.target.watched_at,
            topics: self.stores.iter().map(|store| (store.feed(), store.screen.clone())).collect(),
        };
        let topics = (0..self.watchers as usize).map(|watcher| self.topic(watcher)).collect();
        let watchers = watch::open(&address, &audience, topics).await?;
        Ok((audience, watchers))
    }

    /// Waits until every watcher has the frames that it is owed; false when nothing comes any more before that.
    async fn settle(&self, audience: &Audience, counters: &Counters, watchers: &[Watching]) -> bool {
        let mut watchers_of = vec![0; self.stores.len()];
        watchers.iter().for_each(|watching| watchers_of[watching.topic] += 1);
        let owed = counters.owed(&watchers_of);
        let (mut known, mut since) = (0, SystemClock.elapsed());
        loop {
            let delivered = audience.delivered.load(Ordering::Relaxed);
            // Frames of commands that were not answered are owed to nobody, but to all if to one.
            if delivered >= owed && watchers.iter().all(|watching| watching.missing(audience) == 0) {
                return true;
            }
            let now = SystemClock.elapsed();
            if delivered != known {
                (known, since) = (delivered, now);
            }
            if now > since + limits::BENCH_QUIET {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    fn measured(&self) -> Measured {
        let title = match (self.plan.rate, self.spread) {
            (None, _) => "idle watchers",
            (_, Spread::Even) => "watchers spread over all topics",
            (_, Spread::AllAtOne) => "the same load and as many deliveries, all watchers at one topic",
        };
        Measured { title, ..Measured::default() }
    }

    fn tell_memory(&self, before: Option<u64>, watched: &Watched, measured: &mut Measured) {
        if let (Some(before), Some(after)) = (before, watched.memory(self.node())) {
            let each = after.saturating_sub(before) as f64 / f64::from(self.watchers) / 1_024.0;
            measured.figure("node memory for each watcher", each, "KiB");
        }
    }

    /// Every watcher has seen every frame once and in order, every answered command has its frame, nobody was cut off.
    fn judge(
        &self,
        audience: &Audience,
        counters: &Counters,
        watchers: &[Watching],
        settled: bool,
        report: &mut Report,
    ) {
        let watched: HashSet<usize> = watchers.iter().map(|watching| watching.topic).collect();
        let recorded = counters.recorded_by_store();
        for (topic, (tape, recorded)) in audience.tapes.iter().zip(&recorded).enumerate() {
            let (seen, twice) = tape.read().commands();
            let lost = recorded.difference(&seen).count();
            if twice > 0 {
                audience.complain(twice as u64, || format!("{twice} payments had two frames at store {topic}"));
            }
            if lost > 0 && watched.contains(&topic) {
                audience.complain(lost as u64, || format!("{lost} recorded payments had no frame at store {topic}"));
            }
        }
        for watching in watchers {
            let missing = watching.missing(audience);
            if missing > 0 {
                audience.complain(missing, || format!("a watcher of store {} lacks {missing} frames", watching.topic));
            }
        }
        let (wrong, told) = audience.complaints();
        let late = if settled { "" } else { "; not all frames came" };
        let frames: usize = audience.tapes.iter().map(|tape| tape.read().len()).sum();
        let detail = match wrong {
            0 => {
                format!("{} watchers saw their share of {frames} frames, each once and in order{late}", watchers.len())
            }
            _ => format!("{wrong} things were wrong, such as: {}{late}", told.join("; ")),
        };
        report.check("completeness", wrong == 0 && settled, detail);
        if self.plan.rate.is_some() && counters.recorded() == 0 {
            report.check("load", false, "not one payment was recorded".to_owned());
        }
        let idle = self.plan.rate.is_none() && self.plan.length > 2 * limits::HEARTBEAT_SSE;
        let heartbeats = audience.heartbeats.load(Ordering::Relaxed);
        if idle && heartbeats < u64::from(self.watchers) {
            report.check("heartbeats", false, format!("{heartbeats} for {} watchers", self.watchers));
        }
    }
}

fn tell_load(audience: &Audience, counters: &Counters, measured: &mut Measured) {
    measured.figure("with those of the warm-up", audience.delivered.load(Ordering::Relaxed) as f64, "");
    measured.figure("payments recorded", counters.recorded() as f64, "");
    let [sending, answer] = audience.latencies();
    measured.latencies.extend([
        counters.recording.row("command"),
        sending.row("frame since sending"),
        answer.row("frame since answer"),
    ]);
    measured.failures = counters.outcomes.all();
}
