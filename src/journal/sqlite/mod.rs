//! The log in one file: what an embedded server uses when nobody configured a database.
//!
//! One connection writes, a few only read. Who serves the log holds a lock on the file beside it; looking is free.
//! Statements stand in `.sql` files, one each, under the same names as in `postgres/`.

mod append;
mod boot;
mod error;
mod journal;
mod read;
mod segments;
mod writer;

pub use self::journal::SqliteJournal;
/// The file in the data directory.
pub const FILE: &str = "log.db";
/// Held by the process that serves the log.
pub const LOCK: &str = "log.lock";
