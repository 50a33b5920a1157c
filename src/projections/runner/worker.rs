//! How does a live projection keep up? Gather what is new, apply it in one transaction, tell the readers, wait.
//!
//! When it is idle a commit is applied at once; when it is busy, batches gather for a few milliseconds, so that read
//! models cost the log little. A partition with a missing position stands still and is told; others go on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::Orders;
use super::status::{Board, State};
use crate::clock::Clock;
use crate::events::Record;
use crate::fault::Fault;
use crate::ids::{Partition, Position};
use crate::journal::follow::Follow;
use crate::projections::applier::{Applier, Stop};
use crate::projections::parked::Settled;
use crate::projections::store::{Action, BuildId, Decision, StoreError};
use crate::{limits, telemetry};

/// Why a worker ended.
#[derive(Debug)]
pub enum Ended {
    Stopped,
    /// Another build is active now.
    Moved,
    /// It must be taken over again: another runner took it, or the store's answer was lost.
    Lost(StoreError),
}

pub struct Worker {
    pub applier: Applier,
    pub build: BuildId,
    pub follow: Follow,
    pub clock: Arc<dyn Clock>,
    pub board: Board,
    pub cursors: watch::Sender<Arc<[Position]>>,
    /// Which build is active.
    pub active: watch::Receiver<Option<BuildId>>,
    pub stop: CancellationToken,
    /// Where gathering begins, so that no partition is always the last one.
    pub turn: u16,
    /// Partitions that stand still, and when they are looked at again.
    pub stuck: BTreeMap<u16, Duration>,
}

/// What was gathered, and whether there is more.
struct Gathered {
    records: Vec<Arc<Record>>,
    more: bool,
}

impl Worker {
    /// Until the node stops or the build is not the active one any more.
    pub async fn run(&mut self, orders: &mut mpsc::Receiver<Decision>, back: &Orders) -> Ended {
        let mut flushed = self.clock.elapsed();
        let mut before = flushed;
        loop {
            let moved = self.follow.moved();
            if self.active.borrow_and_update().is_some_and(|active| active != self.build) {
                let _saved = self.applier.flush().await;
                return Ended::Moved;
            }
            let begun = self.clock.elapsed();
            let gathered = self.gather().await;
            let idle = gathered.records.is_empty();
            if let Some(ended) = self.take_in(&gathered.records, orders, back).await {
                return ended;
            }
            if self.applier.is_ahead() && self.clock.elapsed().saturating_sub(flushed) >= limits::CURSOR_FLUSH {
                flushed = self.clock.elapsed();
                if let Err(error) = self.applier.flush().await {
                    return Ended::Lost(error);
                }
            }
            if gathered.more && !self.stop.is_cancelled() && orders.is_empty() {
                continue;
            }
            // A busy log is applied in batches that gather for a moment; one that was idle, at once.
            let pace = pace(gathered.records.len(), begun.saturating_sub(before));
            let pace = pace.saturating_sub(self.clock.elapsed().saturating_sub(begun));
            before = begun;
            let news = async {
                if !idle {
                    tokio::time::sleep(pace).await;
                }
                moved.await;
            };
            tokio::select! {
                biased;
                () = self.stop.cancelled() => {
                    let _saved = self.applier.flush().await;
                    return Ended::Stopped;
                }
                Some(decision) = orders.recv() => match self.carry_out(decision, back).await {
                    Ok(()) => {}
                    Err(error) => return Ended::Lost(error),
                },
                _ = self.active.changed() => {}
                () = news => {}
                // Looks again by itself: for a partition that was repaired, and for the cursors that are not saved yet.
                () = tokio::time::sleep(limits::CURSOR_FLUSH) => {}
            }
        }
    }

    /// New records of all partitions, about a batch.
    async fn gather(&mut self) -> Gathered {
        let mut records: Vec<Arc<Record>> = Vec::new();
        let mut at = self.applier.cursors().to_vec();
        let partitions = self.follow.partitions();
        self.turn = (self.turn + 1) % partitions.max(1);
        let mut more = true;
        while more && records.len() < limits::PROJECTION_BATCH {
            more = false;
            let turn = self.turn;
            for number in (0..partitions).map(|n| (n + turn) % partitions) {
                let (partition, place) = (Partition(number), usize::from(number));
                if self.stuck.get(&number).is_some_and(|again| self.clock.elapsed() < *again) {
                    continue;
                }
                if at[place] >= self.follow.head(partition) || records.len() >= limits::PROJECTION_BATCH {
                    more |= at[place] < self.follow.head(partition);
                    continue;
                }
                match self.follow.read(partition, at[place]).await {
                    Ok(read) => {
                        if let Some(last) = read.last() {
                            at[place] = last.position;
                            more = true;
                        }
                        self.healed(partition);
                        records.extend(read);
                    }
                    Err(fault @ Fault::Damaged { .. }) => self.cannot_read(partition, &fault),
                    Err(fault) => {
                        // The log cannot be reached: asking for the other partitions would only take longer.
                        self.cannot_read(partition, &fault);
                        return Gathered { records, more: false };
                    }
                }
            }
        }
        Gathered { records, more }
    }

