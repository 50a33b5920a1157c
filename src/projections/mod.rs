//! What is derived from the log for reading? Lists, rankings, statistics: pure folds of committed facts into rows.
//!
//! A projection only says which rows a fact changes, and how; when that happens, on which engine, how it is repeated,
//! parked or rebuilt is the business of `runner`, `store` and `rebuild`. Nothing here decides anything.
//!
//! # The contract of a projection
//!
//! 1. `apply` MUST be a function of the facts and the rows alone: no clock, no dice, no IO. What has effects is not a
//!    projection and cannot be given to a rebuild: it has no such function.
//! 2. A row MUST be written by the facts of one partition only. What spans partitions is summed at reading. So the order
//!    in which partitions are read does not matter.
//! 3. `apply` MUST look only at rows that `reads` named for the same fact, or that it put itself earlier.
//! 4. Whoever changes what the rows mean MUST raise `version`: the next start builds them anew beside the old ones.

pub mod applier;
pub mod check;
pub mod compare;
pub mod coupon_issues;
pub mod coupons;
pub mod local;
pub mod notifications;
pub mod orders;
pub mod parked;
pub mod performances;
pub mod place;
mod projection;
pub mod rankings;
pub mod reads;
pub mod rebuild;
pub mod replay;
mod roster;
pub mod rows;
pub mod runner;
pub mod sales;
pub mod select;
pub mod shows;
pub mod store;
pub mod store_payments;
pub mod stores;
pub mod table;
#[cfg(test)]
pub mod testing;
pub mod text;
pub mod venues;

pub use projection::{Fact, Projection, Schema, Unfit};
pub use roster::{ROSTER, named};
pub use rows::{Needed, Rows};
pub use table::Table;

use projection::concerns;
