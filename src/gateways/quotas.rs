//! How do nodes count requests together? In Redis, one round trip a request, by a script that judges as `throttle` does.
//!
//! Nothing waits for it: an answer that does not come at once, or a connection that breaks, closes this way until a fresh
//! connection has answered, and meanwhile everybody who asks hears at once that there is nobody. Keys are hashes and expire. Whose
//! requests these are is not known here.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::hints::BadAddress;
use crate::ids::Hash16;
use crate::throttle::{Judged, Left, Quota, Shared};
use crate::{limits, telemetry};

/// In microseconds of Redis's own clock: times of several machines must not be compared. Answers with what is owed after the
/// request, or, below zero, how long it is too soon.
const SCRIPT: &str = r"
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]
local step, span = tonumber(ARGV[1]), tonumber(ARGV[2])
local paid = tonumber(redis.call('GET', KEYS[1]) or 0)
local debt = math.max(paid, now) + step - now
if debt > span then return span - debt end
redis.call('SET', KEYS[1], string.format('%.0f', now + debt), 'PX', math.ceil(debt / 1000))
return debt
";

/// The way to Redis while it is good.
#[derive(Clone)]
struct Line {
    connection: MultiplexedConnection,
    /// What Redis calls the script.
    script: String,
    number: u64,
}

struct Way {
    client: Client,
    prefix: String,
    line: RwLock<Option<Line>>,
    broken: Notify,
}

/// Counts with all nodes that share the Redis and the prefix. Cheap to clone.
#[derive(Clone)]
pub struct Quotas(Arc<Way>);

impl Quotas {
    pub fn new(url: &str, prefix: &str) -> Result<Self, BadAddress> {
        let client = Client::open(url).map_err(|_| BadAddress)?;
        let (line, broken) = (RwLock::default(), Notify::new());
        Ok(Self(Arc::new(Way { client, prefix: format!("{prefix}:limit:"), line, broken })))
    }

    /// Keeps a connection, until `stop`.
    pub async fn keep(self, stop: CancellationToken) {
        let kept = async {
            let mut well = true;
            for number in 0.. {
                match timeout(limits::SHARED_LIMIT_CONNECT, self.connect(number)).await {
                    Ok(Ok(line)) => {
                        *self.0.line.write() = Some(line);
                        if !std::mem::replace(&mut well, true) {
                            tracing::info!("Redis answers again; nodes count requests together");
                        }
                        self.0.broken.notified().await;
                    }
                    Ok(Err(error)) if well => tracing::warn!(%error, "no Redis: each node counts requests by itself"),
                    Err(_silent) if well => tracing::warn!("a silent Redis: each node counts requests by itself"),
                    _ => {}
                }
                well = false;
                sleep(limits::SHARED_LIMIT_PAUSE).await;
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = kept => {}
        }
        *self.0.line.write() = None;
    }

    async fn connect(&self, number: u64) -> Result<Line, RedisError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(limits::SHARED_LIMIT_CONNECT))
            .set_response_timeout(Some(limits::SHARED_LIMIT_CONNECT));
        let mut connection = self.0.client.get_multiplexed_async_connection_with_config(&config).await?;
        let script = redis::cmd("SCRIPT").arg("LOAD").arg(SCRIPT).query_async(&mut connection).await?;
        Ok(Line { connection, script, number })
    }

    async fn ask(&self, line: &mut Line, who: Hash16, quota: Quota) -> Option<i64> {
        let micros = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX).max(1);
        let step = micros(quota.step());
        let mut command = redis::cmd("EVALSHA");
        command.arg(&line.script).arg(1).arg(format!("{}{who}", self.0.prefix));
        command.arg(step).arg(step.saturating_mul(quota.burst().into()));
        timeout(limits::SHARED_LIMIT_CALL, command.query_async(&mut line.connection)).await.ok()?.ok()
    }

    fn give_up(&self, number: u64) {
        let mut line = self.0.line.write();
        // Somebody else may have given it up, and another one may be good already.
        if line.take_if(|line| line.number == number).is_some() {
            self.0.broken.notify_one();
        }
    }
}

#[async_trait::async_trait]
impl Shared for Quotas {
    async fn judge(&self, who: Hash16, quota: Quota) -> Option<Judged> {
        let line = self.0.line.read().clone();
        let answer = match line {
            None => None,
            Some(mut line) => {
                let answer = self.ask(&mut line, who, quota).await;
                if answer.is_none() {
                    self.give_up(line.number);
                }
                answer
            }
        };
        let result = if answer.is_some() { "asked" } else { "alone" };
        metrics::counter!(telemetry::LIMITS_SHARED, "result" => result).increment(1);
        answer.map(|answer| judged(answer, quota))
    }
}

fn judged(answer: i64, quota: Quota) -> Judged {
    let time = Duration::from_micros(answer.unsigned_abs());
    if answer < 0 {
        return Judged::Refused(time);
    }
    let left = quota.span().saturating_sub(time).as_nanos() / quota.step().as_nanos().max(1);
    Judged::Passed(Left { requests: u32::try_from(left).unwrap_or(u32::MAX), full_in: time })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_says_what_is_left_or_how_long_to_wait() {
        let quota = Quota::new(3, 1, Duration::from_secs(2)).expect("a limit");
        let left = |requests, seconds| Judged::Passed(Left { requests, full_in: Duration::from_secs(seconds) });
        assert_eq!(judged(2_000_000, quota), left(2, 2));
        assert_eq!(judged(6_000_000, quota), left(0, 6));
        assert_eq!(judged(-1_500, quota), Judged::Refused(Duration::from_micros(1_500)));
    }

    #[tokio::test]
    async fn without_redis_nobody_waits() {
        assert!(Quotas::new("hunter2", "onsale").is_err());
        let quotas = Quotas::new("redis://127.0.0.1:1/0", "onsale").expect("an address");
        let quota = Quota::new(1, 1, Duration::from_secs(1)).expect("a limit");
        assert_eq!(quotas.judge(Hash16::default(), quota).await, None);
        let stop = CancellationToken::new();
        let kept = tokio::spawn(quotas.clone().keep(stop.clone()));
        assert_eq!(quotas.judge(Hash16::default(), quota).await, None);
        stop.cancel();
        kept.await.expect("it ends when it is told to");
    }
}
