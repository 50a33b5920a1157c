//! Which builds are there, which one is active, and what did operators decide? The registry, whatever the engine.

use std::sync::Arc;

use async_trait::async_trait;
use tokio::sync::Mutex;

use super::builds::{CURSORS, Engine, Opened, at, partition};
use super::conn::{Conn, There, end, int, placed, text};
use super::types::{Action, BuildId, Decision, Purpose, Registered, StoreError};
use super::{Build, RebuildLock, Store};
use crate::clock::Clock;
use crate::ids::{Partition, Position};
use crate::limits;
use crate::projections::Projection;
use crate::projections::table::{Cells, Value};
use crate::timestamp::Timestamp;

pub struct Registry {
    engine: Arc<dyn Engine>,
    clock: Arc<dyn Clock>,
    place: String,
    /// One connection, thrown away when something about it is in doubt.
    conn: Mutex<Option<Box<dyn Conn>>>,
}

impl Registry {
    pub async fn open(engine: Arc<dyn Engine>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let conn = engine.registry().await?;
        Ok(Self { place: engine.place("registry"), engine, clock, conn: Mutex::new(Some(conn)) })
    }

    /// Taken out while it works: whoever drops a future half-way leaves no open transaction behind.
    async fn take(&self) -> Result<Taken<'_>, StoreError> {
        let mut slot = self.conn.lock().await;
        let conn = match slot.take() {
            Some(conn) => conn,
            None => self.engine.registry().await?,
        };
        Ok(Taken { slot, conn })
    }

    async fn rows(&self, sql: &str, binds: &[Value]) -> Result<Vec<Cells>, StoreError> {
        let mut taken = self.take().await?;
        let found = taken.conn.rows(&placed(sql, &self.place), binds).await;
        taken.give_back(found)
    }

    async fn run(&self, sql: &str, binds: &[Value]) -> Result<u64, StoreError> {
        let mut taken = self.take().await?;
        let done = taken.conn.run(&placed(sql, &self.place), binds).await;
        taken.give_back(done)
    }

    /// All statements or none; how many rows each changed.
    async fn run_all(&self, statements: &[(&str, Vec<Value>)]) -> Result<(), StoreError> {
        let mut taken = self.take().await?;
        let done = match taken.conn.begin().await {
            Ok(()) => {
                let mut done = Ok(());
                for (sql, binds) in statements {
                    done = taken.conn.run(&placed(sql, &self.place), binds).await.map(drop);
                    if done.is_err() {
                        break;
                    }
                }
                end(&mut *taken.conn, done).await
            }
            Err(error) => Err(error),
        };
        taken.give_back(done)
    }

    async fn decisions(&self, condition: &str, binds: &[Value]) -> Result<Vec<Decision>, StoreError> {
        let sql = format!("{} {condition}", include_str!("sql/decision_columns.sql"));
        self.rows(&sql, binds).await?.iter().map(decision).collect()
    }

    fn opened(&self, projection: &dyn Projection, id: BuildId, past: bool) -> Arc<dyn Build> {
        let name = name(projection.name(), id, past);
        let (engine, version) = (self.engine.clone(), projection.version());
        let (place, reader) = (engine.place(&name), engine.reader(&name));
        Arc::new(Opened { id, version, name, place, engine, reader })
    }
}

/// The registry's connection in somebody's hand.
struct Taken<'a> {
    slot: tokio::sync::MutexGuard<'a, Option<Box<dyn Conn>>>,
    conn: Box<dyn Conn>,
}

impl Taken<'_> {
    fn give_back<T>(mut self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if !matches!(done, Err(StoreError::Unavailable(_))) {
            *self.slot = Some(self.conn);
        }
        done
    }
}

/// A pointer on its way from one build to another.
struct Switch {
    called: Value,
    now: Value,
    from: Option<BuildId>,
    to: BuildId,
    also: Vec<String>,
}

