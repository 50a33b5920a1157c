//! In which order, and when may it be told? One sequencer per partition gives out positions and holds back answers.
//!
//! Deciding happens inside a [`Turn`]: time is stamped, rules decide, positions are given and the unit is queued in one
//! step under one lock, so the log's order is the order of the decisions and `at` never falls. Answers, refusals and
//! reads wait here until what they show is durable; they do not die with an actor. The sequencer knows no rules and does
//! no IO.

use std::any::Any;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};
use tokio::sync::{Notify, mpsc};

use super::deadlines::Deadlines;
use super::logtime::{Lease, LogTime};
use super::newcomers::Newcomers;
use crate::fault::Fault;
use crate::ids::{Epoch, Partition, Position, StreamId};
use crate::journal::lane::{Guilty, Queued, Timers};
use crate::journal::{PartitionState, TimerChange, Unit};
use crate::limits;
use crate::planted::{Bug, planted};
use crate::timestamp::Timestamp;

/// Tells somebody who waits for durability how it went.
pub type Tell = Box<dyn FnOnce(Result<(), Fault>) + Send>;

/// What a stream shows to its neighbours in the partition.
pub type Notice = Arc<dyn Any + Send + Sync>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    Serving,
    /// A doubt is being settled; nothing is decided or loaded meanwhile.
    Recovering,
    /// Another node writes here.
    Lost,
}

pub struct Sequencer {
    pub partition: Partition,
    inner: Mutex<Inner>,
    /// What streams show to their neighbours; written within turns only, and read outside of them without waiting for one.
    board: Mutex<HashMap<StreamId, (Notice, Position)>>,
    /// Which streams the log has; told of appends within turns only.
    newcomers: Newcomers,
    lane: mpsc::Sender<Queued>,
    time: Arc<LogTime>,
    lease: Arc<Lease>,
    /// Told when a stream begins to wait for the world outside; the node has one.
    waits_changed: Arc<Notify>,
    /// Told whenever the phase changes. Wakes in the order of waiting, so that a simulation can be repeated.
    phase_changed: Notify,
}

struct Inner {
    phase: Phase,
    generation: u64,
    epoch: Epoch,
    /// Last position given out.
    head: Position,
    /// Last position known to survive a crash.
    durable: Position,
    last_at: Timestamp,
    waiting: Waiting,
    deadlines: Deadlines,
}

impl Sequencer {
    pub fn new(
        state: &PartitionState,
        timers: Timers,
        lane: mpsc::Sender<Queued>,
        time: Arc<LogTime>,
        lease: Arc<Lease>,
        waits_changed: Arc<Notify>,
    ) -> Self {
        let timers = if planted(Bug::ForgetDeadlines) { Timers::new() } else { timers };
        let inner = Inner {
            phase: Phase::Serving,
            generation: 1,
            epoch: state.epoch,
            head: state.head,
            durable: state.head,
            last_at: state.last_at,
            waiting: Waiting::default(),
            deadlines: Deadlines::from_rows(timers),
        };
        let (inner, board, phase_changed) = (Mutex::new(inner), Mutex::default(), Notify::new());
        let newcomers = Newcomers::of(state.head == Position(0));
        Self { partition: state.partition, inner, board, newcomers, lane, time, lease, waits_changed, phase_changed }
    }

    /// The log's time here, without claiming it for a decision.
    pub fn at(&self) -> Timestamp {
        let last = self.inner.lock().last_at;
        last.max(self.time.now())
    }

    /// The generation in which streams may be loaded now.
    pub fn generation(&self) -> Result<u64, Fault> {
        let inner = self.inner.lock();
        self.serving(&inner)?;
        Ok(inner.generation)
    }

    pub fn is_current(&self, generation: u64) -> bool {
        self.inner.lock().generation == generation
    }

    /// What a stream shows, which may not be durable yet and may change at once: good for a guess.
    pub fn notice(&self, stream: &StreamId) -> Option<Notice> {
        self.board.lock().get(stream).map(|(notice, _)| notice.clone())
    }

    pub fn newcomers(&self) -> &Newcomers {
        &self.newcomers
    }

    /// From now on every append is noted; what was appended before is durable when this returns.
    pub async fn note_newcomers(&self) -> Result<(), Fault> {
        let head = {
            let inner = self.inner.lock();
            self.newcomers.begin();
            inner.head
        };
        self.durable_at(head).await
    }

    /// Last position given out.
    pub fn head(&self) -> Position {
        self.inner.lock().head
    }

    pub fn durable(&self) -> Position {
        self.inner.lock().durable
    }

    /// Waits until the partition serves again, if it is being recovered.
    pub async fn settled(&self) {
        loop {
            // Made before the look: a change in between is not slept through.
            let changed = self.phase_changed.notified();
            if self.inner.lock().phase != Phase::Recovering {
                return;
            }
            changed.await;
        }
    }

