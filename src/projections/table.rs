//! What does a row of a read model look like? Typed rows for projections, plain cells for the stores beneath them.
//!
//! Cells are texts and whole numbers, because both engines agree about those to the last byte: moments are milliseconds,
//! truth is 0 or 1, anything richer is JSON. This file runs no statement.

use std::sync::Arc;

use crate::ids::{AccountId, CouponId, OrderId, PaymentId, PerformanceId, SeatId, ShowId, StoreId, TaskId, TicketId};
use crate::ids::{LogPosition, VenueId};
use crate::money::{Amount, Currency};
use crate::timestamp::Timestamp;

/// One cell.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Value {
    Null,
    Int(i64),
    Text(Arc<str>),
}

impl std::fmt::Display for Value {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Null => f.write_str("nothing"),
            Self::Int(number) => number.fmt(f),
            Self::Text(text) => write!(f, "{text:?}"),
        }
    }
}

/// The cells that name a row in its table; never `Null`.
pub type Key = Vec<Value>;

/// All cells of a row, in the order of the table's columns.
pub type Cells = Vec<Value>;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Int,
    Text,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    pub nullable: bool,
}

/// A table of a read model. Its migration creates it with exactly these columns; a test compares them.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    pub name: &'static str,
    pub columns: &'static [Column],
    /// The first so many columns are the primary key.
    pub key: usize,
}

impl Table {
    #[must_use]
    pub fn key_of(&self, cells: &[Value]) -> Key {
        cells[..self.key].to_vec()
    }
}

/// A row as its projection thinks of it. Made by `table!`.
pub trait Row: Clone + Send + Sync + 'static {
    const TABLE: &'static Table;

    /// What names it in its table.
    fn own_key(&self) -> Key;

    fn into_cells(self) -> Cells;

    fn from_cells(cells: &[Value]) -> Result<Self, Misfit>;
}

/// A stored row that has another shape than its table says: the store was edited by hand, or a version was not raised.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a row of {table} has an impossible {column}")]
pub struct Misfit {
    pub table: &'static str,
    pub column: &'static str,
}

/// A type that fits into one cell.
pub trait Cell: Sized {
    const KIND: Kind;
    const NULLABLE: bool = false;

    fn into_value(self) -> Value;

    fn from_value(value: &Value) -> Option<Self>;
}

impl Cell for i64 {
    const KIND: Kind = Kind::Int;

    fn into_value(self) -> Value {
        Value::Int(self)
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(number) => Some(*number),
            Value::Null | Value::Text(_) => None,
        }
    }
}

/// Counters and positions stay far below the sign bit.
impl Cell for u64 {
    const KIND: Kind = Kind::Int;

    fn into_value(self) -> Value {
        Value::Int(i64::try_from(self).unwrap_or(i64::MAX))
    }

    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).and_then(|number| Self::try_from(number).ok())
    }
}

impl Cell for u32 {
    const KIND: Kind = Kind::Int;

    fn into_value(self) -> Value {
        Value::Int(self.into())
    }

    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).and_then(|number| Self::try_from(number).ok())
    }
}

impl Cell for bool {
    const KIND: Kind = Kind::Int;

    fn into_value(self) -> Value {
        Value::Int(self.into())
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Int(0) => Some(false),
            Value::Int(1) => Some(true),
            Value::Null | Value::Int(_) | Value::Text(_) => None,
        }
    }
}

impl Cell for Timestamp {
    const KIND: Kind = Kind::Int;

    fn into_value(self) -> Value {
        Value::Int(self.0)
    }

    fn from_value(value: &Value) -> Option<Self> {
        i64::from_value(value).map(Self)
    }
}

impl Cell for Amount {
    const KIND: Kind = Kind::Int;

    fn into_value(self) -> Value {
        self.minor().into_value()
    }

    fn from_value(value: &Value) -> Option<Self> {
        u64::from_value(value).and_then(Self::new)
    }
}

impl Cell for Arc<str> {
    const KIND: Kind = Kind::Text;

    fn into_value(self) -> Value {
        Value::Text(self)
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => Some(text.clone()),
            Value::Null | Value::Int(_) => None,
        }
    }
}

impl Cell for String {
    const KIND: Kind = Kind::Text;

    fn into_value(self) -> Value {
        Value::Text(self.into())
    }

    fn from_value(value: &Value) -> Option<Self> {
        <Arc<str>>::from_value(value).map(|text| text.as_ref().to_owned())
    }
}

impl Cell for Currency {
    const KIND: Kind = Kind::Text;

    fn into_value(self) -> Value {
        Value::Text(self.code().into())
    }

    fn from_value(value: &Value) -> Option<Self> {
        <Arc<str>>::from_value(value).and_then(|text| Self::parse(&text))
    }
}

impl Cell for LogPosition {
    const KIND: Kind = Kind::Text;

    fn into_value(self) -> Value {
        Value::Text(self.to_string().into())
    }

    fn from_value(value: &Value) -> Option<Self> {
        <Arc<str>>::from_value(value).and_then(|text| Self::parse(&text))
    }
}

