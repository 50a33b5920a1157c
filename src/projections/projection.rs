//! What shape does a read model have? A name, tables, the facts that it follows, and a pure fold of them into rows.

use std::sync::Arc;

use super::{Needed, Rows, Table};
use crate::events::{Event, Record};
use crate::ids::LogPosition;
use crate::timestamp::Timestamp;

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

/// Is a fact of this kind among those that a projection follows?
pub(super) fn concerns(follows: &[&str], kind: &str) -> bool {
    let noun = kind.split('.').next().unwrap_or_default();
    follows.contains(&noun) || follows.contains(&kind)
}
