//! What may go wrong with the log? The decisions that a simulation makes for each call to the memory journal.
//!
//! The hook only says what happens; it neither sees nor changes what is written.

use std::time::Duration;

/// What becomes of one append.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Fate {
    #[default]
    Normal,
    /// Written and answered, but only after this time.
    Delay(Duration),
    /// A definite no: nothing is written.
    Reject,
    /// The answer is lost after the commit.
    UnknownWritten,
    /// The connection is lost before the commit.
    UnknownNotWritten,
    /// The answer is lost, and the commit happens that much later, if nobody has fenced it by then.
    UnknownWrittenLater(Duration),
}

/// What becomes of a call that owns or fences.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Hiccup {
    #[default]
    Normal,
    Delay(Duration),
    /// The log cannot be reached; nothing changes.
    Fail,
}

/// Asked once per call, in the order of the calls: a seeded implementation makes a run repeatable.
pub trait Mischief: Send + Sync {
    fn on_append(&self) -> Fate {
        Fate::Normal
    }

    /// How long a load or read takes, if not no time at all.
    fn on_load(&self) -> Option<Duration> {
        None
    }

    fn on_heartbeat(&self) -> Hiccup {
        Hiccup::Normal
    }

    fn on_settle(&self) -> Hiccup {
        Hiccup::Normal
    }
}
