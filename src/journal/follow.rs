//! What is new in the log? One tail per node, for everything that follows it (live topics, projections, sagas).
//!
//! A commit wakes followers; what they then read comes from a bounded window of recent records, or from the log when
//! they are further behind. The window holds exactly what was committed, so both give the same.

use std::sync::Arc;

use crate::events::Record;
use crate::fault::Fault;
use crate::ids::{Partition, Position};
use crate::journal::SharedJournal;

/// The node's tail reader. Cheap to clone.
#[derive(Clone)]
pub struct Follow {}

impl Follow {
    /// `heads` are the durable heads of all partitions at this moment.
    #[must_use]
    pub fn new(_journal: SharedJournal, _heads: &[Position]) -> Self {
        Self {}
    }

    /// Called by the lane after a commit, in position order.
    pub fn committed(&self, _partition: Partition, _records: Vec<Arc<Record>>) {}

    /// The durable head moved without records at hand (after a settled doubt).
    pub fn head_is(&self, _partition: Partition, _head: Position) {}

    /// The durable head that followers may read up to.
    #[must_use]
    pub fn head(&self, _partition: Partition) -> Position {
        Position(0)
    }

    /// Records after `after`, cut at the end of a unit, in order; waits until there is one.
    pub async fn next(&self, _partition: Partition, _after: Position) -> Result<Vec<Arc<Record>>, Fault> {
        Err(Fault::internal("not wired"))
    }

    /// As `next`, but answers an empty list when there is nothing new.
    pub async fn read(&self, _partition: Partition, _after: Position) -> Result<Vec<Arc<Record>>, Fault> {
        Err(Fault::internal("not wired"))
    }
}
