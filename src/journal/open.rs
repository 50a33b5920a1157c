//! Which log, and may we use it? Chooses the backend and says clearly why a log cannot be opened.
//!
//! The checks themselves are the backends' (`postgres/boot.rs`, `sqlite/boot.rs`); this file knows no SQL.

use std::path::PathBuf;
use std::sync::Arc;

use super::presence::Presence;
use super::{SharedJournal, postgres, sqlite, unreadable_kinds};
use crate::clock::{Clock, SystemClock};
use crate::limits;

/// What a log written by this build may contain. A log of a higher level is refused.
pub const FORMAT_LEVEL: i32 = 1;

/// Where the log is.
#[derive(Clone, PartialEq, Eq)]
pub enum Target {
    /// `log.db` in this directory.
    Sqlite {
        dir: PathBuf,
    },
    Postgres {
        url: String,
    },
}

impl std::fmt::Debug for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite { dir } => write!(f, "sqlite in {}", dir.display()),
            // Never with its credentials.
            Self::Postgres { url } => write!(f, "postgres at {}", postgres::without_secrets(url)),
        }
    }
}

/// What the process wants to do with the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Write to it: an embedded log is created where there is none.
    Serve,
    /// Only look.
    Read,
}

#[derive(Clone)]
pub struct Options {
    /// As configured; `None`: whatever the log has.
    pub partitions: Option<u16>,
    pub role: Role,
    /// The time of an embedded log. Postgres has its own.
    pub clock: Arc<dyn Clock>,
    /// The process's own directory, if it has one. By a lock in it, who serves next from there knows that this one has ended.
    pub data: Option<PathBuf>,
}

impl Options {
    #[must_use]
    pub fn new(role: Role) -> Self {
        Self { partitions: None, role, clock: Arc::new(SystemClock), data: None }
    }

    #[must_use]
    pub fn with_partitions(mut self, partitions: u16) -> Self {
        self.partitions = Some(partitions);
        self
    }
}

/// What `onsale migrate` is asked for.
#[derive(Clone, Debug, Default)]
pub struct Migration {
    /// As configured; `None`: the default for a new log, whatever an existing one has.
    pub partitions: Option<u16>,
    /// Who shall serve from a Postgres. `None`: whoever can.
    pub server: Option<ServerRole>,
}

/// The role as which nodes work with a Postgres: it adds to history, and cannot edit it.
#[derive(Clone)]
pub struct ServerRole {
    pub name: String,
    /// Given to it, if there is one; printable ASCII.
    pub password: Option<String>,
}

impl std::fmt::Debug for ServerRole {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)
    }
}

/// Why a log cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenError {
    #[error("cannot reach the log ({place}): {detail}")]
    NotReachable { place: String, detail: String },
    #[error("the address of the log is not understood: {0}")]
    BadAddress(String),
    #[error("{place} is not a log: {detail}")]
    NotADatabase { place: String, detail: String },
    #[error("{place} cannot be written: {detail}")]
    NotWritable { place: String, detail: String },
    #[error("there is no log at {place}")]
    Missing { place: String },
    #[error("the log has schema {found}, this build needs {needed}: run `onsale migrate` first")]
    NeedsMigration { found: i64, needed: i64 },
    #[error("the log has schema {found}, this build knows only up to {known}: use a newer build")]
    NewerSchema { found: i64, known: i64 },
    #[error("the log has {log} partitions but {configured} are configured; the number is fixed when a log is created")]
    WrongPartitions { log: u16, configured: u16 },
    #[error("{0} partitions are not possible: 1 to {max}", max = limits::MAX_PARTITIONS)]
    BadPartitions(u16),
    #[error("the database runs with {name} = {value}; acknowledged sales could be lost, so it must be on")]
    UnsafeSetting { name: String, value: String },
    #[error("the log holds events that this build cannot read: {0}")]
    UnreadableKinds(String),
    #[error("the log has format level {found}, this build knows only up to {known}: use a newer build")]
    NewerFormat { found: i32, known: i32 },
    #[error(
        "a migration runs as the role that owns the log, not as {0}, the server's (database.server_role): let the \
         database's address name the owner"
    )]
    MigratesAsServer(String),
    #[error("the server's role {role} cannot be prepared: {detail}")]
    ServerRole { role: String, detail: String },
}

