//! How are the projections doing? What operators see of each, kept up to date by its worker.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::ids::{Partition, Position};
use crate::timestamp::Timestamp;

/// What a worker is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum State {
    /// There is no build of this version yet; one is being made.
    #[default]
    Building,
    /// Follows the log.
    Live,
    /// The store cannot be reached; tried again.
    Waiting,
    /// Something is so wrong that it does not go on by itself.
    Stopped,
}

impl State {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Building => "building",
            Self::Live => "live",
            Self::Waiting => "waiting",
            Self::Stopped => "stopped",
        }
    }
}

/// One projection at this moment.
#[derive(Clone, Debug, Default)]
pub struct Status {
    pub state: State,
    pub version: u32,
    /// The number of the active build.
    pub build: Option<u32>,
    /// Events of the log that it has not looked at yet.
    pub behind: u64,
    /// From the writing of an event to its rows, in milliseconds, the last time.
    pub lag_ms: u64,
    /// Events applied since the node started.
    pub applied: u64,
    pub parked_keys: usize,
    /// Partitions that do not go on because a position is missing, and which.
    pub gaps: BTreeMap<Partition, Position>,
    pub last_error: Option<String>,
    pub last_error_at: Option<Timestamp>,
}

/// The statuses of all projections. Cheap to clone.
#[derive(Clone, Default)]
pub struct Board {
    all: Arc<Mutex<BTreeMap<&'static str, Status>>>,
}

impl Board {
    pub fn change(&self, projection: &'static str, change: impl FnOnce(&mut Status)) {
        change(self.all.lock().entry(projection).or_default());
    }

    #[must_use]
    pub fn all(&self) -> Vec<(&'static str, Status)> {
        self.all.lock().iter().map(|(name, status)| (*name, status.clone())).collect()
    }
}
