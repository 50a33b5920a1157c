//! How is a build read and written, whatever the engine? One transaction per batch, fenced by epoch and cursors.

use std::sync::Arc;

use async_trait::async_trait;

use super::conn::{Conn, There, end, int, names, placed, text};
use super::types::{BuildId, Changes, CursorMove, Parked, ParkedKey, StoreError};
use super::{Build, RebuildLock, Snapshot, Writer};
use crate::ids::{Partition, Position};
use crate::projections::Projection;
use crate::projections::table::{Cells, Column, Key, Kind, Table, Value};
use crate::timestamp::Timestamp;

/// What the engines do differently. `name` is a build's: `<projection>_<number>`, or `registry`.
#[async_trait]
pub trait Engine: Send + Sync + 'static {
    fn name(&self) -> &'static str;

    /// What stands for `@.` in its statements.
    fn place(&self, name: &str) -> String;

    /// How people look at one of its tables.
    fn shown(&self, name: &str, table: &str) -> String;

    async fn registry(&self) -> Result<Box<dyn Conn>, StoreError>;

    /// Makes the tables of a new build.
    async fn create(&self, projection: &dyn Projection, name: &str) -> Result<Box<dyn Conn>, StoreError>;

    /// Before readers are pointed to a build: it must survive whatever the pointer survives.
    async fn harden(&self, name: &str) -> Result<(), StoreError>;

    async fn drop_place(&self, name: &str) -> Result<(), StoreError>;

    async fn writer(&self, name: &str) -> Result<Box<dyn Conn>, StoreError>;

    /// With a transaction begun that shows one moment.
    async fn snapshot(&self, name: &str) -> Result<Box<dyn Conn>, StoreError>;

    /// Connects when it is first used.
    fn reader(&self, name: &str) -> Box<dyn Reader>;

    async fn lock(&self, name: &str) -> Result<Option<Box<dyn RebuildLock>>, StoreError>;

    /// Statements that belong to a switch.
    fn after_switch(&self, projection: &dyn Projection, name: &str) -> Vec<String>;
}

/// Connections that only read, shared by many.
#[async_trait]
pub trait Reader: Send + Sync {
    async fn rows(&self, sql: &str, binds: &[Value]) -> Result<Vec<Cells>, StoreError>;
}

const fn whole(name: &'static str) -> Column {
    Column { name, kind: Kind::Int, nullable: false }
}

const fn words(name: &'static str) -> Column {
    Column { name, kind: Kind::Text, nullable: false }
}

static PARKED: Table = Table {
    name: "parked",
    columns: &[whole("partition"), whole("position"), words("key"), words("error"), whole("since")],
    key: 2,
};

pub static CURSORS: Table = Table { name: "cursors", columns: &[whole("partition"), whole("position")], key: 1 };

/// One build, opened.
pub struct Opened {
    pub id: BuildId,
    pub version: u32,
    pub name: String,
    pub place: String,
    pub engine: Arc<dyn Engine>,
    pub reader: Box<dyn Reader>,
}

impl Opened {
    async fn read(&self, sql: &str, binds: &[Value]) -> Result<Vec<Cells>, StoreError> {
        self.reader.rows(&placed(sql, &self.place), binds).await
    }
}

#[async_trait]
impl Build for Opened {
    fn id(&self) -> BuildId {
        self.id
    }

    fn version(&self) -> u32 {
        self.version
    }

    async fn cursors(&self) -> Result<Vec<Position>, StoreError> {
        self.read(include_str!("sql/cursors.sql"), &[]).await?.iter().map(position).collect()
    }

    async fn parked_keys(
        &self,
        after: Option<(Partition, Position)>,
        limit: usize,
    ) -> Result<Vec<ParkedKey>, StoreError> {
        let after = after.map_or([Value::Int(-1), Value::Int(0)], place);
        let binds = [after.as_slice(), &[count(limit)]].concat();
        let found = self.read(include_str!("sql/parked_keys.sql"), &binds).await?;
        let key = |row: &Cells| {
            let Parked { partition, position, key, error, since } = parked(row)?;
            let events = u64::try_from(int(row, 5)?).unwrap_or_default();
            Ok(ParkedKey { key, partition, position, error, since, events })
        };
        found.iter().map(key).collect()
    }

    async fn query(&self, sql: &str, binds: &[Value]) -> Result<Vec<Cells>, StoreError> {
        self.read(sql, binds).await
    }

