//! What does a valid log look like? Makes units with positions, versions and chains filled in.
//!
//! Only shapes: whether the rules would ever make such facts is no question here.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::events::{Chain, Decoded, Event, Record, codec, member, order, seat};
use crate::ids::{
    AccountId, CommandId, Epoch, Hash16, NodeId, OrderId, Partition, PerformanceId, Position, StreamId, Version,
};
use crate::journal::{PartitionBatch, PartitionState, Unit};
use crate::timestamp::Timestamp;

/// Goes on from where a partition stands.
#[derive(Clone, Debug)]
pub struct Builder {
    pub partition: Partition,
    pub epoch: Epoch,
    pub head: Position,
    pub chain: Chain,
    /// `at` of the next unit; the caller moves it.
    pub at: Timestamp,
    /// Command of the next unit; made up when there is none.
    pub command: Option<CommandId>,
    pub principal: AccountId,
    pub versions: BTreeMap<StreamId, Version>,
}

impl Builder {
    #[must_use]
    pub fn new(partition: Partition) -> Self {
        Self {
            partition,
            epoch: Epoch(1),
            head: Position(0),
            chain: Chain::default(),
            at: Timestamp(1_700_000_000_000),
            command: None,
            principal: AccountId::new("account-ä-1"),
            versions: BTreeMap::new(),
        }
    }

    /// For a partition whose streams are all new to this builder.
    #[must_use]
    pub fn after(state: &PartitionState) -> Self {
        let empty = Self::new(state.partition);
        let at = empty.at.max(state.last_at);
        Self { epoch: state.epoch, head: state.head, chain: state.chain, at, ..empty }
    }

    /// The records of one unit.
    pub fn records(&mut self, facts: Vec<(StreamId, Event)>) -> Vec<Record> {
        let count = facts.len();
        let first = self.head.next();
        let seed = format!("{}:{first}:{}", self.partition, self.epoch.0);
        let command = self.command.take().unwrap_or_else(|| Hash16::of("test command", &[seed.as_bytes()]));
        let correlation = Uuid::from_bytes(Hash16::of("test correlation", &[seed.as_bytes()]).0);
        facts
            .into_iter()
            .enumerate()
            .map(|(i, (stream, event))| self.record(stream, &event, command, correlation, i + 1 == count))
            .collect()
    }

    /// One unit without timers or note.
    pub fn unit(&mut self, facts: Vec<(StreamId, Event)>) -> Unit {
        Unit { records: self.records(facts), ..Unit::default() }
    }

    /// A batch of units that were made one after the other by this builder.
    #[must_use]
    pub fn batch(&self, units: Vec<Unit>) -> PartitionBatch {
        let first = units.first().and_then(|unit| unit.records.first()).map_or(self.head.next(), |r| r.position);
        let expected_head = Position(first.0 - 1);
        PartitionBatch { partition: self.partition, epoch: self.epoch, expected_head, units }
    }

    fn record(&mut self, stream: StreamId, event: &Event, command: CommandId, id: Uuid, unit_last: bool) -> Record {
        let version = self.versions.entry(stream.clone()).or_default();
        *version = version.next();
        let position = self.head.next();
        let seed = format!("{}:{position}:{}", self.partition, self.epoch.0);
        let kind = event.kind();
        let mut record = Record {
            partition: self.partition,
            position,
            stream,
            version: *version,
            kind: kind.name.into(),
            schema: kind.version,
            codec: codec::BINCODE_2,
            event_id: Uuid::from_bytes(Hash16::of("test event", &[seed.as_bytes()]).0),
            command,
            correlation: id,
            // Every optional field is both there and not there in any log of some length.
            causation: position.0.is_multiple_of(3).then_some(id),
            principal: self.principal.clone(),
            owner: position.0.is_multiple_of(2).then(|| AccountId::new("seller")),
            epoch: self.epoch,
            node: NodeId::new("node-a"),
            at: self.at,
            recorded_at: self.at,
            unit_last,
            chain: Chain::default(),
            payload: codec::encode(event).expect("test facts can be encoded"),
            decoded: Decoded::default(),
        };
        record.chain = record.chain_after(&self.chain);
        (self.head, self.chain) = (position, record.chain);
        record
    }
}

/// A partition's whole log from its units.
#[must_use]
pub fn records(partition: Partition, units: Vec<Vec<(StreamId, Event)>>) -> Vec<Record> {
    let mut builder = Builder::new(partition);
    units.into_iter().flat_map(|facts| builder.records(facts)).collect()
}

/// The `n`th order of a partition.
#[must_use]
pub fn order_in(partition: Partition, n: u64) -> StreamId {
    StreamId::order(&OrderId::derive(partition, &Hash16::of("test order", &[&n.to_le_bytes()])))
}

/// A performance that lives in the partition and whose id begins with `prefix`.
#[must_use]
pub fn performance_in(partition: Partition, partitions: u16, prefix: &str) -> PerformanceId {
    (0_u32..)
        .map(|n| format!("{prefix}{n}"))
        .find(|key| Partition::of_key(key, partitions) == partition)
        .map_or_else(|| PerformanceId::new(prefix), PerformanceId::new)
}

/// Some fact for a stream of an order.
#[must_use]
pub fn fact(stream: &StreamId) -> (StreamId, Event) {
    (stream.clone(), Event::Order(order::Expired { order_id: OrderId::new(stream.id()) }.into()))
}

/// Some fact for a stream of a seat.
#[must_use]
pub fn seat_fact(stream: &StreamId) -> (StreamId, Event) {
    (stream.clone(), Event::Seat(seat::Blocked {}.into()))
}

/// Some fact for a stream of a member.
#[must_use]
pub fn member_fact(stream: &StreamId) -> (StreamId, Event) {
    let order_id = OrderId::derive(Partition(0), &Hash16::of("test order", &[]));
    (stream.clone(), Event::Member(member::Sold { order_id, seats: 3 }.into()))
}
