//! How does an aggregate look on a node that owns nothing? Folded from the log as actors fold it, and kept for a while so
//! that the next reading only needs what is new.
//!
//! What is read is durable, and at least as new as the log was when it was asked for. Readers who ask at the same moment
//! share one look into the log. Nothing is decided here.

use std::any::Any;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio_util::task::TaskTracker;

use super::cell::Cell;
use super::tally::Tally;
use super::{CommandError, Refusals, Snapshotted};
use crate::clock::{Clock, Entropy};
use crate::domain::{Aggregate, Refusal};
use crate::fault::Fault;
use crate::ids::{LogPosition, Partition, StreamId, Version};
use crate::journal::SharedJournal;
use crate::limits;

pub(super) struct Shadows {
    pub journal: SharedJournal,
    pub clock: Arc<dyn Clock>,
    pub entropy: Entropy,
    tally: Tally,
    slots: Mutex<HashMap<StreamId, Slot>>,
    /// Readings go on when their readers have left, so that no statement is broken off in the middle.
    tasks: TaskTracker,
}

struct Slot {
    shadow: Arc<tokio::sync::Mutex<Shadow>>,
    /// Of the node's clock.
    used: Duration,
}

/// One stream's state, of whichever noun.
#[derive(Default)]
struct Shadow {
    /// A `Cell` of the stream's aggregate.
    cell: Option<Box<dyn Any + Send>>,
    /// Everything that was durable at this time of the node's clock is folded in.
    as_of: Option<Duration>,
}

impl Shadows {
    pub fn new(journal: SharedJournal, clock: Arc<dyn Clock>, entropy: Entropy) -> Self {
        let tally = Tally::since(clock.wall());
        Self { journal, clock, entropy, tally, slots: Mutex::default(), tasks: TaskTracker::new() }
    }

    pub fn partition_of(&self, stream: &StreamId) -> Result<Partition, Refusal> {
        stream.partition(self.journal.partitions()).ok_or(Refusal::NotFound)
    }

    pub fn refusals_of(&self, stream: &StreamId) -> Refusals {
        self.tally.of(stream)
    }

    pub fn kept(&self) -> usize {
        self.slots.lock().len()
    }

    pub async fn read<A: Aggregate, R: Send + 'static>(
        self: &Arc<Self>,
        stream: StreamId,
        view: impl FnOnce(&A::State) -> R + Send + 'static,
    ) -> Result<Snapshotted<R>, CommandError> {
        let partition = self.partition_of(&stream)?;
        let asked = self.clock.elapsed();
        let shadow = self.slot(&stream, asked);
        let own = self.clone();
        let reading = self.tasks.spawn(async move {
            let mut shadow = shadow.lock().await;
            if shadow.as_of.is_none_or(|as_of| as_of < asked) {
                own.bring_up::<A>(&mut shadow, &stream).await?;
            }
            let cell = shadow.cell.as_ref().and_then(|cell| cell.downcast_ref::<Cell<A>>());
            let cell = cell.ok_or_else(|| Fault::internal(format!("{stream} has other rules")))?;
            let position = cell.exists().then_some(LogPosition { partition, position: cell.shown });
            Ok(Snapshotted { value: view(&cell.state), position, version: cell.version, at: own.clock.wall() })
        });
        reading.await.unwrap_or_else(|_| Err(Fault::internal("a reading broke off").into()))
    }

    /// The stream's place; others that nobody asked for lately make room.
    fn slot(&self, stream: &StreamId, now: Duration) -> Arc<tokio::sync::Mutex<Shadow>> {
        let mut slots = self.slots.lock();
        if slots.len() >= limits::SHADOWS && !slots.contains_key(stream) {
            slots.retain(|_, slot| now.saturating_sub(slot.used) < limits::SHADOW_IDLE);
        }
        if slots.len() >= limits::SHADOWS && !slots.contains_key(stream) {
            let oldest = slots.iter().min_by_key(|(_, slot)| slot.used).map(|(stream, _)| stream.clone());
            oldest.map(|stream| slots.remove(&stream));
        }
        let slot = slots.entry(stream.clone()).or_insert_with(|| Slot { shadow: Arc::default(), used: now });
        slot.used = now;
        slot.shadow.clone()
    }

    /// Folds in what is new. After a failure nothing of it is kept.
    async fn bring_up<A: Aggregate>(&self, shadow: &mut Shadow, stream: &StreamId) -> Result<(), Fault> {
        let begun = self.clock.elapsed();
        shadow.as_of = None;
        let kept = shadow.cell.take().and_then(|cell| cell.downcast::<Cell<A>>().ok());
        let cell = match kept {
            Some(cell) => self.go_on(cell).await?,
            None => {
                let loaded = self.journal.load(std::slice::from_ref(stream)).await?.pop().unwrap_or_default();
                Box::new(Cell::<A>::load(&self.journal, stream.clone(), loaded, 0).await?)
            }
        };
        shadow.as_of = Some(begun);
        shadow.cell = Some(cell);
        Ok(())
    }

    async fn go_on<A: Aggregate>(&self, mut cell: Box<Cell<A>>) -> Result<Box<Cell<A>>, Fault> {
        loop {
            let after: Version = cell.version;
            let records = self.journal.read_stream(&cell.stream, after, limits::READ_BATCH).await?;
            for record in &records {
                cell.apply(record)?;
            }
            if records.len() < limits::READ_BATCH {
                return Ok(cell);
            }
            tokio::task::yield_now().await;
        }
    }
}
