//! How do we talk to either engine? Whole numbers and texts go in and out; everything above is written once for both.
//!
//! Statements are shared by the engines: `@.` stands before every table's name, for the schema in Postgres and for nothing
//! in SQLite, where a place is a file.

use async_trait::async_trait;

use super::types::StoreError;
use crate::projections::table::{Cells, Key, Table, Value};

/// Can a row be there already?
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum There {
    /// Then it is replaced.
    Perhaps,
    /// Then something is wrong, and the store says so. To look costs half as much again as to write.
    Never,
}

/// One connection in one hand.
#[async_trait]
pub trait Conn: Send + Sync {
    /// Rows that it changed.
    async fn run(&mut self, sql: &str, binds: &[Value]) -> Result<u64, StoreError>;

    async fn rows(&mut self, sql: &str, binds: &[Value]) -> Result<Vec<Cells>, StoreError>;

    /// Statements without binds and without rows.
    async fn raw(&mut self, sql: &str) -> Result<(), StoreError>;

    async fn begin(&mut self) -> Result<(), StoreError>;

    async fn write(&mut self, place: &str, table: &Table, rows: &[Cells], there: There) -> Result<(), StoreError>;

    async fn load(&mut self, place: &str, table: &Table, keys: &[Key]) -> Result<Vec<Cells>, StoreError>;
}

/// Ends the transaction that `done` is the outcome of.
pub async fn end<T: Send>(conn: &mut dyn Conn, done: Result<T, StoreError>) -> Result<T, StoreError> {
    match done {
        Ok(done) => conn.raw("COMMIT").await.map(|()| done),
        // Such a connection is thrown away, which ends its transaction: it may be one that does not answer any more.
        Err(StoreError::Unavailable(detail)) => Err(StoreError::Unavailable(detail)),
        Err(error) => {
            // What matters is why it failed. A connection that cannot even roll back is of no use to anybody.
            match conn.raw("ROLLBACK").await {
                Ok(()) => Err(error),
                Err(_) => Err(StoreError::Unavailable(error.to_string())),
            }
        }
    }
}

/// A statement with its place filled in.
pub fn placed(sql: &str, place: &str) -> String {
    sql.replace("@.", place)
}

pub fn names(table: &Table) -> Vec<&'static str> {
    table.columns.iter().map(|column| column.name).collect()
}

/// `ON CONFLICT …` of a row that may be there.
pub fn on_conflict(table: &Table, there: There) -> String {
    if there == There::Never {
        return String::new();
    }
    let names = names(table);
    let (keys, others) = names.split_at(table.key);
    let sets: Vec<String> = others.iter().map(|name| format!("{name} = excluded.{name}")).collect();
    let act = if sets.is_empty() { "NOTHING".to_owned() } else { format!("UPDATE SET {}", sets.join(", ")) };
    format!("ON CONFLICT ({}) DO {act}", keys.join(", "))
}

/// Postgres knows no text with NUL in it; so that both engines agree, neither takes one.
pub fn storable(rows: &[Cells]) -> Result<(), StoreError> {
    let bad = rows.iter().flatten().any(|cell| matches!(cell, Value::Text(text) if text.as_bytes().contains(&0)));
    if bad { Err(StoreError::Refused("a text has a NUL in it".to_owned())) } else { Ok(()) }
}

/// A value that is neither a whole number nor a text, or a text that is none: it would be so again.
pub fn no_cell(error: &sqlx::Error) -> bool {
    matches!(error, sqlx::Error::Encode(_) | sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. })
}

/// Whole numbers of a row that must have them.
pub fn int(row: &Cells, column: usize) -> Result<i64, StoreError> {
    match row.get(column) {
        Some(Value::Int(number)) => Ok(*number),
        _ => Err(StoreError::Refused(format!("column {column} is not a number"))),
    }
}

pub fn text(row: &Cells, column: usize) -> Result<String, StoreError> {
    match row.get(column) {
        Some(Value::Text(text)) => Ok(text.as_ref().to_owned()),
        _ => Err(StoreError::Refused(format!("column {column} is not a text"))),
    }
}