impl OpenError {
    /// Can waiting help, without anybody changing anything?
    #[must_use]
    pub fn retryable(&self) -> bool {
        match self {
            Self::NotReachable { .. } => true,
            Self::BadAddress(_)
            | Self::NotADatabase { .. }
            | Self::NotWritable { .. }
            | Self::Missing { .. }
            | Self::NeedsMigration { .. }
            | Self::NewerSchema { .. }
            | Self::WrongPartitions { .. }
            | Self::BadPartitions(_)
            | Self::UnsafeSetting { .. }
            | Self::UnreadableKinds(_)
            | Self::NewerFormat { .. }
            | Self::MigratesAsServer(_)
            | Self::ServerRole { .. } => false,
        }
    }
}

/// Opens the log after every check that can be made before serving.
pub async fn open(target: &Target, options: Options) -> Result<SharedJournal, OpenError> {
    let journal: SharedJournal = match target {
        Target::Sqlite { dir } => Arc::new(sqlite::SqliteJournal::open(dir, options).await?),
        Target::Postgres { url } => Arc::new(postgres::PostgresJournal::open(url, options).await?),
    };
    let found = journal
        .kinds()
        .await
        .map_err(|fault| OpenError::NotReachable { place: journal.engine().to_owned(), detail: fault.to_string() })?;
    match unreadable_kinds(&found, &crate::events::kinds()) {
        Some(kinds) => Err(OpenError::UnreadableKinds(kinds)),
        None => Ok(journal),
    }
}

/// Where nodes of that log tell each other who is connected; `None` where there can be only one.
pub async fn presence(target: &Target) -> Result<Option<Arc<dyn Presence>>, OpenError> {
    match target {
        Target::Sqlite { .. } => Ok(None),
        Target::Postgres { url } => Ok(Some(Arc::new(postgres::PostgresPresence::open(url).await?))),
    }
}

/// Creates the log, or brings it to the schema of this build.
pub async fn migrate(target: &Target, migration: &Migration) -> Result<(), OpenError> {
    match target {
        Target::Sqlite { dir } => {
            let options = Options { partitions: migration.partitions, ..Options::new(Role::Serve) };
            sqlite::SqliteJournal::open(dir, options).await.map(drop)
        }
        Target::Postgres { url } => postgres::migrate(url, migration).await,
    }
}

/// Could we edit history? Whoever we are there and why, such as "postgres is a superuser". Not asked of a file: who may
/// write to it is the system's business.
pub async fn editor(target: &Target) -> Result<Option<String>, OpenError> {
    match target {
        Target::Sqlite { .. } => Ok(None),
        Target::Postgres { url } => postgres::roles::editor(url).await,
    }
}

/// What the log says of itself, against what was configured and what this build understands.
pub(super) fn check_meta(log: i32, format_level: i32, configured: Option<u16>) -> Result<u16, OpenError> {
    if format_level > FORMAT_LEVEL {
        return Err(OpenError::NewerFormat { found: format_level, known: FORMAT_LEVEL });
    }
    let log = u16::try_from(log).unwrap_or(u16::MAX);
    match configured {
        Some(configured) if configured != log => Err(OpenError::WrongPartitions { log, configured }),
        _ => Ok(log),
    }
}

/// How many partitions a new log gets.
pub(super) fn new_partitions(configured: Option<u16>) -> Result<u16, OpenError> {
    let partitions = configured.unwrap_or(limits::DEFAULT_PARTITIONS);
    if partitions == 0 || partitions > limits::MAX_PARTITIONS {
        return Err(OpenError::BadPartitions(partitions));
    }
    Ok(partitions)
}

/// The schema of the log against that of this build.
pub(super) fn check_schema(found: i64, known: i64) -> Result<(), OpenError> {
    match found.cmp(&known) {
        std::cmp::Ordering::Less => Err(OpenError::NeedsMigration { found, needed: known }),
        std::cmp::Ordering::Equal => Ok(()),
        std::cmp::Ordering::Greater => Err(OpenError::NewerSchema { found, known }),
    }
}
