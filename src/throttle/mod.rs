//! Who asks too often? Limits by class of request, per address and per account, decided in memory, and for some classes over
//! all nodes.
//!
//! What belongs to which class is the edge's business, and how nodes count together that of a gateway ([`Shared`]). Nothing here
//! waits, except for that gateway, which answers soon or not at all.

mod class;
mod gcra;
mod limiter;
mod table;

use std::time::Duration;

use crate::ids::Hash16;

pub use class::{Class, Per};
pub use gcra::{Judged, Left, Quota};
pub use limiter::Throttle;

/// Counts for all nodes together. `None`: there is nobody to ask just now.
#[async_trait::async_trait]
pub trait Shared: Send + Sync + 'static {
    async fn judge(&self, who: Hash16, quota: Quota) -> Option<Judged>;
}

/// What a client may know about a limit that it kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Standing {
    pub class: Class,
    pub left: Left,
}

/// A request that came too soon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooSoon {
    pub class: Class,
    pub retry_after: Duration,
}
