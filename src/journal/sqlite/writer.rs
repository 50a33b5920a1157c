//! Who writes to the file? One connection, in one hand at a time, and the lock that keeps other processes away.
//!
//! Every write runs in a task of its own: dropping the caller's future cancels nothing half-way.

use std::fs::{File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};
use tokio::sync::Mutex;
use uuid::Uuid;

use super::boot::{self, run};
use super::error::{fault, not_begun};
use super::{FILE, LOCK, append, read, segments};
use crate::clock::{Clock, Entropy};
use crate::fault::Fault;
use crate::ids::{Epoch, NodeId, Partition};
use crate::journal::open::{Options, Role};
use crate::journal::rows::{self, signed};
use crate::journal::{AppendError, Claim, ClaimError, PartitionBatch, PartitionState, Segment, Snapshot, Verdict};
use crate::limits;
use crate::timestamp::Timestamp;

pub struct Writer(Arc<Inner>);

struct Inner {
    dir: PathBuf,
    role: Role,
    clock: Arc<dyn Clock>,
    session: Uuid,
    /// `None` after a doubt: the next writer opens a fresh one.
    conn: Mutex<Option<SqliteConnection>>,
    held: parking_lot::Mutex<Option<(File, NodeId)>>,
}

impl Writer {
    pub fn new(dir: &Path, conn: SqliteConnection, options: Options) -> Self {
        let session = Entropy::from_system().uuid(options.clock.wall());
        Self(Arc::new(Inner {
            dir: dir.to_owned(),
            role: options.role,
            clock: options.clock,
            session,
            conn: Mutex::new(Some(conn)),
            held: parking_lot::Mutex::new(None),
        }))
    }

    pub async fn append(&self, batches: &[PartitionBatch]) -> Result<Vec<Verdict>, AppendError> {
        let (inner, batches) = (self.0.clone(), batches.to_vec());
        let task = tokio::spawn(async move { inner.append(&batches).await });
        task.await.unwrap_or_else(|e| Err(AppendError::Unknown(e.to_string())))
    }

    pub async fn claim(&self, node: &NodeId) -> Result<Claim, ClaimError> {
        let (inner, node) = (self.0.clone(), node.clone());
        let task = tokio::spawn(async move { inner.claim(&node).await });
        task.await.unwrap_or_else(|e| Err(ClaimError::Unavailable(e.to_string())))
    }

    pub async fn heartbeat(&self, node: &NodeId) -> Result<Timestamp, ClaimError> {
        // While the process lives, nobody else can take the lock: nothing need be written.
        match self.0.held.lock().as_ref() {
            Some((_, holder)) if holder == node => Ok(self.0.clock.wall()),
            Some((_, holder)) => Err(ClaimError::Held { holder: format!("node {holder}, in this process") }),
            None => Err(ClaimError::Held { holder: "nobody: the lease was given back".to_owned() }),
        }
    }

    pub async fn release(&self, node: &NodeId) -> Result<(), Fault> {
        let (inner, node) = (self.0.clone(), node.clone());
        run_apart(async move { inner.release(&node).await }).await
    }

    pub async fn settle(
        &self,
        node: &NodeId,
        partition: Partition,
        epoch: Epoch,
    ) -> Result<Option<PartitionState>, Fault> {
        let (inner, node) = (self.0.clone(), node.clone());
        run_apart(async move { inner.settle(&node, partition, epoch).await }).await
    }

    pub async fn save_snapshot(&self, partition: Partition, snapshot: Snapshot) -> Result<(), Fault> {
        let inner = self.0.clone();
        run_apart(async move { inner.save_snapshot(partition, snapshot).await.map_err(fault) }).await
    }

    pub async fn save_segment(&self, partition: Partition, segment: Segment) -> Result<(), Fault> {
        let inner = self.0.clone();
        let save = async move |conn: &mut SqliteConnection| segments::save(conn, partition, &segment).await;
        run_apart(async move { inner.transact(save).await.map_err(fault) }).await
    }
}

async fn run_apart<T: Send + 'static>(
    work: impl Future<Output = Result<T, Fault>> + Send + 'static,
) -> Result<T, Fault> {
    tokio::spawn(work).await.unwrap_or_else(|e| Err(Fault::internal(e.to_string())))
}

impl Inner {
    async fn connect(&self) -> Result<SqliteConnection, sqlx::Error> {
        boot::write_options(&self.dir.join(FILE)).connect().await
    }

    async fn append(&self, batches: &[PartitionBatch]) -> Result<Vec<Verdict>, AppendError> {
        if let Some(refused) = rows::twice(batches) {
            return Err(refused);
        }
        let mut slot = self.conn.lock().await;
        let mut conn = match slot.take() {
            Some(conn) => conn,
            None => self.connect().await.map_err(|e| not_begun(&e))?,
        };
        let outcome = append::append(&mut conn, batches).await;
        if outcome.is_ok() {
            *slot = Some(conn);
        } else {
            // A rollback may have failed too, and closing ends it. The frames of a failed commit are written over by
            // the next one, so settling ends that doubt.
            let _closed = conn.close().await;
        }
        outcome
    }

