//! Who is watching? One hub per node turns committed records into frames and gives them to watchers.
//!
//! `topics/` folds the log into what can be watched, `frame` writes it down, `hub/` keeps the rooms in which watchers sit.
//! Nothing here decides or authorises anything, and nothing here ever sees a record that is not durable.

pub mod board;
pub mod frame;
pub mod hub;
pub mod topics;

pub use board::{BoardWatch, Source};
pub use hub::{
    Bound, Connected, Display, Heartbeat, Hub, HubParts, Places, Resume, Seat, TaskLookup, Visitor, Watch, WatchError,
};
pub use topics::{
    Checkout, CouponTaskView, OrderStatus, OrderView, PaymentView, PaymentWindow, SeatMap, SeatStatus, SeatView, Sold,
    Topic,
};
