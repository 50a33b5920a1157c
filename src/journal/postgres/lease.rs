//! Who serves the log? A row with an end for everybody to see, and a lock that goes with its session.
//!
//! The lock makes a dead node's log free at once, the row protects a living node whose connection broke. The epoch of
//! each partition, which `append` checks, is what makes both safe; this file only avoids needless fights.

use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;
use sqlx::{PgConnection, Row};
use tokio::sync::Mutex;
use tokio::time::{Instant, sleep, timeout};
use uuid::Uuid;

use super::boot::run;
use super::connect::connect;
use super::read;
use crate::ids::NodeId;
use crate::journal::rows::Moment;
use crate::journal::{Claim, ClaimError};
use crate::limits;
use crate::timestamp::Timestamp;

/// Any number, the same in every build.
const SERVING_LOCK: i64 = 0x006f_6e73_616c_6502;

pub struct Lease {
    options: PgConnectOptions,
    /// Tells two processes apart that were given one name.
    session: Uuid,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    conn: Option<PgConnection>,
    /// Does the session of `conn` have the lock?
    locked: bool,
    holder: Option<NodeId>,
}

/// One try at claiming.
enum Tried {
    Claimed(Claim),
    Busy(String),
}

fn lease_ms() -> i64 {
    i64::try_from(limits::LEASE.as_millis()).unwrap_or(i64::MAX)
}

fn unavailable(error: impl ToString) -> ClaimError {
    ClaimError::Unavailable(error.to_string())
}

impl Lease {
    pub fn new(options: PgConnectOptions, session: Uuid) -> Arc<Self> {
        Arc::new(Self { options, session, state: Mutex::default() })
    }

    /// Waits as long as a dead node's lease may last.
    pub async fn claim(&self, node: &NodeId) -> Result<Claim, ClaimError> {
        let give_up = Instant::now() + limits::LEASE + limits::LEASE_MARGIN;
        loop {
            let tried = {
                let mut state = self.state.lock().await;
                let outcome = self.with_conn(&mut state, async |state, conn| self.try_claim(state, conn, node).await);
                outcome.await?
            };
            match tried {
                Tried::Claimed(claim) => return Ok(claim),
                Tried::Busy(holder) if Instant::now() >= give_up => return Err(ClaimError::Held { holder }),
                Tried::Busy(_) => sleep(limits::LEASE_MARGIN / 5).await,
            }
        }
    }

    pub async fn heartbeat(&self, node: &NodeId) -> Result<Timestamp, ClaimError> {
        let mut state = self.state.lock().await;
        self.with_conn(&mut state, async |state, conn| {
            if !state.locked {
                // A broken session of ours may keep it for a while; the row protects us until then.
                state.locked = try_lock(conn).await?;
            }
            let renew = sqlx::query_scalar::<_, Moment>(include_str!("node_renew.sql"))
                .bind(node.as_str())
                .bind(self.session)
                .bind(lease_ms());
            Ok(match renew.fetch_optional(&mut *conn).await? {
                Some(now) => Ok(now.0),
                None => Err(ClaimError::Held { holder: holder(conn).await? }),
            })
        })
        .await?
    }

    pub async fn release(&self, node: &NodeId) -> Result<(), ClaimError> {
        let mut state = self.state.lock().await;
        if state.holder.as_ref() != Some(node) {
            return Ok(());
        }
        self.with_conn(&mut state, async |state, conn| {
            let over = sqlx::query(include_str!("node_release.sql")).bind(node.as_str()).bind(self.session);
            over.execute(&mut *conn).await?;
            unlock(state, conn).await?;
            state.holder = None;
            Ok(())
        })
        .await
    }

    /// Works on the lease's own connection; it is kept only if nothing failed.
    async fn with_conn<T>(
        &self,
        state: &mut State,
        work: impl AsyncFnOnce(&mut State, &mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, ClaimError> {
        let mut conn = match state.conn.take() {
            Some(conn) => conn,
            None => {
                state.locked = false;
                connect(&self.options).await.map_err(unavailable)?
            }
        };
        match timeout(limits::STATEMENT_ANSWER, work(state, &mut conn)).await {
            Ok(Ok(result)) => {
                state.conn = Some(conn);
                Ok(result)
            }
            Ok(Err(error)) => Err(unavailable(error)),
            Err(_) => Err(unavailable(format!("no answer within {:?}", limits::STATEMENT_ANSWER))),
        }
    }

    async fn try_claim(&self, state: &mut State, conn: &mut PgConnection, node: &NodeId) -> Result<Tried, sqlx::Error> {
        if let Some(other) = state.holder.as_ref().filter(|holder| *holder != node) {
            return Ok(Tried::Busy(format!("node {other}, in this process")));
        }
        if !state.locked && !try_lock(conn).await? {
            return Ok(Tried::Busy(holder(conn).await?));
        }
        state.locked = true;
        run(conn, "BEGIN").await?;
        let fresh = sqlx::query(include_str!("nodes_fresh.sql")).bind(self.session).fetch_optional(&mut *conn).await?;
        if let Some(row) = fresh {
            run(conn, "ROLLBACK").await?;
            // Gives its owner the chance to take the lock again.
            unlock(state, conn).await?;
            return Ok(Tried::Busy(name(row.try_get(0)?, row.try_get(1)?)));
        }
        sqlx::query(include_str!("claim.sql")).bind(node.as_str()).execute(&mut *conn).await?;
        sqlx::query(include_str!("nodes_over.sql")).bind(node.as_str()).execute(&mut *conn).await?;
        let hold = sqlx::query_scalar::<_, Moment>(include_str!("node_hold.sql"))
            .bind(node.as_str())
            .bind(self.session)
            .bind(lease_ms());
        let now = hold.fetch_one(&mut *conn).await?.0;
        let partitions = read::states(conn, None).await?;
        run(conn, "COMMIT").await?;
        state.holder = Some(node.clone());
        Ok(Tried::Claimed(Claim { now, partitions }))
    }
}

async fn try_lock(conn: &mut PgConnection) -> Result<bool, sqlx::Error> {
    sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(SERVING_LOCK).fetch_one(conn).await
}

async fn unlock(state: &mut State, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
    if state.locked {
        sqlx::query("SELECT pg_advisory_unlock($1)").bind(SERVING_LOCK).execute(conn).await?;
        state.locked = false;
    }
    Ok(())
}

async fn holder(conn: &mut PgConnection) -> Result<String, sqlx::Error> {
    let row = sqlx::query(include_str!("node_holder.sql")).fetch_optional(conn).await?;
    row.map_or_else(|| Ok("a node that is just starting".to_owned()), |row| Ok(name(row.try_get(0)?, row.try_get(1)?)))
}

fn name(node: &str, since: Moment) -> String {
    format!("node {node}, since {}", since.0)
}
