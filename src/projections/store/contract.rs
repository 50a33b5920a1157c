//! What is asked of a store of read models? The traits that both engines implement; what they MUST do stands at the top of
//! the folder.

use std::sync::Arc;

use async_trait::async_trait;

use super::{BuildId, Changes, Decision, Parked, ParkedKey, Purpose, Registered, StoreError};
use crate::ids::{Partition, Position};
use crate::projections::Projection;
use crate::projections::table::{Cells, Key, Table, Value};

/// Held while a projection is rebuilt; the end of the process ends it too.
pub trait RebuildLock: Send + Sync {}

/// All builds, and what is known of them.
#[async_trait]
pub trait Store: Send + Sync + 'static {
    /// `sqlite` or `postgres`, for messages.
    fn engine(&self) -> &'static str;

    async fn registered(&self) -> Result<Vec<Registered>, StoreError>;

    /// A new, empty build with a cursor at 0 for each partition.
    async fn create(
        &self,
        projection: &'static dyn Projection,
        partitions: u16,
        purpose: Purpose,
    ) -> Result<Arc<dyn Build>, StoreError>;

    async fn open(&self, projection: &'static dyn Projection, build: BuildId) -> Result<Arc<dyn Build>, StoreError>;

    /// Points readers and runners to `to`, if they are pointed to `from` now (`None`: to nothing). `false`: they are not.
    async fn switch(
        &self,
        projection: &'static dyn Projection,
        from: Option<BuildId>,
        to: BuildId,
    ) -> Result<bool, StoreError>;

    /// Drops the builds of a projection that are neither active nor in `keep` nor of the past. Only for who holds the
    /// projection's rebuild lock.
    async fn sweep(&self, projection: &'static dyn Projection, keep: &[BuildId]) -> Result<(), StoreError>;

    /// `None`: somebody else rebuilds it.
    async fn rebuild_lock(
        &self,
        projection: &'static dyn Projection,
    ) -> Result<Option<Box<dyn RebuildLock>>, StoreError>;

    /// Writes down what an operator wants; runners carry it out. Gives the decision's id: that of the earlier one if the
    /// command was known.
    async fn decide(&self, decision: Decision) -> Result<i64, StoreError>;

    /// Decisions without an outcome, oldest first; `limit` at most.
    async fn undone(&self, limit: usize) -> Result<Vec<Decision>, StoreError>;

    /// The decision that this command made.
    async fn decided(&self, command: &str) -> Result<Option<Decision>, StoreError>;

    async fn decision(&self, id: i64) -> Result<Option<Decision>, StoreError>;

    /// Writes the outcome of a decision, and for a skip that the event is never applied again.
    async fn carried_out(&self, decision: &Decision, outcome: &str) -> Result<(), StoreError>;

    /// Writes the outcome of a decision that came too late; nothing is skipped.
    async fn not_carried_out(&self, decision: &Decision, outcome: &str) -> Result<(), StoreError>;

    /// Events of a projection that operators decided to skip.
    async fn skips(&self, projection: &str) -> Result<Vec<(Partition, Position)>, StoreError>;

    /// How people look at the tables of a build of the past: one command each.
    fn place(&self, projection: &dyn Projection, build: BuildId) -> Vec<String>;
}

/// One making of a projection's tables: the reading half.
#[async_trait]
pub trait Build: Send + Sync + 'static {
    fn id(&self) -> BuildId;

    fn version(&self) -> u32;

    async fn cursors(&self) -> Result<Vec<Position>, StoreError>;

    /// Parked keys in the order of their first events, those after `after`, `limit` at most.
    async fn parked_keys(
        &self,
        after: Option<(Partition, Position)>,
        limit: usize,
    ) -> Result<Vec<ParkedKey>, StoreError>;

    /// Rows of a statement. `@.` before the name of a table stands for the build's place; binds are `$1`, `$2` …; the
    /// result has whole numbers and texts only.
    async fn query(&self, sql: &str, binds: &[Value]) -> Result<Vec<Cells>, StoreError>;

    /// The writing half. Raises the build's epoch: an earlier writer is fenced from now on.
    async fn writer(&self) -> Result<Box<dyn Writer>, StoreError>;

    /// The build as of one moment.
    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError>;
}

/// Who may write to a build: one connection of its own, in one hand.
#[async_trait]
pub trait Writer: Send + Sync {
    /// The rows that exist of those asked for, in any order.
    async fn load(&mut self, table: &'static Table, keys: &[Key]) -> Result<Vec<Cells>, StoreError>;

    /// All or nothing.
    async fn commit(&mut self, changes: &Changes) -> Result<(), StoreError>;

    /// Parked events of one key in the order of the log, `limit` at most.
    async fn parked_of(&mut self, key: &str, limit: usize) -> Result<Vec<Parked>, StoreError>;

    /// All keys that are parked.
    async fn parked_keys(&mut self) -> Result<Vec<String>, StoreError>;
}

/// A build at one moment.
#[async_trait]
pub trait Snapshot: Send + Sync {
    async fn cursors(&mut self) -> Result<Vec<Position>, StoreError>;

    /// The positions of all parked events.
    async fn parked(&mut self) -> Result<Vec<(Partition, Position)>, StoreError>;

    /// Rows after `after` in the byte order of their keys, `limit` at most.
    async fn scan(
        &mut self,
        table: &'static Table,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Cells>, StoreError>;
}