    /// Waits until `position` is durable, or tells why it never will be.
    pub async fn durable_at(&self, position: Position) -> Result<(), Fault> {
        let (tell, told) = tokio::sync::oneshot::channel();
        {
            let mut inner = self.inner.lock();
            if inner.phase == Phase::Lost && position > inner.durable {
                return Err(Fault::NotOwner { partition: self.partition });
            }
            inner.answer(position, Box::new(move |result| drop(tell.send(result))));
        }
        told.await.unwrap_or(Err(Fault::Superseded))
    }

    /// Takes the partition for one decision by an actor of `generation`.
    pub fn turn(&self, generation: u64) -> Result<Turn<'_>, Fault> {
        let inner = self.inner.lock();
        if inner.generation != generation {
            return Err(Fault::Superseded);
        }
        self.serving(&inner)?;
        Ok(Turn { sequencer: self, inner })
    }

    fn serving(&self, inner: &Inner) -> Result<(), Fault> {
        match inner.phase {
            Phase::Serving if planted(Bug::ZombieAnswers) => Ok(()),
            Phase::Serving if self.lease.is_good() => Ok(()),
            Phase::Serving => Err(Fault::unavailable("the lease is not renewed")),
            Phase::Recovering => Err(Fault::unavailable("the partition is being recovered")),
            Phase::Lost => Err(Fault::NotOwner { partition: self.partition }),
        }
    }

    /// Streams whose deadline has come and that nobody is working on yet.
    pub fn take_due(&self, most: usize) -> Vec<StreamId> {
        let mut inner = self.inner.lock();
        if self.serving(&inner).is_err() {
            return Vec::new();
        }
        let now = inner.last_at.max(self.time.now());
        inner.deadlines.take_due(now, most)
    }

    pub fn due_done(&self, stream: &StreamId) {
        self.inner.lock().deadlines.done(stream);
    }

    /// Streams that wait for the world outside and that nobody works on yet.
    pub fn take_waiting(&self, most: usize) -> Vec<StreamId> {
        let mut inner = self.inner.lock();
        if self.serving(&inner).is_err() {
            return Vec::new();
        }
        inner.deadlines.take_waiting(most)
    }

    pub fn wait_done(&self, stream: &StreamId) {
        self.inner.lock().deadlines.wait_done(stream);
        self.waits_changed.notify_one();
    }

    // What the lane reports.

    /// Everything up to `position` is durable.
    pub fn committed(&self, position: Position) {
        let told = {
            let mut inner = self.inner.lock();
            inner.durable = inner.durable.max(position);
            inner.waiting.up_to(position)
        };
        told.into_iter().for_each(|(_, tell)| tell(Ok(())));
    }

    /// Units up to `doubtful` may be in the log or not; everything queued behind them certainly is not and never will be.
    pub fn suspend(&self, doubtful: Position) {
        let superseded = {
            let mut inner = self.inner.lock();
            if !planted(Bug::KeepStateInDoubt) {
                inner.generation += 1;
            }
            inner.phase = Phase::Recovering;
            self.board.lock().clear();
            inner.waiting.after(doubtful)
        };
        self.phase_changed.notify_waiters();
        superseded.into_iter().for_each(|(_, tell)| tell(Err(Fault::Superseded)));
    }

    /// The doubt is over: what the log says is so. A unit that was refused for good hears its own fault.
    pub fn resume(&self, state: &PartitionState, timers: Timers, guilty: Option<Guilty>) {
        let (written, unwritten) = {
            let mut inner = self.inner.lock();
            inner.phase = Phase::Serving;
            inner.epoch = state.epoch;
            inner.head = state.head;
            inner.durable = state.head;
            inner.last_at = inner.last_at.max(state.last_at);
            inner.deadlines.renew(timers);
            let unwritten = inner.waiting.after(state.head);
            (std::mem::take(&mut inner.waiting).0, unwritten)
        };
        self.phase_changed.notify_waiters();
        self.waits_changed.notify_one();
        written.into_iter().for_each(|(_, tell)| tell(Ok(())));
        let mut guilty = guilty;
        for (position, tell) in unwritten {
            // The first to wait at the guilty unit's end is the unit itself; the others only saw what it promised.
            let own = guilty.take_if(|(last, _)| *last == position).map(|(_, fault)| fault);
            tell(Err(own.unwrap_or(Fault::Superseded)));
        }
    }

    /// Another node writes here, or the log is beyond reach for good: nothing is decided here any more.
    pub fn lose(&self, doubt: &Fault) {
        let waiting = {
            let mut inner = self.inner.lock();
            inner.generation += 1;
            inner.phase = Phase::Lost;
            self.board.lock().clear();
            std::mem::take(&mut inner.waiting)
        };
        self.phase_changed.notify_waiters();
        waiting.0.into_iter().for_each(|(_, tell)| tell(Err(doubt.clone())));
    }
}

