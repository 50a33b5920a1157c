//! How is it done most often? The row is locked, looked at and changed in a transaction of the client, statement by statement.

use sqlx::{Postgres, Row, Transaction};

use super::Setup;
use super::sql::{self, Sql, fault, number};
use super::store::{Books, Issue, Issuing, Order, Placing, Wish};
use crate::cli::failure::Failure;
use crate::fault::Fault;
use crate::ids::{CouponId, PerformanceId};

pub struct RowLock(Sql);

impl RowLock {
    pub async fn open(setup: &Setup) -> Result<Self, Failure> {
        Ok(Self(Sql::open(setup).await?))
    }

    pub async fn offer(&self, coupon: &CouponId, stock: u64) -> Result<(), Fault> {
        let added = sqlx::query("INSERT INTO coupons (coupon_id, stock) VALUES ($1, $2)")
            .bind(coupon.as_str())
            .bind(number(stock))
            .execute(&self.0.pool);
        added.await.map(drop).map_err(fault)
    }

    pub async fn open_sale(&self, performance: &PerformanceId, seats: Vec<String>) -> Result<(), Fault> {
        let added = sqlx::query("INSERT INTO seats (performance_id, seat_id) SELECT $1, seat FROM unnest($2) AS seat")
            .bind(performance.as_str())
            .bind(seats)
            .execute(&self.0.pool);
        added.await.map_err(fault)?;
        // So that the planner knows the table before the crowd does.
        sqlx::query("ANALYZE seats").execute(&self.0.pool).await.map(drop).map_err(fault)
    }

    pub async fn issue(&self, wish: Wish<'_>) -> Result<Issuing, Fault> {
        self.try_issue(&wish).await.map_err(fault)
    }

    async fn try_issue(&self, wish: &Wish<'_>) -> Result<Issuing, sqlx::Error> {
        // Whoever has it already need not wait for the lock.
        if let Some(issue) = self.had(wish).await? {
            return Ok(Issuing::Had(issue));
        }
        let mut tx = self.0.pool.begin().await?;
        let row = sqlx::query("SELECT stock, issued FROM coupons WHERE coupon_id = $1 FOR UPDATE")
            .bind(wish.coupon.as_str())
            .fetch_one(&mut *tx)
            .await?;
        let (stock, issued): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        if issued >= stock {
            tx.rollback().await?;
            let had = self.had(wish).await?;
            return Ok(had.map_or(Issuing::SoldOut, Issuing::Had));
        }
        let serial = issued + 1;
        let position = if self.0.log { log_issue(&mut tx, wish, serial).await? } else { serial };
        let added = sqlx::query(
            "INSERT INTO issues (coupon_id, account_id, serial, task_id, issued_at, command, body, position) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING",
        )
        .bind(wish.coupon.as_str())
        .bind(wish.account.as_str())
        .bind(serial)
        .bind(wish.task.as_str())
        .bind(wish.by.at.0)
        .bind(&wish.by.command.0[..])
        .bind(&wish.by.body.0[..])
        .bind(position)
        .execute(&mut *tx)
        .await?;
        if added.rows_affected() == 0 {
            // The same member, a moment ago.
            tx.rollback().await?;
            return self.had(wish).await?.map(Issuing::Had).ok_or(sqlx::Error::RowNotFound);
        }
        let raised =
            sqlx::query("UPDATE coupons SET issued = issued + 1 WHERE coupon_id = $1").bind(wish.coupon.as_str());
        raised.execute(&mut *tx).await?;
        tx.commit().await?;
        let of = |n: i64| u64::try_from(n).unwrap_or(0);
        let issue = Issue { serial: of(serial), task: wish.task.clone(), position: of(position), by: wish.by };
        Ok(Issuing::Done(issue))
    }

    async fn had(&self, wish: &Wish<'_>) -> Result<Option<Issue>, sqlx::Error> {
        let statement = "SELECT serial, task_id, issued_at, command, body, position FROM issues \
             WHERE coupon_id = $1 AND account_id = $2";
        let found = sqlx::query(statement).bind(wish.coupon.as_str()).bind(wish.account.as_str());
        let found = found.fetch_optional(&self.0.pool).await?;
        found.map(|row| sql::issue(&row, 0)).transpose()
    }

