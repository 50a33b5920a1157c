//! Stub with the signatures that `http` uses.

use std::sync::Arc;

use bytes::Bytes;

use super::topics::{SeatMap, Topic};
use crate::fault::Fault;
use crate::ids::{LogPosition, PerformanceId};
use crate::journal::SharedJournal;
use crate::journal::follow::Follow;

/// From where does a watcher go on?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Resume {
    /// Snapshot first, then what comes.
    Fresh,
    /// The missed frames after this id, or `reset` and a snapshot when they are not kept.
    After(LogPosition),
    /// Store feeds: only the latest missed frame within the resume window, with `skipped`.
    LatestAfter(LogPosition),
    /// Store feeds: every missed frame, however many.
    AllAfter(LogPosition),
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WatchError {
    #[error("there is no such thing")]
    NotFound,
    #[error("too many watchers")]
    Full,
    /// The one frame of this topic was seen already, nothing will follow (HTTP 204).
    #[error("nothing will follow")]
    Over,
    #[error(transparent)]
    Failed(#[from] Fault),
}

/// How a heartbeat is written: a comment, or an event that pages can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Heartbeat {
    #[default]
    Comment,
    Event,
}

/// The bytes of one SSE stream: `retry:` first, then frames and heartbeats. Ends when the topic ends or the node stops.
pub struct Watch {}

impl Watch {
    /// The next bytes to write; `None` at the end.
    pub async fn next(&mut self) -> Option<Bytes> {
        None
    }
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Hub {}

impl Hub {
    #[must_use]
    pub fn new(_journal: SharedJournal, _follow: Follow) -> Self {
        Self {}
    }

    pub async fn watch(&self, _topic: Topic, _resume: Resume, _heartbeat: Heartbeat) -> Result<Watch, WatchError> {
        Err(WatchError::NotFound)
    }

    /// The seat map of a performance as its watchers see it; `None` when nobody ever touched a seat.
    pub async fn seat_map(&self, _performance: &PerformanceId) -> Result<Arc<SeatMap>, Fault> {
        Err(Fault::internal("not wired"))
    }
}
