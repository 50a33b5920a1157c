//! What is in a segment of a snapshot? The facts of a stretch of a stream, in the shortest form that its noun knows.
//!
//! A noun that knows none has its facts kept as they were written, without the envelope: they are raised by the same
//! upcasters as the log. Who decides when a segment is made is in `snapshot.rs`.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::domain::{Aggregate, Fact};
use crate::events::{NounEvent, Record, codec};
use crate::fault::Fault;
use crate::ids::{CommandId, StreamId, Version};
use crate::journal::Segment;
use crate::limits;
use crate::planted::{Bug, planted};
use crate::timestamp::Timestamp;

#[derive(Debug, Serialize, Deserialize)]
enum Piece {
    /// What the noun's own `digest` made.
    Digest(Vec<u8>),
    Facts(Vec<Kept>),
}

/// A fact with what rules may read of its envelope; its version is its place.
#[derive(Debug, Serialize, Deserialize)]
struct Kept {
    kind: String,
    schema: u16,
    codec: u8,
    at: Timestamp,
    command: CommandId,
    payload: Vec<u8>,
}

/// The event of a record, as the noun knows it.
pub fn event_of<A: Aggregate>(record: &Record, before: Version) -> Result<A::Event, Fault> {
    let damaged = |detail: String| Fault::Damaged { partition: record.partition, position: record.position, detail };
    if record.version != before.next() {
        return Err(damaged(format!("version {} follows {}", record.version.0, before.0)));
    }
    let event = record.event().map_err(|error| damaged(error.to_string()))?;
    A::Event::from_event(event)
        .ok_or_else(|| damaged(format!("{} does not belong into {}", record.kind, record.stream)))
}

/// The records after version `after` as a segment; `None` if there are none, or it would be too large.
pub fn make<A: Aggregate>(
    stream: &StreamId,
    after: Version,
    records: &[Arc<Record>],
) -> Result<Option<Segment>, Fault> {
    let Some(last) = records.last() else { return Ok(None) };
    let mut version = after;
    let mut events = Vec::with_capacity(records.len());
    for record in records {
        events.push(event_of::<A>(record, version)?);
        version = record.version;
    }
    let fact = |(event, record): (_, &Arc<Record>)| {
        let Record { at, version, command, .. } = &**record;
        Fact { event, at: *at, version: *version, command: *command }
    };
    let mut facts: Vec<Fact<'_, A::Event>> = events.iter().zip(records).map(fact).collect();
    if planted(Bug::ShortSnapshot) {
        facts.pop();
    }
    let piece = match A::digest(&facts) {
        Some(digest) => Piece::Digest(digest),
        None => Piece::Facts(records.iter().map(|record| kept(record)).collect()),
    };
    let payload = codec::pack(&piece).map_err(|error| Fault::internal(error.to_string()))?;
    let segment = Segment {
        stream: stream.clone(),
        after,
        version,
        position: last.position,
        schema: A::SNAPSHOT_VERSION,
        payload,
    };
    Ok(Some(segment).filter(|segment| segment.payload.len() <= limits::SEGMENT_BYTES))
}

fn kept(record: &Record) -> Kept {
    Kept {
        kind: record.kind.to_string(),
        schema: record.schema,
        codec: record.codec,
        at: record.at,
        command: record.command,
        payload: record.payload.clone(),
    }
}

/// Folds a segment that goes on where the state stands. `None`: it cannot be read, and the state is of no use any more.
pub fn absorb<A: Aggregate>(state: &mut A::State, segment: &Segment) -> Option<()> {
    match codec::unpack_snapshot(&segment.payload).ok()? {
        Piece::Digest(digest) => A::absorb(state, &digest),
        Piece::Facts(facts) => {
            let mut version = segment.after;
            for kept in facts {
                version = version.next();
                let event = codec::decode(&kept.kind, kept.schema, kept.codec, &kept.payload).ok()?;
                let event = A::Event::from_event(event)?;
                A::evolve(state, Fact { event: &event, at: kept.at, version, command: kept.command });
            }
            (version == segment.version).then_some(())
        }
    }
}
