//! What is kept of a stream besides its events? Whole snapshots, and the segments that go on from them.
//!
//! The payloads are the actors' business: the journal carries bytes.

use crate::events::Record;
use crate::ids::{Position, StreamId, Version};

/// A stream as a loader needs it: the newest snapshot, and the beginning of what came after it.
#[derive(Clone, Debug, Default)]
pub struct Loaded {
    pub snapshot: Option<Snapshot>,
    /// There are segments of this stream: they come before the tail, which is empty here.
    pub segmented: bool,
    /// At most `limits::READ_BATCH` records; so many mean that there may be more.
    pub tail: Vec<Record>,
}

impl Loaded {
    /// The log has nothing about the stream.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.snapshot.is_none() && !self.segmented && self.tail.is_empty()
    }
}

/// A folded state, to start from instead of the first event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    pub stream: StreamId,
    /// The last event folded into it.
    pub version: Version,
    /// Position of that event.
    pub position: Position,
    /// `Aggregate::SNAPSHOT_VERSION` when it was folded; another one is ignored by the loader.
    pub schema: u16,
    pub payload: Vec<u8>,
}

/// What some of a stream's events came to: goes on from a snapshot, or from another segment. It never changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Segment {
    pub stream: StreamId,
    /// The last event before those of this segment.
    pub after: Version,
    /// The last event of this segment, and its position.
    pub version: Version,
    pub position: Position,
    /// As that of a snapshot.
    pub schema: u16,
    pub payload: Vec<u8>,
}

/// How far a stream is kept besides its events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reach {
    /// Version of the whole snapshot; zero where there is none.
    pub whole: Version,
    /// Where the last segment ends, or the whole snapshot where there is none.
    pub end: Version,
}
