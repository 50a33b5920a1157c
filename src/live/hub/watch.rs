//! What does one watcher get, in which order? `retry:`, what was missed or a snapshot, then frames as they come.
//!
//! A watcher holds a cursor and a few bytes that wait to be written. It reads at its own speed: one that falls behind is
//! told to start over, and the others never notice.

use std::collections::VecDeque;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::backlog::Backlog;
use super::room::{Closed, Cursor, Pulled, Room};
use super::shelf::Stay;
use super::{Heartbeat, Inner};
use crate::fault::Fault;
use crate::ids::{LogPosition, Position, StreamId, Version};
use crate::limits;
use crate::live::frame;
use crate::live::topics::{Topic, store};
use crate::telemetry;

/// The bytes of one SSE stream: `retry:` first, then frames and heartbeats. Ends when the topic ends or the node stops.
pub struct Watch {
    waiting: VecDeque<Bytes>,
    /// `None`: what waits is all.
    following: Option<Following>,
    heartbeat: Heartbeat,
    beat: Interval,
}

pub(super) struct Following {
    inner: Arc<Inner>,
    stay: Stay,
    signal: watch::Receiver<()>,
    stage: Stage,
}

enum Stage {
    /// Still reading what was missed from the log.
    Missed(Box<Backlog>),
    Live(Cursor),
}

impl Watch {
    pub(super) fn new(waiting: VecDeque<Bytes>, following: Option<Following>, heartbeat: Heartbeat) -> Self {
        let mut beat = interval(limits::HEARTBEAT_SSE);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        // The first tick of an interval comes at once; the first heartbeat must not.
        beat.reset();
        Self { waiting, following, heartbeat, beat }
    }

    /// The next bytes to write; `None` at the end. Dropping the future loses nothing.
    pub async fn next(&mut self) -> Option<Bytes> {
        loop {
            if let Some(bytes) = self.waiting.pop_front() {
                return Some(bytes);
            }
            let following = self.following.as_mut()?;
            match following.step(&mut self.waiting).await {
                Ok(true) => continue,
                Ok(false) => {}
                Err(why) => {
                    if let Closed::Failed(fault) = why {
                        tracing::warn!(%fault, "a watcher is cut");
                        metrics::counter!(telemetry::SSE_CUT, "why" => "fault").increment(1);
                    }
                    self.following = None;
                    return None;
                }
            }
            tokio::select! {
                biased;
                changed = following.signal.changed() => changed.ok()?,
                _ = self.beat.tick() => return Some(match self.heartbeat {
                    Heartbeat::Comment => frame::HEARTBEAT_COMMENT,
                    Heartbeat::Event => frame::HEARTBEAT_EVENT,
                }),
            }
        }
    }

    /// Everything that a watcher could get by now.
    #[cfg(test)]
    pub(super) async fn drain_now(&mut self) -> Vec<Bytes> {
        if let Some(following) = &self.following {
            following.inner.caught_up(following.stay.room.partition).await.expect("the pump goes on");
        }
        let mut all: Vec<Bytes> = self.waiting.drain(..).collect();
        while let Some(following) = self.following.as_mut() {
            let more = following.step(&mut self.waiting).await.expect("an open room");
            all.extend(self.waiting.drain(..));
            if !more {
                break;
            }
        }
        all
    }

    #[cfg(test)]
    pub(super) fn beat_now(&mut self) {
        self.beat.reset_immediately();
    }
}

impl Following {
    pub fn fresh(inner: Arc<Inner>, stay: Stay, out: &mut VecDeque<Bytes>) -> Result<Self, Closed> {
        let signal = stay.room.subscribe();
        let stage = Stage::Live(stay.room.start(false, out)?);
        Ok(Self { inner, stay, signal, stage })
    }

    /// Goes on after `after`: with every missed frame if `all`, else with those that are kept.
    pub async fn after(
        inner: Arc<Inner>,
        stay: Stay,
        after: LogPosition,
        all: bool,
        out: &mut VecDeque<Bytes>,
    ) -> Result<Self, Closed> {
        let signal = stay.room.subscribe();
        let room = stay.room.clone();
        let stage = if believable(&inner, &room, after).await? {
            match room.resume(after.position)? {
                Some(cursor) => Some(Stage::Live(cursor)),
                None => {
                    let task = inner.clone();
                    inner.detached(async move { look_back(&task, &room, after.position, all).await }).await?
                }
            }
        } else {
            None
        };
        let stage = match stage {
            Some(stage) => stage,
            None => Stage::Live(stay.room.start(true, out)?),
        };
        Ok(Self { inner, stay, signal, stage })
    }

