//! Which rows does a batch of facts touch, and what becomes of them? The working set between reading and writing.
//!
//! A projection first names the rows that it will look at, then changes them in memory, synchronously; only what is
//! different at the end is written, once per row however often it was touched. This file knows no store.

use std::any::Any;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use foldhash::fast::RandomState;

use super::Unfit;
use super::table::{Cells, Key, Row, Table};

/// The rows that a projection wants to look at.
#[derive(Debug, Default)]
pub struct Needed {
    tables: Vec<(&'static Table, Vec<Key>)>,
}

impl Needed {
    pub fn row<R: Row>(&mut self, key: Key) {
        let of_table = match self.tables.iter_mut().find(|(known, _)| known.name == R::TABLE.name) {
            Some((_, keys)) => keys,
            None => &mut self.tables.push_mut((R::TABLE, Vec::new())).1,
        };
        // In a busy moment one fact after another is about the same row.
        if of_table.last() != Some(&key) {
            of_table.push(key);
        }
    }

    /// By table, each key once.
    #[must_use]
    pub fn into_tables(self) -> Vec<(&'static Table, Vec<Key>)> {
        let mut tables = self.tables;
        for (_, keys) in &mut tables {
            keys.sort_unstable();
            keys.dedup();
        }
        tables
    }
}

/// A row as it was in the store and as it is now.
#[derive(Debug)]
struct Slot {
    /// `None`: not looked up, the row is written whether or not there is one.
    stored: Option<Option<Cells>>,
    now: Now,
}

/// A busy row is changed by one fact after another: it becomes cells once, when it is written.
#[derive(Debug)]
enum Now {
    Gone,
    Cells(Cells),
    Row(Box<dyn Changed>),
}

impl Now {
    fn into_cells(self) -> Option<Cells> {
        match self {
            Self::Gone => None,
            Self::Cells(cells) => Some(cells),
            Self::Row(row) => Some(row.into_cells()),
        }
    }
}

/// A row of some table.
trait Changed: Send + Sync {
    fn as_any(&self) -> &dyn Any;
    fn into_cells(self: Box<Self>) -> Cells;
}

impl<R: Row> Changed for R {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn into_cells(self: Box<Self>) -> Cells {
        Row::into_cells(*self)
    }
}

impl std::fmt::Debug for dyn Changed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a changed row")
    }
}

/// Looked up for every fact; nobody outside can tell how long a look takes, so a hash that is only fast will do.
type Slots = HashMap<Key, Slot, RandomState>;

/// The rows in memory while a batch is applied.
#[derive(Debug, Default)]
pub struct Rows {
    tables: Vec<(&'static Table, Slots)>,
    /// What the rows were before the fact that is being applied, newest last.
    undo: Vec<(usize, Key, Before)>,
}

#[derive(Debug)]
enum Before {
    /// Nobody had looked at it.
    Unseen,
    Was(Now),
}

/// What a batch makes of one table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableChanges {
    pub table: &'static Table,
    /// Rows that are not there yet. This and the others are in the order of their keys, so that two writers meet in the same order.
    pub adds: Vec<Cells>,
    pub upserts: Vec<Cells>,
    pub deletes: Vec<Key>,
}

impl Rows {
    /// Takes in what the store has for `asked`.
    pub fn loaded(&mut self, table: &'static Table, asked: Vec<Key>, found: Vec<Cells>) {
        let place = Self::place(&mut self.tables, table);
        let slots = &mut self.tables[place].1;
        for key in asked {
            slots.entry(key).or_insert(Slot { stored: Some(None), now: Now::Gone });
        }
        for cells in found {
            let slot = Slot { stored: Some(Some(cells.clone())), now: Now::Cells(cells.clone()) };
            slots.insert(table.key_of(&cells), slot);
        }
    }

    /// The row as of the last fact. It must have been asked for, or put by an earlier fact of the batch.
    pub fn get<R: Row>(&self, key: &Key) -> Result<Option<R>, Unfit> {
        let slots = self.tables.iter().find(|(table, _)| table.name == R::TABLE.name);
        let slot = slots.and_then(|(_, slots)| slots.get(key)).ok_or(Unfit::NotAsked { table: R::TABLE.name })?;
        match &slot.now {
            Now::Gone => Ok(None),
            Now::Cells(cells) => R::from_cells(cells).map(Some).map_err(|misfit| Unfit::Impossible(misfit.to_string())),
            // Of another type it cannot be: a table has one.
            Now::Row(row) => Ok(row.as_any().downcast_ref::<R>().cloned()),
        }
    }

    /// As [`Rows::get`], where the row must exist.
    pub fn expect<R: Row>(&self, key: &Key) -> Result<R, Unfit> {
        self.get(key)?.ok_or_else(|| Unfit::Impossible(format!("{} has no row {key:?}", R::TABLE.name)))
    }

    /// Writes a row, new or not.
    pub fn put<R: Row>(&mut self, row: R) {
        self.set(R::TABLE, row.own_key(), Now::Row(Box::new(row)), None);
    }

    /// Writes a row that no other fact can have written before: the store need not look whether it is there.
    pub fn add<R: Row>(&mut self, row: R) {
        self.set(R::TABLE, row.own_key(), Now::Row(Box::new(row)), Some(None));
    }

