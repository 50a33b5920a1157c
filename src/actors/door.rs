//! Where does a command or a reading go? To this node's actors, or, on a node that only follows, to states folded from
//! the log; commands have to go elsewhere then.

use std::sync::Arc;

use super::dispatch::Owned;
use super::shadow::Shadows;
use super::{CommandError, Dispatch, Outcome, Refusals, Request, Snapshotted, Way};
use crate::clock::{Clock, Entropy};
use crate::domain::{Aggregate, Refusal};
use crate::fault::Fault;
use crate::ids::{CommandId, Partition, StreamId};
use crate::journal::SharedJournal;
use crate::timestamp::Timestamp;

impl Dispatch {
    pub(super) fn to(own: Owned) -> Self {
        Self { way: Way::Own(own) }
    }

    /// The handle of a node that owns nothing of this log.
    #[must_use]
    pub fn elsewhere(journal: SharedJournal, clock: Arc<dyn Clock>, entropy: Entropy) -> Self {
        Self { way: Way::Elsewhere(Arc::new(Shadows::new(journal, clock, entropy))) }
    }

    /// Runs a command; answers when it is durable. A caller who goes away cancels nothing that was begun.
    pub async fn execute<A: Aggregate>(
        &self,
        stream: StreamId,
        command: A::Command,
        request: Request,
    ) -> Result<Outcome<A::Event>, CommandError> {
        match &self.way {
            Way::Own(own) => own.execute::<A>(stream, command, request).await,
            Way::Elsewhere(shadows) => Err(Fault::NotOwner { partition: shadows.partition_of(&stream)? }.into()),
        }
    }

    /// Reads an aggregate's state; the value leaves only when everything it shows is durable.
    pub async fn read<A: Aggregate, R: Send + 'static>(
        &self,
        stream: StreamId,
        view: impl FnOnce(&A::State) -> R + Clone + Send + 'static,
    ) -> Result<Snapshotted<R>, CommandError> {
        match &self.way {
            Way::Own(own) => own.read::<A, R>(stream, view).await,
            Way::Elsewhere(shadows) => shadows.read::<A, R>(stream, view).await,
        }
    }

    /// Streams that wait for the world outside, once there are any that nobody works on. Whoever takes them works on
    /// them and then says [`Self::wait_done`]; after a restart, or if something still waits, they are handed out again.
    pub async fn waiting(&self, most: usize) -> Vec<StreamId> {
        match &self.way {
            Way::Own(own) => own.waiting(most).await,
            Way::Elsewhere(_) => std::future::pending().await,
        }
    }

    /// Nobody works on this stream any more.
    pub fn wait_done(&self, stream: &StreamId) {
        if let Way::Own(own) = &self.way {
            own.wait_done(stream);
        }
    }

    /// The log's time in a partition, now; on a node that only follows, its own.
    #[must_use]
    pub fn at(&self, partition: Partition) -> Timestamp {
        match &self.way {
            Way::Own(own) => own.at(partition),
            Way::Elsewhere(shadows) => shadows.clock.wall(),
        }
    }

    #[must_use]
    pub fn partitions(&self) -> u16 {
        match &self.way {
            Way::Own(own) => own.partitions(),
            Way::Elsewhere(shadows) => shadows.journal.partitions(),
        }
    }

    /// A fresh command id, for requests without an idempotency key.
    #[must_use]
    pub fn fresh_command(&self) -> CommandId {
        match &self.way {
            Way::Own(own) => own.fresh_command(),
            Way::Elsewhere(shadows) => shadows.entropy.hash16(),
        }
    }

    /// A fresh correlation id.
    #[must_use]
    pub fn fresh_correlation(&self) -> uuid::Uuid {
        match &self.way {
            Way::Own(own) => own.fresh_correlation(),
            Way::Elsewhere(shadows) => shadows.entropy.uuid(shadows.clock.wall()),
        }
    }

    /// Where a stream lives; one that cannot live anywhere does not exist.
    pub fn partition_of(&self, stream: &StreamId) -> Result<Partition, Refusal> {
        match &self.way {
            Way::Own(own) => own.partition_of(stream),
            Way::Elsewhere(shadows) => shadows.partition_of(stream),
        }
    }

    /// Commands between admission and durable answer.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        match &self.way {
            Way::Own(own) => own.in_flight(),
            Way::Elsewhere(_) => 0,
        }
    }

    /// What this node refused at a stream: a performance's orders count as its own.
    #[must_use]
    pub fn refusals_of(&self, stream: &StreamId) -> Refusals {
        match &self.way {
            Way::Own(own) => own.refusals_of(stream),
            Way::Elsewhere(shadows) => shadows.refusals_of(stream),
        }
    }

    /// Streams in memory; on a node that only follows, states folded from the log.
    #[must_use]
    pub fn actors_awake(&self) -> usize {
        match &self.way {
            Way::Own(own) => own.actors_awake(),
            Way::Elsewhere(shadows) => shadows.kept(),
        }
    }
}
