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
pub mod rankings;
pub mod reads;
pub mod rebuild;
pub mod replay;
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

use std::sync::Arc;

use crate::events::{Event, Record};
use crate::ids::LogPosition;
use crate::timestamp::Timestamp;

pub use rows::{Needed, Rows};
pub use table::Table;

/// A committed event as a projection sees it.
#[derive(Clone, Debug)]
pub struct Fact {
    pub record: Arc<Record>,
    pub event: Arc<Event>,
}

impl Fact {
    /// The log's time of the fact.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        self.record.at
    }

    #[must_use]
    pub fn position(&self) -> LogPosition {
        LogPosition { partition: self.record.partition, position: self.record.position }
    }
}

/// Why a fact cannot be applied. It gets its key parked; others go on.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    #[error("the projection looked at a row of {table} that it had not asked for")]
    NotAsked { table: &'static str },
    /// The fact contradicts the rows.
    #[error("{0}")]
    Impossible(String),
}

/// The statements that create a projection's tables; `@.` before each name stands for the place of the build.
#[derive(Clone, Copy, Debug)]
pub struct Schema {
    pub postgres: &'static str,
    pub sqlite: &'static str,
}

/// A read model: a name, tables, and a pure fold.
pub trait Projection: Send + Sync + 'static {
    /// Lower case letters and underscores; part of the names of schemas and files.
    fn name(&self) -> &'static str;

    /// Raised whenever the same facts give other rows than before, or rows another shape.
    fn version(&self) -> u32;

    fn schema(&self) -> Schema;

    fn tables(&self) -> &'static [&'static Table];

    /// The facts that it wants: nouns (`order`) or kinds (`seat.sold`). What it does not want costs it nothing.
    fn follows(&self) -> &'static [&'static str];

    /// What is parked together when a fact cannot be applied.
    fn parking_key(&self, fact: &Fact) -> Arc<str> {
        fact.record.stream.text()
    }

    /// The rows that `apply` will look at for this fact.
    fn reads(&self, fact: &Fact, needed: &mut Needed);

    /// What the fact changes.
    fn apply(&self, fact: &Fact, rows: &mut Rows) -> Result<(), Unfit>;
}

/// Every read model. A new one is its file, its two migrations, and a line here.
pub static ROSTER: &[&dyn Projection] = &[
    &stores::Stores,
    &orders::Orders,
    &coupons::Coupons,
    &coupon_issues::CouponIssues,
    &store_payments::StorePayments,
    &venues::Venues,
    &shows::Shows,
    &performances::Performances,
    &sales::Sales,
    &rankings::Rankings,
    &notifications::Notifications,
];

/// Is a fact of this kind among those that a projection follows?
fn concerns(follows: &[&str], kind: &str) -> bool {
    let noun = kind.split('.').next().unwrap_or_default();
    follows.contains(&noun) || follows.contains(&kind)
}

/// The read model of this name.
#[must_use]
pub fn named(name: &str) -> Option<&'static dyn Projection> {
    ROSTER.iter().copied().find(|projection| projection.name() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_roster_is_consistent() {
        for (number, projection) in ROSTER.iter().enumerate() {
            let name = projection.name();
            assert!(name.chars().all(|c| c.is_ascii_lowercase() || c == '_') && name.len() <= 30, "{name}");
            assert!(ROSTER[..number].iter().all(|earlier| earlier.name() != name), "{name} is there twice");
            assert!(projection.version() > 0 && !projection.tables().is_empty(), "{name}");
            for table in projection.tables() {
                let bare = table.columns[..table.key].iter().all(|column| !column.nullable);
                assert!(table.key > 0 && bare, "{name}.{}: a key is never empty", table.name);
                for (schema, place) in [(projection.schema().postgres, "@."), (projection.schema().sqlite, "")] {
                    assert!(schema.contains(&format!("CREATE TABLE {place}{} (", table.name)), "{}", table.name);
                }
            }
        }
    }
}
