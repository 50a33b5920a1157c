//! What becomes of an actor whose stream rests or has left memory? It waits here for the next stream of its noun.
//!
//! An order's or a seat's actor is needed for one command, and to start one costs more than the command: its channels alone are
//! some kilobytes of fresh memory. Only actors that nobody can speak to any more come here; what they may still know is of no use.
//! Those that nobody needed for a while end: a few that stay, each on a page of memory of its own, would keep all the
//! memory of a sale that is over.

use std::any::{Any, TypeId};
use std::collections::HashMap;

use parking_lot::Mutex;
use ractor::{ActorRef, ActorStatus, MessagingErr};

use super::cell::Cell;
use super::shell::Message;
use crate::domain::Aggregate;
use crate::limits;

type Waiting = Pool<Box<dyn Any + Send + Sync>>;

pub struct Idle {
    /// By noun; `None` once the node stops.
    waiting: Mutex<Option<HashMap<TypeId, (Stop, Waiting)>>>,
}

type Stop = fn(&(dyn Any + Send + Sync));

/// What waits, newest last, and how few of it there were since the last look: so many were not needed.
struct Pool<T> {
    all: Vec<T>,
    least: usize,
}

impl<T> Pool<T> {
    const fn new() -> Self {
        Self { all: Vec::new(), least: 0 }
    }

    fn push(&mut self, one: T) {
        self.all.push(one);
    }

    fn pop(&mut self) -> Option<T> {
        let one = self.all.pop();
        self.least = self.least.min(self.all.len());
        one
    }

    /// Those that were not needed since the last look.
    fn unneeded(&mut self) -> Vec<T> {
        let out = self.all.drain(..self.least).collect();
        self.least = self.all.len();
        out
    }
}

impl Default for Idle {
    fn default() -> Self {
        Self { waiting: Mutex::new(Some(HashMap::new())) }
    }
}

impl Idle {
    /// Takes in an `ActorRef<Message<A>>`; where there is no room for it, or it has ended by itself, it goes.
    pub fn keep<A: Aggregate>(&self, actor: Box<dyn Any + Send + Sync>) {
        let lives = |actor: &ActorRef<Message<A>>| actor.get_status() < ActorStatus::Draining;
        if !actor.downcast_ref().is_some_and(lives) {
            return;
        }
        let mut waiting = self.waiting.lock();
        let of_noun = waiting.as_mut().map(|all| all.entry(TypeId::of::<A>()).or_insert((stop::<A>, Pool::new())));
        match of_noun {
            Some((_, waiting)) if waiting.all.len() < limits::ACTORS_WAITING => waiting.push(actor),
            _ => stop::<A>(&*actor),
        }
    }

    /// An actor that goes on with `cell`; without one that waits, the cell comes back.
    pub fn take<A: Aggregate>(&self, mut cell: Box<Cell<A>>) -> Result<ActorRef<Message<A>>, Box<Cell<A>>> {
        loop {
            let found = self.waiting.lock().as_mut().and_then(|all| all.get_mut(&TypeId::of::<A>())?.1.pop());
            let Some(Ok(actor)) = found.map(|actor| actor.downcast::<ActorRef<Message<A>>>()) else { return Err(cell) };
            match enter(*actor, cell) {
                Ok(actor) => return Ok(actor),
                // It ended while it waited.
                Err(back) => cell = back,
            }
        }
    }

    /// Ends those that were not needed since the last time.
    pub fn thin(&self) {
        let mut waiting = self.waiting.lock();
        let Some(all) = waiting.as_mut() else { return };
        for (stop, waiting) in all.values_mut() {
            waiting.unneeded().iter().for_each(|actor| stop(&**actor));
        }
    }

    /// Ends those who wait; whoever comes later is not kept.
    pub fn close(&self) {
        let all = self.waiting.lock().take().unwrap_or_default();
        all.into_values().for_each(|(stop, waiting)| waiting.all.iter().for_each(|actor| stop(&**actor)));
    }
}

/// The actor goes on with `cell`, which comes back if it has ended.
pub fn enter<A: Aggregate>(
    actor: ActorRef<Message<A>>,
    cell: Box<Cell<A>>,
) -> Result<ActorRef<Message<A>>, Box<Cell<A>>> {
    match actor.cast(Message::Enter(cell)) {
        Ok(()) => Ok(actor),
        Err(MessagingErr::SendErr(Message::Enter(back))) => Err(back),
        Err(_) => unreachable!("what could not be sent comes back"),
    }
}

fn stop<A: Aggregate>(actor: &(dyn Any + Send + Sync)) {
    if let Some(actor) = actor.downcast_ref::<ActorRef<Message<A>>>() {
        actor.stop(None);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_needed_stays_and_the_rest_ends() {
        let mut pool = Pool::<i32>::new();
        (1..=10).for_each(|n| pool.push(n));
        assert!(pool.unneeded().is_empty(), "they have just come");
        // Four are needed at the same time, again and again.
        for _ in 0..3 {
            let out: Vec<i32> = (0..4).filter_map(|_| pool.pop()).collect();
            assert_eq!(out.len(), 4);
            out.into_iter().for_each(|one| pool.push(one));
        }
        assert_eq!(pool.unneeded().len(), 6);
        assert_eq!(pool.all.len(), 4);
        assert_eq!(pool.unneeded().len(), 4, "nobody needed any");
        assert!(pool.pop().is_none() && pool.unneeded().is_empty());
    }
}