    async fn writer(&self) -> Result<Box<dyn Writer>, StoreError> {
        let mut conn = self.engine.writer(&self.name).await?;
        let raised = conn.rows(&placed(include_str!("sql/epoch_raise.sql"), &self.place), &[]).await?;
        let epoch = raised.first().ok_or_else(|| StoreError::Unavailable("the build has no runner row".to_owned()))?;
        Ok(Box::new(Hand {
            epoch: int(epoch, 0)?,
            name: self.name.clone(),
            place: self.place.clone(),
            engine: self.engine.clone(),
            conn: Some(conn),
        }))
    }

    async fn snapshot(&self) -> Result<Box<dyn Snapshot>, StoreError> {
        let mut conn = self.engine.snapshot(&self.name).await?;
        // The moment is that of the first reading.
        conn.rows(&placed(include_str!("sql/epoch.sql"), &self.place), &[]).await?;
        Ok(Box::new(Moment { place: self.place.clone(), conn }))
    }
}

/// The writing half: one connection, thrown away when something about it is in doubt.
struct Hand {
    epoch: i64,
    name: String,
    place: String,
    engine: Arc<dyn Engine>,
    conn: Option<Box<dyn Conn>>,
}

impl Hand {
    /// Taken out while it works: whoever drops a future half-way leaves no open transaction behind.
    async fn take(&mut self) -> Result<Box<dyn Conn>, StoreError> {
        match self.conn.take() {
            Some(conn) => Ok(conn),
            None => self.engine.writer(&self.name).await,
        }
    }

    fn give_back<T>(&mut self, conn: Box<dyn Conn>, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if !matches!(done, Err(StoreError::Unavailable(_))) {
            self.conn = Some(conn);
        }
        done
    }

    async fn rows(&mut self, sql: &str, binds: &[Value]) -> Result<Vec<Cells>, StoreError> {
        let mut conn = self.take().await?;
        let found = conn.rows(&placed(sql, &self.place), binds).await;
        self.give_back(conn, found)
    }
}

#[async_trait]
impl Writer for Hand {
    async fn load(&mut self, table: &'static Table, keys: &[Key]) -> Result<Vec<Cells>, StoreError> {
        if keys.is_empty() {
            return Ok(Vec::new());
        }
        let mut conn = self.take().await?;
        let found = conn.load(&self.place, table, keys).await;
        self.give_back(conn, found)
    }

    async fn commit(&mut self, changes: &Changes) -> Result<(), StoreError> {
        let mut conn = self.take().await?;
        let done = match conn.begin().await {
            Ok(()) => {
                let written = write(&mut *conn, &self.place, self.epoch, changes).await;
                end(&mut *conn, written).await
            }
            Err(error) => Err(error),
        };
        self.give_back(conn, done)
    }

    async fn parked_of(&mut self, key: &str, limit: usize) -> Result<Vec<Parked>, StoreError> {
        let binds = [Value::Text(key.into()), count(limit)];
        self.rows(include_str!("sql/parked_of.sql"), &binds).await?.iter().map(parked).collect()
    }

    async fn parked_keys(&mut self) -> Result<Vec<String>, StoreError> {
        let found = self.rows(include_str!("sql/parked_all_keys.sql"), &[]).await?;
        found.iter().map(|row| text(row, 0)).collect()
    }
}

/// What a commit does inside its transaction.
async fn write(conn: &mut dyn Conn, place: &str, epoch: i64, changes: &Changes) -> Result<(), StoreError> {
    // Held until the end: a look would not tell of a take-over that comes between it and the commit.
    let held = conn.run(&placed(include_str!("sql/epoch_held.sql"), place), &[Value::Int(epoch)]).await?;
    if held != 1 {
        return Err(StoreError::Fenced);
    }
    // The cursors first: they hold up whoever else would write the same rows.
    if let Some(sql) = move_cursors(place, &changes.cursors)
        && conn.run(&sql, &[]).await? != changes.cursors.len() as u64
    {
        return Err(StoreError::Fenced);
    }
    for of_table in &changes.tables {
        conn.write(place, of_table.table, &of_table.adds, There::Never).await?;
        conn.write(place, of_table.table, &of_table.upserts, There::Perhaps).await?;
        let named = names(of_table.table);
        let keys = named[..of_table.table.key].iter().enumerate();
        let matching: Vec<String> = keys.map(|(number, name)| format!("{name} = ${}", number + 1)).collect();
        let sql = format!("DELETE FROM {place}{} WHERE {}", of_table.table.name, matching.join(" AND "));
        for key in &of_table.deletes {
            conn.run(&sql, key).await?;
        }
    }
    let unpark = placed(include_str!("sql/unpark.sql"), place);
    for (partition, position) in &changes.unpark {
        conn.run(&unpark, &self::place((*partition, *position))).await?;
    }
    if !changes.park.is_empty() {
        let rows: Vec<Cells> = changes.park.iter().map(parked_row).collect();
        conn.write(place, &PARKED, &rows, There::Perhaps).await?;
    }
    Ok(())
}

