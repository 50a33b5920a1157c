//! How is it done at its best in SQL? One stored function a command, so one round trip and one commit; the coupon's stock in
//! parts, of which each member takes one that nobody holds.

use sqlx::Row;

use super::Setup;
use super::sql::{self, Sql, fault, number};
use super::store::{Books, Issuing, Order, Placing, Wish};
use crate::cli::failure::Failure;
use crate::fault::Fault;
use crate::ids::CouponId;

/// Parts of a coupon's stock.
const BUCKETS: u64 = 64;

pub struct SqlBest(Sql);

impl SqlBest {
    pub async fn open(setup: &Setup) -> Result<Self, Failure> {
        Ok(Self(Sql::open(setup).await?))
    }

    /// Each part has serials of its own, one after the other.
    pub async fn offer(&self, coupon: &CouponId, stock: u64) -> Result<(), Fault> {
        let statement = "WITH c AS (INSERT INTO coupons (coupon_id, stock) VALUES ($1, $2)) \
             INSERT INTO buckets (coupon_id, bucket, next, last) \
             SELECT $1, b, $2 * b / $3 + 1, $2 * (b + 1) / $3 FROM generate_series(0, $3 - 1) AS b";
        let added = sqlx::query(statement).bind(coupon.as_str()).bind(number(stock)).bind(number(BUCKETS));
        added.execute(&self.0.pool).await.map(drop).map_err(fault)
    }

    pub async fn issue(&self, wish: Wish<'_>) -> Result<Issuing, Fault> {
        // The command's name is as good as chance, and costs nothing.
        let first = u64::from(wish.by.command.0[0]) % BUCKETS;
        let row = sqlx::query("SELECT * FROM issue($1, $2, $3, $4, $5, $6, $7, $8)")
            .bind(wish.coupon.as_str())
            .bind(wish.account.as_str())
            .bind(wish.task.as_str())
            .bind(wish.by.at.0)
            .bind(&wish.by.command.0[..])
            .bind(&wish.by.body.0[..])
            .bind(i32::try_from(first).unwrap_or(0))
            .bind(self.0.log)
            .fetch_one(&self.0.pool)
            .await
            .map_err(fault)?;
        let outcome: i32 = row.try_get(0).map_err(fault)?;
        match outcome {
            2 => Ok(Issuing::SoldOut),
            1 => sql::issue(&row, 1).map(Issuing::Had).map_err(fault),
            _ => sql::issue(&row, 1).map(Issuing::Done).map_err(fault),
        }
    }

    pub async fn place(&self, order: &Order) -> Result<Placing, Fault> {
        let placed = &order.placed;
        let done = sqlx::query_scalar("SELECT place($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)")
            .bind(placed.order_id.as_str())
            .bind(placed.performance_id.as_str())
            .bind(placed.account_id.as_str())
            .bind(sql::seats(order))
            .bind(order.by.at.0)
            .bind(placed.hold_until.0)
            .bind(&order.by.command.0[..])
            .bind(&order.by.body.0[..])
            .bind(sql::row(order)?)
            .bind(self.0.log)
            .fetch_one(&self.0.pool);
        match done.await {
            Ok::<i64, _>(position) => Ok(Placing::Done { position: u64::try_from(position).unwrap_or(0) }),
            Err(error) if sql::in_the_way(&error) => Ok(self.0.before(order).await?.unwrap_or(Placing::Taken)),
            Err(error) => Err(fault(error)),
        }
    }

    pub async fn books(&self) -> Result<Books, Fault> {
        self.0.books().await
    }
}
