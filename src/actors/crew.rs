//! Who else must be there? Borrows the other streams that a command needs, before anything is decided.
//!
//! All of them are woken with one load, then borrowed in stream order, so that two commands over the same streams can
//! neither deadlock nor interleave. A borrowed state goes back when its loan is dropped, whatever happens in between.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::cell::Cell;
use super::node::Node;
use super::registry::{Handle, Lease};
use super::shell::Message;
use crate::domain::{Aggregate, Involved};
use crate::fault::Fault;
use crate::ids::{Partition, StreamId};

/// A state that is out of its actor's hands for one decision.
pub struct Loan<A: Aggregate> {
    cell: Option<Cell<A>>,
    back: Option<oneshot::Sender<Cell<A>>>,
}

impl<A: Aggregate> Loan<A> {
    pub fn new(cell: Cell<A>, back: oneshot::Sender<Cell<A>>) -> Self {
        Self { cell: Some(cell), back: Some(back) }
    }

    /// Present from the loan's making until its drop.
    pub fn cell(&mut self) -> Result<&mut Cell<A>, Fault> {
        self.cell.as_mut().ok_or_else(|| Fault::internal("a loan without a state"))
    }
}

impl<A: Aggregate> Drop for Loan<A> {
    fn drop(&mut self) {
        if let (Some(cell), Some(back)) = (self.cell.take(), self.back.take()) {
            // The lender waits for it in its own handler; it is gone only when the node is.
            drop(back.send(cell));
        }
    }
}

/// A part of the unit: the borrowed state and what is asked of it.
pub struct Part<P: Aggregate> {
    pub loan: Loan<P>,
    pub command: P::Command,
}

/// Everybody besides the lead.
pub struct Crew<A: Aggregate> {
    /// In stream order.
    pub parts: Vec<Part<A::Part>>,
    /// The neighbour whose notice is read; kept awake by its lease until the decision is made.
    pub context: Option<(StreamId, Lease)>,
}

impl<A: Aggregate> Crew<A> {
    /// Everybody that `command` needs. Most commands need nobody: the way to the others is kept out of the memory of
    /// the actors that never take it.
    pub async fn gather(
        node: &Arc<Node>,
        partition: Partition,
        cell: &Cell<A>,
        command: &A::Command,
    ) -> Result<Self, Fault> {
        let involved = A::involves(&cell.state, command);
        if involved.parts.is_empty() && involved.context.is_none() {
            return Ok(Self { parts: Vec::new(), context: None });
        }
        Box::pin(Self::borrow(node, partition, involved)).await
    }

    async fn borrow(
        node: &Arc<Node>,
        partition: Partition,
        involved: Involved<<A::Part as Aggregate>::Command>,
    ) -> Result<Self, Fault> {
        let Involved { mut parts, context } = involved;
        parts.sort_by(|(a, _), (b, _)| a.cmp(b));
        parts.dedup_by(|(a, _), (b, _)| a == b);
        let context = match context {
            Some(stream) if stream.partition(node.partitions()) == Some(partition) => {
                let mut leases =
                    node.registry.wake::<A::Context>(node, partition, std::slice::from_ref(&stream)).await?;
                leases.pop().map(|lease| (stream, lease))
            }
            // Somewhere else is nowhere: the rule sees that the neighbour is missing.
            _ => None,
        };
        let streams: Vec<StreamId> = parts.iter().map(|(stream, _)| stream.clone()).collect();
        let leases = node.registry.wake::<A::Part>(node, partition, &streams).await?;
        let mut crew = Self { parts: Vec::with_capacity(parts.len()), context };
        for (lease, (_, command)) in leases.into_iter().zip(parts) {
            let (to, lent) = oneshot::channel();
            Handle::cast::<A::Part>(lease, |lease| Message::Lend(to, lease))?;
            let loan = lent.await.map_err(|_| Fault::Superseded)?;
            crew.parts.push(Part { loan, command });
        }
        Ok(crew)
    }
}
