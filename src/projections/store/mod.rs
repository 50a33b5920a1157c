//! Where do read models live? The contract of their stores: one file per build in a directory, or one schema per build in
//! Postgres.
//!
//! A *build* is one making of one projection's tables, with its cursors and its parked events. One build of each
//! projection is active, which is what readers see; a rebuild makes another beside it and switches one pointer. The
//! store knows cells and tables, nothing of facts.
//!
//! # The contract
//!
//! 1. `Writer::commit` MUST write rows, cursors and parked events in one transaction, or nothing.
//! 2. It MUST answer `Fenced`, and write nothing, unless every cursor stands where the writer says, in a build whose
//!    epoch is still the writer's. So nothing is counted twice, however many runners there are.
//! 3. `switch` MUST be atomic: readers in any process see the old build or the new one.
//! 4. A `Snapshot` MUST show rows, cursors and parked events of one moment.
//! 5. Nothing here may ever make a commit of the log wait: it is not written to through the log's connections.

use async_trait::async_trait;

use super::rows::TableChanges;
use super::table::{Cells, Key, Table, Value};
use super::{Projection, Schema};
use crate::fault::Fault;
use crate::ids::{Partition, Position};
use crate::timestamp::Timestamp;

/// The number of a build, unique in its store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BuildId(pub u32);

/// What the store knows of a projection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registered {
    pub name: String,
    /// `Projection::version` of the active build.
    pub version: u32,
    pub active: BuildId,
}

/// Why there is a build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To become the active one.
    Serve,
    /// To show the past; never switched to, dropped by nobody but the operator.
    Past,
}

/// A decision of an operator about a parked key, kept for ever as an audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Given by the store.
    pub id: i64,
    pub projection: String,
    /// The first parked event of the key when it was decided.
    pub partition: Partition,
    pub position: Position,
    pub key: String,
    pub action: Action,
    pub reason: String,
    /// Who: an account, or a name given on the command line.
    pub actor: String,
    pub decided_at: Timestamp,
    /// What came of it; `None` while no runner has carried it out.
    pub outcome: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Apply the key's parked events again.
    Retry,
    /// Never apply the key's first parked event, in this build or any later one; then go on with the rest of the key.
    Skip,
}

/// An event that waits because its key is parked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    pub partition: Partition,
    pub position: Position,
    pub key: String,
    /// Of the first event of its key: why it cannot be applied. Empty for those behind it.
    pub error: String,
    pub since: Timestamp,
}

/// A key whose events wait: its first event cannot be applied, the others are behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParkedKey {
    pub key: String,
    /// Of the first event, as are `error` and `since`.
    pub partition: Partition,
    pub position: Position,
    pub error: String,
    pub since: Timestamp,
    /// How many wait.
    pub events: u64,
}

/// What one transaction of a projection does.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    pub tables: Vec<TableChanges>,
    pub cursors: Vec<CursorMove>,
    pub park: Vec<Parked>,
    pub unpark: Vec<(Partition, Position)>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorMove {
    pub partition: Partition,
    /// Where it must stand now. The same as `to` where a transaction moves nothing but must be fenced by the cursor.
    pub from: Position,
    pub to: Position,
}

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// Another runner works on this build.
    #[error("another runner works on this build")]
    Fenced,
    /// The content is to blame, and would be again.
    #[error("the store refuses the rows: {0}")]
    Refused(String),
    /// Later it may work.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(detail) => Self::unavailable(detail),
            StoreError::Fenced | StoreError::Refused(_) => Self::internal(error.to_string()),
        }
    }
}

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
    ) -> Result<std::sync::Arc<dyn Build>, StoreError>;

    async fn open(
        &self,
        projection: &'static dyn Projection,
        build: BuildId,
    ) -> Result<std::sync::Arc<dyn Build>, StoreError>;

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

    /// Writes down what an operator wants; runners carry it out.
    async fn decide(&self, decision: Decision) -> Result<i64, StoreError>;

    /// Decisions without an outcome, oldest first; `limit` at most.
    async fn undone(&self, limit: usize) -> Result<Vec<Decision>, StoreError>;

    async fn decision(&self, id: i64) -> Result<Option<Decision>, StoreError>;

    /// Writes the outcome of a decision, and for a skip that the event is never applied again.
    async fn carried_out(&self, decision: &Decision, outcome: &str) -> Result<(), StoreError>;

    /// Events of a projection that operators decided to skip.
    async fn skips(&self, projection: &str) -> Result<Vec<(Partition, Position)>, StoreError>;

    /// Where people find the tables of a build: for the message after `--until`.
    fn place(&self, projection: &str, build: BuildId) -> String;
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
pub trait Writer: Send {
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
pub trait Snapshot: Send {
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

/// For the engines: a projection's statements with the build's place filled in.
#[must_use]
pub(super) fn placed(sql: &str, place: &str) -> String {
    sql.replace("@.", place)
}

pub(super) fn statements(schema: Schema, postgres: bool) -> &'static str {
    if postgres { schema.postgres } else { schema.sqlite }
}
