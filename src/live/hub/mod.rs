//! How does a page follow the log? [`Hub`]: one per node, the only door to everything that is watched.
//!
//! `shelf` keeps the topics of each partition up to date, `room` is one topic, `watch` is one watcher, `backlog` finds what
//! a watcher missed. The hub asks nobody's permission: who may watch what is decided before.

mod backlog;
mod ring;
mod room;
mod shelf;
#[cfg(test)]
mod tests;
mod watch;

use std::collections::VecDeque;
use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::room::Closed;
use self::shelf::Shelf;
use self::watch::Following;
pub use self::watch::Watch;
use super::frame;
use super::topics::{CouponTaskView, OrderView, SeatMap, Topic, coupon_task, order};
use crate::clock::{Clock, Entropy};
use crate::fault::Fault;
use crate::ids::{LogPosition, OrderId, PerformanceId, TaskId, Version};
use crate::journal::SharedJournal;
use crate::journal::follow::Follow;
use crate::limits;

/// From where does a watcher go on?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Snapshot first, then what comes.
    Fresh,
    /// The missed frames after this id, or `reset` and a snapshot when they are not kept.
    After(LogPosition),
    /// Store feeds: only the latest missed frame within the resume window, with `skipped`.
    LatestAfter(LogPosition),
    /// Store feeds: every missed frame, however many.
    AllAfter(LogPosition),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    #[error("there is no such thing")]
    NotFound,
    #[error("too many watchers")]
    Full,
    /// The one frame of this topic was seen already, nothing will follow (HTTP 204).
    #[error("nothing will follow")]
    Over,
    #[error(transparent)]
    Failed(#[from] Fault),
}

/// How a heartbeat is written: a comment, or an event that pages can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Heartbeat {
    #[default]
    Comment,
    Event,
}

/// Where in its coupon's stream does a task's result stand? Answered by whoever holds the coupon's state, so that one
/// issue among millions is found without reading them.
#[async_trait]
pub trait TaskLookup: Send + Sync + 'static {
    /// `None`: no such task. What is answered must be durable.
    async fn version_of(&self, task: &TaskId) -> Result<Option<Version>, Fault>;
}

/// What the hub is made of.
pub struct HubParts {
    pub journal: SharedJournal,
    pub follow: Follow,
    pub lookup: Arc<dyn TaskLookup>,
    pub clock: Arc<dyn Clock>,
    pub entropy: Entropy,
    /// Ends all streams.
    pub stop: CancellationToken,
    /// Knows every task of the hub, so that a shutdown can wait for them.
    pub tracker: TaskTracker,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Hub {
    inner: Arc<Inner>,
}

struct Inner {
    journal: SharedJournal,
    follow: Follow,
    lookup: Arc<dyn TaskLookup>,
    clock: Arc<dyn Clock>,
    entropy: Entropy,
    stop: CancellationToken,
    tracker: TaskTracker,
    /// By partition.
    shelves: Vec<Shelf>,
    places: Arc<Semaphore>,
}

impl Hub {
    #[must_use]
    pub fn new(parts: HubParts) -> Self {
        let HubParts { journal, follow, lookup, clock, entropy, stop, tracker } = parts;
        let shelves = (0..journal.partitions()).map(|_| Shelf::default()).collect();
        let places = Arc::new(Semaphore::new(limits::WATCHERS));
        let stop = stop.child_token();
        Self { inner: Arc::new(Inner { journal, follow, lookup, clock, entropy, stop, tracker, shelves, places }) }
    }

    /// Opens a stream. On a store, `After` gives the missed frames that are kept; on anything else, `LatestAfter` and
    /// `AllAfter` mean `After`.
    pub async fn watch(&self, topic: Topic, resume: Resume, heartbeat: Heartbeat) -> Result<Watch, WatchError> {
        let inner = &self.inner;
        let place = inner.places.clone().try_acquire_owned().map_err(|_| WatchError::Full)?;
        let span = limits::RETRY_MILLIS_MAX - limits::RETRY_MILLIS_MIN + 1;
        let mut out = VecDeque::from([frame::retry(limits::RETRY_MILLIS_MIN + inner.entropy.below(span))]);
        if let Topic::CouponTask(task) = &topic {
            let result = self.coupon_task(task).await?.ok_or(WatchError::NotFound)?;
            match resume {
                Resume::After(seen) | Resume::LatestAfter(seen) | Resume::AllAfter(seen) => {
                    if seen == result.position {
                        return Err(WatchError::Over);
                    }
                    let known = seen.partition == result.position.partition && seen.position < result.position.position;
                    if !known {
                        out.push_back(frame::reset(None));
                    }
                }
                Resume::Fresh => {}
            }
            out.push_back(result.frame()?);
            return Ok(Watch::new(out, None, heartbeat, place));
        }
        let partition = topic.partition(inner.journal.partitions()).ok_or(WatchError::NotFound)?;
        let stay = inner.enter(&topic, partition)?;
        stay.room.ready().await?;
        let store = matches!(topic, Topic::Store(_));
        let inner = inner.clone();
        let following = match resume {
            Resume::Fresh => Following::fresh(inner, stay, &mut out),
            Resume::LatestAfter(id) if store => Following::latest(inner, stay, id, &mut out).await,
            Resume::AllAfter(id) if store => Following::after(inner, stay, id, true, &mut out).await,
            Resume::After(id) | Resume::LatestAfter(id) | Resume::AllAfter(id) => {
                Following::after(inner, stay, id, false, &mut out).await
            }
        };
        Ok(Watch::new(out, Some(following?), heartbeat, place))
    }

