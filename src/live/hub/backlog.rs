//! What did a watcher miss? The frames of a topic after some position, made again from the log, a bounded piece at a time.
//!
//! They are the same bytes as those that were sent at the time. This file does not know who asks or when to stop: the
//! room says when its own frames take over.

use std::collections::VecDeque;
use std::sync::Arc;

use super::Inner;
use super::room::{Closed, Room};
use crate::events::Record;
use crate::fault::Fault;
use crate::ids::{LogPosition, Partition, Position, StreamId, Version};
use crate::limits;
use crate::live::frame::Frame;
use crate::live::topics::{Topic, Unit, order, seats, store};

/// A place in the log from which a topic's frames are read.
#[derive(Clone, Debug)]
pub(super) struct Backlog {
    topic: Topic,
    partition: Partition,
    /// Everything up to here was read.
    pub after: Position,
    /// The topic's last frame up to there.
    prev: Position,
    /// Stores: the version up to which the stream was read.
    version: Version,
}

impl Backlog {
    /// `None`: `after` is no place between two units, so nobody was ever told of it.
    pub async fn open(inner: &Inner, room: &Room, after: Position) -> Result<Option<Self>, Closed> {
        let (topic, partition) = (room.topic.clone(), room.partition);
        let mut backlog = Self { topic, partition, after, prev: Position(0), version: Version(0) };
        match &room.topic {
            Topic::Seats(performance) if after > Position(0) => {
                let before = Position(after.0 - 1);
                let at = inner.journal.read_partition(partition, before, 1).await.map_err(Closed::Failed)?;
                let Some(at) = at.first().filter(|record| record.position == after && record.unit_last) else {
                    return Ok(None);
                };
                backlog.prev = if at.stream.as_str().starts_with(&StreamId::seat_prefix(performance)) {
                    after
                } else {
                    let found = seats::last_frame(&*inner.journal, performance, partition, after).await;
                    found.map_err(Closed::Failed)?
                };
            }
            Topic::Store(id) => {
                let newest = room.feed(after)?.fold.version;
                let found = store::seek(&*inner.journal, &StreamId::store(id), after, newest).await;
                if let Some(record) = found.map_err(Closed::Failed)? {
                    backlog.version = record.version;
                    backlog.prev = if record.version > store::FRAMELESS { record.position } else { Position(0) };
                }
            }
            Topic::Seats(_) | Topic::Order(_) | Topic::CouponTask(_) => {}
        }
        Ok(Some(backlog))
    }

    /// The next frames, of about `limit` records. None may be among them; `after` says how far it came.
    pub async fn next(&mut self, inner: &Inner, limit: usize) -> Result<Vec<Frame>, Fault> {
        let frames = match &self.topic {
            Topic::Seats(performance) => {
                let records = inner.journal.read_partition(self.partition, self.after, limit).await?;
                if let Some(last) = records.last() {
                    self.after = last.position;
                }
                seat_frames(records, &StreamId::seat_prefix(performance), self.prev)?
            }
            Topic::Store(id) => {
                let records = inner.journal.read_stream(&StreamId::store(id), self.version, limit).await?;
                let mut made = Vec::with_capacity(records.len());
                for record in &records {
                    let prev = made.last().map_or(self.prev, |frame: &Frame| frame.id);
                    made.extend(store::frame(record, prev, None)?);
                    (self.after, self.version) = (record.position, record.version);
                }
                made
            }
            // An order is a handful of facts, and its frames need all of them.
            Topic::Order(id) => {
                let (all, window) = (Position(u64::MAX), inner.window.as_ref());
                let (fold, mut made) = order::Fold::replay(&*inner.journal, id, all, window).await?;
                made.retain(|frame| frame.id > self.after);
                self.after = self.after.max(fold.last());
                made
            }
            Topic::CouponTask(_) => Vec::new(),
        };
        if let Some(last) = frames.last() {
            self.prev = last.id;
        }
        Ok(frames)
    }

    /// Looks how much was missed, and leaves the newest of it with the room for whoever asks next. `false`: more than is
    /// kept.
    pub async fn survey(mut self, inner: &Inner, room: &Room) -> Result<bool, Closed> {
        let (from, mut missed) = (self.after, 0);
        let mut newest: VecDeque<Arc<Frame>> = VecDeque::new();
        while room.resume(self.after)?.is_none() {
            let before = self.after;
            for frame in self.next(inner, limits::READ_BATCH).await.map_err(Closed::Failed)? {
                missed += 1;
                newest.push_back(Arc::new(frame));
                if newest.len() > limits::WATCHER_QUEUE {
                    newest.pop_front();
                }
            }
            if missed > limits::RESUME_FRAMES || self.after.0 - from.0 > limits::RESUME_SCAN || self.after == before {
                return Ok(false);
            }
        }
        room.prepend(newest.into());
        Ok(true)
    }
}

fn seat_frames(records: Vec<Record>, prefix: &str, mut prev: Position) -> Result<Vec<Frame>, Fault> {
    let mut made = Vec::new();
    let mut unit = Vec::new();
    for record in records {
        let (partition, position, at, last) = (record.partition, record.position, record.at, record.unit_last);
        if record.stream.as_str().starts_with(prefix) {
            unit.push(Arc::new(record));
        }
        if last && !unit.is_empty() {
            let end = LogPosition { partition, position };
            made.extend(seats::frames(&Unit { records: std::mem::take(&mut unit), end, at }, prev)?);
            prev = position;
        }
    }
    Ok(made)
}
