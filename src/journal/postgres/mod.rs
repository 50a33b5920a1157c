//! The log in Postgres: what a server in production uses.
//!
//! Appending, settling and the lease have connections of their own; reading has a small pool. Statements stand in `.sql`
//! files, one each, under the same names as in `sqlite/`. Only `error.rs` knows what the driver's errors mean.

mod append;
mod boot;
mod connect;
mod error;
mod lease;
mod moment;
mod read;

use std::collections::HashSet;
use std::sync::Arc;

use async_trait::async_trait;
use parking_lot::Mutex;
use sqlx::postgres::PgPool;
use uuid::Uuid;

pub use self::boot::migrate;
pub use self::connect::{options, readers, without_secrets};

use self::append::KindVersion;
use self::connect::{Failure, Owned};
use self::lease::Lease;
use super::open::{OpenError, Options};
use super::rows::signed;
use super::{AppendError, Claim, ClaimError, Journal, Loaded, PartitionBatch, PartitionState, Snapshot, Verdict};
use crate::clock::Entropy;
use crate::events::Record;
use crate::fault::Fault;
use crate::ids::{Epoch, NodeId, Partition, Position, StreamId, Version};
use crate::timestamp::Timestamp;

pub struct PostgresJournal {
    partitions: u16,
    readers: PgPool,
    writer: Arc<Owned>,
    /// For settling and snapshots, which must not wait for the writer's doubts.
    side: Arc<Owned>,
    lease: Arc<Lease>,
    known: Arc<Mutex<HashSet<KindVersion>>>,
}

impl PostgresJournal {
    pub async fn open(url: &str, options: Options) -> Result<Self, OpenError> {
        let place = without_secrets(url);
        let connect_to = connect::options(url)?;
        // A pool only says that it waited in vain; one connection says why.
        let first = connect::connect(&connect_to).await;
        let first = first.map_err(|detail| OpenError::NotReachable { place: place.clone(), detail })?;
        // It has done its work, however it ends.
        let _ended = sqlx::Connection::close(first).await;
        let readers = connect::readers(&connect_to).await.map_err(|e| error::opening(&place, &e))?;
        let partitions = boot::check(&readers, options.partitions, &place).await?;
        let kinds = read::kinds(&readers).await;
        let kinds = kinds.map_err(|e| OpenError::NotReachable { place, detail: e.to_string() })?;
        let session = Entropy::from_system().uuid(options.clock.wall());
        Ok(Self {
            partitions,
            readers,
            writer: Owned::new(connect_to.clone()),
            side: Owned::new(connect_to.clone()),
            lease: Lease::new(connect_to, session),
            known: Arc::new(Mutex::new(kinds.into_iter().collect())),
        })
    }
}

/// Runs work in a task of its own, so that dropping the caller's future cancels nothing half-way.
async fn apart<T: Send + 'static, E: Send + 'static>(
    work: impl Future<Output = Result<T, E>> + Send + 'static,
    lost: impl FnOnce(String) -> E,
) -> Result<T, E> {
    tokio::spawn(work).await.unwrap_or_else(|e| Err(lost(e.to_string())))
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
        let (lease, node) = (self.lease.clone(), node.clone());
        apart(async move { lease.claim(&node).await }, ClaimError::Unavailable).await
    }

    async fn heartbeat(&self, node: &NodeId) -> Result<Timestamp, ClaimError> {
        let (lease, node) = (self.lease.clone(), node.clone());
        apart(async move { lease.heartbeat(&node).await }, ClaimError::Unavailable).await
    }

    async fn release(&self, node: &NodeId) -> Result<(), Fault> {
        let (lease, node) = (self.lease.clone(), node.clone());
        let work = async move { lease.release(&node).await.map_err(|e| Fault::unavailable(e.to_string())) };
        apart(work, Fault::internal).await
    }

    async fn append(&self, batches: &[PartitionBatch]) -> Result<Vec<Verdict>, AppendError> {
        let (writer, known, batches) = (self.writer.clone(), self.known.clone(), batches.to_vec());
        let work = async move {
            let before = known.lock().clone();
            let keep = |e: &sqlx::Error| matches!(error::append(e), AppendError::Rejected(_));
            let verdicts = writer.run(keep, async |conn| append::append(conn, &batches, &before).await).await.map_err(
                |failure| match &failure {
                    Failure::NotSent(detail) => AppendError::NotSent(detail.clone()),
                    Failure::NoAnswer => AppendError::Unknown(failure.text()),
                    Failure::Sql(e) => error::append(e),
                },
            )?;
            known.lock().extend(append::kinds_of(&batches, &verdicts));
            Ok(verdicts)
        };
        apart(work, AppendError::Unknown).await
    }

    async fn settle(&self, node: &NodeId, partition: Partition, epoch: Epoch) -> Result<Option<PartitionState>, Fault> {
        let (side, node) = (self.side.clone(), node.clone());
        let work = async move {
            let raise = async |conn: &mut sqlx::PgConnection| {
                let query = sqlx::query(include_str!("settle.sql")).bind(i32::from(partition.0));
                let raised = query.bind(signed(epoch.0)).bind(node.as_str()).execute(&mut *conn).await?;
                if raised.rows_affected() == 0 {
                    return Ok(None);
                }
                // Fenced: what stands there now is final, so a second look sees the truth.
                Ok(read::states(conn, Some(partition)).await?.pop())
            };
            side.run(|_| false, raise).await.map_err(Fault::from)
        };
        apart(work, Fault::internal).await
    }

    async fn load(&self, streams: &[StreamId]) -> Result<Vec<Loaded>, Fault> {
        read::load(&self.readers, self.partitions, streams).await
    }

    async fn read_stream(&self, stream: &StreamId, after: Version, limit: usize) -> Result<Vec<Record>, Fault> {
        match stream.partition(self.partitions) {
            Some(partition) => read::stream(&self.readers, (partition, stream), after, limit).await,
            None => Ok(Vec::new()),
        }
    }

    async fn read_partition(&self, partition: Partition, after: Position, limit: usize) -> Result<Vec<Record>, Fault> {
        read::partition(&self.readers, partition, after, limit).await
    }

    async fn latest_of(&self, partition: Partition, prefix: &str, up_to: Position) -> Result<Vec<Record>, Fault> {
        read::latest_of(&self.readers, partition, prefix, up_to).await
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
        let side = self.side.clone();
        let work = async move {
            let save = async |conn: &mut sqlx::PgConnection| {
                let query = sqlx::query(include_str!("snapshot_save.sql"))
                    .bind(i32::from(partition.0))
                    .bind(snapshot.stream.as_str())
                    .bind(signed(snapshot.version.0))
                    .bind(signed(snapshot.position.0))
                    .bind(i16::try_from(snapshot.schema).unwrap_or(i16::MAX))
                    .bind(&snapshot.payload);
                query.execute(conn).await.map(drop)
            };
            side.run(|_| false, save).await.map_err(Fault::from)
        };
        apart(work, Fault::internal).await
    }

    async fn note(&self, event: Uuid) -> Result<Option<String>, Fault> {
        read::note(&self.readers, event).await
    }
}
