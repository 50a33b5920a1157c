//! What can be watched, and how is it folded from the log? One file per topic.
//!
//! A topic's frames are a function of its units alone, so those made while the node was watching and those rebuilt from
//! the log for a watcher who comes back are the same bytes. `unit` is what a topic is fed, `fold` is any of their states.
//! Who watches is the business of `hub/`.

pub mod coupon_task;
mod fold;
pub mod order;
pub mod seats;
pub mod store;
mod unit;

pub use coupon_task::CouponTaskView;
pub use order::{Checkout, OrderStatus, OrderView, PaymentView, PaymentWindow, SeatView, Sold};
pub use seats::{SeatMap, SeatStatus};
pub use unit::Unit;

pub(super) use fold::Fold;
pub(super) use unit::{damaged, unit_end};

use crate::ids::{OrderId, Partition, PerformanceId, StoreId, StreamId, TaskId};

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
