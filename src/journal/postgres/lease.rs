//! Who serves the log? A row with an end for everybody to see, and a lock that goes with its session.
//!
//! The row protects a living node whose connections broke: the database cannot tell it from a dead one, so its lease is waited
//! for, except where `witness` knows that the process has ended. The lock lets two that come at once wait for each other.
//! What is appended is safe by the epoch of each partition, which `append` checks. What an owner answers from memory is safe
//! by this file: nobody else gets the log before the owner, by its own clock, has stopped answering.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use sqlx::postgres::PgConnectOptions;
use sqlx::{Connection, PgConnection, Row};
use tokio::sync::Mutex;
use tokio::time::{sleep, timeout};
use uuid::Uuid;

use super::boot::run;
use super::connect::{apart, connect};
use super::read;
use super::witness::Witness;
use crate::clock::Clock;
use crate::fault::Fault;
use crate::ids::NodeId;
use crate::journal::rows::{self, Moment};
use crate::journal::{Claim, ClaimError};
use crate::limits;
use crate::planted::{Bug, planted};
use crate::timestamp::Timestamp;

/// Any number, the same in every build.
const SERVING_LOCK: i64 = 0x006f_6e73_616c_6502;

pub struct Lease(Arc<Inner>);

struct Inner {
    options: PgConnectOptions,
    clock: Arc<dyn Clock>,
    /// Tells two processes apart that were given one name.
    session: Uuid,
    witness: Witness,
    /// One claim at a time. No heartbeat ever waits for it.
    claiming: Mutex<()>,
    held: Mutex<Held>,
}

/// What a claim left behind, for heartbeats and the release.
#[derive(Default)]
struct Held {
    seat: Option<Seat>,
    holder: Option<NodeId>,
}

/// A session with the server, and whether it has the lock.
struct Seat {
    conn: PgConnection,
    locked: bool,
}

/// Leases that somebody who wants to claim sees, and since when each is what it is, by this node's clock. A lease is over when
/// it was not renewed for its whole length while we looked, whatever the database's clock says: set forward, it would end
/// leases whose owners still answer from memory; set back, a dead node's would last for as long.
#[derive(Default)]
struct Seen(HashMap<Uuid, (Timestamp, Duration)>);

impl Seen {
    /// Is it certainly over?
    fn is_over(&mut self, session: Uuid, expires_at: Timestamp, now: Duration) -> bool {
        let seen = self.0.entry(session).or_insert((expires_at, now));
        if seen.0 != expires_at {
            *seen = (expires_at, now);
        }
        now.saturating_sub(seen.1) >= limits::LEASE
    }
}

/// One try at claiming.
enum Tried {
    Claimed(Claim),
    Busy(String),
}

impl Lease {
    pub fn new(options: PgConnectOptions, session: Uuid, witness: Witness, clock: Arc<dyn Clock>) -> Self {
        let (claiming, held) = (Mutex::default(), Mutex::default());
        Self(Arc::new(Inner { options, clock, session, witness, claiming, held }))
    }

    /// Waits as long as a dead node's lease may last.
    pub async fn claim(&self, node: &NodeId) -> Result<Claim, ClaimError> {
        let (inner, node) = (self.0.clone(), node.clone());
        apart(async move { inner.claim(&node).await }, ClaimError::Unavailable).await
    }

    pub async fn heartbeat(&self, node: &NodeId) -> Result<Timestamp, ClaimError> {
        let (inner, node) = (self.0.clone(), node.clone());
        let beat = async move {
            let answer = timeout(limits::HEARTBEAT_ANSWER, inner.renew(&node)).await;
            answer.unwrap_or_else(|_| Err(late(limits::HEARTBEAT_ANSWER)))
        };
        apart(beat, ClaimError::Unavailable).await
    }

    pub async fn release(&self, node: &NodeId) -> Result<(), Fault> {
        let (inner, node) = (self.0.clone(), node.clone());
        let work = async move { inner.release(&node).await.map_err(|e| Fault::unavailable(e.to_string())) };
        apart(work, Fault::internal).await
    }
}

impl Inner {
    async fn claim(&self, node: &NodeId) -> Result<Claim, ClaimError> {
        let _alone = self.claiming.lock().await;
        let (mut seat, mut seen, mut first_look) = (None, Seen::default(), None);
        loop {
            let holder = match self.try_claim(node, &mut seat, &mut seen).await? {
                Tried::Claimed(claim) => return Ok(claim),
                Tried::Busy(holder) => holder,
            };
            // Counted from the first look, however long it took to get that far: a dead node's lease is watched since then.
            let now = self.clock.elapsed();
            if now.saturating_sub(*first_look.get_or_insert(now)) >= limits::LEASE + 2 * limits::LEASE_MARGIN {
                return Err(ClaimError::Held { holder });
            }
            sleep(limits::LEASE_MARGIN / 5).await;
        }
    }

