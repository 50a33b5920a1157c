//! What can be watched, and how is it folded from the log? One file per topic.

use std::collections::BTreeMap;

use crate::ids::{LogPosition, OrderId, PerformanceId, SeatId, StoreId, TaskId};
use crate::timestamp::Timestamp;

#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    Seats(PerformanceId),
    Order(OrderId),
    CouponTask(TaskId),
    Store(StoreId),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SeatStatus {
    Held,
    Sold,
    Blocked,
}

/// Seats that are not available, as of `position` (the id of the topic's last frame).
#[derive(Clone, Debug)]
pub struct SeatMap {
    pub position: LogPosition,
    pub at: Timestamp,
    pub taken: BTreeMap<SeatId, SeatStatus>,
}