    /// Applies what was gathered and tells everybody. `Some`: that was the end.
    async fn take_in(
        &mut self,
        records: &[Arc<Record>],
        orders: &mut mpsc::Receiver<Decision>,
        back: &Orders,
    ) -> Option<Ended> {
        let name = self.applier.projection().name();
        if !records.is_empty() {
            match self.applier.apply(records).await {
                Ok(()) => {}
                Err(Stop::Store(error)) => return Some(Ended::Lost(error)),
                Err(Stop::Gap { partition, expected, .. }) => {
                    let detail = "the records do not go on".to_owned();
                    self.cannot_read(partition, &Fault::Damaged { partition, position: expected, detail });
                }
                Err(stop @ Stop::Halted { .. }) => return Some(self.halted(&stop, orders, back).await),
            }
            self.cursors.send_replace(self.applier.cursors().into());
            let lag = records.first().map(|oldest| self.clock.wall().since(oldest.recorded_at));
            if let Some(lag) = lag {
                metrics::histogram!(telemetry::PROJECTION_LAG, "projection" => name).record(lag.as_secs_f64());
                let applied = u64::try_from(records.len()).unwrap_or(u64::MAX);
                self.board.change(name, |status| {
                    status.lag_ms = u64::try_from(lag.as_millis()).unwrap_or(u64::MAX);
                    status.applied += applied;
                });
            }
        }
        let behind = self.behind();
        let parked = self.applier.parked_keys();
        self.board.change(name, |status| {
            status.behind = behind;
            status.parked_keys = parked;
            status.state = State::Live;
        });
        None
    }

    fn behind(&self) -> u64 {
        let one = |(number, at): (u16, &Position)| self.follow.head(Partition(number)).0.saturating_sub(at.0);
        (0..).zip(self.applier.cursors()).map(one).sum()
    }

    /// Systematic failure: parking everything would hide it. What operators decide, and a rebuild that takes its place,
    /// are still heard.
    async fn halted(&mut self, stop: &Stop, orders: &mut mpsc::Receiver<Decision>, back: &Orders) -> Ended {
        let (name, at) = (self.applier.projection().name(), self.clock.wall());
        tracing::error!(projection = name, error = %stop, "stopped: too much of it cannot be applied");
        self.board.change(name, |status| {
            status.state = State::Stopped;
            status.last_error = Some(stop.to_string());
            status.last_error_at = Some(at);
        });
        loop {
            tokio::select! {
                biased;
                () = self.stop.cancelled() => return Ended::Stopped,
                changed = self.active.changed() => if changed.is_ok() { return Ended::Moved },
                Some(decision) = orders.recv() => {
                    let done = self.carry_out(decision, back).await;
                    let again = StoreError::Unavailable("tried again after a decision".to_owned());
                    return Ended::Lost(done.err().unwrap_or(again));
                }
            }
        }
    }

    fn cannot_read(&mut self, partition: Partition, fault: &Fault) {
        let (name, at) = (self.applier.projection().name(), self.clock.wall());
        self.stuck.insert(partition.0, self.clock.elapsed() + limits::CURSOR_FLUSH);
        let mut news = false;
        self.board.change(name, |status| {
            if let Fault::Damaged { position, .. } = fault {
                news = status.gaps.insert(partition, *position) != Some(*position);
            }
            status.last_error = Some(fault.to_string());
            status.last_error_at = Some(at);
        });
        if news {
            metrics::counter!(telemetry::PROJECTION_GAPS, "projection" => name).increment(1);
            tracing::error!(projection = name, %partition, %fault, "the log has a gap: this partition stands still");
        }
    }

    fn healed(&mut self, partition: Partition) {
        if self.stuck.remove(&partition.0).is_none() {
            return;
        }
        let name = self.applier.projection().name();
        let mut was = false;
        self.board.change(name, |status| was = status.gaps.remove(&partition).is_some());
        if was {
            tracing::info!(projection = name, %partition, "the log goes on again");
        }
    }

    /// Does what an operator decided, and writes down what came of it.
    async fn carry_out(&mut self, decision: Decision, back: &Orders) -> Result<(), StoreError> {
        if decision.action == Action::Skip && !self.applier.is_first(&decision).await? {
            // An event that was applied meanwhile must not be left out of later rebuilds.
            back.store.not_carried_out(&decision, "it is not what the key waits for any more").await?;
            back.done.send_modify(|count| *count += 1);
            return Ok(());
        }
        if decision.action == Action::Skip {
            // First of all the skip is durable: a crash after it leaves a parked event that is known to be skipped.
            back.store.carried_out(&decision, "skipped").await?;
            self.applier.skip((decision.partition, decision.position));
        }
        let settled = self.applier.settle(&decision.key, &self.follow).await?;
        let outcome = match &settled {
            Settled::Free { applied } => format!("nothing waits any more, {applied} events applied"),
            Settled::Still { applied, at, error } => {
                format!("{applied} events applied, {}:{} still cannot be: {error}", at.0, at.1)
            }
        };
        let name = self.applier.projection().name();
        tracing::info!(projection = name, key = %decision.key, action = ?decision.action, %outcome, "an operator's decision was carried out");
        if decision.action == Action::Retry {
            back.store.carried_out(&decision, &outcome).await?;
        }
        self.cursors.send_replace(self.applier.cursors().into());
        back.done.send_modify(|count| *count += 1);
        Ok(())
    }

    /// Keys whose first event was skipped, but whose others had no turn before a crash.
    pub async fn resume_skipped(&mut self, keys: Vec<String>) -> Result<(), StoreError> {
        for key in keys {
            self.applier.settle(&key, &self.follow).await?;
        }
        Ok(())
    }
}

/// How long a batch gathers, after one of so many records that came within so long.
fn pace(records: usize, within: Duration) -> Duration {
    let per_second = records as u128 * 1_000 / within.as_millis().max(1);
    if per_second > u128::from(limits::PROJECTION_HOT) { limits::PROJECTION_PACE_HOT } else { limits::PROJECTION_PACE }
}

/// How long to wait after so many failures in a row.
#[must_use]
pub fn backoff(failures: u32) -> Duration {
    (limits::PROJECTION_BACKOFF * 2_u32.saturating_pow(failures.min(10))).min(limits::PROJECTION_BACKOFF_MAX)
}
