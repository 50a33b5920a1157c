//! How is an actor spoken to? A handle knows it, a lease is the right to use the handle.
//!
//! Does not know who else is awake, nor when an actor has to go.

use std::any::Any;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use ractor::ActorRef;

use super::super::idle::Idle;
use super::super::node::Node;
use super::super::shell::Message;
use crate::domain::Aggregate;
use crate::fault::Fault;
use crate::ids::{Partition, StreamId};

/// An awake actor.
pub struct Handle {
    pub stream: StreamId,
    pub partition: Partition,
    /// `ActorRef<Message<A>>` of the stream's aggregate.
    actor: Box<dyn Any + Send + Sync>,
    /// Asks the actor to leave, without knowing its type.
    leave: fn(Lease),
    /// Asks the actor to let its stream rest; none where the noun's streams do not rest.
    pub(super) rest: Option<fn(Lease)>,
    /// Lets another stream have the actor, without knowing its type.
    retire: fn(&Idle, Box<dyn Any + Send + Sync>),
    idle: Arc<Idle>,
    pub(super) generation: u64,
    /// Seconds of the node's clock.
    pub(super) last_used: AtomicU64,
}

/// The right to send to an actor: it does not leave meanwhile.
pub type Lease = Arc<Handle>;

impl Handle {
    /// The actor leaves, unless somebody else is about to speak to it or its units are under way.
    pub fn ask_to_leave(self: Lease) {
        (self.leave)(self);
    }

    /// Sends a message that carries the lease. An actor that has died outside of its guard makes room for another one.
    pub async fn send<A: Aggregate>(
        lease: Lease,
        node: &Node,
        message: impl FnOnce(Lease) -> Message<A>,
    ) -> Result<(), Fault> {
        let (stream, partition, actor) = (lease.stream.clone(), lease.partition, Arc::downgrade(&lease));
        let sent = Self::cast(lease, message);
        if sent.is_err() {
            // Once all that it showed is durable.
            let sequencer = node.sequencer(partition);
            let _ = sequencer.durable_at(sequencer.head()).await;
            node.registry.expel(partition, &stream, &actor);
        }
        sent
    }

    pub(super) fn cast<A: Aggregate>(lease: Lease, message: impl FnOnce(Lease) -> Message<A>) -> Result<(), Fault> {
        let actor = lease.actor::<A>()?.clone();
        // Gone between our look and our word: everything it had shown was dropped with it.
        actor.cast(message(lease)).map_err(|_| Fault::Superseded)
    }

    pub(super) fn actor<A: Aggregate>(&self) -> Result<&ActorRef<Message<A>>, Fault> {
        self.actor.downcast_ref().ok_or_else(|| other_rules(&self.stream))
    }
}

/// Nobody can speak to the actor any more, and every message that was sent has been handled.
impl Drop for Handle {
    fn drop(&mut self) {
        (self.retire)(&self.idle, std::mem::replace(&mut self.actor, Box::new(())));
    }
}

pub(super) fn handle<A: Aggregate>(
    actor: ActorRef<Message<A>>,
    stream: StreamId,
    partition: Partition,
    generation: u64,
    idle: Arc<Idle>,
    now: u64,
) -> Lease {
    Arc::new(Handle {
        stream,
        partition,
        actor: Box::new(actor),
        leave: |lease| drop(Handle::cast::<A>(lease, Message::Leave)),
        rest: A::RESTS.then_some(|lease| drop(Handle::cast::<A>(lease, Message::Rest))),
        retire: Idle::keep::<A>,
        idle,
        generation,
        last_used: AtomicU64::new(now),
    })
}

pub(super) fn other_rules(stream: &StreamId) -> Fault {
    Fault::internal(format!("{stream} has other rules"))
}
