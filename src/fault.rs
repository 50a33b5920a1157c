//! Why could we not? The failures that are ours, as opposed to the business saying no (`domain::Refusal`).
//!
//! A fault never says that a command was wrong. What it must say exactly is whether the command may have happened. Status
//! codes are the business of `http/error.rs`.

use std::time::Duration;

use crate::ids::{Partition, Position};

/// We could not do it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// Too much is under way; nothing was started.
    #[error("too many commands are under way")]
    Overloaded { retry_after: Duration },
    /// The log cannot be reached or the partition is being recovered; nothing was written.
    #[error("the log is not available: {detail}")]
    Unavailable { detail: String, retry_after: Duration },
    /// Another unit failed before this one could be written; nothing was written, trying again is safe.
    #[error("superseded before it was written")]
    Superseded,
    /// This node does not own the partition (any more); nothing was written.
    #[error("this node does not own partition {partition}")]
    NotOwner { partition: Partition },
    /// The unit may or may not be in the log, and it could not be found out in time.
    #[error("the outcome is unknown")]
    UnknownOutcome,
    /// The log says something that cannot be. The partition is refused, never skipped or repaired in silence.
    #[error("the log is damaged at {partition}:{position}: {detail}")]
    Damaged { partition: Partition, position: Position, detail: String },
    /// The log refused this very unit, for good; nothing was written.
    #[error("the log refused the unit: {detail}")]
    Rejected { detail: String },
    /// A bug: the rule panicked or an invariant of ours was broken; nothing was written.
    #[error("internal error: {detail}")]
    Internal { detail: String },
}

impl Fault {
    /// May the very same command be run again without asking anybody? Only where certainly nothing was written *and* a
    /// second try can end differently soon.
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::Superseded => true,
            Self::Overloaded { .. }
            | Self::Unavailable { .. }
            | Self::NotOwner { .. }
            | Self::UnknownOutcome
            | Self::Damaged { .. }
            | Self::Rejected { .. }
            | Self::Internal { .. } => false,
        }
    }

    #[must_use]
    pub fn internal(detail: impl Into<String>) -> Self {
        Self::Internal { detail: detail.into() }
    }

    #[must_use]
    pub fn unavailable(detail: impl Into<String>) -> Self {
        Self::Unavailable { detail: detail.into(), retry_after: Duration::from_secs(1) }
    }
}
