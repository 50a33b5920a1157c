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

mod builds;
mod conn;
mod contract;
mod open;
mod postgres;
mod registry;
mod sqlite;
mod types;

pub use contract::{Build, RebuildLock, Snapshot, Store, Writer};
pub use open::{look, open};
pub use types::{Action, BuildId, Changes, CursorMove, Decision, Parked, ParkedKey, Purpose, Registered, StoreError};
