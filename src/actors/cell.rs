//! What does an actor know? One stream's state, folded from the log, with what must be remembered beside it.

use std::sync::Weak;

use super::piece;
use super::sequencer::Notice;
use crate::domain::{Aggregate, Fact};
use crate::events::{Record, codec};
use crate::fault::Fault;
use crate::ids::{CommandId, Position, StreamId, Version};
use crate::journal::{Loaded, SharedJournal, Snapshot};
use crate::limits;
use crate::planted::{Bug, planted};
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
    /// Since when the world outside is waited for.
    pub waits: Option<Timestamp>,
    /// Events since the last segment.
    pub tail: u64,
    /// Alive while segments are being saved.
    pub saving: Weak<()>,
    /// A rule panicked while the state was changing: it must not be used again.
    pub poisoned: bool,
}

impl<A: Aggregate> Cell<A> {
    fn empty(stream: StreamId, generation: u64) -> Self {
        Self {
            stream,
            state: A::State::default(),
            version: Version(0),
            shown: Position(0),
            generation,
            deadline: None,
            waits: None,
            tail: 0,
            saving: Weak::new(),
            poisoned: false,
        }
    }

    /// Folds what the log has. Long streams are read on from where `loaded` ends, in bounded steps. What was kept besides
    /// the events and does not fit is left aside.
    pub async fn load(
        journal: &SharedJournal,
        stream: StreamId,
        loaded: Loaded,
        generation: u64,
    ) -> Result<Self, Fault> {
        let mut cell = Self::empty(stream, generation);
        let fits = loaded.snapshot.as_ref().is_none_or(|snapshot| cell.start_from(snapshot));
        if loaded.segmented && cell.absorb_segments(journal).await?.is_none() {
            tracing::warn!(stream = %cell.stream, "a segment cannot be read: the stream is folded from its first event");
            cell = Self::empty(cell.stream, generation);
        }
        let mut records = match fits && !loaded.segmented {
            true => loaded.tail,
            false => journal.read_stream(&cell.stream, cell.version, limits::READ_BATCH).await?,
        };
        loop {
            for record in &records {
                cell.apply(record)?;
            }
            if records.len() < limits::READ_BATCH {
                break;
            }
            // A long stream must not keep everybody else on this thread waiting.
            tokio::task::yield_now().await;
            records = journal.read_stream(&cell.stream, cell.version, limits::READ_BATCH).await?;
        }
        cell.deadline = A::deadline(&cell.state);
        cell.waits = A::waits_since(&cell.state);
        Ok(cell)
    }

    /// False: the snapshot is of another shape.
    fn start_from(&mut self, snapshot: &Snapshot) -> bool {
        let fits = snapshot.schema == A::SNAPSHOT_VERSION;
        let Some(state) = fits.then(|| codec::unpack_snapshot(&snapshot.payload).ok()).flatten() else { return false };
        (self.state, self.version, self.shown) = (state, snapshot.version, snapshot.position);
        true
    }

    /// Folds segments as long as each begins where the one before ended; the log says what comes then. `None`: one could
    /// not be read, and the state is of no use any more.
    async fn absorb_segments(&mut self, journal: &SharedJournal) -> Result<Option<()>, Fault> {
        loop {
            let page = journal.segments(&self.stream, A::SNAPSHOT_VERSION, self.version, limits::SEGMENT_PAGE).await?;
            for segment in &page {
                if segment.after != self.version {
                    return Ok(Some(()));
                }
                if piece::absorb::<A>(&mut self.state, segment).is_none() {
                    return Ok(None);
                }
                (self.version, self.shown) = (segment.version, segment.position);
                tokio::task::yield_now().await;
            }
            if page.len() < limits::SEGMENT_PAGE {
                return Ok(Some(()));
            }
        }
    }

    /// Folds one more record of the stream.
    pub fn apply(&mut self, record: &Record) -> Result<(), Fault> {
        let event = piece::event_of::<A>(record, self.version);
        let passed_over = planted(Bug::SkipUnknownEvent) && event.is_err();
        if passed_over || planted(Bug::MemberLimitInMemory) && A::NOUN == "member" {
            (self.version, self.shown) = (record.version, record.position);
            return Ok(());
        }
        let command = if planted(Bug::DedupeInMemory) { CommandId::default() } else { record.command };
        self.evolve(&event?, record.at, command);
        self.shown = record.position;
        Ok(())
    }

    /// Folds one fact; its position becomes known when the unit is queued.
    pub fn evolve(&mut self, event: &A::Event, at: Timestamp, command: CommandId) {
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

    pub fn wants_snapshot(&self, tail: u64) -> bool {
        self.tail > tail && self.saving.strong_count() == 0
    }

    /// The state as a snapshot, if it is not too large to be one.
    pub fn snapshot(&self) -> Option<Snapshot> {
        let payload = codec::pack(&self.state).ok().filter(|bytes| bytes.len() <= limits::SNAPSHOT_BYTES)?;
        let more = u64::from(planted(Bug::ShortSnapshot));
        Some(Snapshot {
            stream: self.stream.clone(),
            version: Version(self.version.0 + more),
            position: self.shown,
            schema: A::SNAPSHOT_VERSION,
            payload,
        })
    }
}
