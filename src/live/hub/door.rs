//! What can be asked of the hub? A stream that goes on, or one reading of the same views.
//!
//! Nothing is kept here: rooms are on the shelf, and what a watcher holds is in its [`Watch`].

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;

use super::watch::Following;
use super::{Heartbeat, Hub, Resume, Watch, WatchError};
use crate::fault::Fault;
use crate::ids::{OrderId, PerformanceId, TaskId, Version};
use crate::limits;
use crate::live::board::{BoardWatch, Source};
use crate::live::frame;
use crate::live::topics::{CouponTaskView, OrderView, SeatMap, Topic, coupon_task, order};

impl Hub {
    /// Opens a stream. On a store, `After` gives the missed frames that are kept; on anything else, `LatestAfter` and
    /// `AllAfter` mean `After`.
    pub async fn watch(&self, topic: Topic, resume: Resume, heartbeat: Heartbeat) -> Result<Watch, WatchError> {
        let inner = &self.inner;
        let place = inner.places.clone().try_acquire_owned().map_err(|_| WatchError::Full)?;
        let mut out = VecDeque::from([self.retry()]);
        if let Topic::CouponTask(task) = &topic {
            self.task_result(task, resume, &mut out).await?;
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

    /// Opens the stream of a board; `source` is asked if nobody watches it yet.
    pub fn board(&self, name: &str, source: Source, heartbeat: Heartbeat) -> Result<BoardWatch, WatchError> {
        let inner = &self.inner;
        if inner.stop.is_cancelled() {
            return Err(Fault::unavailable("the node stops").into());
        }
        let place = inner.places.clone().try_acquire_owned().map_err(|_| WatchError::Full)?;
        let newest = inner.boards.enter(name, source)?;
        Ok(BoardWatch::new(self.retry(), newest, heartbeat, place))
    }

    /// How long this watcher waits before it comes back.
    fn retry(&self) -> Bytes {
        let span = limits::RETRY_MILLIS_MAX - limits::RETRY_MILLIS_MIN + 1;
        frame::retry(limits::RETRY_MILLIS_MIN + self.inner.entropy.below(span))
    }

    /// A task's only frame, unless the watcher has it.
    async fn task_result(&self, task: &TaskId, resume: Resume, out: &mut VecDeque<Bytes>) -> Result<(), WatchError> {
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
        Ok(())
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
}