impl Inner {
    fn answer(&mut self, position: Position, tell: Tell) {
        if position <= self.durable {
            tell(Ok(()));
        } else {
            self.waiting.push(position, tell);
        }
    }
}

/// Who waits for which position, in its order; of one position, in the order of waiting.
#[derive(Default)]
struct Waiting(VecDeque<(Position, Tell)>);

impl Waiting {
    /// Nearly all wait for the newest position of all.
    fn push(&mut self, position: Position, tell: Tell) {
        if self.0.back().is_none_or(|(last, _)| *last <= position) {
            self.0.push_back((position, tell));
        } else {
            let behind = self.0.partition_point(|(other, _)| *other <= position);
            self.0.insert(behind, (position, tell));
        }
    }

    /// Takes out those who wait for `position` or an earlier one.
    fn up_to(&mut self, position: Position) -> VecDeque<(Position, Tell)> {
        let later = self.after(position);
        std::mem::replace(&mut self.0, later)
    }

    /// Takes out those who wait for a later one.
    fn after(&mut self, position: Position) -> VecDeque<(Position, Tell)> {
        let first = self.0.partition_point(|(other, _)| *other <= position);
        self.0.split_off(first)
    }
}

/// The partition, held for one decision.
pub struct Turn<'a> {
    sequencer: &'a Sequencer,
    inner: MutexGuard<'a, Inner>,
}

impl Turn<'_> {
    /// Stamps the log's time for this decision.
    pub fn stamp(&mut self) -> Timestamp {
        self.inner.last_at = self.inner.last_at.max(self.sequencer.time.now());
        self.inner.last_at
    }

    pub fn head(&self) -> Position {
        self.inner.head
    }

    pub fn epoch(&self) -> Epoch {
        self.inner.epoch
    }

    /// What must not happen: a position that no record will have. Only a planted bug does it.
    pub fn lose_a_position(&mut self) {
        self.inner.head = self.inner.head.next();
    }

    /// What a neighbour shows, and the position that must be durable before anybody may hear of it.
    pub fn notice(&self, stream: &StreamId) -> Option<(Notice, Position)> {
        self.sequencer.board.lock().get(stream).cloned()
    }

    pub fn post(&mut self, stream: &StreamId, notice: Option<Notice>, shown: Position) {
        let mut board = self.sequencer.board.lock();
        match notice {
            Some(notice) => drop(board.insert(stream.clone(), (notice, shown))),
            None => drop(board.remove(stream)),
        }
    }

    /// Tells when everything up to `position` is durable; at once if it is.
    pub fn answer(&mut self, position: Position, tell: Tell) {
        self.inner.answer(position, tell);
    }

    pub fn partition(&self) -> Partition {
        self.sequencer.partition
    }

    /// Refuses a unit that could never be written, before anything changed.
    pub fn check_size(events: usize, bytes: usize) -> Result<usize, Fault> {
        if events > limits::UNIT_EVENTS || bytes > limits::UNIT_BYTES {
            return Err(Fault::Rejected {
                detail: format!("a unit of {events} events and {bytes} bytes is too large"),
            });
        }
        Ok(bytes)
    }

    /// Queues a unit whose records carry positions from `head()` on; `tell` hears when it is durable, or comes back.
    /// What the stream shows from now on is posted with it.
    pub fn append(
        mut self,
        unit: Unit,
        bytes: usize,
        (lead, notice): (&StreamId, Option<Notice>),
        tell: Tell,
    ) -> Result<(), (Fault, Tell)> {
        let timers = unit.timers.clone();
        let queued = Queued { partition: self.partition(), generation: self.inner.generation, unit, bytes };
        let last = queued.last();
        self.sequencer.newcomers.note(queued.unit.records.iter().map(|record| &record.stream));
        // Admission keeps fewer commands under way than the lane has room for, so "full" cannot be; "closed" can.
        if self.sequencer.lane.try_send(queued).is_err() {
            return Err((Fault::unavailable("the node is shutting down"), tell));
        }
        for TimerChange { stream, due } in &timers {
            self.inner.deadlines.set(stream, *due);
            if due.is_some() && stream.waiting().is_some() {
                self.sequencer.waits_changed.notify_one();
            }
        }
        self.inner.head = last;
        self.post(lead, notice, last);
        if planted(Bug::AckBeforeCommit) {
            tell(Ok(()));
            return Ok(());
        }
        self.inner.waiting.push(last, tell);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
