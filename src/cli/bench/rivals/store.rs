//! What must every rival be able to do? Issue a coupon and hold seats, once for each command, and count what it has
//! afterwards. How, its own file says.

use serde::{Deserialize, Serialize};

use super::redis::Redis;
use super::row_lock::RowLock;
use super::sql_best::SqlBest;
use super::{Kind, Setup};
use crate::cli::failure::Failure;
use crate::events::order::Placed;
use crate::fault::Fault;
use crate::ids::{AccountId, CommandId, CouponId, Hash16, PerformanceId, TaskId};
use crate::timestamp::Timestamp;

/// A member wants the coupon.
pub struct Wish<'a> {
    pub coupon: &'a CouponId,
    /// As it was in the beginning.
    pub stock: u64,
    pub account: &'a AccountId,
    pub task: &'a TaskId,
    pub by: By,
}

/// Which command is it, and when did it come?
#[derive(Clone, Copy)]
pub struct By {
    pub command: CommandId,
    pub body: Hash16,
    pub at: Timestamp,
}

/// What a member has.
pub struct Issue {
    pub serial: u64,
    pub task: TaskId,
    pub position: u64,
    pub by: By,
}

pub enum Issuing {
    Done(Issue),
    /// They had it before.
    Had(Issue),
    SoldOut,
}

/// An order that is about to be placed; its seats are in ascending order.
pub struct Order {
    pub placed: Placed,
    pub by: By,
}

pub enum Placing {
    Done {
        position: u64,
    },
    /// The same command came before.
    Had {
        order: Box<Placed>,
        body: Hash16,
        at: Timestamp,
        position: u64,
    },
    /// Some of the seats are somebody else's.
    Taken,
}

/// What a rival has in the end, counted in its store.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Books {
    pub issues: u64,
    pub orders: u64,
    pub seats: u64,
    pub timers: u64,
    /// Entries of its log.
    pub entries: u64,
    /// Issues beyond a stock, serials that two have, seats without an order.
    pub wrong: u64,
}

impl Books {
    /// Of every row that is owed, at least what was promised to somebody and at most what may have been done.
    pub fn agrees(&self, least: &Self, most: &Self, logged: bool) -> bool {
        let rows = |books: &Self| [books.issues, books.orders, books.seats, books.timers, books.entries];
        let mut all = rows(self).into_iter().zip(rows(least)).zip(rows(most)).enumerate();
        let within = |(at, ((have, least), most)): (usize, ((u64, u64), u64))| match at {
            4 if !logged => have == 0,
            _ => (least..=most).contains(&have),
        };
        self.wrong == 0 && all.all(within)
    }
}

pub enum Store {
    TokenOnly,
    Redis(Redis),
    RowLock(RowLock),
    SqlBest(SqlBest),
}

impl Store {
    pub async fn open(kind: Kind, setup: &Setup) -> Result<Self, Failure> {
        Ok(match kind {
            Kind::TokenOnly => Self::TokenOnly,
            Kind::RedisLua => Self::Redis(Redis::open(setup).await?),
            Kind::RowLock => Self::RowLock(RowLock::open(setup).await?),
            Kind::SqlBest => Self::SqlBest(SqlBest::open(setup).await?),
        })
    }

    pub async fn offer(&self, coupon: &CouponId, stock: u64) -> Result<(), Fault> {
        match self {
            Self::TokenOnly => Ok(()),
            Self::Redis(redis) => redis.offer(coupon, stock).await,
            Self::RowLock(sql) => sql.offer(coupon, stock).await,
            Self::SqlBest(sql) => sql.offer(coupon, stock).await,
        }
    }

    /// Puts a performance on sale.
    pub async fn open_sale(&self, performance: &PerformanceId, seats: Vec<String>) -> Result<(), Fault> {
        match self {
            Self::RowLock(sql) => sql.open_sale(performance, seats).await,
            // They write down only what is held.
            Self::TokenOnly | Self::Redis(_) | Self::SqlBest(_) => Ok(()),
        }
    }

    pub async fn issue(&self, wish: Wish<'_>) -> Result<Issuing, Fault> {
        match self {
            Self::TokenOnly => {
                let Wish { task, by, .. } = wish;
                Ok(Issuing::Done(Issue { serial: 1, task: task.clone(), position: 1, by }))
            }
            Self::Redis(redis) => redis.issue(wish).await,
            Self::RowLock(sql) => sql.issue(wish).await,
            Self::SqlBest(sql) => sql.issue(wish).await,
        }
    }

    pub async fn place(&self, order: &Order) -> Result<Placing, Fault> {
        match self {
            Self::TokenOnly => Ok(Placing::Done { position: 1 }),
            Self::Redis(redis) => redis.place(order).await,
            Self::RowLock(sql) => sql.place(order).await,
            Self::SqlBest(sql) => sql.place(order).await,
        }
    }

    /// `None`: it keeps nothing.
    pub async fn books(&self) -> Result<Option<Books>, Fault> {
        match self {
            Self::TokenOnly => Ok(None),
            Self::Redis(redis) => redis.books().await.map(Some),
            Self::RowLock(sql) => sql.books().await.map(Some),
            Self::SqlBest(sql) => sql.books().await.map(Some),
        }
    }
}
