//! Do two builds of a read model say the same? Row by row in the order of their keys, with bounded memory.
//!
//! Both must stand at the same cursor vector; whoever asks sees to that.

use std::cmp::Ordering;
use std::fmt;

use super::Projection;
use super::store::{Snapshot, StoreError};
use super::table::{Cells, Key, Table};
use crate::limits;

/// A row that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    pub table: &'static Table,
    pub key: Key,
    /// The row as it is, and as it should be.
    pub found: Option<Cells>,
    pub expected: Option<Cells>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let key: Vec<String> = self.key.iter().map(ToString::to_string).collect();
        write!(f, "{} ({}): ", self.table.name, key.join(", "))?;
        match (&self.found, &self.expected) {
            (Some(found), Some(expected)) => {
                let columns = self.table.columns.iter().zip(found.iter().zip(expected));
                let unequal = columns.filter(|(_, (found, expected))| found != expected);
                let told: Vec<String> = unequal
                    .map(|(column, (found, expected))| format!("{} is {found}, rebuilt {expected}", column.name))
                    .collect();
                f.write_str(&told.join("; "))
            }
            (Some(_), None) => f.write_str("is there, and the rebuilt one has no such row"),
            (None, _) => f.write_str("is missing, and the rebuilt one has it"),
        }
    }
}

/// One side of the comparison: a table read in pieces.
struct Side<'a> {
    snapshot: &'a mut dyn Snapshot,
    table: &'static Table,
    rows: std::vec::IntoIter<Cells>,
    last: Option<Key>,
    ended: bool,
}

impl<'a> Side<'a> {
    fn of(snapshot: &'a mut dyn Snapshot, table: &'static Table) -> Self {
        Self { snapshot, table, rows: Vec::new().into_iter(), last: None, ended: false }
    }

    async fn next(&mut self) -> Result<Option<Cells>, StoreError> {
        if self.rows.len() == 0 && !self.ended {
            let read = self.snapshot.scan(self.table, self.last.as_ref(), limits::COMPARE_ROWS).await?;
            self.ended = read.len() < limits::COMPARE_ROWS;
            self.last = read.last().map(|cells| self.table.key_of(cells));
            self.rows = read.into_iter();
        }
        Ok(self.rows.next())
    }
}

/// Tells every difference, and says how many rows were compared.
pub async fn compare(
    projection: &dyn Projection,
    found: &mut dyn Snapshot,
    expected: &mut dyn Snapshot,
    mut tell: impl FnMut(Difference),
) -> Result<u64, StoreError> {
    let mut compared = 0;
    for table in projection.tables() {
        let (mut ours, mut theirs) = (Side::of(found, table), Side::of(expected, table));
        let (mut our, mut their) = (ours.next().await?, theirs.next().await?);
        loop {
            let order = match (&our, &their) {
                (None, None) => break,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (Some(our), Some(their)) => our[..table.key].cmp(&their[..table.key]),
            };
            compared += 1;
            let same = order == Ordering::Equal && our == their;
            if !same {
                let (found, expected) = match order {
                    Ordering::Less => (our.clone(), None),
                    Ordering::Greater => (None, their.clone()),
                    Ordering::Equal => (our.clone(), their.clone()),
                };
                let cells = found.as_ref().or(expected.as_ref());
                let key = cells.map(|cells| table.key_of(cells)).unwrap_or_default();
                tell(Difference { table, key, found, expected });
            }
            if order != Ordering::Greater {
                our = ours.next().await?;
            }
            if order != Ordering::Less {
                their = theirs.next().await?;
            }
        }
    }
    Ok(compared)
}