    /// The seat map of a performance as its watchers see it, with everything that is durable by now; empty when there is
    /// no such performance.
    pub async fn seat_map(&self, performance: &PerformanceId) -> Result<Arc<SeatMap>, Fault> {
        let inner = &self.inner;
        let topic = Topic::Seats(performance.clone());
        let Some(partition) = topic.partition(inner.journal.partitions()) else {
            return Err(Fault::internal("a performance without partition"));
        };
        let read = async {
            let stay = inner.enter(&topic, partition)?;
            stay.room.ready().await?;
            inner.caught_up(partition).await?;
            Ok(stay.room.seat_map()?)
        };
        match read.await {
            Ok(map) => Ok(map),
            Err(WatchError::NotFound) => Ok(Arc::new(SeatMap::untouched(partition, inner.clock.wall()))),
            Err(WatchError::Full | WatchError::Over) => Err(Fault::Overloaded { retry_after: limits::HEARTBEAT }),
            Err(WatchError::Failed(fault)) => Err(fault),
        }
    }

    /// The order as it is now; `None` when there is none.
    pub async fn order(&self, order: &OrderId) -> Result<Option<OrderView>, Fault> {
        self.order_at(order, Version(u64::MAX)).await
    }

    /// The order as it was at a version of its stream: the answer to a command, and to every repetition of it.
    pub async fn order_at(&self, order: &OrderId, version: Version) -> Result<Option<OrderView>, Fault> {
        if order.partition().is_none_or(|partition| partition.0 >= self.inner.journal.partitions()) {
            return Ok(None);
        }
        let (journal, order) = (self.inner.journal.clone(), order.clone());
        self.inner.detached(async move { order::read(&*journal, &order, version).await }).await
    }

    /// The result of a request for a coupon; `None` when there is none.
    pub async fn coupon_task(&self, task: &TaskId) -> Result<Option<CouponTaskView>, Fault> {
        if task.coupon().is_none() {
            return Ok(None);
        }
        let Some(version) = self.inner.lookup.version_of(task).await? else { return Ok(None) };
        let (journal, task) = (self.inner.journal.clone(), task.clone());
        self.inner.detached(async move { coupon_task::read(&*journal, &task, version).await }).await
    }

    /// Waits until what is durable has reached a position, so that a reading after this shows it. One of a partition that
    /// does not exist is never reached.
    pub async fn reached(&self, wanted: LogPosition) {
        self.inner.follow.reached(wanted.partition, wanted.position).await;
    }

    /// Topics in memory.
    #[must_use]
    pub fn topics(&self) -> usize {
        self.inner.topics()
    }

    /// Open streams.
    #[must_use]
    pub fn watchers(&self) -> usize {
        limits::WATCHERS - self.inner.places.available_permits()
    }

    /// Ends all streams after what waits for them; new ones are refused.
    pub fn shutdown(&self) {
        self.inner.stop.cancel();
    }
}

impl Inner {
    /// Reads in a task of its own: a visitor who leaves must not break off a statement in the middle.
    async fn detached<T, E>(&self, read: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Broken> + Send + 'static,
    {
        match self.tracker.spawn(read).await {
            Ok(result) => result,
            Err(_) => Err(Broken.into()),
        }
    }
}

/// A reading task that did not come to its end.
struct Broken;

impl From<Broken> for Fault {
    fn from(_: Broken) -> Self {
        Self::internal("a reading task broke off")
    }
}

impl From<Broken> for Closed {
    fn from(broken: Broken) -> Self {
        Self::Failed(broken.into())
    }
}
