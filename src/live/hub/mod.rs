//! How does a page follow the log? [`Hub`]: one per node, the only door to everything that is watched.
//!
//! `door` is what can be asked of it, `shelf` keeps the topics of each partition up to date, `room` is one topic, `watch` is one watcher, `backlog` finds what
//! a watcher missed. `seating` and `displays` know who is there. The hub asks nobody's permission: who may watch what is decided before.

mod backlog;
mod detached;
mod displays;
mod door;
mod options;
mod ring;
mod room;
mod seating;
mod shelf;
#[cfg(test)]
mod tests;
mod watch;
mod wish;

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use self::displays::Displays;
pub use self::displays::{Connected, Display};
pub use self::door::Seat;
pub use self::options::Options;
use self::seating::Seating;
pub use self::seating::{Bound, Places, Visitor};
use self::shelf::Shelf;
pub use self::watch::Watch;
pub use self::wish::{Heartbeat, Resume, TaskLookup, WatchError};
use crate::clock::{Clock, Entropy};
use crate::ids::{LogPosition, NodeId};
use crate::journal::SharedJournal;
use crate::journal::follow::Follow;
use crate::journal::presence::Presence;
use crate::live::board::Boards;
use crate::live::topics::PaymentWindow;

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
    seating: Seating,
    displays: Displays,
    boards: Boards,
    node: NodeId,
    presence: Option<Arc<dyn Presence>>,
    store_resume: Duration,
    window: Option<PaymentWindow>,
}

impl Hub {
    #[must_use]
    pub fn new(parts: HubParts) -> Self {
        Self::with(parts, Options::default())
    }

    #[must_use]
    pub fn with(parts: HubParts, options: Options) -> Self {
        Self { inner: Arc::new(Inner::new(parts, options)) }
    }

    /// Waits until what is durable has reached a position, so that a reading after this shows it. One of a partition that
    /// does not exist is never reached.
    pub async fn reached(&self, wanted: LogPosition) {
        self.inner.follow.reached(wanted.partition, wanted.position).await;
    }

    /// Topics in memory.
    #[must_use]
    pub fn topics(&self) -> usize {
        self.inner.topics() + self.inner.boards.len()
    }

    /// Open streams.
    #[must_use]
    pub fn watchers(&self) -> usize {
        self.inner.seating.taken()
    }

    /// Ends all streams after what waits for them; new ones are refused.
    pub fn shutdown(&self) {
        self.inner.stop.cancel();
    }
}
