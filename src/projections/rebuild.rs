//! How is a read model made from zero? All that are made together share one reading of the log.
//!
//! The reader goes ahead by a few batches at most, and the slowest sets the pace, so memory is bounded however long the
//! log is. Only what is a [`super::Projection`] can be rebuilt: it has no way to have effects. What has them cannot even
//! be named here:
//!
//! ```compile_fail
//! struct SendsMail;
//! impl SendsMail {
//!     async fn react(&self) { /* talks to the world */ }
//! }
//! fn rebuild(projection: &'static dyn onsale::projections::Projection) {}
//! rebuild(&SendsMail);
//! ```

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::applier::{Applier, Stop};
use super::store::Build;
use crate::events::Record;
use crate::fault::Fault;
use crate::ids::{Partition, Position};
use crate::journal::follow::Follow;
use crate::limits;

/// A build in the making.
pub struct Rebuild {
    pub build: Arc<dyn Build>,
    pub applier: Applier,
}

/// What becomes of a partition in which a position is missing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gaps {
    /// The rebuild fails: it would be less than what it is to replace.
    Refuse,
    /// It ends before the gap, and the live runner will raise the alarm: there is nothing to be replaced.
    EndBefore,
}

/// How far a rebuild has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Events of the log that all read models have looked at.
    pub done: u64,
    pub total: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RebuildError {
    #[error("{projection}: {stop}")]
    Stopped { projection: &'static str, stop: Stop },
    #[error("the log cannot be read: {0}")]
    Log(Fault),
    #[error("interrupted; it is safe to start again")]
    Interrupted,
}

/// The heads that followers see now.
#[must_use]
pub fn heads(follow: &Follow) -> Vec<Position> {
    (0..follow.partitions()).map(|number| follow.head(Partition(number))).collect()
}

/// How fast a rebuild may go. Beside a log that grows it goes slowly and in small steps: commands wait for the same disk
/// and the same processors.
#[derive(Clone, Default)]
pub struct Pace {
    gentle: Arc<AtomicBool>,
}

impl Pace {
    /// Gentle until the log is known to be quiet: for who begins beside a node that may be serving.
    #[must_use]
    pub fn careful() -> Self {
        Self { gentle: Arc::new(AtomicBool::new(true)) }
    }

    /// Tells the pace what the log has grown by within a time.
    pub fn log_grew(&self, events: u64, within: Duration) {
        let per_second = u128::from(events) * 1_000 / within.as_millis().max(1);
        self.gentle.store(per_second > u128::from(limits::REBUILD_GENTLE_ABOVE), Ordering::Relaxed);
    }

    fn is_gentle(&self) -> bool {
        self.gentle.load(Ordering::Relaxed)
    }

    fn batch(&self) -> usize {
        if self.is_gentle() { limits::REBUILD_GENTLE_BATCH } else { limits::REBUILD_BATCH }
    }

    /// After a batch of so many events, if it must not be followed by the next one at once.
    async fn rest(&self, events: usize) {
        if self.is_gentle() {
            let millis = events as u64 * 1_000 / limits::REBUILD_GENTLE_RATE;
            tokio::time::sleep(Duration::from_millis(millis)).await;
        }
    }
}

type Batch = Arc<Vec<Arc<Record>>>;

/// Brings all of them, which stand at the same place, to `to` (ends of units), or tells what is in the way.
pub async fn catch_up(
    rebuilds: Vec<Rebuild>,
    follow: &Follow,
    to: &[Position],
    gaps: Gaps,
    pace: &Pace,
    stop: &CancellationToken,
    progress: impl FnMut(Progress),
) -> Result<Vec<Rebuild>, RebuildError> {
    let (made, failed) = catch_up_each(rebuilds, follow, to, gaps, pace, stop, progress).await?;
    failed.map_or(Ok(made), Err)
}

/// As [`catch_up`]; one that cannot go on keeps the others from nothing.
pub async fn catch_up_each(
    rebuilds: Vec<Rebuild>,
    follow: &Follow,
    to: &[Position],
    gaps: Gaps,
    pace: &Pace,
    stop: &CancellationToken,
    mut progress: impl FnMut(Progress),
) -> Result<(Vec<Rebuild>, Option<RebuildError>), RebuildError> {
    let Some(first) = rebuilds.first() else { return Ok((rebuilds, None)) };
    let from = first.applier.cursors().to_vec();
    let total = from.iter().zip(to).map(|(from, to)| to.0.saturating_sub(from.0)).sum();
    let mut inboxes = Vec::new();
    let mut tasks = Vec::new();
    for rebuild in rebuilds {
        let (inbox, batches) = mpsc::channel(limits::REBUILD_AHEAD);
        inboxes.push(inbox);
        tasks.push(tokio::spawn(apply_all(rebuild, batches)));
    }
    let read = async {
        let mut done = 0;
        progress(Progress { done, total });
        let mut batch: Vec<Arc<Record>> = Vec::new();
        for ((number, from), to) in (0..).zip(&from).zip(to) {
            let mut at = *from;
            while at < *to {
                let read = match follow.read(Partition(number), at).await {
                    Ok(read) => read,
                    Err(Fault::Damaged { .. }) if gaps == Gaps::EndBefore => break,
                    Err(fault) => return Err(RebuildError::Log(fault)),
                };
                let within = read.into_iter().filter(|record| record.position <= *to);
                let before = batch.len();
                batch.extend(within);
                at = batch[before..].last().map_or(*to, |last| last.position);
                if batch.len() >= pace.batch() {
                    let events = batch.len();
                    done += events as u64;
                    if !hand_out(&mut inboxes, std::mem::take(&mut batch), stop).await? {
                        return Ok(());
                    }
                    pace.rest(events).await;
                    progress(Progress { done, total });
                }
            }
        }
        hand_out(&mut inboxes, batch, stop).await?;
        Ok::<(), RebuildError>(())
    };
    let read = read.await;
    drop(inboxes);
    let mut made = Vec::new();
    let mut failed = None;
    for task in tasks {
        match task.await {
            Ok(Ok(rebuild)) => made.push(rebuild),
            Ok(Err(error)) => failed = failed.or(Some(error)),
            Err(error) => failed = failed.or(Some(RebuildError::Log(Fault::internal(error.to_string())))),
        }
    }
    // What ended the reading explains itself, unless it was the end of all who were to be handed something.
    if failed.is_none() || !made.is_empty() {
        read?;
    }
    progress(Progress { done: total, total });
    Ok((made, failed))
}

/// `false`: all of them have ended, which their tasks will explain.
async fn hand_out(
    inboxes: &mut Vec<mpsc::Sender<Batch>>,
    batch: Vec<Arc<Record>>,
    stop: &CancellationToken,
) -> Result<bool, RebuildError> {
    let batch: Batch = Arc::new(batch);
    for inbox in &*inboxes {
        tokio::select! {
            biased;
            () = stop.cancelled() => return Err(RebuildError::Interrupted),
            // One that has ended is left out from now on.
            _sent = inbox.send(batch.clone()) => {}
        }
    }
    inboxes.retain(|inbox| !inbox.is_closed());
    Ok(!inboxes.is_empty())
}

async fn apply_all(mut rebuild: Rebuild, mut batches: mpsc::Receiver<Batch>) -> Result<Rebuild, RebuildError> {
    let projection = rebuild.applier.projection().name();
    let stopped = |stop| RebuildError::Stopped { projection, stop };
    while let Some(batch) = batches.recv().await {
        rebuild.applier.apply(&batch).await.map_err(stopped)?;
    }
    rebuild.applier.flush().await.map_err(|error| stopped(error.into()))?;
    Ok(rebuild)
}
