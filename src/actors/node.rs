//! What do all actors of a node share? The sequencers, the registry, the loader and the sources of time and names.

use std::sync::Arc;

use super::admission::Admission;
use super::loader::Loader;
use super::logtime::{Lease, LogTime};
use super::registry::Registry;
use super::sequencer::Sequencer;
use super::tally::Tally;
use crate::clock::{Clock, Entropy};
use crate::domain::Refusal;
use crate::fault::Fault;
use crate::ids::{NodeId, Partition, Position, StreamId};
use crate::journal::follow::Follow;
use crate::journal::lane::{Guilty, Reports, Timers};
use crate::journal::{PartitionState, SharedJournal};
use crate::limits;

/// Breaks things at the worst moments; simulations bring one, a server has none.
pub trait Sabotage: Send + Sync + 'static {
    /// Called where a rule is at work. Whatever a bug in a rule could do may happen here: it may panic.
    fn strike(&self, moment: Moment);

    /// How soon streams are shortened; what a server does after thousands of events a short run must do after a few.
    fn shortening(&self) -> Shortening {
        Shortening::default()
    }
}

/// After how many events a stream is shortened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shortening {
    /// Since the last segment, for the next one.
    pub tail: u64,
    /// Since the last whole snapshot, for the next one.
    pub whole: u64,
}

impl Default for Shortening {
    fn default() -> Self {
        Self { tail: limits::SNAPSHOT_TAIL, whole: limits::SNAPSHOT_WHOLE }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Before anybody has decided.
    Deciding,
    /// After the parts' states changed, before the lead's does.
    Evolving,
}

pub struct Node {
    pub id: NodeId,
    pub journal: SharedJournal,
    /// What was committed lately.
    pub follow: Follow,
    pub clock: Arc<dyn Clock>,
    pub entropy: Entropy,
    pub time: Arc<LogTime>,
    pub lease: Arc<Lease>,
    pub sequencers: Vec<Sequencer>,
    /// Told when a stream begins to wait for the world outside.
    pub waits_changed: Arc<tokio::sync::Notify>,
    pub registry: Registry,
    pub loader: Loader,
    pub admission: Admission,
    pub tally: Tally,
    pub sabotage: Option<Arc<dyn Sabotage>>,
    /// Cancelled when this node has lost what it owned: it must stop, so that another one can serve.
    pub lost: tokio_util::sync::CancellationToken,
    /// Background work that must end before the node does.
    pub tasks: tokio_util::task::TaskTracker,
}

impl Node {
    pub fn partitions(&self) -> u16 {
        u16::try_from(self.sequencers.len()).unwrap_or(u16::MAX)
    }

    pub fn sequencer(&self, partition: Partition) -> &Sequencer {
        &self.sequencers[usize::from(partition.0)]
    }

    pub fn strike(&self, moment: Moment) {
        if let Some(sabotage) = &self.sabotage {
            sabotage.strike(moment);
        }
    }

    pub fn shortening(&self) -> Shortening {
        self.sabotage.as_ref().map_or_else(Shortening::default, |sabotage| sabotage.shortening())
    }

    /// The partition of a stream that a client named; one that cannot be anywhere does not exist.
    pub fn route(&self, stream: &StreamId) -> Result<Partition, Refusal> {
        stream.partition(self.partitions()).ok_or(Refusal::NotFound)
    }
}

/// What the lane says goes to the partition's sequencer; a partition that starts anew forgets its actors.
impl Reports for Node {
    fn is_current(&self, partition: Partition, generation: u64) -> bool {
        self.sequencer(partition).is_current(generation)
    }

    fn committed(&self, partition: Partition, position: Position) {
        self.sequencer(partition).committed(position);
    }

    fn suspended(&self, partition: Partition, doubtful: Position) {
        self.sequencer(partition).suspend(doubtful);
        self.registry.forget(partition);
    }

    fn resumed(&self, state: &PartitionState, timers: Timers, guilty: Option<Guilty>) {
        self.sequencer(state.partition).resume(state, timers, guilty);
    }

    fn lost(&self, partition: Partition, doubt: Fault) {
        self.sequencer(partition).lose(&doubt);
        self.registry.forget(partition);
        // A node that serves all but one of its partitions helps nobody: that one would be served by no node at all.
        self.lost.cancel();
    }
}
