//! Who else must be there? Borrows the other streams that a command needs, before anything is decided.
//!
//! All of them are woken with one load, then borrowed in stream order, so that two commands over the same streams can
//! neither deadlock nor interleave. What each of them says and becomes is in `part.rs`.

use std::sync::Arc;

use super::cell::Cell;
use super::node::Node;
use super::part::{Cast, Part};
use super::registry::Lease;
use super::sequencer::Notice;
use crate::domain::Aggregate;
use crate::fault::Fault;
use crate::ids::{AccountId, Partition, StreamId};

/// Everybody besides the lead.
pub struct Crew {
    /// One for each noun that takes part, in stream order.
    pub parts: Vec<Box<dyn Part>>,
    pub context: Option<Neighbour>,
}

/// The neighbour whose notice is read; kept awake by its lease until the decision is made.
pub struct Neighbour {
    pub stream: StreamId,
    _awake: Lease,
    /// What it said when the parts were chosen.
    said: Option<Notice>,
}

impl Neighbour {
    /// Nothing else than when the parts were chosen.
    pub fn says(&self, now: Option<&Notice>) -> bool {
        match (&self.said, now) {
            (Some(then), Some(now)) => Arc::ptr_eq(then, now),
            (None, None) => true,
            _ => false,
        }
    }
}

/// A notice as the rules of `A` read it.
pub fn read<A: Aggregate>(notice: Option<&Notice>) -> Option<&<A::Context as Aggregate>::Notice> {
    notice.and_then(|notice| notice.downcast_ref())
}

impl Crew {
    /// Everybody that `command` needs. Most commands need nobody: the way to the others is kept out of the memory of
    /// the actors that never take it.
    pub async fn gather<A: Aggregate>(
        node: &Arc<Node>,
        partition: Partition,
        cell: &Cell<A>,
        command: &A::Command,
        by: &AccountId,
    ) -> Result<Self, Fault> {
        if let Some(stream) = A::context(&cell.state, command) {
            return Box::pin(Self::beside(node, partition, cell, command, by, stream)).await;
        }
        let parts = A::parts(&cell.state, command, by, None);
        if parts.is_empty() {
            return Ok(Self { parts: Vec::new(), context: None });
        }
        Box::pin(Self::borrow(node, partition, Cast::of(parts), None)).await
    }

    async fn beside<A: Aggregate>(
        node: &Arc<Node>,
        partition: Partition,
        cell: &Cell<A>,
        command: &A::Command,
        by: &AccountId,
        stream: StreamId,
    ) -> Result<Self, Fault> {
        // Somewhere else is nowhere: the rule sees that the neighbour is missing.
        let context = if stream.partition(node.partitions()) == Some(partition) {
            let mut leases = node.registry.wake::<A::Context>(node, partition, std::slice::from_ref(&stream)).await?;
            let said = node.sequencer(partition).notice(&stream);
            leases.pop().map(|_awake| Neighbour { stream, _awake, said })
        } else {
            None
        };
        let said = context.as_ref().and_then(|neighbour| neighbour.said.as_ref());
        let parts = A::parts(&cell.state, command, by, read::<A>(said));
        Self::borrow(node, partition, Cast::of(parts), context).await
    }

    async fn borrow(
        node: &Arc<Node>,
        partition: Partition,
        cast: Cast,
        context: Option<Neighbour>,
    ) -> Result<Self, Fault> {
        let mut parts = cast.awake(node, partition).await?;
        for part in &mut parts {
            part.borrow(node).await?;
        }
        Ok(Self { parts, context })
    }

    /// The neighbour says something else than when the parts were chosen. Are the same streams needed? If so they are asked
    /// what has to be asked now; else this crew is of no use.
    pub fn ask_again(&mut self, cast: Cast) -> bool {
        cast.replaces(&mut self.parts)
    }
}
