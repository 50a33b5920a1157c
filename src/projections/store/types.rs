//! What do stores and their users say to each other? Builds, parked events, decisions, and one transaction's changes.

use crate::fault::Fault;
use crate::ids::{Partition, Position};
use crate::projections::rows::TableChanges;
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
    /// The identity of the command, unique: the same one again is the same decision.
    pub command: String,
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

impl Action {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::Skip => "skip",
        }
    }
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
