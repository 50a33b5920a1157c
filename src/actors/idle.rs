//! What becomes of an actor whose stream has left memory? It waits here for the next stream of its noun.
//!
//! An order's actor is needed for one command, and to start one costs more than the command: its channels alone are some
//! kilobytes of fresh memory. Only actors that nobody can speak to any more come here; what they knew they have let go of.

use std::any::{Any, TypeId};
use std::collections::HashMap;

use parking_lot::Mutex;
use ractor::{ActorRef, ActorStatus, MessagingErr};

use super::cell::Cell;
use super::shell::Message;
use crate::domain::Aggregate;
use crate::limits;

type Actors = Vec<Box<dyn Any + Send + Sync>>;

pub struct Idle {
    /// By noun; `None` once the node stops.
    waiting: Mutex<Option<HashMap<TypeId, (Stop, Actors)>>>,
}

type Stop = fn(&(dyn Any + Send + Sync));

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
        let of_noun = waiting.as_mut().map(|all| all.entry(TypeId::of::<A>()).or_insert((stop::<A>, Actors::new())));
        match of_noun {
            Some((_, actors)) if actors.len() < limits::ACTORS_WAITING => actors.push(actor),
            _ => stop::<A>(&*actor),
        }
    }

    /// An actor that goes on with `cell`; without one that waits, the cell comes back.
    pub fn take<A: Aggregate>(&self, cell: Cell<A>) -> Result<ActorRef<Message<A>>, Box<Cell<A>>> {
        let mut cell = Box::new(cell);
        loop {
            let found = self.waiting.lock().as_mut().and_then(|all| all.get_mut(&TypeId::of::<A>())?.1.pop());
            let Some(Ok(actor)) = found.map(|actor| actor.downcast::<ActorRef<Message<A>>>()) else { return Err(cell) };
            match actor.cast(Message::Enter(cell)) {
                Ok(()) => return Ok(*actor),
                // It ended while it waited.
                Err(MessagingErr::SendErr(Message::Enter(back))) => cell = back,
                Err(_) => unreachable!("what could not be sent comes back"),
            }
        }
    }

    /// Ends those who wait; whoever comes later is not kept.
    pub fn close(&self) {
        let all = self.waiting.lock().take().unwrap_or_default();
        all.into_values().for_each(|(stop, actors)| actors.iter().for_each(|actor| stop(&**actor)));
    }
}

fn stop<A: Aggregate>(actor: &(dyn Any + Send + Sync)) {
    if let Some(actor) = actor.downcast_ref::<ActorRef<Message<A>>>() {
        actor.stop(None);
    }
}
