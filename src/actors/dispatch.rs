//! How does a command find its actor? Admission, waking, sending, and trying again where somebody else's failure was in
//! the way.
//!
//! A caller may go away at any moment: until the command is in its actor's mailbox nothing has happened, and from then
//! on it does not depend on the caller.

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::crew;
use super::node::Node;
use super::part::Cast;
use super::registry::{Handle, Lease};
use super::shell::{Look, Message, Run, Seen};
use super::{Accepted, CommandError, Outcome, Request, Snapshotted};
use crate::domain::{Aggregate, Refusal};
use crate::events::NounEvent;
use crate::fault::Fault;
use crate::ids::{AccountId, CommandId, LogPosition, Partition, StreamId, Version};
use crate::limits;
use crate::timestamp::Timestamp;

/// The way in on the node that owns the log. Cheap to clone.
#[derive(Clone)]
pub(super) struct Owned {
    pub node: Arc<Node>,
}

impl Owned {
    /// Runs a command; answers when it is durable. A caller who goes away cancels nothing that was begun.
    pub async fn execute<A: Aggregate>(
        &self,
        stream: StreamId,
        command: A::Command,
        request: Request,
    ) -> Result<Outcome<A::Event>, CommandError> {
        let result = self.carry_out::<A>(&stream, &command, request).await;
        self.node.tally.count::<A>(&stream, &command, &result, || self.node.time.now());
        result
    }

    async fn carry_out<A: Aggregate>(
        &self,
        stream: &StreamId,
        command: &A::Command,
        request: Request,
    ) -> Result<Outcome<A::Event>, CommandError> {
        let partition = self.node.route(stream)?;
        let request = Arc::new(request);
        let mut tries = 0;
        loop {
            let result = self.attempt::<A>(partition, stream, command.clone(), &request).await;
            match result {
                Err(CommandError::Failed(fault)) if fault.retryable() && tries < limits::SUPERSEDED_RETRIES => {
                    tries += 1;
                    self.settled(partition).await;
                }
                Err(error) => return Err(error),
                Ok(Accepted::Done(outcome)) => return Ok(outcome),
                Ok(Accepted::Replay { version }) => return self.replay::<A>(partition, stream, version).await,
            }
        }
    }

    async fn attempt<A: Aggregate>(
        &self,
        partition: Partition,
        stream: &StreamId,
        command: A::Command,
        request: &Arc<Request>,
    ) -> Result<Accepted<A::Event>, CommandError> {
        let permit = self.node.admission.admit(partition)?;
        let lease = self.wake_with_parts::<A>(partition, stream, &command, &request.by).await?;
        let (reply, told) = oneshot::channel();
        let run = Box::new(Run { command, request: request.clone(), reply, permit });
        Handle::send(lease, &self.node, |lease| Message::<A>::Run(run, lease)).await?;
        told.await.unwrap_or(Err(Fault::Superseded.into()))
    }

    /// The answer of a command that was accepted before, made again from the log.
    async fn replay<A: Aggregate>(
        &self,
        partition: Partition,
        stream: &StreamId,
        version: Version,
    ) -> Result<Outcome<A::Event>, CommandError> {
        let before = Version(version.0.saturating_sub(1));
        let records = self.node.journal.read_stream(stream, before, 1).await?;
        let missing = || Fault::internal(format!("{stream} has no version {}", version.0));
        let record = records.into_iter().next().ok_or_else(missing)?;
        let event = record.event().ok().and_then(A::Event::from_event).ok_or_else(missing)?;
        Ok(Outcome {
            events: vec![event],
            position: LogPosition { partition, position: record.position },
            version,
            at: record.at,
            replayed: true,
        })
    }