    pub async fn place(&self, order: &Order) -> Result<Placing, Fault> {
        match self.try_place(order).await? {
            Ok(Some(position)) => Ok(Placing::Done { position }),
            Ok(None) => Ok(self.0.before(order).await?.unwrap_or(Placing::Taken)),
            Err(error) if sql::in_the_way(&error) => Ok(self.0.before(order).await?.unwrap_or(Placing::Taken)),
            Err(error) => Err(fault(error)),
        }
    }

    /// `None`: not all of the seats are free.
    async fn try_place(&self, order: &Order) -> Result<Result<Option<u64>, sqlx::Error>, Fault> {
        let (row, seats) = (sql::row(order)?, sql::seats(order));
        Ok(self.transaction(order, &seats, row).await)
    }

    async fn transaction(&self, order: &Order, seats: &[&str], row: Vec<u8>) -> Result<Option<u64>, sqlx::Error> {
        let placed = &order.placed;
        let mut tx = self.0.pool.begin().await?;
        // In one order, so that no two wait for each other in a circle.
        let locked = sqlx::query(
            "SELECT order_id FROM seats WHERE performance_id = $1 AND seat_id = ANY($2) ORDER BY seat_id FOR UPDATE",
        )
        .bind(placed.performance_id.as_str())
        .bind(seats)
        .fetch_all(&mut *tx)
        .await?;
        let mut free = 0;
        for seat in &locked {
            free += usize::from(seat.try_get::<Option<String>, _>(0)?.is_none());
        }
        if free < seats.len() {
            tx.rollback().await?;
            return Ok(None);
        }
        sqlx::query("UPDATE seats SET order_id = $3 WHERE performance_id = $1 AND seat_id = ANY($2)")
            .bind(placed.performance_id.as_str())
            .bind(seats)
            .bind(placed.order_id.as_str())
            .execute(&mut *tx)
            .await?;
        let position = if self.0.log { log_order(&mut tx, order, seats).await? } else { 0 };
        sqlx::query(
            "INSERT INTO orders (order_id, performance_id, account_id, placed_at, body, placed, position) \
             VALUES ($1, $2, $3, $4, $5, $6, $7)",
        )
        .bind(placed.order_id.as_str())
        .bind(placed.performance_id.as_str())
        .bind(placed.account_id.as_str())
        .bind(order.by.at.0)
        .bind(&order.by.body.0[..])
        .bind(row)
        .bind(position)
        .execute(&mut *tx)
        .await?;
        sqlx::query("INSERT INTO timers (due, order_id) VALUES ($1, $2)")
            .bind(placed.hold_until.0)
            .bind(placed.order_id.as_str())
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok(Some(u64::try_from(position).unwrap_or(0)))
    }

    pub async fn books(&self) -> Result<Books, Fault> {
        self.0.books().await
    }
}

async fn log_issue(tx: &mut Transaction<'_, Postgres>, wish: &Wish<'_>, serial: i64) -> Result<i64, sqlx::Error> {
    let added = sqlx::query_scalar(
        "INSERT INTO events (stream, kind, at, principal, command, payload) \
         VALUES ($1, 'coupon.issued', $2, $3, $4, int8send($5)) RETURNING position",
    )
    .bind(wish.coupon.as_str())
    .bind(wish.by.at.0)
    .bind(wish.account.as_str())
    .bind(&wish.by.command.0[..])
    .bind(serial);
    added.fetch_one(&mut **tx).await
}

/// One entry for each seat and the order's, which is the last.
async fn log_order(tx: &mut Transaction<'_, Postgres>, order: &Order, seats: &[&str]) -> Result<i64, sqlx::Error> {
    let added = sqlx::query_scalar(
        "WITH held AS (INSERT INTO events (stream, kind, at, principal, command, payload) \
             SELECT $1 || '/' || seat, 'seat.held', $3, $4, $5, convert_to($6, 'UTF8') FROM unnest($2) AS seat) \
         INSERT INTO events (stream, kind, at, principal, command, payload) \
         VALUES ($6, 'order.placed', $3, $4, $5, '') RETURNING position",
    )
    .bind(order.placed.performance_id.as_str())
    .bind(seats)
    .bind(order.by.at.0)
    .bind(order.placed.account_id.as_str())
    .bind(&order.by.command.0[..])
    .bind(order.placed.order_id.as_str());
    added.fetch_one(&mut **tx).await
}