    /// Waits for the server without holding anything that a heartbeat needs.
    async fn try_claim(&self, node: &NodeId, kept: &mut Option<Seat>, seen: &mut Seen) -> Result<Tried, ClaimError> {
        {
            let mut held = self.held.lock().await;
            if let Some(other) = held.holder.as_ref().filter(|holder| *holder != node) {
                return Ok(Tried::Busy(format!("node {other}, in this process")));
            }
            // Whoever claims again has the lock already, in this session.
            if let Some(seat) = held.seat.take() {
                *kept = Some(seat);
            }
        }
        let mut seat = match kept.take() {
            Some(seat) => seat,
            None => Seat::open(&self.options).await?,
        };
        let tried = timeout(limits::STATEMENT_ANSWER, self.claim_with(&mut seat, node, seen)).await;
        let tried = tried.map_err(|_| late(limits::STATEMENT_ANSWER))?.map_err(unavailable)?;
        if matches!(tried, Tried::Claimed(_)) {
            *self.held.lock().await = Held { seat: Some(seat), holder: Some(node.clone()) };
        } else {
            *kept = Some(seat);
        }
        Ok(tried)
    }

    async fn claim_with(&self, seat: &mut Seat, node: &NodeId, seen: &mut Seen) -> Result<Tried, sqlx::Error> {
        if !seat.lock().await? {
            // Looked at all the same: from now on it has to be renewed.
            let _fresh = self.fresh(&mut seat.conn, seen).await?;
            return Ok(Tried::Busy(holder(&mut seat.conn).await?));
        }
        let conn = &mut seat.conn;
        run(conn, "BEGIN").await?;
        if let Some(owner) = self.fresh(conn, seen).await? {
            run(conn, "ROLLBACK").await?;
            // Gives its owner the chance to take the lock again.
            seat.unlock().await?;
            return Ok(Tried::Busy(owner));
        }
        let owner = rows::owner(node, self.session);
        sqlx::query(include_str!("claim.sql")).bind(owner).execute(&mut *conn).await?;
        sqlx::query(include_str!("nodes_over.sql")).bind(node.as_str()).execute(&mut *conn).await?;
        let hold = sqlx::query_scalar::<_, Moment>(include_str!("node_hold.sql"))
            .bind(node.as_str())
            .bind(self.session)
            .bind(lease_ms());
        let now = hold.fetch_one(&mut *conn).await?.0;
        let partitions = read::states(conn, None).await?;
        run(conn, "COMMIT").await?;
        Ok(Tried::Claimed(Claim { now, partitions }))
    }

    /// Somebody else whose lease may still be good.
    async fn fresh(&self, conn: &mut PgConnection, seen: &mut Seen) -> Result<Option<String>, sqlx::Error> {
        let ended = self.witness.ended();
        let rows = sqlx::query(include_str!("nodes_fresh.sql")).bind(self.session).fetch_all(conn).await?;
        let now = self.clock.elapsed();
        let mut fresh = None;
        for row in rows {
            let (session, expires_at) = (row.try_get(2)?, row.try_get::<Moment, _>(3)?.0);
            let over = seen.is_over(session, expires_at, now)
                || ended == Some(session)
                || planted(Bug::LeaseByClock) && expires_at <= self.clock.wall();
            if !over {
                fresh = Some(name(row.try_get(0)?, row.try_get(1)?));
            }
        }
        Ok(fresh)
    }

    async fn renew(&self, node: &NodeId) -> Result<Timestamp, ClaimError> {
        let mut held = self.held.lock().await;
        let mut seat = self.seat(&mut held).await?;
        let renewed = self.renew_with(&mut seat, node).await.map_err(unavailable)?;
        held.seat = Some(seat);
        if renewed.is_err() {
            held.holder = None;
        }
        renewed.map_err(|holder| ClaimError::Held { holder })
    }