    /// Store feeds: the latest missed payment if it is recent, and how many were missed before it.
    pub async fn latest(
        inner: Arc<Inner>,
        stay: Stay,
        after: LogPosition,
        out: &mut VecDeque<Bytes>,
    ) -> Result<Self, Closed> {
        let signal = stay.room.subscribe();
        let room = stay.room.clone();
        let stage = if believable(&inner, &room, after).await? {
            let feed = room.feed(after.position)?;
            let missed = feed.last > after.position;
            if missed && store::recent(feed.fold.at, inner.clock.wall(), inner.store_resume) {
                let task = inner.clone();
                let read = inner.detached(async move {
                    let missed = match feed.missed {
                        Some(missed) => missed,
                        None => missed_payments(&task, &room, after.position, feed.fold.version).await?,
                    };
                    latest_payment(&task, &room, feed.fold.version, missed.saturating_sub(1)).await
                });
                out.extend(read.await?);
            } else if missed {
                // Nothing to show, but whoever comes back the next time must not be told of it either.
                out.push_back(frame::moved_on(frame::id(stay.room.partition, feed.last)));
            }
            Stage::Live(feed.cursor)
        } else {
            Stage::Live(room.start(true, out)?)
        };
        Ok(Self { inner, stay, signal, stage })
    }

    /// Gets something to write, if there is something; `false`: wait for the signal.
    async fn step(&mut self, out: &mut VecDeque<Bytes>) -> Result<bool, Closed> {
        let room = &self.stay.room;
        match &mut self.stage {
            Stage::Live(cursor) => match room.pull(cursor, out) {
                Pulled::Some => Ok(true),
                Pulled::Nothing => Ok(false),
                Pulled::Behind => {
                    *cursor = room.start(true, out)?;
                    Ok(true)
                }
                Pulled::Closed => Err(Closed::Stopped),
            },
            Stage::Missed(backlog) => {
                if let Some(cursor) = room.resume(backlog.after)? {
                    self.stage = Stage::Live(cursor);
                    return Ok(true);
                }
                // The read goes on in a task of its own if the visitor leaves meanwhile, and its result is dropped.
                let (inner, mut reader, before) = (self.inner.clone(), backlog.clone(), backlog.after);
                let read = self.inner.detached(async move {
                    let frames = reader.next(&inner, limits::RESUME_CHUNK).await.map_err(Closed::Failed)?;
                    Ok::<_, Closed>((reader, frames))
                });
                let (reader, frames) = read.await?;
                if reader.after == before {
                    return Err(Closed::Failed(Fault::internal("the log ends before the topic's last frame")));
                }
                out.extend(frames.into_iter().map(|frame| frame.bytes));
                **backlog = *reader;
                Ok(true)
            }
        }
    }
}

/// Can a watcher have seen this position? Not one of another partition, nor one that is not durable yet.
/// What another node has shown may be news here.
async fn believable(inner: &Inner, room: &Room, after: LogPosition) -> Result<bool, Closed> {
    if after.partition != room.partition {
        return Ok(false);
    }
    let durable = || Ok::<_, Closed>(after.position <= inner.follow.head(room.partition).max(room.applied()?));
    if durable()? {
        return Ok(true);
    }
    inner.follow.refresh().await;
    if durable()? {
        return Ok(true);
    }
    // It may stand in the log all the same: another node writes there by now, or we could not look. Such a watcher knows
    // more than this node, and would be thrown back by starting over here.
    let (journal, place) = (inner.journal.clone(), usize::from(room.partition.0));
    let heads: Result<_, Fault> = inner.detached(async move { journal.heads().await }).await;
    match heads.map_err(Closed::Failed)?.get(place) {
        Some(head) if *head >= after.position => Err(Closed::Failed(Fault::unavailable("this node is behind the log"))),
        _ => Ok(false),
    }
}

/// `None`: what was missed is not kept.
async fn look_back(inner: &Inner, room: &Room, after: Position, all: bool) -> Result<Option<Stage>, Closed> {
    let Some(backlog) = Backlog::open(inner, room, after).await? else { return Ok(None) };
    if !all {
        // In a crowd that comes back at once the first one reads, and the others find the frames in the room.
        let _one_at_a_time = room.survey.lock().await;
        if room.resume(after)?.is_none() && !backlog.clone().survey(inner, room).await? {
            return Ok(None);
        }
    }
    Ok(Some(match room.resume(after)? {
        Some(cursor) => Stage::Live(cursor),
        None => Stage::Missed(Box::new(backlog)),
    }))
}

async fn missed_payments(inner: &Inner, room: &Room, after: Position, newest: Version) -> Result<u64, Closed> {
    let Topic::Store(id) = &room.topic else { return Ok(0) };
    let seen = store::seek(&*inner.journal, &StreamId::store(id), after, newest).await.map_err(Closed::Failed)?;
    let seen = seen.map_or(store::FRAMELESS, |record| record.version.max(store::FRAMELESS));
    Ok(newest.0 - seen.0)
}

/// The payment at `version`, which names the one before it as every frame does.
async fn latest_payment(inner: &Inner, room: &Room, version: Version, skipped: u64) -> Result<Option<Bytes>, Closed> {
    let Topic::Store(id) = &room.topic else { return Ok(None) };
    let from = Version(version.0.saturating_sub(2));
    let records = inner.journal.read_stream(&StreamId::store(id), from, 2).await.map_err(Closed::Failed)?;
    let before = records.iter().find(|r| r.version.next() == version && r.version > store::FRAMELESS);
    let prev = before.map_or(Position(0), |record| record.position);
    let Some(record) = records.iter().find(|r| r.version == version) else { return Ok(None) };
    let frame = store::frame(record, prev, Some(skipped)).map_err(Closed::Failed)?;
    Ok(frame.map(|frame| frame.bytes))
}
