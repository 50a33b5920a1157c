//! Where are the facts kept? The log's contract, which every backend fulfils and `conformance.rs` proves.
//!
//! The journal knows rows, positions, owners and chains. It never interprets a payload and knows none of the rules.
//!
//! # The contract
//!
//! 1. Positions of a partition MUST be 1, 2, 3 … without gaps, in the order of commit; versions of a stream likewise.
//! 2. A unit MUST be written whole or not at all. Its last record, and only that, has `unit_last`.
//! 3. `append` MUST write each partition batch whole or not at all, in one transaction for all of them. A batch whose
//!    `epoch` or `expected_head` is not what the log says MUST fall out as `Fenced` while the others are written.
//! 4. `append` MUST answer `AppendError::Rejected` (or `NotSent`) only when certainly nothing of it was or will be written,
//!    and `AppendError::Unknown` otherwise. It MUST NOT answer `Ok` before the records survive a crash of everything.
//! 5. `settle` MUST wait for, and fence, every older append to the partition: what it answers is final.
//! 6. Reads MUST show only what is durable, in order, and MUST end at the end of a unit.
//! 7. The backend itself MUST refuse UPDATE, DELETE and TRUNCATE of events, whoever asks.
//! 8. Timers and notes of a unit MUST be written with it, or not at all.
//! 9. Two claims by different nodes MUST NOT both hold at a time.

#[doc(hidden)]
pub mod conformance;
mod contract;
pub mod follow;
mod kept;
pub mod lane;
pub mod memory;
pub mod open;
pub mod poll;
pub mod postgres;
pub mod presence;
pub mod rows;
pub mod sqlite;
mod units;

pub use contract::{
    AppendError, Claim, ClaimError, Journal, PartitionBatch, PartitionState, SharedJournal, TimerChange, Unit, Verdict,
    unreadable_kinds,
};
pub use kept::{Loaded, Reach, Segment, Snapshot};