impl<T: Cell> Cell for Option<T> {
    const KIND: Kind = T::KIND;
    const NULLABLE: bool = true;

    fn into_value(self) -> Value {
        self.map_or(Value::Null, T::into_value)
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Null => Some(None),
            some => T::from_value(some).map(Some),
        }
    }
}

macro_rules! ids {
    ($($id:ident),+ $(,)?) => {$(
        impl Cell for $id {
            const KIND: Kind = Kind::Text;

            fn into_value(self) -> Value {
                Value::Text(self.into_text())
            }

            fn from_value(value: &Value) -> Option<Self> {
                <Arc<str>>::from_value(value).map(Self::new)
            }
        }
    )+};
}

ids!(AccountId, CouponId, OrderId, PaymentId, PerformanceId, SeatId, ShowId, StoreId, TaskId, TicketId, VenueId);

/// A row's struct and its table in one. The fields are the columns, in the order of the migration, the key first:
///
/// ```text
/// table! {
///     /// One store.
///     pub struct StoreRow in "stores" {
///         key { store_id: StoreId }
///         owner: AccountId,
///         name: String,
///     }
/// }
/// ```
macro_rules! table {
    ($(#[$doc:meta])* $vis:vis struct $row:ident in $name:literal {
        key { $($key:ident: $key_type:ty),+ $(,)? }
        $($(#[$field_doc:meta])* $field:ident: $type:ty),* $(,)?
    }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        $vis struct $row {
            $(pub $key: $key_type,)+
            $($(#[$field_doc])* pub $field: $type,)*
        }

        impl $row {
            /// The name of such a row, whether or not it exists.
            #[must_use]
            #[allow(dead_code, reason = "not every table is looked up by its key")]
            pub fn key($($key: $key_type),+) -> $crate::projections::table::Key {
                vec![$($crate::projections::table::Cell::into_value($key)),+]
            }
        }

        impl $crate::projections::table::Row for $row {
            const TABLE: &'static $crate::projections::table::Table = &$crate::projections::table::Table {
                name: $name,
                columns: &[
                    $($crate::projections::table::column::<$key_type>(stringify!($key)),)+
                    $($crate::projections::table::column::<$type>(stringify!($field)),)*
                ],
                key: [$(stringify!($key)),+].len(),
            };

            fn own_key(&self) -> $crate::projections::table::Key {
                vec![$($crate::projections::table::Cell::into_value(self.$key.clone())),+]
            }

            fn into_cells(self) -> $crate::projections::table::Cells {
                vec![
                    $($crate::projections::table::Cell::into_value(self.$key),)+
                    $($crate::projections::table::Cell::into_value(self.$field),)*
                ]
            }

            fn from_cells(
                cells: &[$crate::projections::table::Value],
            ) -> Result<Self, $crate::projections::table::Misfit> {
                let mut cells = cells.iter();
                Ok(Self {
                    $($key: $crate::projections::table::next_cell(&mut cells, $name, stringify!($key))?,)+
                    $($field: $crate::projections::table::next_cell(&mut cells, $name, stringify!($field))?,)*
                })
            }
        }
    };
}
pub(crate) use table;

/// For `table!` only.
#[must_use]
pub const fn column<T: Cell>(name: &'static str) -> Column {
    Column { name, kind: T::KIND, nullable: T::NULLABLE }
}

/// For `table!` only.
pub fn next_cell<T: Cell>(
    cells: &mut std::slice::Iter<'_, Value>,
    table: &'static str,
    column: &'static str,
) -> Result<T, Misfit> {
    cells.next().and_then(T::from_value).ok_or(Misfit { table, column })
}

#[cfg(test)]
mod tests {
    use super::*;

    table! {
        struct Sample in "samples" {
            key { store_id: StoreId, number: u64 }
            name: Option<String>,
            open: bool,
            at: Timestamp,
        }
    }

    #[test]
    fn rows_and_cells_say_the_same() {
        let row = Sample { store_id: StoreId::new("st_1"), number: 7, name: None, open: true, at: Timestamp(5) };
        let cells = row.clone().into_cells();
        assert_eq!(Sample::TABLE.key_of(&cells), Sample::key(StoreId::new("st_1"), 7));
        assert_eq!(row.own_key(), Sample::key(StoreId::new("st_1"), 7));
        assert_eq!(Sample::from_cells(&cells), Ok(row));
        let names: Vec<_> = Sample::TABLE.columns.iter().map(|c| (c.name, c.kind, c.nullable)).collect();
        let expected = [
            ("store_id", Kind::Text, false),
            ("number", Kind::Int, false),
            ("name", Kind::Text, true),
            ("open", Kind::Int, false),
            ("at", Kind::Int, false),
        ];
        assert_eq!(names, expected);
        let mut wrong = cells.clone();
        wrong[3] = Value::Int(2);
        assert_eq!(Sample::from_cells(&wrong), Err(Misfit { table: "samples", column: "open" }));
        assert!(Sample::from_cells(&cells[..4]).is_err(), "a cell is missing");
    }
}