    /// The time, or who holds the log now.
    async fn renew_with(&self, seat: &mut Seat, node: &NodeId) -> Result<Result<Timestamp, String>, sqlx::Error> {
        // After a broken connection its session may keep the lock for a while; the row protects us until then.
        seat.lock().await?;
        let renew = sqlx::query_scalar::<_, Moment>(include_str!("node_renew.sql"))
            .bind(node.as_str())
            .bind(self.session)
            .bind(lease_ms());
        if let Some(now) = renew.fetch_optional(&mut seat.conn).await? {
            // Who served from here before may have ended only now.
            self.witness.ended();
            return Ok(Ok(now.0));
        }
        // The lock belongs to whoever has the row.
        seat.unlock().await?;
        Ok(Err(holder(&mut seat.conn).await?))
    }

    async fn release(&self, node: &NodeId) -> Result<(), ClaimError> {
        let mut held = self.held.lock().await;
        if held.holder.as_ref() != Some(node) {
            return Ok(());
        }
        let released = timeout(limits::STATEMENT_ANSWER, self.release_with(&mut held, node)).await;
        released.map_err(|_| late(limits::STATEMENT_ANSWER))??;
        held.holder = None;
        Ok(())
    }

    async fn release_with(&self, held: &mut Held, node: &NodeId) -> Result<(), ClaimError> {
        let mut seat = self.seat(held).await?;
        let over = sqlx::query(include_str!("node_release.sql")).bind(node.as_str()).bind(self.session);
        over.execute(&mut seat.conn).await.map_err(unavailable)?;
        seat.unlock().await.map_err(unavailable)
    }

    /// The session that a claim left behind or, if that one broke, a fresh one. It is out of its place until its work is
    /// done, so that a session in doubt is closed even when nobody waits for it any more.
    async fn seat(&self, held: &mut Held) -> Result<Seat, ClaimError> {
        if let Some(mut seat) = held.seat.take()
            && seat.conn.ping().await.is_ok()
        {
            return Ok(seat);
        }
        Seat::open(&self.options).await
    }
}

impl Seat {
    async fn open(options: &PgConnectOptions) -> Result<Self, ClaimError> {
        // A process that stands still keeps its connections, and would keep the lock for as long: the server ends a session
        // from which no heartbeat came for a whole lease.
        let patience = if planted(Bug::SleeperKeepsTheLog) { 0 } else { lease_ms() };
        let options = options.clone().options([("idle_session_timeout", patience.to_string())]);
        Ok(Self { conn: connect(&options).await.map_err(unavailable)?, locked: false })
    }

    /// Takes the lock if it is free; is it ours?
    async fn lock(&mut self) -> Result<bool, sqlx::Error> {
        if !self.locked {
            let query = sqlx::query_scalar("SELECT pg_try_advisory_lock($1)").bind(SERVING_LOCK);
            self.locked = query.fetch_one(&mut self.conn).await?;
        }
        Ok(self.locked)
    }

    async fn unlock(&mut self) -> Result<(), sqlx::Error> {
        if self.locked {
            sqlx::query("SELECT pg_advisory_unlock($1)").bind(SERVING_LOCK).execute(&mut self.conn).await?;
            self.locked = false;
        }
        Ok(())
    }
}

fn lease_ms() -> i64 {
    i64::try_from(limits::LEASE.as_millis()).unwrap_or(i64::MAX)
}

fn unavailable(error: impl ToString) -> ClaimError {
    ClaimError::Unavailable(error.to_string())
}

fn late(waited: std::time::Duration) -> ClaimError {
    unavailable(format!("no answer within {waited:?}"))
}

async fn holder(conn: &mut PgConnection) -> Result<String, sqlx::Error> {
    let row = sqlx::query(include_str!("node_holder.sql")).fetch_optional(conn).await?;
    row.map_or_else(|| Ok("a node that is just starting".to_owned()), |row| Ok(name(row.try_get(0)?, row.try_get(1)?)))
}

fn name(node: &str, since: Moment) -> String {
    format!("node {node}, since {}", since.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lease_is_over_when_it_was_not_renewed_while_we_looked() {
        let (mut seen, session) = (Seen::default(), Uuid::from_u128(1));
        let mut over = |expires_at, millis| seen.is_over(session, Timestamp(expires_at), Duration::from_millis(millis));
        let lease = u64::try_from(lease_ms()).unwrap();
        assert!(!over(7, 100), "seen for the first time, whatever it says");
        assert!(!over(7, 99 + lease));
        assert!(over(7, 100 + lease));
        assert!(!over(8, 101 + lease), "its owner lives");
        assert!(!over(3, 102 + 2 * lease), "and lives, though its clock went back");
        assert!(over(3, 102 + 3 * lease));
    }
}
