//! What does the log know about a fact besides the fact? One row: where it stands, who caused it, and the chain.
//!
//! The envelope does not interpret the payload; `codec.rs` does.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Serialize, Serializer};
use uuid::Uuid;

use super::codec::{self, CodecError};
use super::{Event, Kind};
use crate::ids::{AccountId, CommandId, Epoch, NodeId, Partition, Position, StreamId, Version};
use crate::timestamp::Timestamp;

/// BLAKE3 over the previous chain value and everything in this row: a flipped bit, a missing row or two swapped ones
/// show at the next position. The first event of a partition follows from 32 zero bytes.
#[derive(Clone, Copy, PartialEq, Eq, Default)]
pub struct Chain(pub [u8; 32]);

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for Chain {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// The fact of a row, once somebody has read it: several read models follow the same rows. Says nothing about the row itself.
#[derive(Clone, Default)]
pub struct Decoded(OnceLock<Arc<Event>>);

impl PartialEq for Decoded {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Decoded {}

impl fmt::Debug for Decoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.get().is_some() { "read" } else { "unread" })
    }
}

/// One row of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub partition: Partition,
    pub position: Position,
    pub stream: StreamId,
    pub version: Version,
    /// Borrowed where this build knows the kind; owned where it stands in a log of a newer one.
    pub kind: Cow<'static, str>,
    pub schema: u16,
    pub codec: u8,
    pub event_id: Uuid,
    pub command: CommandId,
    pub correlation: Uuid,
    /// The event that caused the command, where one did.
    pub causation: Option<Uuid>,
    /// Who asked.
    pub principal: AccountId,
    /// The seller to whom it belongs, for isolation.
    pub owner: Option<AccountId>,
    pub epoch: Epoch,
    pub node: NodeId,
    /// The log's own time, by which every rule was judged. Never falls within a partition.
    pub at: Timestamp,
    /// When the writing node handed it to the database.
    pub recorded_at: Timestamp,
    /// The last event of its unit: readers cut only here, so nobody sees part of a unit.
    pub unit_last: bool,
    pub chain: Chain,
    pub payload: Vec<u8>,
    pub decoded: Decoded,
}

impl Record {
    /// The chain value that this row must carry when `previous` is the one before it.
    #[must_use]
    pub fn chain_after(&self, previous: &Chain) -> Chain {
        // Every field with its length or in a fixed width, so that no two rows look alike to the hash. In one piece: most
        // rows are a few hundred bytes, for which a hasher that can be fed is several times as dear.
        let owner = self.owner.as_ref().map_or("", AccountId::as_str);
        let texts = [self.stream.as_str(), &self.kind, self.principal.as_str(), owner, self.node.as_str()];
        let long = texts.iter().map(|text| 8 + text.len()).sum::<usize>() + self.payload.len();
        let mut row = Vec::with_capacity(160 + long);
        row.extend_from_slice(&previous.0);
        row.extend_from_slice(&self.partition.0.to_le_bytes());
        for number in [self.position.0, self.version.0, self.epoch.0] {
            row.extend_from_slice(&number.to_le_bytes());
        }
        for time in [self.at.0, self.recorded_at.0] {
            row.extend_from_slice(&time.to_le_bytes());
        }
        row.extend_from_slice(&self.schema.to_le_bytes());
        row.extend_from_slice(&[self.codec, u8::from(self.unit_last), u8::from(self.causation.is_some())]);
        row.extend_from_slice(&[u8::from(self.owner.is_some())]);
        row.extend_from_slice(self.event_id.as_bytes());
        row.extend_from_slice(&self.command.0);
        row.extend_from_slice(self.correlation.as_bytes());
        row.extend_from_slice(self.causation.unwrap_or_default().as_bytes());
        for text in texts {
            row.extend_from_slice(&(text.len() as u64).to_le_bytes());
            row.extend_from_slice(text.as_bytes());
        }
        row.extend_from_slice(&(self.payload.len() as u64).to_le_bytes());
        row.extend_from_slice(&self.payload);
        Chain(*blake3::hash(&row).as_bytes())
    }

    /// The fact itself.
    pub fn event(&self) -> Result<Event, CodecError> {
        codec::decode(&self.kind, self.schema, self.codec, &self.payload)
    }

    /// As [`Record::event`], for all who look at the same row: it is read once.
    pub fn shared_event(&self) -> Result<Arc<Event>, CodecError> {
        if let Some(event) = self.decoded.0.get() {
            return Ok(event.clone());
        }
        let event = Arc::new(self.event()?);
        Ok(self.decoded.0.get_or_init(|| event).clone())
    }

    /// The row as people and foreign checkers read it; `data` is the fact as JSON.
    #[must_use]
    pub fn to_json(&self, data: &serde_json::Value) -> serde_json::Value {
        serde_json::json!({
            "partition": self.partition,
            "position": self.position,
            "stream": self.stream,
            "version": self.version,
            "kind": self.kind,
            "schema": self.schema,
            "event_id": self.event_id,
            "command": self.command,
            "correlation": self.correlation,
            "causation": self.causation,
            "principal": self.principal,
            "owner": self.owner,
            "epoch": self.epoch,
            "node": self.node,
            "at": self.at,
            "recorded_at": self.recorded_at,
            "unit_last": self.unit_last,
            "chain": self.chain,
            "data": data,
        })
    }

    /// The kind's name as this build knows it, borrowed where it does.
    #[must_use]
    pub fn intern_kind(name: &str) -> Cow<'static, str> {
        static NAMES: std::sync::LazyLock<std::collections::HashMap<&'static str, Kind>> =
            std::sync::LazyLock::new(|| super::kinds().into_iter().map(|kind| (kind.name, kind)).collect());
        NAMES.get(name).map_or_else(|| Cow::Owned(name.to_owned()), |kind| Cow::Borrowed(kind.name))
    }
}
