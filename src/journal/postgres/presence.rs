//! How do nodes on one Postgres tell each other who is connected? One row a node, written anew as a whole, by one
//! statement, over a small pool of its own: a log that is busy must not wait for it.

use async_trait::async_trait;
use serde_json::json;
use sqlx::Row;
use sqlx::postgres::{PgPool, PgRow};

use super::connect::{self, answered};
use super::error;
use crate::fault::Fault;
use crate::ids::{AccountId, LogPosition, NodeId, StoreId};
use crate::journal::open::OpenError;
use crate::journal::presence::{Display, Presence};
use crate::journal::rows::signed;
use crate::limits;
use crate::timestamp::Timestamp;

pub struct PostgresPresence {
    pool: PgPool,
}

impl PostgresPresence {
    pub async fn open(url: &str) -> Result<Self, OpenError> {
        let pool = connect::readers(&connect::options(url)?).await;
        Ok(Self { pool: pool.map_err(|e| error::opening(&connect::without_secrets(url), &e))? })
    }
}

#[async_trait]
impl Presence for PostgresPresence {
    async fn say(&self, node: &NodeId, displays: &[Display]) -> Result<(), Fault> {
        let rows: Vec<_> = displays.iter().map(written).collect();
        let query = sqlx::query(include_str!("presence_say.sql"))
            .bind(node.as_str().to_owned())
            .bind(serde_json::Value::from(rows).to_string())
            .bind(millis(limits::PRESENCE_GONE));
        answered(async { query.execute(&self.pool).await.map(drop).map_err(error::fault) }).await
    }

    async fn others(&self, node: &NodeId, store: &StoreId, most: usize) -> Result<Vec<(NodeId, Display)>, Fault> {
        let query = sqlx::query(include_str!("presence_others.sql"))
            .bind(node.as_str().to_owned())
            .bind(store.as_str().to_owned())
            .bind(millis(limits::PRESENCE_GOOD))
            .bind(signed(most as u64));
        let rows = answered(async { query.fetch_all(&self.pool).await.map_err(error::fault) }).await?;
        rows.iter().map(|row| read(row, store)).collect::<Result<_, _>>().map_err(error::fault)
    }
}

fn millis(time: std::time::Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

fn written(display: &Display) -> serde_json::Value {
    json!({
        "store": display.store,
        "account": display.account,
        "role": display.role,
        "connected_at": display.connected_at.0,
        "position": display.position.map(|position| position.to_string()),
    })
}

fn read(row: &PgRow, store: &StoreId) -> Result<(NodeId, Display), sqlx::Error> {
    let text = |column: usize| row.try_get::<String, _>(column);
    let position: Option<String> = row.try_get(4)?;
    let display = Display {
        store: store.clone(),
        account: AccountId::new(text(1)?),
        role: text(2)?,
        connected_at: Timestamp(row.try_get(3)?),
        position: position.and_then(|text| LogPosition::parse(&text)),
    };
    Ok((NodeId::new(text(0)?), display))
}