impl Switch {
    /// Inside a transaction. `Fenced`: somebody else was there first.
    async fn run(&self, conn: &mut dyn Conn, place: &str) -> Result<(), StoreError> {
        let called = self.called.clone();
        let active = conn.rows(&placed(include_str!("sql/active.sql"), place), std::slice::from_ref(&called)).await?;
        if active.first().map(|row| build(row, 0)).transpose()? != self.from {
            return Err(StoreError::Fenced);
        }
        if let Some(from) = self.from {
            let binds = [self.now.clone(), called.clone(), number(from)];
            if conn.run(&placed(include_str!("sql/retire.sql"), place), &binds).await? != 1 {
                return Err(StoreError::Fenced);
            }
        }
        if conn.run(&placed(include_str!("sql/activate.sql"), place), &[called, number(self.to)]).await? != 1 {
            return Err(StoreError::Fenced);
        }
        for sql in &self.also {
            conn.raw(sql).await?;
        }
        Ok(())
    }
}

/// What a build is called in its engine.
fn name(projection: &str, id: BuildId, past: bool) -> String {
    format!("{}{projection}_{}", if past { "past_" } else { "" }, id.0)
}

fn words(text: &str) -> Value {
    Value::Text(text.into())
}

fn number(id: BuildId) -> Value {
    Value::Int(id.0.into())
}

