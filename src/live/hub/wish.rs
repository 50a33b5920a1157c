//! What does a watcher want, and why may it not have it? The words between the hub and those who ask it.

use std::time::Duration;

use async_trait::async_trait;

use super::Bound;
use crate::fault::Fault;
use crate::ids::{LogPosition, TaskId, Version};

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
    /// Too many topics are watched.
    #[error("too many watchers")]
    Full,
    /// No place is left for this visitor, who may ask again later; each is told another time, so that a crowd does not
    /// come back at once.
    #[error("too many streams of this {}", bound.as_str())]
    NoPlace { bound: Bound, retry_after: Duration },
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

/// Where in its coupon's stream does a task's result stand? Answered by whoever holds the coupon's state, so that one
/// issue among millions is found without reading them.
#[async_trait]
pub trait TaskLookup: Send + Sync + 'static {
    /// `None`: no such task. What is answered must be durable.
    async fn version_of(&self, task: &TaskId) -> Result<Option<Version>, Fault>;
}