    /// Reads an aggregate's state; the value leaves only when everything it shows is durable.
    pub async fn read<A: Aggregate, R: Send + 'static>(
        &self,
        stream: StreamId,
        view: impl FnOnce(&A::State) -> R + Clone + Send + 'static,
    ) -> Result<Snapshotted<R>, CommandError> {
        let partition = self.node.route(&stream)?;
        let mut tries = 0;
        loop {
            match self.look::<A, R>(partition, &stream, view.clone()).await {
                Err(fault) if fault.retryable() && tries < limits::SUPERSEDED_RETRIES => {
                    tries += 1;
                    self.settled(partition).await;
                }
                Err(fault) => return Err(fault.into()),
                Ok((value, seen)) => {
                    let position =
                        (seen.version > Version(0)).then_some(LogPosition { partition, position: seen.shown });
                    return Ok(Snapshotted { value, position, version: seen.version, at: seen.at });
                }
            }
        }
    }

    async fn look<A: Aggregate, R: Send + 'static>(
        &self,
        partition: Partition,
        stream: &StreamId,
        view: impl FnOnce(&A::State) -> R + Send + 'static,
    ) -> Result<(R, Seen), Fault> {
        let lease = self.wake::<A>(partition, stream).await?;
        let (reply, told) = oneshot::channel();
        let look: Look<A> = Box::new(move |state, seen| {
            let value = view(state);
            Box::new(move |durable: Result<(), Fault>| drop(reply.send(durable.map(|()| (value, seen)))))
        });
        Handle::send(lease, &self.node, |lease| Message::<A>::Look(look, lease)).await?;
        told.await.unwrap_or(Err(Fault::Superseded))
    }

    /// Wakes the lead and, with the same look into the log, those whom it will need if it is new: a guess that costs
    /// nothing when it is wrong, since the lead gathers its crew by itself.
    async fn wake_with_parts<A: Aggregate>(
        &self,
        partition: Partition,
        stream: &StreamId,
        command: &A::Command,
        by: &AccountId,
    ) -> Result<Lease, Fault> {
        let new = A::State::default();
        let neighbour = A::context(&new, command).and_then(|stream| self.node.sequencer(partition).notice(&stream));
        let parts = A::parts(&new, command, by, crew::read::<A>(neighbour.as_ref()));
        if parts.is_empty() {
            return self.wake::<A>(partition, stream).await;
        }
        let guess = Cast::of(parts).awake(&self.node, partition);
        let (lead, _guessed) = tokio::join!(self.wake::<A>(partition, stream), guess);
        lead
    }

    async fn wake<A: Aggregate>(&self, partition: Partition, stream: &StreamId) -> Result<Lease, Fault> {
        if let Some(lease) = self.node.registry.awake_one(&self.node, partition, stream)? {
            return Ok(lease);
        }
        let leases = self.node.registry.wake::<A>(&self.node, partition, std::slice::from_ref(stream)).await?;
        leases.into_iter().next().ok_or_else(|| Fault::internal("woke nobody"))
    }

    async fn settled(&self, partition: Partition) {
        // If it takes longer, the next try says so.
        let _ = timeout(limits::LEASE, self.node.sequencer(partition).settled()).await;
    }

    /// Applies the deadline of a stream, if it has come.
    pub async fn due<A: Aggregate>(&self, partition: Partition, stream: StreamId) {
        if let Ok(lease) = self.wake::<A>(partition, &stream).await {
            let (done, told) = oneshot::channel();
            if Handle::send(lease, &self.node, |lease| Message::<A>::Due(done, lease)).await.is_ok() {
                let _ = told.await;
                // The place is given back only when the unit is durable: so the lane's queue has room for all of them.
                let sequencer = self.node.sequencer(partition);
                let _ = sequencer.durable_at(sequencer.head()).await;
            }
        }
    }

    /// Streams that wait for the world outside, once there are any that nobody works on. Whoever takes them works on
    /// them and then says [`Self::wait_done`]; after a restart, or if something still waits, they are handed out again.
    pub async fn waiting(&self, most: usize) -> Vec<StreamId> {
        loop {
            // Made before the look: what comes in between is not slept through.
            let changed = self.node.waits_changed.notified();
            let mut found = Vec::new();
            for sequencer in &self.node.sequencers {
                found.extend(sequencer.take_waiting(most - found.len()));
            }
            if !found.is_empty() {
                return found;
            }
            // A partition that was being recovered does not always say when it is back.
            let _ = timeout(limits::HEARTBEAT, changed).await;
        }
    }

    /// Nobody works on this stream any more.
    pub fn wait_done(&self, stream: &StreamId) {
        if let Ok(partition) = self.node.route(stream) {
            self.node.sequencer(partition).wait_done(stream);
        }
    }

    /// The log's time in a partition, now.
    pub fn at(&self, partition: Partition) -> Timestamp {
        self.node.sequencers.get(usize::from(partition.0)).map_or(Timestamp(0), super::sequencer::Sequencer::at)
    }

    pub fn partitions(&self) -> u16 {
        self.node.partitions()
    }

    /// A fresh command id, for requests without an idempotency key.
    pub fn fresh_command(&self) -> CommandId {
        self.node.entropy.hash16()
    }

    /// A fresh correlation id.
    pub fn fresh_correlation(&self) -> uuid::Uuid {
        self.node.entropy.uuid(self.node.time.now())
    }

    /// Where a stream lives; one that cannot live anywhere does not exist.
    pub fn partition_of(&self, stream: &StreamId) -> Result<Partition, Refusal> {
        self.node.route(stream)
    }

    /// Commands between admission and durable answer.
    pub fn in_flight(&self) -> usize {
        self.node.admission.in_flight()
    }

    /// What was refused at a stream: a performance's orders count as its own.
    pub fn refusals_of(&self, stream: &StreamId) -> super::Refusals {
        self.node.tally.of(stream)
    }

    /// Streams in memory, each with an actor or resting without one.
    pub fn actors_awake(&self) -> usize {
        self.node.registry.awake()
    }
}
