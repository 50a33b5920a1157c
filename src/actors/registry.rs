//! Who is awake? The actors of a node by stream; wakes those that are not, many with one load.
//!
//! Whoever wants to speak to an actor holds a [`Lease`] on it, given out only under the registry's lock. An actor leaves
//! only while nobody holds one and everything it showed is durable: so no stream ever has two actors, and none is loaded
//! while units of it are under way.
//!
//! A sale wakes tens of thousands of seats, each for one command. Such a stream *rests* afterwards: its state stays here, as
//! it is, and its actor serves other streams. Whoever asks for it again is given an actor with that state.

use std::any::Any;
use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use foldhash::quality::FixedState;
use parking_lot::Mutex;
use ractor::ActorRef;
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::cell::Cell;
use super::idle::{self, Idle};
use super::node::Node;
use super::shell::Message;
use crate::domain::Aggregate;
use crate::fault::Fault;
use crate::ids::{Partition, Position, StreamId};
use crate::limits;
use crate::planted::{Bug, planted};

mod handle;
mod load;

pub use handle::{Handle, Lease};
use handle::{handle, other_rules};
use load::{load, start};

enum Slot {
    /// Somebody loads it; all who wait are told when that ended, well or not, in the order of their waiting.
    Loading(Arc<Notify>),
    Awake(Arc<Handle>),
    /// In memory without an actor, since that second of the node's clock.
    Resting(Box<dyn Rested>, u64),
}

impl Slot {
    fn is(&self, handle: *const Handle) -> bool {
        matches!(self, Self::Awake(here) if std::ptr::eq(Arc::as_ptr(here), handle))
    }

    /// That of the state which is in memory.
    fn generation(&self) -> Option<u64> {
        match self {
            Self::Loading(_) => None,
            Self::Awake(handle) => Some(handle.generation),
            Self::Resting(cell, _) => Some(cell.generation()),
        }
    }
}

/// A `Cell<A>`, without its type. What it shows may not be durable yet.
trait Rested: Any + Send {
    fn generation(&self) -> u64;
    fn shown(&self) -> Position;
}

impl<A: Aggregate> Rested for Cell<A> {
    fn generation(&self) -> u64 {
        self.generation
    }

    fn shown(&self) -> Position {
        self.shown
    }
}

/// A hash with a seed of the node's own: names are chosen outside, and a run must be repeatable.
type Slots = HashMap<StreamId, Slot, FixedState>;

pub struct Registry {
    /// One map per partition: they have nothing to do with each other.
    slots: Vec<Mutex<Slots>>,
    awake: AtomicUsize,
    idle: Arc<Idle>,
}

/// What waking found under the lock.
struct Found {
    leases: Vec<Option<Lease>>,
    /// Index and stream of those that we load.
    ours: Vec<(usize, StreamId)>,
    /// Somebody else loads it; look again when that ended.
    theirs: Option<OwnedNotified>,
    /// So many rest, and there was no actor for them.
    lacking: usize,
}

/// Actors that were started for streams that rest, where too few had nothing to do. Those that are not needed in the end wait
/// with the others.
struct Spares<'a, A: Aggregate> {
    idle: &'a Idle,
    actors: Vec<ActorRef<Message<A>>>,
}

impl<A: Aggregate> Drop for Spares<'_, A> {
    fn drop(&mut self) {
        self.actors.drain(..).for_each(|actor| self.idle.keep::<A>(Box::new(actor)));
    }
}

impl Registry {
    pub fn new(partitions: u16, seed: u64) -> Self {
        let slots = || Mutex::new(Slots::with_hasher(FixedState::with_seed(seed)));
        Self { slots: (0..partitions).map(|_| slots()).collect(), awake: AtomicUsize::new(0), idle: Arc::default() }
    }

    pub fn awake(&self) -> usize {
        self.awake.load(Ordering::Relaxed)
    }

    /// The lease on an actor that is awake already: the way of nearly all commands to something hot.
    pub fn awake_one(&self, node: &Node, partition: Partition, stream: &StreamId) -> Result<Option<Lease>, Fault> {
        let generation = node.sequencer(partition).generation()?;
        let slots = self.slots[usize::from(partition.0)].lock();
        let Some(Slot::Awake(handle)) = slots.get(stream) else { return Ok(None) };
        if handle.generation != generation {
            return Ok(None);
        }
        handle.last_used.store(node.clock.elapsed().as_secs(), Ordering::Relaxed);
        Ok(Some(handle.clone()))
    }

