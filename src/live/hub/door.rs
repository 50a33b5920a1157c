//! What can be asked of the hub? A stream that goes on, or one reading of the same views.
//!
//! Nothing is kept here: rooms are on the shelf, and what a watcher holds is in its [`Watch`].

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::displays::{Connected, Connection, Display};
use super::seating::{Place, Visitor};
use super::watch::Following;
use super::{Heartbeat, Hub, Resume, Watch, WatchError};
use crate::auth::Principal;
use crate::fault::Fault;
use crate::ids::{LogPosition, OrderId, PerformanceId, StoreId, TaskId, Version};
use crate::limits;
use crate::live::board::{BoardWatch, Source};
use crate::live::frame;
use crate::live::topics::{CouponTaskView, OrderView, PaymentWindow, SeatMap, Topic, coupon_task, order};

/// A visitor's place, kept as long as the stream is open.
pub struct Seat {
    display: Option<Connection>,
    _place: Place,
}

impl Seat {
    /// These bytes of the stream go out now.
    pub fn sent(&self, bytes: &Bytes) {
        if let Some(display) = &self.display {
            display.sent(bytes);
        }
    }
}

impl Hub {
    /// A place for a stream, which whoever opens one must hold.
    pub fn seat(&self, who: &Visitor) -> Result<Seat, WatchError> {
        let place = self.inner.seating.take(who).map_err(|bound| {
            let span = (limits::PLACE_RETRY_MAX - limits::PLACE_RETRY_MIN).as_secs() + 1;
            let retry_after = limits::PLACE_RETRY_MIN + Duration::from_secs(self.inner.entropy.below(span));
            WatchError::NoPlace { bound, retry_after }
        })?;
        Ok(Seat { display: None, _place: place })
    }

    /// Puts whoever sits there on the list of a store's displays; `seen` is what they say that they have.
    pub fn list_display(&self, seat: &mut Seat, store: &StoreId, who: &Principal, seen: Option<LogPosition>) {
        seat.display = Some(self.inner.displays.connect(Display {
            store: store.clone(),
            account: who.account.clone(),
            role: who.role.as_str().to_owned(),
            connected_at: self.inner.clock.wall(),
            position: seen,
        }));
    }

    /// Who follows a store's feed: those of this node first, each in the order of their coming.
    pub async fn displays(&self, store: &StoreId) -> Result<Vec<Connected>, Fault> {
        let inner = &self.inner;
        let here = inner.displays.of(store).into_iter();
        let mut all: Vec<Connected> =
            here.map(|display| Connected { node: inner.node.clone(), display }).take(limits::DISPLAYS_TOLD).collect();
        if let Some(presence) = inner.presence.clone() {
            let (node, store, most) = (inner.node.clone(), store.clone(), limits::DISPLAYS_TOLD - all.len());
            let read = inner.detached(async move { presence.others(&node, &store, most).await });
            all.extend(read.await?.into_iter().map(|(node, display)| Connected { node, display }));
        }
        Ok(all)
    }

    /// What a watcher is told when the node stops, and after which pause: all are spread over a moment that grows with
    /// their number, and come back spread over another one.
    #[must_use]
    pub fn farewell(&self) -> (Duration, Bytes) {
        let watchers = u32::try_from(self.watchers()).unwrap_or(u32::MAX);
        let moment = (limits::GOODBYE_PACE * watchers).min(limits::GOODBYE_TIME);
        let pause = Duration::from_micros(self.inner.entropy.below(u64::try_from(moment.as_micros()).unwrap_or(0)));
        let span = limits::GOODBYE_RETRY_MILLIS_MAX - limits::GOODBYE_RETRY_MILLIS_MIN + 1;
        (pause, frame::retry(limits::GOODBYE_RETRY_MILLIS_MIN + self.inner.entropy.below(span)))
    }

    /// Opens a stream for whoever has a [`Seat`]. On a store, `After` gives the missed frames that are kept; on anything else, `LatestAfter` and
    /// `AllAfter` mean `After`.
    pub async fn watch(&self, topic: Topic, resume: Resume, heartbeat: Heartbeat) -> Result<Watch, WatchError> {
        let inner = &self.inner;
        let mut out = VecDeque::from([self.retry()]);
        if let Topic::CouponTask(task) = &topic {
            self.task_result(task, resume, &mut out).await?;
            return Ok(Watch::new(out, None, heartbeat));
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
        Ok(Watch::new(out, Some(following?), heartbeat))
    }

    /// Opens the stream of a board for whoever has a [`Seat`]; `source` is asked if nobody watches it yet.
    pub fn board(&self, name: &str, source: Source, heartbeat: Heartbeat) -> Result<BoardWatch, WatchError> {
        let inner = &self.inner;
        if inner.stop.is_cancelled() {
            return Err(Fault::unavailable("the node stops").into());
        }
        let newest = inner.boards.enter(name, source)?;
        Ok(BoardWatch::new(self.retry(), newest, heartbeat))
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
            Err(WatchError::Full | WatchError::NoPlace { .. } | WatchError::Over) => {
                Err(Fault::Overloaded { retry_after: limits::HEARTBEAT })
            }
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
        let (journal, order, window) = (self.inner.journal.clone(), order.clone(), self.inner.window.clone());
        self.inner.detached(async move { order::read(&*journal, &order, version, window.as_ref()).await }).await
    }

    /// Where orders are paid; `None` without a provider.
    #[must_use]
    pub fn payment_window(&self) -> Option<&PaymentWindow> {
        self.inner.window.as_ref()
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