    pub fn remove<R: Row>(&mut self, key: Key) {
        self.set(R::TABLE, key, Now::Gone, None);
    }

    /// `stored`: what is in the store, if nobody has looked there.
    fn set(&mut self, table: &'static Table, key: Key, now: Now, stored: Option<Option<Cells>>) {
        let place = Self::place(&mut self.tables, table);
        let slots = &mut self.tables[place].1;
        let before = match slots.entry(key.clone()) {
            Entry::Occupied(slot) => Before::Was(std::mem::replace(&mut slot.into_mut().now, now)),
            Entry::Vacant(free) => {
                free.insert(Slot { stored, now });
                Before::Unseen
            }
        };
        self.undo.push((place, key, before));
    }

    /// What has been changed since stays, whatever comes.
    pub fn keep(&mut self) {
        self.undo.clear();
    }

    /// Takes back everything since the last [`Rows::keep`].
    pub fn take_back(&mut self) {
        while let Some((place, key, before)) = self.undo.pop() {
            let slots = &mut self.tables[place].1;
            match before {
                Before::Was(now) => {
                    if let Some(slot) = slots.get_mut(&key) {
                        slot.now = now;
                    }
                }
                Before::Unseen => drop(slots.remove(&key)),
            }
        }
    }

    /// What must be written, and nothing that is as it was.
    #[must_use]
    pub fn changes(self) -> Vec<TableChanges> {
        let mut changes = Vec::new();
        for (table, slots) in self.tables {
            let written = |(key, Slot { stored, now }): (Key, Slot)| {
                let now = now.into_cells();
                (stored.as_ref() != Some(&now)).then_some((key, now, stored == Some(None)))
            };
            let mut changed: Vec<(Key, Option<Cells>, bool)> = slots.into_iter().filter_map(written).collect();
            changed.sort_unstable_by(|a, b| a.0.cmp(&b.0));
            let mut of_table = TableChanges { table, adds: Vec::new(), upserts: Vec::new(), deletes: Vec::new() };
            for (key, now, new) in changed {
                match now {
                    Some(cells) if new => of_table.adds.push(cells),
                    Some(cells) => of_table.upserts.push(cells),
                    None => of_table.deletes.push(key),
                }
            }
            if !(of_table.adds.is_empty() && of_table.upserts.is_empty() && of_table.deletes.is_empty()) {
                changes.push(of_table);
            }
        }
        changes
    }

    fn place(tables: &mut Vec<(&'static Table, Slots)>, table: &'static Table) -> usize {
        match tables.iter().position(|(known, _)| known.name == table.name) {
            Some(place) => place,
            None => {
                tables.push((table, Slots::default()));
                tables.len() - 1
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::projections::table::{Value, table};

    table! {
        struct Count in "counts" {
            key { name: String }
            n: i64,
        }
    }

    fn key(name: &str) -> Key {
        Count::key(name.to_owned())
    }

    fn cells(name: &str, n: i64) -> Cells {
        vec![Value::Text(name.into()), Value::Int(n)]
    }

    fn add(rows: &mut Rows, name: &str) -> Result<(), Unfit> {
        let n = rows.get::<Count>(&key(name))?.map_or(0, |row| row.n);
        rows.put(Count { name: name.to_owned(), n: n + 1 });
        Ok(())
    }

    #[test]
    fn many_changes_of_a_row_are_written_once_and_no_change_not_at_all() {
        let mut needed = Needed::default();
        for name in ["b", "a", "a", "same", "gone"] {
            needed.row::<Count>(key(name));
        }
        let asked = needed.into_tables().remove(0).1;
        assert_eq!(asked, [key("a"), key("b"), key("gone"), key("same")]);
        let mut rows = Rows::default();
        rows.loaded(Count::TABLE, asked, vec![cells("a", 5), cells("same", 1), cells("gone", 1)]);
        for name in ["a", "b", "a", "b"] {
            add(&mut rows, name).expect("asked for");
        }
        rows.remove::<Count>(key("gone"));
        rows.put(Count { name: "same".to_owned(), n: 1 });
        rows.put(Count { name: "blind".to_owned(), n: 9 });
        rows.add(Count { name: "first".to_owned(), n: 1 });
        add(&mut rows, "first").expect("put by an earlier fact");
        rows.keep();
        let (adds, upserts) = (vec![cells("b", 2), cells("first", 2)], vec![cells("a", 7), cells("blind", 9)]);
        assert_eq!(rows.changes(), [TableChanges { table: Count::TABLE, adds, upserts, deletes: vec![key("gone")] }]);
    }

    #[test]
    fn what_was_not_asked_for_is_a_bug_and_a_failed_fact_leaves_no_trace() {
        let mut rows = Rows::default();
        assert_eq!(add(&mut rows, "a"), Err(Unfit::NotAsked { table: "counts" }));
        rows.loaded(Count::TABLE, vec![key("a")], vec![cells("a", 5)]);
        add(&mut rows, "a").expect("asked for");
        rows.keep();
        add(&mut rows, "a").expect("asked for");
        rows.put(Count { name: "b".to_owned(), n: 1 });
        rows.remove::<Count>(key("a"));
        rows.take_back();
        assert_eq!(rows.get::<Count>(&key("a")).map(|row| row.map(|row| row.n)), Ok(Some(6)));
        assert_eq!(rows.changes()[0].upserts, [cells("a", 6)]);
    }
}