/// One statement for all of them; the numbers are ours.
fn move_cursors(place: &str, moves: &[CursorMove]) -> Option<String> {
    if moves.is_empty() {
        return None;
    }
    let to: Vec<String> = moves.iter().map(|m| format!("WHEN {} THEN {}", m.partition, m.to)).collect();
    let from: Vec<String> = moves.iter().map(|m| format!("({}, {})", m.partition, m.from)).collect();
    Some(format!(
        "UPDATE {place}cursors SET position = CASE partition {} END WHERE (partition, position) IN (VALUES {})",
        to.join(" "),
        from.join(", ")
    ))
}

/// A build at one moment.
struct Moment {
    place: String,
    conn: Box<dyn Conn>,
}

#[async_trait]
impl Snapshot for Moment {
    async fn cursors(&mut self) -> Result<Vec<Position>, StoreError> {
        let found = self.conn.rows(&placed(include_str!("sql/cursors.sql"), &self.place), &[]).await?;
        found.iter().map(position).collect()
    }

    async fn parked(&mut self) -> Result<Vec<(Partition, Position)>, StoreError> {
        let found = self.conn.rows(&placed(include_str!("sql/parked.sql"), &self.place), &[]).await?;
        found.iter().map(|row| Ok((partition(row, 0)?, at(row, 1)?))).collect()
    }

    async fn scan(
        &mut self,
        table: &'static Table,
        after: Option<&Key>,
        limit: usize,
    ) -> Result<Vec<Cells>, StoreError> {
        let names = names(table);
        let keys = names[..table.key].join(", ");
        let beyond = after.map_or_else(String::new, |key| {
            let binds: Vec<String> = (1..=key.len()).map(|number| format!("${number}")).collect();
            format!("WHERE ({keys}) > ({})", binds.join(", "))
        });
        let (all, name, place) = (names.join(", "), table.name, &self.place);
        let sql = format!("SELECT {all} FROM {place}{name} {beyond} ORDER BY {keys} LIMIT {limit}");
        self.conn.rows(&sql, after.map_or(&[], Vec::as_slice)).await
    }
}

fn place((partition, position): (Partition, Position)) -> [Value; 2] {
    [Value::Int(partition.0.into()), Value::Int(i64::try_from(position.0).unwrap_or(i64::MAX))]
}

fn count(number: usize) -> Value {
    Value::Int(i64::try_from(number).unwrap_or(i64::MAX))
}

fn position(row: &Cells) -> Result<Position, StoreError> {
    at(row, 0)
}

pub fn at(row: &Cells, column: usize) -> Result<Position, StoreError> {
    let number = u64::try_from(int(row, column)?);
    number.map(Position).map_err(|_| StoreError::Refused("a position below zero".to_owned()))
}

pub fn partition(row: &Cells, column: usize) -> Result<Partition, StoreError> {
    let number = u16::try_from(int(row, column)?);
    number.map(Partition).map_err(|_| StoreError::Refused("a partition that cannot be".to_owned()))
}

fn parked(row: &Cells) -> Result<Parked, StoreError> {
    Ok(Parked {
        partition: partition(row, 0)?,
        position: at(row, 1)?,
        key: text(row, 2)?,
        error: text(row, 3)?,
        since: Timestamp(int(row, 4)?),
    })
}

fn parked_row(parked: &Parked) -> Cells {
    let [partition, position] = place((parked.partition, parked.position));
    // Error texts may quote what was read: no NUL of it may keep the parking from being written.
    let words = |text: &str| Value::Text(text.replace('\0', "\u{FFFD}").into());
    vec![partition, position, words(&parked.key), words(&parked.error), Value::Int(parked.since.0)]
}
