//! The log in Postgres: what a server in production uses.
//!
//! Appending, settling and the lease have connections of their own; reading has a small pool. Statements stand in `.sql`
//! files, one each, under the same names as in `sqlite/`. Only `error.rs` knows what the driver's errors mean.

mod append;
mod boot;
mod connect;
mod error;
mod journal;
mod lease;
mod moment;
mod presence;
mod read;
pub mod roles;
mod segments;
mod witness;
mod writer;

pub use self::boot::migrate;
pub use self::connect::{options, readers, without_secrets};
pub use self::journal::PostgresJournal;
pub use self::presence::PostgresPresence;
