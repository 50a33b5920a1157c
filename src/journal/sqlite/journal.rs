//! How is the contract kept here? Every call goes to the part that does it.

use std::path::Path;

use async_trait::async_trait;
use sqlx::ConnectOptions;
use sqlx::sqlite::SqlitePool;
use uuid::Uuid;

use super::error::opening;
use super::writer::Writer;
use super::{FILE, boot, read, segments};
use crate::events::Record;
use crate::fault::Fault;
use crate::ids::{Epoch, NodeId, Partition, Position, StreamId, Version};
use crate::journal::open::{OpenError, Options, Role};
use crate::journal::{
    AppendError, Claim, ClaimError, Journal, Loaded, PartitionBatch, PartitionState, Reach, Segment, Snapshot, Verdict,
};
use crate::timestamp::Timestamp;

pub struct SqliteJournal {
    partitions: u16,
    writer: Writer,
    readers: SqlitePool,
}

impl SqliteJournal {
    /// Serving creates and migrates the log; reading takes it as it is.
    pub async fn open(dir: &Path, options: Options) -> Result<Self, OpenError> {
        let file = dir.join(FILE);
        let place = file.display().to_string();
        let connect = match options.role {
            Role::Serve => {
                let not_writable =
                    |e: std::io::Error| OpenError::NotWritable { place: place.clone(), detail: e.to_string() };
                std::fs::create_dir_all(dir).map_err(not_writable)?;
                boot::write_options(&file).create_if_missing(true)
            }
            Role::Read if !file.exists() => return Err(OpenError::Missing { place }),
            Role::Read => boot::read_options(&file),
        };
        let mut conn = connect.connect().await.map_err(|e| opening(&place, &e))?;
        if options.role == Role::Serve {
            boot::migrate(&mut conn, options.partitions, &place).await?;
        }
        let partitions = boot::check(&mut conn, options.partitions, &place).await?;
        let readers = boot::readers(&file).await.map_err(|e| opening(&place, &e))?;
        let writer = Writer::new(dir, conn, options);
        Ok(Self { partitions, writer, readers })
    }
}

#[async_trait]
impl Journal for SqliteJournal {
    fn partitions(&self) -> u16 {
        self.partitions
    }

    fn engine(&self) -> &'static str {
        "sqlite"
    }

    async fn claim(&self, node: &NodeId) -> Result<Claim, ClaimError> {
        self.writer.claim(node).await
    }

    async fn heartbeat(&self, node: &NodeId) -> Result<Timestamp, ClaimError> {
        self.writer.heartbeat(node).await
    }

    async fn release(&self, node: &NodeId) -> Result<(), Fault> {
        self.writer.release(node).await
    }

    async fn append(&self, batches: &[PartitionBatch]) -> Result<Vec<Verdict>, AppendError> {
        self.writer.append(batches).await
    }

    async fn settle(&self, node: &NodeId, partition: Partition, epoch: Epoch) -> Result<Option<PartitionState>, Fault> {
        self.writer.settle(node, partition, epoch).await
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Loaded>, Fault> {
        read::load(&self.readers, self.partitions, streams).await
    }

    async fn read_stream(&self, stream: &StreamId, after: Version, limit: usize) -> Result<Vec<Record>, Fault> {
        read::stream(&self.readers, self.partitions, stream, after, limit).await
    }

    async fn read_partition(&self, partition: Partition, after: Position, limit: usize) -> Result<Vec<Record>, Fault> {
        read::partition(&self.readers, partition, after, limit).await
    }

    async fn latest_of(&self, partition: Partition, prefix: &str, up_to: Position) -> Result<Vec<Record>, Fault> {
        read::latest_of(&self.readers, partition, prefix, up_to).await
    }

    async fn streams(&self, of: Partition, after: Option<&StreamId>, most: usize) -> Result<Vec<StreamId>, Fault> {
        read::streams(&self.readers, of, after, most).await
    }

    async fn heads(&self) -> Result<Vec<Position>, Fault> {
        read::heads(&self.readers).await
    }

    async fn timers(&self, partition: Partition) -> Result<Vec<(StreamId, Timestamp)>, Fault> {
        read::timers(&self.readers, partition).await
    }

    async fn kinds(&self) -> Result<Vec<(String, u16)>, Fault> {
        read::kinds(&self.readers).await
    }

    async fn save_snapshot(&self, partition: Partition, snapshot: Snapshot) -> Result<(), Fault> {
        self.writer.save_snapshot(partition, snapshot).await
    }

    async fn save_segment(&self, partition: Partition, segment: Segment) -> Result<(), Fault> {
        self.writer.save_segment(partition, segment).await
    }

    async fn segments(&self, of: &StreamId, schema: u16, from: Version, most: usize) -> Result<Vec<Segment>, Fault> {
        segments::after(&self.readers, self.partitions, (of, schema), from, most).await
    }

    async fn reach(&self, stream: &StreamId, schema: u16) -> Result<Reach, Fault> {
        segments::reach(&self.readers, self.partitions, (stream, schema)).await
    }

    async fn note(&self, event: Uuid) -> Result<Option<String>, Fault> {
        read::note(&self.readers, event).await
    }
}
