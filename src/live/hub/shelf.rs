//! Which topics of a partition are in memory, and who keeps them up to date? One shelf per partition, with one pump that
//! follows the log while there is anything on it.

use std::collections::HashMap;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::watch;
use tokio::time::Sleep;

use super::room::{Closed, Room};
use super::{Inner, WatchError};
use crate::events::Record;
use crate::fault::Fault;
use crate::ids::{LogPosition, Partition, Position};
use crate::limits;
use crate::live::topics::{Fold, Topic, Unit};
use crate::telemetry;

pub(super) struct Shelf {
    state: Mutex<Rooms>,
    /// Everything up to here has reached the rooms.
    progress: watch::Sender<Position>,
}

#[derive(Default)]
struct Rooms {
    by_key: HashMap<String, Entry>,
    /// Everything up to here has been handed out; a room that comes now gets what is after it.
    cursor: Position,
    pumping: bool,
}

struct Entry {
    room: Arc<Room>,
    users: usize,
    /// Since when nobody uses it.
    idle_since: Option<Duration>,
}

impl Default for Shelf {
    fn default() -> Self {
        Self { state: Mutex::default(), progress: watch::Sender::new(Position(0)) }
    }
}

/// Somebody uses a room; dropping this lets go of it at once.
pub(super) struct Stay {
    inner: Arc<Inner>,
    pub room: Arc<Room>,
}

impl Drop for Stay {
    fn drop(&mut self) {
        self.inner.leave(&self.room);
    }
}

impl Inner {
    fn shelf(&self, partition: Partition) -> Result<&Shelf, Fault> {
        self.shelves.get(usize::from(partition.0)).ok_or_else(|| Fault::internal("a partition that is not there"))
    }

    /// The topic's room, which is made and loaded if there is none.
    pub fn enter(self: &Arc<Self>, topic: &Topic, partition: Partition) -> Result<Stay, WatchError> {
        if self.stop.is_cancelled() {
            return Err(Closed::Stopped.into());
        }
        let key = topic.key();
        let shelf = self.shelf(partition)?;
        if let Some(stay) = self.enter_known(&mut shelf.state.lock(), &key) {
            return Ok(stay);
        }
        // Counting looks at every room of the node: only a room that would be new is worth it.
        if matches!(topic, Topic::Seats(_)) && !self.has_room_for_seats() {
            metrics::counter!(telemetry::WATCHERS_REFUSED, "why" => "topics").increment(1);
            return Err(WatchError::Full);
        }
        let mut rooms = shelf.state.lock();
        if let Some(stay) = self.enter_known(&mut rooms, &key) {
            return Ok(stay);
        }
        if !rooms.pumping {
            rooms.pumping = true;
            rooms.cursor = self.follow.head(partition);
            shelf.progress.send_replace(rooms.cursor);
            self.tracker.spawn(self.clone().pump(partition, rooms.cursor));
        }
        let room = Arc::new(Room::new(topic.clone(), key.clone(), partition));
        rooms.by_key.insert(key, Entry { room: room.clone(), users: 1, idle_since: None });
        self.tracker.spawn(self.clone().load(room.clone(), rooms.cursor));
        Ok(Stay { inner: self.clone(), room })
    }

    fn enter_known(self: &Arc<Self>, rooms: &mut Rooms, key: &str) -> Option<Stay> {
        let entry = rooms.by_key.get_mut(key)?;
        entry.users += 1;
        entry.idle_since = None;
        Some(Stay { inner: self.clone(), room: entry.room.clone() })
    }

    fn has_room_for_seats(&self) -> bool {
        let full = || self.count(|entry| matches!(entry.room.topic, Topic::Seats(_))) >= limits::SEAT_MAPS;
        if full() {
            self.sweep_all();
        }
        !full()
    }

    fn leave(&self, room: &Arc<Room>) {
        let Ok(shelf) = self.shelf(room.partition) else { return };
        let mut rooms = shelf.state.lock();
        let Some(entry) = rooms.by_key.get_mut(&room.key).filter(|entry| Arc::ptr_eq(&entry.room, room)) else {
            return;
        };
        entry.users -= 1;
        if entry.users > 0 {
            return;
        }
        if matches!(room.topic, Topic::Seats(_)) {
            // A seat map is dear to load and somebody will ask again soon.
            entry.idle_since = Some(self.clock.elapsed());
        } else {
            rooms.by_key.remove(&room.key);
        }
    }