    /// Leases on the actors of `streams`, all of `partition`, in their order.
    pub async fn wake<A: Aggregate>(
        &self,
        node: &Arc<Node>,
        partition: Partition,
        streams: &[StreamId],
    ) -> Result<Vec<Lease>, Fault> {
        let mut spares = Spares { idle: &self.idle, actors: Vec::new() };
        loop {
            let generation = node.sequencer(partition).generation()?;
            let ended = Arc::new(Notify::new());
            let mut found = self.look::<A>(node, partition, generation, streams, &ended, &mut spares)?;
            if found.lacking > 0 {
                for _ in 0..found.lacking {
                    spares.actors.push(start::<A>(node).await?);
                }
                continue;
            }
            if !found.ours.is_empty() {
                let claims = Claims { registry: self, partition, streams: &found.ours, ended };
                let woken = load::<A>(node, partition, generation, &found.ours).await;
                let mut slots = self.slots[usize::from(partition.0)].lock();
                for ((index, stream), handle) in found.ours.iter().zip(woken?) {
                    // A generation that ended meanwhile has emptied the map; its actors refuse every turn.
                    slots.insert(stream.clone(), Slot::Awake(handle.clone()));
                    self.awake.fetch_add(1, Ordering::Relaxed);
                    found.leases[*index] = Some(handle);
                }
                drop(slots);
                drop(claims);
            }
            match found.theirs {
                Some(theirs) => theirs.await,
                None => return Ok(found.leases.into_iter().flatten().collect()),
            }
        }
    }

    fn look<A: Aggregate>(
        &self,
        node: &Node,
        partition: Partition,
        generation: u64,
        streams: &[StreamId],
        ended: &Arc<Notify>,
        spares: &mut Spares<'_, A>,
    ) -> Result<Found, Fault> {
        let mut found = Found { leases: vec![None; streams.len()], ours: Vec::new(), theirs: None, lacking: 0 };
        let now = node.clock.elapsed().as_secs();
        let mut slots = self.slots[usize::from(partition.0)].lock();
        for (index, stream) in streams.iter().enumerate() {
            match slots.get(stream) {
                // A partition began anew between our question and the lock; what is here is younger than what we would load.
                Some(slot) if slot.generation() > Some(generation) => return Err(Fault::Superseded),
                Some(Slot::Awake(handle)) if handle.generation == generation => {
                    handle.last_used.store(now, Ordering::Relaxed);
                    found.leases[index] = Some(handle.clone());
                }
                Some(Slot::Resting(cell, _)) if cell.generation() == generation => {
                    found.leases[index] = self.rise(&mut slots, stream, partition, now, spares)?;
                    found.lacking += usize::from(found.leases[index].is_none());
                }
                Some(Slot::Loading(theirs)) => found.theirs = Some(theirs.clone().notified_owned()),
                Some(Slot::Awake(_) | Slot::Resting(..)) | None => found.ours.push((index, stream.clone())),
            }
        }
        if found.theirs.is_some() || found.lacking > 0 {
            // All or nothing: what we would load now, we load when the others are done.
            found.ours.clear();
        }
        for (_, stream) in &found.ours {
            let before = slots.insert(stream.clone(), Slot::Loading(ended.clone()));
            let stale = matches!(before, Some(Slot::Awake(_) | Slot::Resting(..)));
            self.awake.fetch_sub(usize::from(stale), Ordering::Relaxed);
        }
        Ok(found)
    }

    /// What rests is given an actor that has nothing to do; `None`: there is none, and it goes on resting.
    fn rise<A: Aggregate>(
        &self,
        slots: &mut Slots,
        stream: &StreamId,
        partition: Partition,
        now: u64,
        spares: &mut Spares<'_, A>,
    ) -> Result<Option<Lease>, Fault> {
        let Some((stream, Slot::Resting(cell, since))) = slots.remove_entry(stream) else { return Ok(None) };
        let generation = cell.generation();
        let cell: Box<dyn Any + Send> = cell;
        // A stream's name begins with its noun.
        let cell = cell.downcast::<Cell<A>>().map_err(|_| other_rules(&stream))?;
        let entered = self.idle.take(cell).or_else(|cell| match spares.actors.pop() {
            Some(actor) => idle::enter(actor, cell),
            None => Err(cell),
        });
        match entered {
            Ok(actor) => {
                let lease = handle(actor, stream.clone(), partition, generation, self.idle.clone(), now);
                slots.insert(stream, Slot::Awake(lease.clone()));
                Ok(Some(lease))
            }
            Err(cell) => {
                slots.insert(stream, Slot::Resting(cell, since));
                Ok(None)
            }
        }
    }