    /// One transaction of several statements. The connection goes back only if the transaction ended cleanly.
    async fn transact<T>(
        &self,
        work: impl AsyncFnOnce(&mut SqliteConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, sqlx::Error> {
        let mut slot = self.conn.lock().await;
        let mut conn = match slot.take() {
            Some(conn) => conn,
            None => self.connect().await?,
        };
        run(&mut conn, "BEGIN IMMEDIATE").await?;
        let outcome = work(&mut conn).await;
        run(&mut conn, if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" }).await?;
        *slot = Some(conn);
        outcome
    }

    async fn claim(&self, node: &NodeId) -> Result<Claim, ClaimError> {
        if self.role == Role::Read {
            return Err(ClaimError::Unavailable("the log was opened for reading".to_owned()));
        }
        self.take_lock(node).await?;
        let now = self.clock.wall();
        let claimed = self
            .transact(async |conn| {
                let owner = rows::owner(node, self.session);
                sqlx::query(include_str!("claim.sql")).bind(owner).execute(&mut *conn).await?;
                sqlx::query(include_str!("nodes_over.sql")).bind(node.as_str().to_owned()).execute(&mut *conn).await?;
                sqlx::query(include_str!("node_hold.sql"))
                    .bind(node.as_str().to_owned())
                    .bind(self.session)
                    .bind(now.0)
                    .bind(now.plus(limits::LEASE).0)
                    .execute(&mut *conn)
                    .await?;
                read::states(conn, None).await
            })
            .await;
        match claimed {
            Ok(partitions) => Ok(Claim { now, partitions }),
            Err(error) => {
                *self.held.lock() = None;
                Err(ClaimError::Unavailable(error.to_string()))
            }
        }
    }

    async fn take_lock(&self, node: &NodeId) -> Result<(), ClaimError> {
        let unavailable = |e: std::io::Error| ClaimError::Unavailable(format!("{LOCK}: {e}"));
        {
            let mut held = self.held.lock();
            match held.as_ref() {
                Some((_, holder)) if holder == node => return Ok(()),
                Some((_, holder)) => {
                    return Err(ClaimError::Held { holder: format!("node {holder}, in this process") });
                }
                None => {}
            }
            let path = self.dir.join(LOCK);
            let file = File::options().create(true).append(true).open(path).map_err(unavailable)?;
            match file.try_lock() {
                Ok(()) => {
                    *held = Some((file, node.clone()));
                    return Ok(());
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(e)) => return Err(unavailable(e)),
            }
        }
        Err(ClaimError::Held { holder: self.holder().await })
    }

    async fn holder(&self) -> String {
        let mut slot = self.conn.lock().await;
        let Some(conn) = slot.as_mut() else { return "another process".to_owned() };
        let row = sqlx::query(include_str!("node_holder.sql")).fetch_optional(conn).await.ok().flatten();
        let known = row.and_then(|row| Some((row.try_get::<String, _>(0).ok()?, row.try_get::<i64, _>(1).ok()?)));
        known.map_or_else(
            || "another process".to_owned(),
            |(node, since)| format!("node {node}, since {}", Timestamp(since)),
        )
    }

    async fn release(&self, node: &NodeId) -> Result<(), Fault> {
        if !matches!(self.held.lock().as_ref(), Some((_, holder)) if holder == node) {
            return Ok(());
        }
        let over = self
            .transact(async |conn| {
                let query = sqlx::query(include_str!("node_release.sql")).bind(node.as_str().to_owned());
                query.bind(self.session).execute(conn).await.map(drop)
            })
            .await;
        *self.held.lock() = None;
        over.map_err(fault)
    }

    async fn settle(&self, node: &NodeId, partition: Partition, epoch: Epoch) -> Result<Option<PartitionState>, Fault> {
        self.transact(async |conn| {
            let raised = sqlx::query(include_str!("settle.sql"))
                .bind(i32::from(partition.0))
                .bind(signed(epoch.0))
                .bind(rows::owner(node, self.session))
                .execute(&mut *conn)
                .await?;
            if raised.rows_affected() == 0 {
                return Ok(None);
            }
            Ok(read::states(conn, Some(partition)).await?.pop())
        })
        .await
        .map_err(fault)
    }

    async fn save_snapshot(&self, partition: Partition, snapshot: Snapshot) -> Result<(), sqlx::Error> {
        self.transact(async |conn| {
            let query = sqlx::query(include_str!("snapshot_save.sql"))
                .bind(i32::from(partition.0))
                .bind(snapshot.stream.as_str().to_owned())
                .bind(signed(snapshot.version.0))
                .bind(signed(snapshot.position.0))
                .bind(i32::from(snapshot.schema))
                .bind(snapshot.payload.clone());
            if query.execute(&mut *conn).await?.rows_affected() > 0 {
                segments::drop_within(conn, partition, &snapshot).await?;
            }
            Ok(())
        })
        .await
    }
}