    /// Takes a room off the shelf and tells its watchers why.
    fn give_up(&self, room: &Arc<Room>, why: Closed) {
        if let Ok(shelf) = self.shelf(room.partition) {
            let mut rooms = shelf.state.lock();
            if rooms.by_key.get(&room.key).is_some_and(|entry| Arc::ptr_eq(&entry.room, room)) {
                rooms.by_key.remove(&room.key);
            }
        }
        if let Closed::Failed(fault) = &why {
            tracing::error!(topic = %room.key, %fault, "a live topic was given up");
        }
        room.close(why);
    }

    fn count(&self, which: impl Fn(&Entry) -> bool) -> usize {
        self.shelves.iter().map(|shelf| shelf.state.lock().by_key.values().filter(|entry| which(entry)).count()).sum()
    }

    pub fn topics(&self) -> usize {
        self.count(|_| true)
    }

    /// Everything durable when this is called has reached the rooms when it returns, unless that takes too long.
    pub async fn caught_up(&self, partition: Partition) -> Result<(), Fault> {
        let head = self.follow.head(partition);
        let mut progress = self.shelf(partition)?.progress.subscribe();
        let reached = progress.wait_for(|position| *position >= head);
        match tokio::time::timeout(limits::SEAT_MAP_WAIT, reached).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Fault::unavailable("the seat map is behind the log")),
        }
    }

    /// Lets go of what nobody used for a while; `true` when the shelf is empty and its pump is done.
    fn sweep(&self, partition: Partition, linger: Duration) -> bool {
        let Ok(shelf) = self.shelf(partition) else { return true };
        let now = self.clock.elapsed();
        let mut rooms = shelf.state.lock();
        let stale = |since: Duration| now.saturating_sub(since) >= linger;
        rooms.by_key.retain(|_, entry| !entry.idle_since.is_some_and(stale));
        rooms.by_key.is_empty()
    }

    fn sweep_all(&self) {
        for partition in 0..self.shelves.len() {
            self.sweep(Partition(u16::try_from(partition).unwrap_or(u16::MAX)), Duration::ZERO);
        }
    }

    /// Ends the pump if there is nothing left to keep up to date.
    pub fn retire(&self, partition: Partition) -> bool {
        if !self.sweep(partition, limits::TOPIC_LINGER) {
            return false;
        }
        let Ok(shelf) = self.shelf(partition) else { return true };
        let mut rooms = shelf.state.lock();
        // Somebody may have come in between.
        let done = rooms.by_key.is_empty();
        rooms.pumping = !done;
        done
    }

    /// Reads the topic's state in a task of its own, so that a big house holds up nobody else.
    async fn load(self: Arc<Self>, room: Arc<Room>, as_of: Position) {
        if let Err(why) = self.try_load(&room, as_of).await {
            self.give_up(&room, why);
        }
    }

    async fn try_load(&self, room: &Room, mut as_of: Position) -> Result<(), Closed> {
        let partition = room.partition;
        let failed = Closed::Failed;
        let mut waited = false;
        loop {
            let now = self.clock.wall();
            let loaded = Fold::load(&*self.journal, &room.topic, partition, as_of, now, self.window.as_ref())
                .await
                .map_err(failed)?;
            match loaded {
                Some((fold, last)) => {
                    if room.open(fold, last, as_of).map_err(failed)? {
                        return Ok(());
                    }
                    // More happened meanwhile than a room may hold back: begin again from where the pump is now.
                }
                // Who was told of a new thing a moment ago may be here before the pump is.
                None if !waited => {
                    waited = true;
                    self.follow.refresh().await;
                    if self.follow.head(partition) <= as_of {
                        return Err(Closed::Missing);
                    }
                    self.caught_up(partition).await.map_err(failed)?;
                }
                None => return Err(Closed::Missing),
            }
            as_of = self.shelf(partition).map_err(failed)?.state.lock().cursor;
        }
    }

    /// Follows one partition while there are rooms in it.
    async fn pump(self: Arc<Self>, partition: Partition, mut cursor: Position) {
        let mut sweep = tokio::time::interval(limits::TOPIC_SWEEP);
        sweep.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let _interest = self.follow.interest(partition);
        let mut untold = Untold::default();
        loop {
            // One reading at a time, and it is never dropped in the middle only because a sweep is due.
            let next = self.follow.next(partition, cursor);
            tokio::pin!(next);
            let batch = loop {
                tokio::select! {
                    biased;
                    () = self.stop.cancelled() => return self.close_all(partition),
                    () = untold.due() => untold.tell(self.clock.elapsed()),
                    got = &mut next => break got,
                    _ = sweep.tick() => if self.retire(partition) { return },
                }
            };
            match batch {
                Ok(records) => {
                    cursor = self.route(partition, cursor, &records, &mut untold);
                    untold.tell(self.clock.elapsed());
                }
                Err(fault) => {
                    tracing::warn!(%partition, %fault, "the log cannot be followed, watchers wait");
                    tokio::select! {
                        () = self.stop.cancelled() => {}
                        () = tokio::time::sleep(limits::HEARTBEAT) => {}
                    }
                }
            }
        }
    }

    fn close_all(&self, partition: Partition) {
        let Ok(shelf) = self.shelf(partition) else { return };
        let gone = {
            let mut rooms = shelf.state.lock();
            rooms.pumping = false;
            std::mem::take(&mut rooms.by_key)
        };
        for entry in gone.into_values() {
            entry.room.close(Closed::Stopped);
        }
    }

    /// Hands each room its part of each unit.
    fn route(&self, partition: Partition, cursor: Position, records: &[Arc<Record>], untold: &mut Untold) -> Position {
        let Ok(shelf) = self.shelf(partition) else { return cursor };
        let Some(last) = records.last() else { return cursor };
        let plan = {
            let mut rooms = shelf.state.lock();
            rooms.cursor = last.position;
            rooms.plan(records)
        };
        for (room, units) in plan {
            match room.deliver(units) {
                Ok(()) => untold.add(room),
                Err(fault) => self.give_up(&room, Closed::Failed(fault)),
            }
        }
        shelf.progress.send_replace(last.position);
        last.position
    }
}

