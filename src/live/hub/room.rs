//! What do the watchers of one topic share? Its fold, its recent frames, and the signal that there are more.
//!
//! A room loads its state as of a position of the log and then takes every later unit, exactly once and in order, so that
//! a snapshot and the frames after it join without a gap. It knows nothing of who watches or how fast they read. Nothing
//! here waits while it holds the lock.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use parking_lot::Mutex;
use tokio::sync::watch;

use super::WatchError;
use super::ring::{Ring, Sequence};
use crate::fault::Fault;
use crate::ids::{LogPosition, Partition, Position};
use crate::limits;
use crate::live::frame;
use crate::live::frame::Frame;
use crate::live::topics::{Fold, SeatMap, Topic, Unit};
use crate::telemetry;

pub(super) struct Room {
    pub topic: Topic,
    pub key: String,
    pub partition: Partition,
    phase: Mutex<Phase>,
    /// Says "look again"; carries nothing.
    signal: watch::Sender<()>,
    /// When it said so last: microseconds of the node's clock.
    told: AtomicU64,
    /// One watcher at a time reads older frames back, so that a crowd who comes back at once finds them at hand.
    pub survey: tokio::sync::Mutex<()>,
}

enum Phase {
    Loading { backlog: Vec<Unit>, records: usize },
    Open(Box<Open>),
    Closed(Closed),
}

struct Open {
    fold: Fold,
    ring: Ring,
    /// Id of the topic's last frame.
    last: Position,
    /// Everything up to here is folded in.
    applied: Position,
    /// A snapshot, and the number of the first frame after it.
    snapshot: Option<(Sequence, Bytes)>,
    /// What watchers took last, by the number of its first frame and of that after its last one.
    bursts: VecDeque<(Sequence, Sequence, Bytes)>,
}

/// Why a room has no more frames.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Closed {
    /// There is no such thing in the log.
    Missing,
    Failed(Fault),
    /// The node stops.
    Stopped,
}

impl From<Closed> for WatchError {
    fn from(closed: Closed) -> Self {
        match closed {
            Closed::Missing => Self::NotFound,
            Closed::Failed(fault) => Self::Failed(fault),
            Closed::Stopped => Self::Failed(Fault::unavailable("the node is stopping")),
        }
    }
}

/// Where a watcher is: the next frame it takes, unless it has that already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor {
    pub next: Sequence,
    /// Frames up to here were seen elsewhere.
    pub floor: Position,
}

/// What a look at the room gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Pulled {
    Some,
    Nothing,
    /// The next frame is not at hand any more.
    Behind,
    Closed,
}

/// Where a store's feed stands, for whoever wants only its latest payment.
pub(super) struct FeedState {
    pub fold: crate::live::topics::store::Fold,
    pub last: Position,
    /// Frames after the watcher's position, when the ring knows.
    pub missed: Option<u64>,
    /// Right after the last frame.
    pub cursor: Cursor,
}

