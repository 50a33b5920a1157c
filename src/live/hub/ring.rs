//! Which frames of a topic are still at hand? A bounded queue that all watchers of the topic read with cursors of their
//! own, so that a frame is kept once however many watch, and a slow watcher costs nobody anything.

use std::collections::VecDeque;
use std::sync::Arc;

use crate::ids::Position;
use crate::limits;
use crate::live::frame::Frame;
use crate::planted::{Bug, planted};

/// The number of a frame within the ring; one more for each next frame.
pub(super) type Sequence = u64;

pub(super) struct Ring {
    frames: VecDeque<Arc<Frame>>,
    /// Number of the frame at the front.
    first: Sequence,
    bytes: usize,
}

impl Default for Ring {
    fn default() -> Self {
        // Older frames may be put in front later, so numbers start far from zero.
        Self { frames: VecDeque::new(), first: 1 << 40, bytes: 0 }
    }
}

impl Ring {
    pub fn first(&self) -> Sequence {
        self.first
    }

    /// Number of the next frame to come.
    pub fn end(&self) -> Sequence {
        self.first + self.frames.len() as u64
    }

    pub fn oldest(&self) -> Option<&Arc<Frame>> {
        self.frames.front()
    }

    pub fn get(&self, sequence: Sequence) -> Option<&Arc<Frame>> {
        let index = usize::try_from(sequence.checked_sub(self.first)?).ok()?;
        self.frames.get(index)
    }

    /// Number of the first frame after `position`.
    pub fn after(&self, position: Position) -> Sequence {
        let first = self.first + self.frames.partition_point(|frame| frame.id <= position) as u64;
        first + u64::from(planted(Bug::ResumeOffByOne) && first < self.end())
    }

    /// Does it hold every frame after `position`, when `last` is the topic's last one?
    pub fn reaches(&self, position: Position, last: Position) -> bool {
        last <= position || self.oldest().is_some_and(|oldest| oldest.prev <= position)
    }

    pub fn push(&mut self, frame: Arc<Frame>) {
        self.bytes += frame.bytes.len();
        self.frames.push_back(frame);
        while self.full(0) && self.frames.len() > 1 {
            if let Some(gone) = self.frames.pop_front() {
                self.bytes -= gone.bytes.len();
                self.first += 1;
            }
        }
    }

    fn full(&self, more: usize) -> bool {
        self.frames.len() > limits::WATCHER_QUEUE || self.bytes + more > limits::WATCHER_QUEUE_BYTES
    }

    /// Puts older frames in front, as many of the newest as there is room for. They are taken only if they lead up to
    /// what is here without a gap.
    pub fn prepend(&mut self, mut older: Vec<Arc<Frame>>, last: Position) {
        let joint = self.oldest().map_or(last, |oldest| oldest.prev);
        while older.last().is_some_and(|frame| frame.id > joint) {
            older.pop();
        }
        if older.last().is_none_or(|frame| frame.id != joint) {
            return;
        }
        for frame in older.into_iter().rev() {
            if self.frames.len() >= limits::WATCHER_QUEUE || self.full(frame.bytes.len()) {
                return;
            }
            self.bytes += frame.bytes.len();
            self.frames.push_front(frame);
            self.first -= 1;
        }
    }
}
