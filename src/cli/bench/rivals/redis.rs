//! How is it done in Redis? One Lua script a command, which nothing interleaves with; a stream as its log; and an answer only
//! when the append-only file is on disk (`appendfsync always`, which is looked at).

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};

use super::Setup;
use super::store::{Books, By, Issue, Issuing, Order, Placing, Wish};
use crate::cli::failure::Failure;
use crate::events::codec;
use crate::events::order::Placed;
use crate::fault::Fault;
use crate::ids::{CouponId, Hash16, TaskId};
use crate::timestamp::Timestamp;

const ISSUE: &str = include_str!("statements/issue.lua");
const PLACE: &str = include_str!("statements/place.lua");
const ORDERS: &str = "orders";
const TIMERS: &str = "timers";
const LOG: &str = "log";
const COUPONS: &str = "coupons";
/// It can be connected to within this.
const PATIENCE: Duration = Duration::from_secs(10);
/// Commands that may wait for one connection: more than there are clients.
const UNDER_WAY: usize = 16_384;

pub struct Redis {
    /// Multiplexed: commands of all requests share them, and are sent together.
    connections: Vec<MultiplexedConnection>,
    turn: AtomicUsize,
    issue: String,
    place: String,
    log: bool,
}

fn fault(error: impl std::fmt::Display) -> Fault {
    Fault::internal(error.to_string())
}

fn damaged() -> Fault {
    Fault::internal("Redis holds what was not written there")
}

impl Redis {
    pub async fn open(setup: &Setup) -> Result<Self, Failure> {
        let failed = |e: RedisError| Failure::of(format!("the rival's Redis: {e}"));
        let client = Client::open(setup.config.redis.url.expose()).map_err(failed)?;
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            // The edge bounds every request already; a second timer for each would only cost.
            .set_response_timeout(None)
            .set_pipeline_buffer_size(UNDER_WAY);
        let mut connections = Vec::new();
        for _ in 0..setup.pool {
            connections.push(client.get_multiplexed_async_connection_with_config(&config).await.map_err(failed)?);
        }
        let mut first = connections[0].clone();
        for (name, wanted) in [("appendonly", "yes"), ("appendfsync", "always")] {
            let found: Vec<String> =
                redis::cmd("CONFIG").arg("GET").arg(name).query_async(&mut first).await.map_err(failed)?;
            if found.get(1).map(String::as_str) != Some(wanted) {
                return Err(Failure::of(format!("the rival's Redis has {found:?}: an answer would promise nothing")));
            }
        }
        redis::cmd("FLUSHALL").exec_async(&mut first).await.map_err(failed)?;
        let mut scripts = Vec::new();
        for script in [ISSUE, PLACE] {
            let loaded: String =
                redis::cmd("SCRIPT").arg("LOAD").arg(script).query_async(&mut first).await.map_err(failed)?;
            scripts.push(loaded);
        }
        let place = scripts.pop().unwrap_or_default();
        let issue = scripts.pop().unwrap_or_default();
        Ok(Self { connections, turn: AtomicUsize::new(0), issue, place, log: setup.log })
    }

    fn connection(&self) -> MultiplexedConnection {
        self.connections[self.turn.fetch_add(1, Ordering::Relaxed) % self.connections.len()].clone()
    }

    pub async fn offer(&self, coupon: &CouponId, stock: u64) -> Result<(), Fault> {
        let mut pipe = redis::pipe();
        pipe.atomic().set(key(coupon), stock).hset(COUPONS, coupon.as_str(), stock);
        pipe.exec_async(&mut self.connection()).await.map_err(fault)
    }

