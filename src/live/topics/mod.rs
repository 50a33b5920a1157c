//! What can be watched, and how is it folded from the log? One file per topic.
//!
//! A topic's frames are a function of its units alone, so those made while the node was watching and those rebuilt from
//! the log for a watcher who comes back are the same bytes. Who watches is the business of `hub/`.

pub mod coupon_task;
pub mod order;
pub mod seats;
pub mod store;

use std::sync::Arc;

use bytes::Bytes;

pub use coupon_task::CouponTaskView;
pub use order::OrderView;
pub use seats::{SeatMap, SeatStatus};

use super::frame::Frame;
use crate::events::Record;
use crate::fault::Fault;
use crate::ids::{LogPosition, OrderId, Partition, PerformanceId, Position, StoreId, StreamId, TaskId};
use crate::journal::Journal;
use crate::timestamp::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    Seats(PerformanceId),
    Order(OrderId),
    CouponTask(TaskId),
    Store(StoreId),
}

impl Topic {
    /// The beginning of the names of the topic's streams, up to where they differ.
    pub(super) fn key(&self) -> String {
        match self {
            Self::Seats(performance) => format!("seat/{performance}"),
            Self::Order(order) => format!("order/{order}"),
            Self::CouponTask(task) => format!("coupon-task/{task}"),
            Self::Store(store) => format!("store/{store}"),
        }
    }

    /// The key of the topic that a record of this stream belongs to.
    pub(super) fn key_of(stream: &StreamId) -> Option<&str> {
        let name = stream.as_str();
        match stream.noun() {
            "seat" => name.rfind('/').map(|end| &name[..end]),
            "order" | "store" => Some(name),
            _ => None,
        }
    }

    /// Where the topic's streams live; `None` when the id names nothing in this log.
    pub(super) fn partition(&self, partitions: u16) -> Option<Partition> {
        match self {
            Self::Seats(performance) => StreamId::performance(performance).partition(partitions),
            Self::Order(order) => StreamId::order(order).partition(partitions),
            Self::CouponTask(task) => StreamId::coupon(&task.coupon()?).partition(partitions),
            Self::Store(store) => StreamId::store(store).partition(partitions),
        }
    }
}

/// The records of one unit that belong to one topic.
#[derive(Clone, Debug)]
pub struct Unit {
    pub records: Vec<Arc<Record>>,
    /// Position of the unit's last event, whatever topic that belongs to.
    pub end: LogPosition,
    pub at: Timestamp,
}

/// The current state of a topic.
#[derive(Debug)]
pub(super) enum Fold {
    Seats(seats::Fold),
    Order(Box<order::Fold>),
    Store(store::Fold),
}

impl Fold {
    /// The state as of position `up_to`, and the id of the topic's last frame; `None` when there is no such thing.
    pub(super) async fn load(
        journal: &dyn Journal,
        topic: &Topic,
        partition: Partition,
        up_to: Position,
        now: Timestamp,
    ) -> Result<Option<(Self, Position)>, Fault> {
        Ok(match topic {
            Topic::Seats(performance) => {
                let fold = seats::Fold::load(journal, performance, partition, up_to, now).await?;
                fold.map(|fold| {
                    let last = fold.map().position.position;
                    (Self::Seats(fold), last)
                })
            }
            Topic::Order(order) => {
                let fold = order::Fold::load(journal, order, up_to).await?;
                fold.map(|fold| {
                    let last = fold.last();
                    (Self::Order(Box::new(fold)), last)
                })
            }
            Topic::Store(store) => {
                let fold = store::Fold::load(journal, store, partition, up_to).await?;
                fold.map(|fold| {
                    let last = fold.last();
                    (Self::Store(fold), last)
                })
            }
            // A task's result is one record, which `coupon_task` finds without any fold.
            Topic::CouponTask(_) => None,
        })
    }

    /// Goes one unit further; the frames that watchers get for it.
    pub(super) fn apply(&mut self, unit: &Unit, prev: Position) -> Result<Vec<Frame>, Fault> {
        match self {
            Self::Seats(fold) => fold.apply(unit, prev),
            Self::Order(fold) => fold.apply(unit, prev),
            Self::Store(fold) => fold.apply(unit, prev),
        }
    }

    /// What a watcher gets first; `None` where it starts with what comes next.
    pub(super) fn snapshot(&self) -> Result<Option<Bytes>, Fault> {
        match self {
            Self::Seats(fold) => fold.snapshot().map(Some),
            Self::Order(fold) => fold.snapshot().map(Some),
            Self::Store(_) => Ok(None),
        }
    }
}

/// The position that names the unit of `record`: that of the unit's last event.
pub(super) async fn unit_end(journal: &dyn Journal, record: &Record) -> Result<LogPosition, Fault> {
    let partition = record.partition;
    if record.unit_last {
        return Ok(LogPosition { partition, position: record.position });
    }
    let mut after = record.position;
    loop {
        let rest = journal.read_partition(partition, after, 1).await?;
        if let Some(last) = rest.iter().find(|r| r.unit_last) {
            return Ok(LogPosition { partition, position: last.position });
        }
        let Some(last) = rest.last() else {
            let detail = "the end of the last unit is missing".to_owned();
            return Err(Fault::Damaged { partition, position: after, detail });
        };
        after = last.position;
    }
}

/// A record of a topic that does not say what it should: the log is not what this build was made for.
pub(super) fn damaged(record: &Record, detail: impl std::fmt::Display) -> Fault {
    Fault::Damaged { partition: record.partition, position: record.position, detail: detail.to_string() }
}
