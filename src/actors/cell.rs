//! What does an actor know? One stream's state, folded from the log, with what must be remembered beside it.

use std::sync::Arc;

use super::sequencer::Notice;
use crate::domain::{Aggregate, Fact};
use crate::events::{NounEvent, Record, codec};
use crate::fault::Fault;
use crate::ids::{Position, StreamId, Version};
use crate::journal::{Loaded, Snapshot};
use crate::limits;
use crate::timestamp::Timestamp;

/// One stream in memory. It runs ahead of the disk: `shown` says which position must be durable before anything that
/// was read off this state may be told.
pub struct Cell<A: Aggregate> {
    pub stream: StreamId,
    pub state: A::State,
    pub version: Version,
    pub shown: Position,
    /// The partition's generation in which this was loaded; in another one it is worthless.
    pub generation: u64,
    pub deadline: Option<Timestamp>,
    /// Events since the last snapshot.
    pub tail: u64,
    /// A rule panicked while the state was changing: it must not be used again.
    pub poisoned: bool,
}

impl<A: Aggregate> Cell<A> {
    /// Folds what the log has. A snapshot that does not fit is left aside only where the tail reaches back to the start.
    pub async fn fold(stream: StreamId, loaded: Loaded, generation: u64) -> Result<Self, Unfit> {
        let mut cell = Self {
            stream,
            state: A::State::default(),
            version: Version(0),
            shown: Position(0),
            generation,
            deadline: None,
            tail: 0,
            poisoned: false,
        };
        if let Some(snapshot) = loaded.snapshot {
            cell.state = Self::unpack(&snapshot).ok_or(Unfit::Snapshot)?;
            (cell.version, cell.shown) = (snapshot.version, snapshot.position);
        }
        for (index, record) in loaded.tail.iter().enumerate() {
            cell.apply(record).map_err(Unfit::Log)?;
            if index % limits::READ_BATCH == limits::READ_BATCH - 1 {
                // A long stream must not keep everybody else on this thread waiting.
                tokio::task::yield_now().await;
            }
        }
        cell.deadline = A::deadline(&cell.state);
        Ok(cell)
    }

    fn unpack(snapshot: &Snapshot) -> Option<A::State> {
        (snapshot.schema == A::SNAPSHOT_VERSION).then(|| codec::unpack_snapshot(&snapshot.payload).ok()).flatten()
    }

    /// Folds one more record of the stream.
    pub fn apply(&mut self, record: &Record) -> Result<(), Fault> {
        let damaged =
            |detail: String| Fault::Damaged { partition: record.partition, position: record.position, detail };
        if record.version != self.version.next() {
            return Err(damaged(format!("version {} follows {}", record.version.0, self.version.0)));
        }
        let event = record.event().map_err(|error| damaged(error.to_string()))?;
        let event = A::Event::from_event(event)
            .ok_or_else(|| damaged(format!("{} does not belong into {}", record.kind, record.stream)))?;
        self.evolve(&event, record.at, record.command);
        self.shown = record.position;
        Ok(())
    }

    /// Folds one fact; its position becomes known when the unit is queued.
    pub fn evolve(&mut self, event: &A::Event, at: Timestamp, command: crate::ids::CommandId) {
        self.version = self.version.next();
        self.tail += 1;
        A::evolve(&mut self.state, Fact { event, at, version: self.version, command });
    }

    pub fn exists(&self) -> bool {
        self.version > Version(0)
    }

    pub fn notice(&self) -> Option<Notice> {
        A::notice(&self.state).map(|notice| notice as Notice)
    }

    pub fn is_due(&self, at: Timestamp) -> bool {
        self.deadline.is_some_and(|due| due <= at)
    }

    pub fn wants_snapshot(&self) -> bool {
        self.tail > limits::SNAPSHOT_TAIL.max(A::entries(&self.state) as u64)
    }

    /// The state as a snapshot, if it is not too large to be one.
    pub fn snapshot(&self) -> Option<Snapshot> {
        let payload = codec::pack(&self.state).ok().filter(|bytes| bytes.len() <= limits::SNAPSHOT_BYTES)?;
        Some(Snapshot {
            stream: self.stream.clone(),
            version: self.version,
            position: self.shown,
            schema: A::SNAPSHOT_VERSION,
            payload,
        })
    }
}

/// Why a stream could not be folded.
#[derive(Debug)]
pub enum Unfit {
    /// The snapshot is of another shape: read the stream from its start.
    Snapshot,
    Log(Fault),
}

/// Folds a stream from its first event, without any snapshot, in bounded steps.
pub async fn fold_whole<A: Aggregate>(
    journal: &Arc<dyn crate::journal::Journal>,
    stream: StreamId,
    generation: u64,
) -> Result<Cell<A>, Fault> {
    let unfit = |unfit| match unfit {
        Unfit::Log(fault) => fault,
        Unfit::Snapshot => Fault::internal("there is no snapshot in an empty load"),
    };
    let mut cell = Cell::<A>::fold(stream.clone(), Loaded::default(), generation).await.map_err(unfit)?;
    loop {
        let records = journal.read_stream(&stream, cell.version, limits::READ_BATCH).await?;
        for record in &records {
            cell.apply(record)?;
        }
        if records.len() < limits::READ_BATCH {
            cell.deadline = A::deadline(&cell.state);
            return Ok(cell);
        }
    }
}