impl Room {
    pub fn new(topic: Topic, key: String, partition: Partition) -> Self {
        let phase = Phase::Loading { backlog: Vec::new(), records: 0 };
        let survey = tokio::sync::Mutex::new(());
        Self {
            topic,
            key,
            partition,
            phase: Mutex::new(phase),
            signal: watch::Sender::new(()),
            told: AtomicU64::new(0),
            survey,
        }
    }

    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.signal.subscribe()
    }

    /// Takes units in order; those that the state has already are passed over. Watchers know when they are told.
    pub fn deliver(&self, units: Vec<Unit>) -> Result<(), Fault> {
        let mut phase = self.phase.lock();
        match &mut *phase {
            Phase::Closed(_) => return Ok(()),
            Phase::Loading { backlog, records } => {
                *records += units.iter().map(|unit| unit.records.len()).sum::<usize>();
                // Beyond the bound only the count goes on: it tells the loader to load anew.
                if *records <= limits::TOPIC_BACKLOG {
                    backlog.extend(units);
                } else {
                    backlog.clear();
                }
                return Ok(());
            }
            Phase::Open(open) => open.take(&units)?,
        }
        Ok(())
    }

    /// Tells the watchers to look, unless they were told a moment ago: then it says how long to wait. Each telling wakes
    /// all of them, so a crowd is told less often and finds more frames at once.
    pub fn tell(&self, now: Duration) -> Result<(), Duration> {
        let spacing =
            limits::WATCHER_SPACING.saturating_mul(u32::try_from(self.signal.receiver_count()).unwrap_or(u32::MAX));
        let told = Duration::from_micros(self.told.load(Ordering::Relaxed));
        let wait = (told + spacing.min(limits::WATCHER_SPACING_MAX)).saturating_sub(now);
        if wait >= limits::WATCHER_SPACING_MIN {
            return Err(wait);
        }
        self.told.store(u64::try_from(now.as_micros()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.signal.send_replace(());
        Ok(())
    }

    /// The state is loaded as of `loaded`: what came meanwhile is added. `false`: too much came, load again.
    pub fn open(&self, fold: Fold, last: Position, loaded: Position) -> Result<bool, Fault> {
        let mut phase = self.phase.lock();
        let Phase::Loading { backlog, records } = &mut *phase else { return Ok(true) };
        if *records > limits::TOPIC_BACKLOG {
            *records = 0;
            return Ok(false);
        }
        let units = std::mem::take(backlog);
        let mut open =
            Open { fold, ring: Ring::default(), last, applied: loaded, snapshot: None, bursts: VecDeque::new() };
        open.take(&units)?;
        *phase = Phase::Open(Box::new(open));
        drop(phase);
        self.signal.send_replace(());
        Ok(true)
    }

    pub fn close(&self, why: Closed) {
        let mut phase = self.phase.lock();
        if !matches!(*phase, Phase::Closed(_)) {
            *phase = Phase::Closed(why);
        }
        drop(phase);
        self.signal.send_replace(());
    }

    /// Waits until the state is loaded.
    pub async fn ready(&self) -> Result<(), Closed> {
        let mut signal = self.subscribe();
        loop {
            match &*self.phase.lock() {
                Phase::Open(_) => return Ok(()),
                Phase::Closed(why) => return Err(why.clone()),
                Phase::Loading { .. } => {}
            }
            if signal.changed().await.is_err() {
                return Err(Closed::Stopped);
            }
        }
    }

    fn with<R>(&self, look: impl FnOnce(&mut Open) -> Result<R, Fault>) -> Result<R, Closed> {
        match &mut *self.phase.lock() {
            Phase::Open(open) => look(open).map_err(Closed::Failed),
            Phase::Closed(why) => Err(why.clone()),
            Phase::Loading { .. } => Err(Closed::Failed(Fault::internal("a room was used before it was ready"))),
        }
    }

    /// Begins anew: the snapshot, with `reset` before it where the watcher has something to forget.
    pub fn start(&self, reset: bool, out: &mut VecDeque<Bytes>) -> Result<Cursor, Closed> {
        self.with(|open| {
            let snapshot = open.snapshot()?;
            let next = snapshot.as_ref().map_or_else(|| open.ring.end(), |(next, _)| *next);
            let last = LogPosition { partition: self.partition, position: open.last };
            if reset {
                metrics::counter!(telemetry::RESETS).increment(1);
                // Without a snapshot the reset itself names the place to come back to.
                out.push_back(frame::reset(snapshot.is_none().then_some(last)));
            } else if snapshot.is_none() {
                // Who is cut before the first frame comes back to here.
                out.push_back(frame::moved_on(last));
            }
            out.extend(snapshot.map(|(_, bytes)| bytes));
            Ok(Cursor { next, floor: Position(0) })
        })
    }

    /// The place after `position`, if every frame from there on is at hand.
    pub fn resume(&self, position: Position) -> Result<Option<Cursor>, Closed> {
        self.with(|open| {
            let reached = open.ring.reaches(position, open.last);
            Ok(reached.then(|| Cursor { next: open.ring.after(position), floor: position }))
        })
    }

    /// Moves some frames to `out`, as one piece.
    pub fn pull(&self, cursor: &mut Cursor, out: &mut VecDeque<Bytes>) -> Pulled {
        let look = self.with(|open| {
            if cursor.next < open.ring.first() {
                return Ok(Pulled::Behind);
            }
            while open.ring.get(cursor.next).is_some_and(|frame| frame.id <= cursor.floor) {
                cursor.next += 1;
            }
            let end = open.ring.end().min(cursor.next + limits::WATCHER_BURST);
            if cursor.next == end {
                return Ok(Pulled::Nothing);
            }
            out.push_back(open.burst(cursor.next, end));
            cursor.next = end;
            Ok(Pulled::Some)
        });
        look.unwrap_or(Pulled::Closed)
    }

    /// Older frames that were read back, for the next one who asks.
    pub fn prepend(&self, frames: Vec<Arc<Frame>>) {
        // A closed room has no use for them.
        let _ = self.with(|open| {
            open.ring.prepend(frames, open.last);
            Ok(())
        });
    }

    pub fn applied(&self) -> Result<Position, Closed> {
        self.with(|open| Ok(open.applied))
    }

    pub fn seat_map(&self) -> Result<Arc<SeatMap>, Closed> {
        self.with(|open| match &open.fold {
            Fold::Seats(fold) => Ok(fold.map().clone()),
            Fold::Order(_) | Fold::Store(_) => Err(Fault::internal("not the room of a seat map")),
        })
    }

    pub fn feed(&self, position: Position) -> Result<FeedState, Closed> {
        self.with(|open| {
            let Fold::Store(fold) = &open.fold else { return Err(Fault::internal("not the room of a store")) };
            let missed = open.ring.reaches(position, open.last).then(|| open.ring.end() - open.ring.after(position));
            let cursor = Cursor { next: open.ring.end(), floor: position };
            Ok(FeedState { fold: fold.clone(), last: open.last, missed, cursor })
        })
    }
}

impl Open {
    fn take(&mut self, units: &[Unit]) -> Result<(), Fault> {
        for unit in units {
            if unit.end.position <= self.applied {
                continue;
            }
            self.applied = unit.end.position;
            for frame in self.fold.apply(unit, self.last)? {
                self.last = frame.id;
                self.ring.push(Arc::new(frame));
            }
        }
        Ok(())
    }

    /// These frames as one piece, which all watchers share who are at the same place.
    fn burst(&mut self, from: Sequence, to: Sequence) -> Bytes {
        if let Some((_, _, bytes)) = self.bursts.iter().find(|(first, end, _)| (*first, *end) == (from, to)) {
            return bytes.clone();
        }
        let mut frames = (from..to).filter_map(|sequence| self.ring.get(sequence)).map(|frame| &frame.bytes);
        let bytes = if to - from == 1 {
            frames.next().cloned().unwrap_or_default()
        } else {
            frames
                .fold(BytesMut::new(), |mut all, frame| {
                    all.extend_from_slice(frame);
                    all
                })
                .freeze()
        };
        if self.bursts.len() == limits::WATCHER_BURSTS {
            self.bursts.pop_front();
        }
        self.bursts.push_back((from, to, bytes.clone()));
        bytes
    }

    /// A snapshot and the number of the frame to go on with. A large one is used again for a while, followed by the
    /// frames since: a crowd that arrives while seats change fifty times a second would otherwise cost one writing of
    /// the whole house each time.
    fn snapshot(&mut self) -> Result<Option<(Sequence, Bytes)>, Fault> {
        if let Some((next, bytes)) = &self.snapshot {
            let age = self.ring.end() - next;
            let allowed = (bytes.len() / 4_096).min(limits::WATCHER_QUEUE / 4) as u64;
            if age <= allowed && *next >= self.ring.first() {
                return Ok(Some((*next, bytes.clone())));
            }
        }
        self.snapshot = self.fold.snapshot()?.map(|bytes| (self.ring.end(), bytes));
        Ok(self.snapshot.clone())
    }
}
