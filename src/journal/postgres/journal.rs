//! How is the contract kept here? Every call goes to the part that does it.

use async_trait::async_trait;
use sqlx::postgres::PgPool;
use uuid::Uuid;

use super::connect::{answered, without_secrets};
use super::lease::Lease;
use super::witness::Witness;
use super::writer::Writer;
use super::{boot, connect, error, read, segments};
use crate::clock::Entropy;
use crate::events::Record;
use crate::fault::Fault;
use crate::ids::{Epoch, NodeId, Partition, Position, StreamId, Version};
use crate::journal::open::{OpenError, Options};
use crate::journal::{
    AppendError, Claim, ClaimError, Journal, Loaded, PartitionBatch, PartitionState, Reach, Segment, Snapshot, Verdict,
};
use crate::timestamp::Timestamp;

pub struct PostgresJournal {
    partitions: u16,
    readers: PgPool,
    writer: Writer,
    lease: Lease,
}

impl PostgresJournal {
    pub async fn open(url: &str, options: Options) -> Result<Self, OpenError> {
        let place = without_secrets(url);
        let session = Entropy::from_system().uuid(options.clock.wall());
        // Operators see whose connections they are.
        let connect_to = connect::options(url)?.application_name(&format!("onsale {session}"));
        // A pool only says that it waited in vain; one connection says why.
        let first = connect::connect(&connect_to).await;
        let first = first.map_err(|detail| OpenError::NotReachable { place: place.clone(), detail })?;
        // It has done its work, however it ends.
        let _ended = sqlx::Connection::close(first).await;
        let readers = connect::readers(&connect_to).await.map_err(|e| error::opening(&place, &e))?;
        let partitions = boot::check(&readers, options.partitions, &place).await?;
        let kinds = answered(read::kinds(&readers)).await;
        let kinds = kinds.map_err(|e| OpenError::NotReachable { place, detail: e.to_string() })?;
        Ok(Self {
            partitions,
            readers,
            writer: Writer::new(&connect_to, session, kinds),
            lease: Lease::new(connect_to, session, Witness::new(options.data, session), options.clock),
        })
    }
}

#[async_trait]
impl Journal for PostgresJournal {
    fn partitions(&self) -> u16 {
        self.partitions
    }

    fn engine(&self) -> &'static str {
        "postgres"
    }

    async fn claim(&self, node: &NodeId) -> Result<Claim, ClaimError> {
        self.lease.claim(node).await
    }

    async fn heartbeat(&self, node: &NodeId) -> Result<Timestamp, ClaimError> {
        self.lease.heartbeat(node).await
    }

    async fn release(&self, node: &NodeId) -> Result<(), Fault> {
        self.lease.release(node).await
    }

    async fn append(&self, batches: &[PartitionBatch]) -> Result<Vec<Verdict>, AppendError> {
        self.writer.append(batches).await
    }

    async fn settle(&self, node: &NodeId, partition: Partition, epoch: Epoch) -> Result<Option<PartitionState>, Fault> {
        self.writer.settle(node, partition, epoch).await
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Loaded>, Fault> {
        answered(read::load(&self.readers, self.partitions, streams)).await
    }

    async fn read_stream(&self, stream: &StreamId, after: Version, limit: usize) -> Result<Vec<Record>, Fault> {
        answered(read::stream(&self.readers, self.partitions, stream, after, limit)).await
    }

    async fn read_partition(&self, partition: Partition, after: Position, limit: usize) -> Result<Vec<Record>, Fault> {
        answered(read::partition(&self.readers, partition, after, limit)).await
    }

    async fn latest_of(&self, partition: Partition, prefix: &str, up_to: Position) -> Result<Vec<Record>, Fault> {
        answered(read::latest_of(&self.readers, partition, prefix, up_to)).await
    }

    async fn streams(&self, of: Partition, after: Option<&StreamId>, most: usize) -> Result<Vec<StreamId>, Fault> {
        answered(read::streams(&self.readers, of, after, most)).await
    }

    async fn heads(&self) -> Result<Vec<Position>, Fault> {
        answered(read::heads(&self.readers)).await
    }

    async fn timers(&self, partition: Partition) -> Result<Vec<(StreamId, Timestamp)>, Fault> {
        answered(read::timers(&self.readers, partition)).await
    }

    async fn kinds(&self) -> Result<Vec<(String, u16)>, Fault> {
        answered(read::kinds(&self.readers)).await
    }

    async fn save_snapshot(&self, partition: Partition, snapshot: Snapshot) -> Result<(), Fault> {
        self.writer.save_snapshot(partition, snapshot).await
    }

    async fn save_segment(&self, partition: Partition, segment: Segment) -> Result<(), Fault> {
        self.writer.save_segment(partition, segment).await
    }

    async fn segments(&self, of: &StreamId, schema: u16, from: Version, most: usize) -> Result<Vec<Segment>, Fault> {
        answered(segments::after(&self.readers, self.partitions, (of, schema), from, most)).await
    }

    async fn reach(&self, stream: &StreamId, schema: u16) -> Result<Reach, Fault> {
        answered(segments::reach(&self.readers, self.partitions, (stream, schema))).await
    }

    async fn note(&self, event: Uuid) -> Result<Option<String>, Fault> {
        answered(read::note(&self.readers, event)).await
    }
}
