//! How do documents become rows? The contract over either engine, written once.

use async_trait::async_trait;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

use super::cells::{Cell, Engine, Failure, Lasting, Row};
use super::{Cabinet, Document, Kind, Moment, Put, Revocation, Stored, TrailEntry, Trailed};
use crate::fault::Fault;
use crate::limits;
use crate::timestamp::Timestamp;

pub struct Desk<E>(pub E);

fn cell(text: Option<String>) -> Cell {
    Cell::Text(text)
}

fn time(at: Option<Timestamp>) -> Cell {
    Cell::Int(at.map(|at| at.0))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn lasting(kind: Kind) -> Lasting {
    if kind == Kind::Throttle { Lasting::Mostly } else { Lasting::Ever }
}

fn stored(cells: Vec<Cell>) -> Result<Stored, Fault> {
    let mut row = Row::new(cells);
    let kind = Kind::parse(&row.text()?).ok_or_else(|| Fault::internal("a document of an unknown kind"))?;
    let (key, alias, family) = (row.text()?, row.text_or_none()?, row.text_or_none()?);
    let version = u64::try_from(row.int()?).map_err(|_| Fault::internal("a document's version is negative"))?;
    let record = row.text()?;
    let sealed = row.text_or_none()?.map(|text| STANDARD_NO_PAD.decode(text)).transpose();
    let sealed = sealed.map_err(|_| Fault::internal("what is sealed is not base64"))?;
    let expires_at = row.int_or_none()?.map(Timestamp);
    Ok(Stored { document: Document { kind, key, alias, family, record, sealed, expires_at }, version })
}

impl<E: Engine> Desk<E> {
    async fn first(&self, sql: &'static str, binds: Vec<Cell>) -> Result<Option<Stored>, Fault> {
        self.0.rows(sql, binds).await?.into_iter().next().map(stored).transpose()
    }
}

#[async_trait]
impl<E: Engine> Cabinet for Desk<E> {
    async fn get(&self, kind: Kind, key: &str) -> Result<Option<Stored>, Fault> {
        self.first(include_str!("sql/get.sql"), vec![Cell::text(kind.as_str()), Cell::text(key)]).await
    }

    async fn by_alias(&self, kind: Kind, alias: &str) -> Result<Option<Stored>, Fault> {
        self.first(include_str!("sql/by_alias.sql"), vec![Cell::text(kind.as_str()), Cell::text(alias)]).await
    }

    async fn family(&self, kind: Kind, family: &str, after: &str, most: usize) -> Result<Vec<Stored>, Fault> {
        let binds =
            vec![Cell::text(kind.as_str()), Cell::text(family), Cell::text(after), Cell::int(signed(most as u64))];
        self.0.rows(include_str!("sql/family.sql"), binds).await?.into_iter().map(stored).collect()
    }

    async fn page(&self, kind: Kind, after: &str, most: usize) -> Result<Vec<Stored>, Fault> {
        let binds = vec![Cell::text(kind.as_str()), Cell::text(after), Cell::int(signed(most as u64))];
        self.0.rows(include_str!("sql/page.sql"), binds).await?.into_iter().map(stored).collect()
    }

    async fn put(&self, document: Document, expected: Option<u64>) -> Result<Put, Fault> {
        let Document { kind, key, alias, family, record, sealed, expires_at } = document;
        let sealed = sealed.map(|bytes| STANDARD_NO_PAD.encode(bytes));
        let mut binds = vec![
            Cell::text(kind.as_str()),
            Cell::text(&key),
            cell(alias),
            cell(family),
            Cell::text(&record),
            cell(sealed),
            time(expires_at),
        ];
        let sql = match expected {
            None => include_str!("sql/add.sql"),
            Some(version) => {
                binds.push(Cell::int(signed(version)));
                include_str!("sql/change.sql")
            }
        };
        match self.0.run(sql, binds, lasting(kind)).await {
            Ok(0) => Ok(Put::Conflict),
            Ok(_) => Ok(Put::Done),
            // The key's own conflicts are no errors, so this is the alias.
            Err(Failure::NotUnique) => Ok(Put::AliasTaken),
            Err(Failure::Fault(fault)) => Err(fault),
        }
    }

    async fn remove(&self, kind: Kind, key: &str) -> Result<(), Fault> {
        let binds = vec![Cell::text(kind.as_str()), Cell::text(key)];
        Ok(self.0.run(include_str!("sql/remove.sql"), binds, lasting(kind)).await.map(drop)?)
    }

    async fn revoke(&self, revocation: Revocation) -> Result<(), Fault> {
        let Revocation { credential, at, until } = revocation;
        let binds = vec![Cell::text(&credential), Cell::int(at.0), time(until)];
        Ok(self.0.run(include_str!("sql/revoke.sql"), binds, Lasting::Ever).await.map(drop)?)
    }

    async fn revoked(&self, since: Option<Moment>) -> Result<(Vec<Revocation>, Moment), Fault> {
        // The moment first: what is noted while the list is read is then read again, and never missed.
        let now = self.0.rows(include_str!("sql/moment.sql"), Vec::new()).await?.into_iter().next();
        let now = now.map_or_else(|| Err(Fault::internal("the database has no time")), |row| Row::new(row).int())?;
        // A statement is noted with the time of its beginning and seen from its end on.
        let overlap = signed(u64::try_from(limits::REVOKED_OVERLAP.as_millis()).unwrap_or(u64::MAX));
        let from = since.map_or(i64::MIN, |moment| moment.0.saturating_sub(overlap));
        let rows = self.0.rows(include_str!("sql/revoked.sql"), vec![Cell::int(from)]).await?;
        let revocation = |cells: Vec<Cell>| {
            let mut row = Row::new(cells);
            let (credential, at, until) = (row.text()?, Timestamp(row.int()?), row.int_or_none()?.map(Timestamp));
            Ok(Revocation { credential, at, until })
        };
        Ok((rows.into_iter().map(revocation).collect::<Result<_, Fault>>()?, Moment(now)))
    }

    async fn note(&self, entry: TrailEntry) -> Result<(), Fault> {
        let TrailEntry { at, kind, account, actor, origin, detail } = entry;
        let binds = vec![Cell::int(at.0), Cell::text(&kind), cell(account), cell(actor), cell(origin), cell(detail)];
        Ok(self.0.run(include_str!("sql/note.sql"), binds, Lasting::Ever).await.map(drop)?)
    }

    async fn trail(&self, account: Option<&str>, before: Option<i64>, most: usize) -> Result<Vec<Trailed>, Fault> {
        let mut binds = vec![Cell::int(before.unwrap_or(i64::MAX)), Cell::int(signed(most as u64))];
        let sql = match account {
            None => include_str!("sql/trail.sql"),
            Some(account) => {
                binds.push(Cell::text(account));
                include_str!("sql/trail_of.sql")
            }
        };
        let trailed = |cells: Vec<Cell>| {
            let mut row = Row::new(cells);
            let (seq, at, kind) = (row.int()?, Timestamp(row.int()?), row.text()?);
            let mut next = || row.text_or_none();
            let entry = TrailEntry { at, kind, account: next()?, actor: next()?, origin: next()?, detail: next()? };
            Ok(Trailed { seq, entry })
        };
        self.0.rows(sql, binds).await?.into_iter().map(trailed).collect()
    }

    async fn sweep(&self, now: Timestamp, trail: Timestamp) -> Result<u64, Fault> {
        let most = signed(limits::ACCOUNTS_SWEPT as u64);
        let mut swept = 0;
        for (sql, before) in [
            (include_str!("sql/sweep.sql"), now),
            (include_str!("sql/sweep_revoked.sql"), now),
            (include_str!("sql/sweep_trail.sql"), trail),
        ] {
            swept += self.0.run(sql, vec![Cell::int(before.0), Cell::int(most)], Lasting::Mostly).await?;
        }
        Ok(swept)
    }
}