    /// The actor lets go of its state, which stays here; it comes back if somebody can be about to speak to it, or if its
    /// neighbours read its notice.
    pub fn rest<A: Aggregate>(&self, lease: &Lease, cell: Box<Cell<A>>) -> Option<Box<Cell<A>>> {
        let mut slots = self.slots[usize::from(lease.partition.0)].lock();
        // As in `leave`.
        let alone = Arc::strong_count(lease) <= 2 && cell.notice().is_none();
        match slots.get_mut(&lease.stream) {
            Some(slot) if alone && slot.is(Arc::as_ptr(lease)) => {
                *slot = Slot::Resting(cell, lease.last_used.load(Ordering::Relaxed));
                None
            }
            _ => Some(cell),
        }
    }

    /// The actor asks to leave; granted if nobody can be about to speak to it.
    pub fn leave(&self, lease: &Lease) -> bool {
        let mut slots = self.slots[usize::from(lease.partition.0)].lock();
        // The one in the actor's hand and the registry's own; every other one is somebody who may send.
        let alone = Arc::strong_count(lease) <= 2;
        alone && self.remove(&mut slots, &lease.stream, Arc::as_ptr(lease))
    }

    /// The actor must not be used again, whoever holds a lease on it. Everything it showed must be durable.
    pub fn expel(&self, partition: Partition, stream: &StreamId, actor: &Weak<Handle>) {
        let mut slots = self.slots[usize::from(partition.0)].lock();
        self.remove(&mut slots, stream, actor.as_ptr());
    }

    /// Unless another one has taken its place.
    fn remove(&self, slots: &mut Slots, stream: &StreamId, handle: *const Handle) -> bool {
        let here = slots.get(stream).is_some_and(|slot| slot.is(handle));
        if here {
            slots.remove(stream);
            self.awake.fetch_sub(1, Ordering::Relaxed);
        }
        here
    }

    /// Drops every actor of a partition: their states may show what never came true.
    pub fn forget(&self, partition: Partition) {
        let mut slots = self.slots[usize::from(partition.0)].lock();
        slots.retain(|_, slot| {
            if let Slot::Awake(handle) = slot {
                // So that it lets go of its state, before it waits for another stream.
                handle.clone().ask_to_leave();
            }
            let stays = matches!(slot, Slot::Loading(_));
            self.awake.fetch_sub(usize::from(!stays), Ordering::Relaxed);
            stays
        });
    }

    /// From now on an actor that nobody needs any more ends.
    pub fn close(&self) {
        self.idle.close();
    }

    /// Asks actors that were idle for long to leave; sooner where too many streams are in memory. Ends those that wait in
    /// vain.
    pub fn sweep(&self, node: &Node) {
        self.idle.thin();
        let awake = self.awake();
        let idle = if awake > limits::ACTORS_AWAKE { Duration::from_secs(1) } else { limits::ACTOR_IDLE };
        self.ask_idle_to_leave(node, node.clock.elapsed(), idle);
    }

    /// Asks every actor that nobody spoke to for `idle` to leave, and lets go of what has rested for so long.
    pub fn ask_idle_to_leave(&self, node: &Node, now: Duration, idle: Duration) {
        let has_passed = |since: u64, time: Duration| now.as_secs().saturating_sub(since) >= time.as_secs();
        let is_idle = |since| has_passed(since, idle);
        for (sequencer, slots) in node.sequencers.iter().zip(&self.slots) {
            // Before the lock: who has a turn may want it.
            let durable = sequencer.durable();
            slots.lock().retain(|_, slot| {
                let stays = match slot {
                    Slot::Awake(handle) => {
                        let since = handle.last_used.load(Ordering::Relaxed);
                        if is_idle(since) {
                            handle.clone().ask_to_leave();
                        } else if let Some(rest) = handle.rest
                            && has_passed(since, limits::ACTOR_RESTS)
                        {
                            // Woken, and then nobody spoke to it.
                            rest(handle.clone());
                        }
                        true
                    }
                    Slot::Resting(cell, since) => {
                        !is_idle(*since) || (cell.shown() > durable && !planted(Bug::LeaveEarly))
                    }
                    Slot::Loading(_) => true,
                };
                self.awake.fetch_sub(usize::from(!stays), Ordering::Relaxed);
                stays
            });
        }
    }
}

/// Marks streams as being loaded; whatever happens, the marks go and those who wait look again.
struct Claims<'a> {
    registry: &'a Registry,
    partition: Partition,
    streams: &'a [(usize, StreamId)],
    ended: Arc<Notify>,
}

impl Drop for Claims<'_> {
    fn drop(&mut self) {
        let mut slots = self.registry.slots[usize::from(self.partition.0)].lock();
        for (_, stream) in self.streams {
            if matches!(slots.get(stream), Some(Slot::Loading(ended)) if Arc::ptr_eq(ended, &self.ended)) {
                slots.remove(stream);
            }
        }
        drop(slots);
        self.ended.notify_waiters();
    }
}

#[cfg(test)]
mod tests;
