//! Who writes to the database? One connection for appends, two beside it, and what is known of their failures.
//!
//! Every write runs in a task of its own: dropping the caller's future cancels nothing half-way.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use super::append::{self, KindVersion};
use super::boot::run;
use super::connect::{Failure, Owned, apart};
use super::{error, read, segments};
use crate::fault::Fault;
use crate::ids::{Epoch, NodeId, Partition};
use crate::journal::rows::{self, signed};
use crate::journal::{AppendError, PartitionBatch, PartitionState, Segment, Snapshot, Verdict};

pub struct Writer {
    appends: Arc<Owned>,
    /// For settling, which must not wait for the doubts of an append.
    side: Arc<Owned>,
    /// For snapshots, which may take their time without a settling that waits for them.
    snapshots: Arc<Owned>,
    session: Uuid,
    /// What certainly stands in the table of kinds, and need not be written again.
    known: Arc<Mutex<HashSet<KindVersion>>>,
}

impl Writer {
    pub fn new(options: &PgConnectOptions, session: Uuid, kinds: Vec<KindVersion>) -> Self {
        let known = Arc::new(Mutex::new(kinds.into_iter().collect()));
        let connection = || Owned::new(options.clone());
        Self { appends: connection(), side: connection(), snapshots: connection(), session, known }
    }

    pub async fn append(&self, batches: &[PartitionBatch]) -> Result<Vec<Verdict>, AppendError> {
        if let Some(refused) = rows::twice(batches) {
            return Err(refused);
        }
        let (appends, known, batches) = (self.appends.clone(), self.known.clone(), batches.to_vec());
        let work = async move {
            let before = known.lock().clone();
            let keep = |e: &sqlx::Error| matches!(error::append(e), AppendError::Rejected(_));
            let outcome = appends.run(keep, async |conn| append::append(conn, &batches, &before).await).await;
            let verdicts = outcome.map_err(|failure| match &failure {
                Failure::NotSent(_) => AppendError::NotSent(failure.text()),
                Failure::NoAnswer => AppendError::Unknown(failure.text()),
                Failure::Sql(e) => error::append(e),
            })?;
            known.lock().extend(append::kinds_of(&batches, &verdicts));
            Ok(verdicts)
        };
        apart(work, AppendError::Unknown).await
    }

    pub async fn settle(
        &self,
        node: &NodeId,
        partition: Partition,
        epoch: Epoch,
    ) -> Result<Option<PartitionState>, Fault> {
        let (side, owner) = (self.side.clone(), rows::owner(node, self.session));
        let work = async move {
            // In one transaction: between the two statements nobody else can claim the partition, and the second one
            // sees what the writers had committed whom the first one waited for.
            let raise = async |conn: &mut PgConnection| {
                run(conn, "BEGIN").await?;
                let query = sqlx::query(include_str!("settle.sql")).bind(i32::from(partition.0));
                let raised = query.bind(signed(epoch.0)).bind(&owner).execute(&mut *conn).await?;
                let ours = raised.rows_affected() > 0;
                let state = if ours { read::states(conn, Some(partition)).await?.pop() } else { None };
                run(conn, "COMMIT").await?;
                Ok(state)
            };
            side.run(|_| false, raise).await.map_err(Fault::from)
        };
        apart(work, Fault::internal).await
    }

    pub async fn save_snapshot(&self, partition: Partition, snapshot: Snapshot) -> Result<(), Fault> {
        let snapshots = self.snapshots.clone();
        let work = async move {
            let save = async |conn: &mut PgConnection| {
                run(conn, "BEGIN").await?;
                let query = sqlx::query(include_str!("snapshot_save.sql"))
                    .bind(i32::from(partition.0))
                    .bind(snapshot.stream.as_str())
                    .bind(signed(snapshot.version.0))
                    .bind(signed(snapshot.position.0))
                    .bind(i16::try_from(snapshot.schema).unwrap_or(i16::MAX))
                    .bind(&snapshot.payload);
                if query.execute(&mut *conn).await?.rows_affected() > 0 {
                    segments::drop_within(conn, partition, &snapshot).await?;
                }
                run(conn, "COMMIT").await
            };
            snapshots.run(|_| false, save).await.map_err(Fault::from)
        };
        apart(work, Fault::internal).await
    }

    pub async fn save_segment(&self, partition: Partition, segment: Segment) -> Result<(), Fault> {
        let snapshots = self.snapshots.clone();
        let work = async move {
            let save = async |conn: &mut PgConnection| segments::save(conn, partition, &segment).await;
            snapshots.run(|_| false, save).await.map_err(Fault::from)
        };
        apart(work, Fault::internal).await
    }
}
