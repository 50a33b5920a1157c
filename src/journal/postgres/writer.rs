//! Who writes to the database? One connection for appends, two beside it, and what is known of their failures.
//!
//! Every write runs in a task of its own: dropping the caller's future cancels nothing half-way.

use std::sync::Arc;

use parking_lot::Mutex;
use sqlx::PgConnection;
use sqlx::postgres::PgConnectOptions;
use uuid::Uuid;

use super::append::{self, KindVersion, Known};
use super::boot::run;
use super::connect::{Failure, Owned, apart};
use super::{error, read, segments};
use crate::fault::Fault;
use crate::ids::{Epoch, NodeId, Partition};
use crate::journal::rows::{self, signed};
use crate::journal::{AppendError, PartitionBatch, PartitionState, Segment, Snapshot, Verdict};
use crate::planted::{Bug, planted};

pub struct Writer {
    appends: Arc<Owned>,
    /// For settling, which must not wait for the doubts of an append.
    side: Arc<Owned>,
    /// For snapshots, which may take their time without a settling that waits for them.
    snapshots: Arc<Owned>,
    session: Uuid,
    /// What certainly stands in the table of kinds, and need not be written again.
    known: Arc<Mutex<Known>>,
}

impl Writer {
    pub fn new(options: &PgConnectOptions, session: Uuid, kinds: Vec<KindVersion>) -> Self {
        let mut known = Known::default();
        kinds.into_iter().for_each(|kind| known.add(kind));
        let known = Arc::new(Mutex::new(known));
        let connection = || Owned::new(options.clone());
        Self { appends: connection(), side: connection(), snapshots: connection(), session, known }
    }

    pub async fn append(&self, batches: &[PartitionBatch]) -> Result<Vec<Verdict>, AppendError> {
        if let Some(refused) = rows::twice(batches) {
            return Err(refused);
        }
        // Here and not in the task, which would need a copy of the batches.
        let prepared = append::prepare(batches, &self.known.lock()).map_err(|e| error::append(&e))?;
        let (appends, known) = (self.appends.clone(), self.known.clone());
        let work = async move {
            let keep = |e: &sqlx::Error| matches!(error::append(e), AppendError::Rejected(_));
            let outcome = appends.run(keep, async |conn| append::append(conn, prepared).await).await;
            let (verdicts, kinds) = outcome.map_err(|failure| match &failure {
                Failure::NotSent(_) => AppendError::NotSent(failure.text()),
                Failure::NoAnswer => AppendError::Unknown(failure.text()),
                Failure::Sql(e) => error::append(e),
            })?;
            if !kinds.is_empty() {
                let mut known = known.lock();
                kinds.into_iter().for_each(|kind| known.add(kind));
            }
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
                let query = query.bind(signed(epoch.0)).bind(&owner);
                let ours = planted(Bug::SettleBySelect) || query.execute(&mut *conn).await?.rows_affected() > 0;
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
