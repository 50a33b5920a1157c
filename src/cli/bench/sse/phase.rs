//! One measurement with watchers: open the streams, make the load, wait until everything that is owed has come, and judge.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::feed::{Counters, Store};
use super::watch::{self, Address, Audience, Watching};
use crate::cli::bench::load::{self, Plan, Ran};
use crate::cli::bench::machine::Watched;
use crate::cli::bench::report::Report;
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
            Some(_) => load::run(&counters, self.plan, self.target, look).await?,
            None => {
                let before = look();
                tokio::time::sleep(self.plan.length).await;
                (Ran { measured: self.plan.length, ..Ran::default() }, before, look())
            }
        };
        let settled = self.settle(&audience, &counters).await;
        if self.spread == Spread::AllAtOne {
            report
                .remarks
                .push("figures and costs from the second `deliveries` on: all watchers at one store".to_owned());
        }
        report.processes.extend(watched.rows(&used, &used_after));
        report.ran(&ran);
        let deliveries = delivered_after - delivered;
        report.figure("deliveries", deliveries as f64 / ran.measured.as_secs_f64(), "/s");
        report.figure("deliveries in all", audience.delivered.load(Ordering::Relaxed) as f64, "");
        self.tell_memory(before, &watched, report);
        self.tell_load(&audience, &counters, report);
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

    /// Waits until every watcher has as many frames as it is owed; false when they do not come.
    async fn settle(&self, audience: &Audience, counters: &Counters) -> bool {
        let mut watchers_of = vec![0; self.stores.len()];
        (0..self.watchers as usize).for_each(|watcher| watchers_of[self.topic(watcher)] += 1);
        let owed = counters.owed(&watchers_of);
        let until = SystemClock.elapsed() + limits::BENCH_DELIVERY;
        while audience.delivered.load(Ordering::Relaxed) < owed {
            if SystemClock.elapsed() > until {
                return false;
            }
            tokio::time::sleep(LOOK).await;
        }
        true
    }

    fn tell_memory(&self, before: Option<u64>, watched: &Watched, report: &mut Report) {
        if let (Some(before), Some(after)) = (before, watched.memory(self.node())) {
            let each = after.saturating_sub(before) as f64 / f64::from(self.watchers) / 1_024.0;
            report.figure("node memory for each watcher", each, "KiB more than before they came");
        }
    }

    fn tell_load(&self, audience: &Audience, counters: &Counters, report: &mut Report) {
        if self.plan.rate.is_none() {
            report.figure("heartbeats", audience.heartbeats.load(Ordering::Relaxed) as f64, "");
            return;
        }
        report.figure("payments recorded", counters.recorded() as f64, "");
        let [sending, answer] = audience.latencies();
        report.latencies.extend([
            counters.recording.row("command"),
            sending.row("frame since sending"),
            answer.row("frame since answer"),
        ]);
        for (what, count) in counters.outcomes.all() {
            *report.answers.entry(what).or_default() += count;
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
            let missing = audience.tapes[watching.topic].read().missing(*watching.place.lock());
            if missing > 0 {
                audience.complain(missing, || format!("a watcher of store {} lacks {missing} frames", watching.topic));
            }
        }
        let (wrong, told) = audience.complaints();
        let late = if settled { "" } else { "; not all frames came in time" };
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