#[async_trait]
impl Store for Registry {
    fn engine(&self) -> &'static str {
        self.engine.name()
    }

    async fn registered(&self) -> Result<Vec<Registered>, StoreError> {
        let one = |row: &Cells| {
            let version = u32::try_from(int(row, 1)?).unwrap_or(u32::MAX);
            Ok(Registered { name: text(row, 0)?, version, active: build(row, 2)? })
        };
        self.rows(include_str!("sql/registered.sql"), &[]).await?.iter().map(one).collect()
    }

    async fn create(
        &self,
        projection: &'static dyn Projection,
        partitions: u16,
        purpose: Purpose,
    ) -> Result<Arc<dyn Build>, StoreError> {
        let past = purpose == Purpose::Past;
        // Known to the registry before it is there: what is interrupted is found by the next sweep.
        let given = self.rows(include_str!("sql/build_number.sql"), &[]).await?;
        let id = build(given.first().unwrap_or(&Vec::new()), 0)?;
        let version = Value::Int(projection.version().into());
        let why = words(if past { "past" } else { "serve" });
        self.run(include_str!("sql/build_add.sql"), &[number(id), words(projection.name()), version, why]).await?;
        let name = name(projection.name(), id, past);
        let mut conn = self.engine.create(projection, &name).await?;
        let zeros: Vec<Cells> = (0..partitions).map(|p| vec![Value::Int(p.into()), Value::Int(0)]).collect();
        conn.write(&self.engine.place(&name), &CURSORS, &zeros, There::Never).await?;
        Ok(self.opened(projection, id, past))
    }

    async fn open(&self, projection: &'static dyn Projection, id: BuildId) -> Result<Arc<dyn Build>, StoreError> {
        let found = self.rows(include_str!("sql/build_find.sql"), &[number(id), words(projection.name())]).await?;
        let gone = || StoreError::Unavailable(format!("{} has no build {}", projection.name(), id.0));
        let row = found.first().ok_or_else(gone)?;
        if int(row, 0)? != i64::from(projection.version()) {
            let detail = format!("build {} of {} is of version {}", id.0, projection.name(), int(row, 0)?);
            return Err(StoreError::Unavailable(detail));
        }
        Ok(self.opened(projection, id, text(row, 1)? == "past"))
    }

    async fn switch(
        &self,
        projection: &'static dyn Projection,
        from: Option<BuildId>,
        to: BuildId,
    ) -> Result<bool, StoreError> {
        let name = name(projection.name(), to, false);
        self.engine.harden(&name).await?;
        let switch = Switch {
            called: words(projection.name()),
            now: Value::Int(self.clock.wall().0),
            from,
            to,
            also: self.engine.after_switch(projection, &name),
        };
        let mut taken = self.take().await?;
        let done = match taken.conn.begin().await {
            Ok(()) => {
                let run = switch.run(&mut *taken.conn, &self.place).await;
                end(&mut *taken.conn, run).await
            }
            Err(error) => Err(error),
        };
        match taken.give_back(done) {
            Ok(()) => Ok(true),
            Err(StoreError::Fenced | StoreError::Refused(_)) => Ok(false),
            Err(error) => Err(error),
        }
    }

    async fn sweep(&self, projection: &'static dyn Projection, keep: &[BuildId]) -> Result<(), StoreError> {
        let unused_since = self.clock.wall().minus(limits::BUILD_LINGER);
        let binds = [words(projection.name()), Value::Int(unused_since.0)];
        for row in self.rows(include_str!("sql/leftovers.sql"), &binds).await? {
            let id = build(&row, 0)?;
            if keep.contains(&id) {
                continue;
            }
            self.engine.drop_place(&name(projection.name(), id, false)).await?;
            self.run(include_str!("sql/build_remove.sql"), &[number(id)]).await?;
        }
        Ok(())
    }

    async fn rebuild_lock(
        &self,
        projection: &'static dyn Projection,
    ) -> Result<Option<Box<dyn RebuildLock>>, StoreError> {
        self.engine.lock(projection.name()).await
    }

    async fn decide(&self, decision: Decision) -> Result<i64, StoreError> {
        let binds = [
            words(&decision.projection),
            Value::Int(decision.partition.0.into()),
            Value::Int(i64::try_from(decision.position.0).unwrap_or(i64::MAX)),
            words(&decision.key),
            words(decision.action.as_str()),
            words(&decision.reason),
            words(&decision.command),
            words(&decision.actor),
            Value::Int(decision.decided_at.0),
        ];
        self.run(include_str!("sql/decide.sql"), &binds).await?;
        let known = self.decided(&decision.command).await?;
        known.map(|known| known.id).ok_or_else(|| StoreError::Unavailable("the decision is not there".to_owned()))
    }

    async fn undone(&self, limit: usize) -> Result<Vec<Decision>, StoreError> {
        self.decisions(&format!("WHERE outcome IS NULL ORDER BY id LIMIT {limit}"), &[]).await
    }

    async fn decided(&self, command: &str) -> Result<Option<Decision>, StoreError> {
        Ok(self.decisions("WHERE command = $1", &[words(command)]).await?.pop())
    }

    async fn decision(&self, id: i64) -> Result<Option<Decision>, StoreError> {
        Ok(self.decisions("WHERE id = $1", &[Value::Int(id)]).await?.pop())
    }

    async fn carried_out(&self, decision: &Decision, outcome: &str) -> Result<(), StoreError> {
        let outcome = vec![words(&outcome.replace('\0', "\u{FFFD}")), Value::Int(decision.id)];
        let mut statements = vec![(include_str!("sql/outcome.sql"), outcome)];
        if decision.action == Action::Skip {
            let partition = Value::Int(decision.partition.0.into());
            let position = Value::Int(i64::try_from(decision.position.0).unwrap_or(i64::MAX));
            let skip = vec![words(&decision.projection), partition, position];
            statements.push((include_str!("sql/skip_add.sql"), skip));
        }
        self.run_all(&statements).await
    }

    async fn not_carried_out(&self, decision: &Decision, outcome: &str) -> Result<(), StoreError> {
        self.run(include_str!("sql/outcome.sql"), &[words(outcome), Value::Int(decision.id)]).await.map(drop)
    }

    async fn skips(&self, projection: &str) -> Result<Vec<(Partition, Position)>, StoreError> {
        let found = self.rows(include_str!("sql/skips.sql"), &[words(projection)]).await?;
        found.iter().map(|row| Ok((partition(row, 0)?, at(row, 1)?))).collect()
    }

    fn place(&self, projection: &dyn Projection, id: BuildId) -> Vec<String> {
        let name = name(projection.name(), id, true);
        projection.tables().iter().map(|table| self.engine.shown(&name, table.name)).collect()
    }
}

fn build(row: &Cells, column: usize) -> Result<BuildId, StoreError> {
    let number = u32::try_from(int(row, column)?);
    number.map(BuildId).map_err(|_| StoreError::Refused("a number that no build has".to_owned()))
}

fn decision(row: &Cells) -> Result<Decision, StoreError> {
    let outcome = match row.get(10) {
        Some(Value::Text(text)) => Some(text.as_ref().to_owned()),
        _ => None,
    };
    Ok(Decision {
        id: int(row, 0)?,
        projection: text(row, 1)?,
        partition: partition(row, 2)?,
        position: at(row, 3)?,
        key: text(row, 4)?,
        action: if text(row, 5)? == "skip" { Action::Skip } else { Action::Retry },
        reason: text(row, 6)?,
        command: text(row, 7)?,
        actor: text(row, 8)?,
        decided_at: Timestamp(int(row, 9)?),
        outcome,
    })
}
