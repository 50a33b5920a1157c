//! What do both engines understand? Whole numbers and texts, by the same statements.

use async_trait::async_trait;

use crate::fault::Fault;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Int(Option<i64>),
    Text(Option<String>),
}

impl Cell {
    pub fn text(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }

    pub fn int(number: i64) -> Self {
        Self::Int(Some(number))
    }
}

/// Why a statement gave no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Another row has the same unique value.
    NotUnique,
    Fault(Fault),
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::NotUnique => Self::internal("two rows would have the same unique value"),
            Failure::Fault(fault) => fault,
        }
    }
}

/// What a power failure may take back of what was written. The end of a process takes nothing back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasting {
    Ever,
    /// But for the last moments: a count of failures is worth no wait for the disk, in which the log's own commits would wait
    /// behind it.
    Mostly,
}

/// One database. `@.` in a statement stands before the names of its tables, `@now` for its time in milliseconds. Every
/// statement is a transaction of its own, and goes on when its caller is gone.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    /// How many rows it changed.
    async fn run(&self, sql: &'static str, binds: Vec<Cell>, lasting: Lasting) -> Result<u64, Failure>;

    async fn rows(&self, sql: &'static str, binds: Vec<Cell>) -> Result<Vec<Vec<Cell>>, Failure>;
}

/// A row, taken apart from the left.
pub struct Row(std::vec::IntoIter<Cell>);

impl Row {
    pub fn new(cells: Vec<Cell>) -> Self {
        Self(cells.into_iter())
    }

    pub fn int(&mut self) -> Result<i64, Fault> {
        self.int_or_none()?.ok_or_else(|| Fault::internal("a number is missing"))
    }

    pub fn int_or_none(&mut self) -> Result<Option<i64>, Fault> {
        match self.0.next() {
            Some(Cell::Int(number)) => Ok(number),
            Some(Cell::Text(None)) => Ok(None),
            _ => Err(Fault::internal("a column of accounts is not a number")),
        }
    }

    pub fn text(&mut self) -> Result<String, Fault> {
        self.text_or_none()?.ok_or_else(|| Fault::internal("a text is missing"))
    }

    pub fn text_or_none(&mut self) -> Result<Option<String>, Fault> {
        match self.0.next() {
            Some(Cell::Text(text)) => Ok(text),
            Some(Cell::Int(None)) => Ok(None),
            _ => Err(Fault::internal("a column of accounts is not a text")),
        }
    }
}