/// Rooms with something new of which their watchers do not know yet.
#[derive(Default)]
struct Untold {
    rooms: Vec<Arc<Room>>,
    /// When the first of them may be told.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Untold {
    fn add(&mut self, room: Arc<Room>) {
        if !self.rooms.iter().any(|known| Arc::ptr_eq(known, &room)) {
            self.rooms.push(room);
        }
    }

    /// Never, where everybody knows everything.
    async fn due(&mut self) {
        match &mut self.pause {
            Some(pause) => pause.await,
            None => std::future::pending().await,
        }
    }

    /// Tells those that may be told.
    fn tell(&mut self, now: Duration) {
        let mut first: Option<Duration> = None;
        self.rooms.retain(|room| {
            let Err(wait) = room.tell(now) else { return false };
            first = Some(first.map_or(wait, |first| first.min(wait)));
            true
        });
        self.pause = first.map(|wait| Box::pin(tokio::time::sleep(wait)));
    }
}

impl Rooms {
    fn plan(&self, records: &[Arc<Record>]) -> Vec<(Arc<Room>, Vec<Unit>)> {
        let mut plan: Vec<(Arc<Room>, Vec<Unit>)> = Vec::new();
        let mut places: HashMap<&str, usize> = HashMap::new();
        for unit in records.split_inclusive(|record| record.unit_last) {
            let Some(last) = unit.last() else { continue };
            let end = LogPosition { partition: last.partition, position: last.position };
            for record in unit {
                let Some(key) = Topic::key_of(&record.stream) else { continue };
                let Some(entry) = self.by_key.get(key) else { continue };
                let place = *places.entry(key).or_insert_with(|| {
                    plan.push((entry.room.clone(), Vec::new()));
                    plan.len() - 1
                });
                let units = &mut plan[place].1;
                match units.last_mut() {
                    Some(same) if same.end == end => same.records.push(record.clone()),
                    _ => units.push(Unit { records: vec![record.clone()], end, at: last.at }),
                }
            }
        }
        plan
    }
}