    pub async fn issue(&self, wish: Wish<'_>) -> Result<Issuing, Fault> {
        let Wish { coupon, stock, account, task, by } = wish;
        let (outcome, value): (i64, String) = redis::cmd("EVALSHA")
            .arg(&self.issue)
            .arg(3)
            .arg(key(coupon))
            .arg(members(coupon))
            .arg(LOG)
            .arg(account.as_str())
            .arg(task.as_str())
            .arg(by.at.0)
            .arg(by.command.to_string())
            .arg(by.body.to_string())
            .arg(stock)
            .arg(coupon.as_str())
            .arg(u8::from(self.log))
            .query_async(&mut self.connection())
            .await
            .map_err(fault)?;
        match outcome {
            0 => {
                let serial = value.parse().map_err(fault)?;
                // Its number in the log is its serial: the log has entries of nothing else between.
                Ok(Issuing::Done(Issue { serial, task: task.clone(), position: serial, by }))
            }
            1 => read(&value).map(Issuing::Had).ok_or_else(damaged),
            _ => Ok(Issuing::SoldOut),
        }
    }

    pub async fn place(&self, order: &Order) -> Result<Placing, Fault> {
        let Order { placed, by } = order;
        let mut command = redis::cmd("EVALSHA");
        command
            .arg(&self.place)
            .arg(4)
            .arg(format!("holds:{}", placed.performance_id))
            .arg(ORDERS)
            .arg(TIMERS)
            .arg(LOG)
            .arg(placed.order_id.as_str())
            .arg(codec::pack(&(by.body, by.at.0, placed)).map_err(fault)?)
            .arg(placed.hold_until.0)
            .arg(placed.account_id.as_str())
            .arg(by.at.0)
            .arg(placed.performance_id.as_str())
            .arg(u8::from(self.log));
        for seat in &placed.seats {
            command.arg(seat.seat_id.as_str());
        }
        let (outcome, value): (i64, Vec<u8>) = command.query_async(&mut self.connection()).await.map_err(fault)?;
        match outcome {
            0 => Ok(Placing::Done { position: 0 }),
            1 => {
                let (body, at, order): (Hash16, i64, Placed) = codec::unpack(&value).map_err(fault)?;
                Ok(Placing::Had { order: Box::new(order), body, at: Timestamp(at), position: 0 })
            }
            _ => Ok(Placing::Taken),
        }
    }

    pub async fn books(&self) -> Result<Books, Fault> {
        let mut connection = self.connection();
        let mut books = Books::default();
        let coupons: Vec<(String, u64)> =
            redis::cmd("HGETALL").arg(COUPONS).query_async(&mut connection).await.map_err(fault)?;
        for (coupon, stock) in coupons {
            let coupon = CouponId::new(coupon);
            let mut pipe = redis::pipe();
            pipe.hlen(members(&coupon)).get(key(&coupon));
            let (issued, left): (u64, i64) = pipe.query_async(&mut connection).await.map_err(fault)?;
            books.issues += issued;
            let taken = u64::try_from(i64::try_from(stock).unwrap_or(i64::MAX) - left).unwrap_or(u64::MAX);
            books.wrong += u64::from(left < 0 || taken != issued);
        }
        let mut cursor = 0_u64;
        loop {
            let (next, found): (u64, Vec<String>) = redis::cmd("SCAN")
                .arg(cursor)
                .arg("MATCH")
                .arg("holds:*")
                .query_async(&mut connection)
                .await
                .map_err(fault)?;
            for holds in found {
                books.seats +=
                    redis::cmd("HLEN").arg(holds).query_async::<u64>(&mut connection).await.map_err(fault)?;
            }
            cursor = next;
            if cursor == 0 {
                break;
            }
        }
        let mut pipe = redis::pipe();
        pipe.hlen(ORDERS).zcard(TIMERS).cmd("XLEN").arg(LOG);
        (books.orders, books.timers, books.entries) = pipe.query_async(&mut connection).await.map_err(fault)?;
        Ok(books)
    }
}

fn key(coupon: &CouponId) -> String {
    format!("stock:{coupon}")
}

fn members(coupon: &CouponId) -> String {
    format!("issues:{coupon}")
}

/// `serial|task|time|command|body`, as the script writes it.
fn read(value: &str) -> Option<Issue> {
    let mut parts = value.split('|');
    let serial = parts.next()?.parse().ok()?;
    let task = TaskId::new(parts.next()?);
    let at = Timestamp(parts.next()?.parse().ok()?);
    let by = By { command: Hash16::parse(parts.next()?)?, body: Hash16::parse(parts.next()?)?, at };
    Some(Issue { serial, task, position: serial, by })
}
