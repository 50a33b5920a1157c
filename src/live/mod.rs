//! Who is watching? One hub per node turns committed records into frames and gives them to watchers.

pub mod frame;
pub mod hub;
pub mod topics;

pub use hub::{Heartbeat, Hub, Resume, Watch, WatchError};
pub use topics::{SeatMap, SeatStatus, Topic};
