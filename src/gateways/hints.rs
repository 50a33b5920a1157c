//! How do nodes tell each other where to look? Over a Redis channel: "this partition may have come as far as that".
//!
//! Nothing depends on it. What is published while nobody can be reached is dropped, what is heard is at most a reason to
//! read the log sooner, and whoever hears nothing looks by himself. Who tells and who listens is not known here.

use futures::{Stream, StreamExt};
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, RedisError};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::ids::LogPosition;
use crate::{limits, telemetry};

/// The channel of one log.
#[derive(Clone)]
pub struct Channel {
    client: Client,
    name: String,
}

/// Why there is no channel. Never with the address, which may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("redis.url is not an address of a Redis: redis://host:6379, or rediss:// with TLS")]
pub struct BadAddress;

/// What ended a conversation.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{0}")]
    Redis(#[from] RedisError),
    #[error("no answer within {} ms", limits::HINT_CALL.as_millis())]
    Silent(#[from] tokio::time::error::Elapsed),
    #[error("it closed the connection")]
    Closed,
}

impl Channel {
    /// `prefix` keeps installations apart that share a Redis.
    pub fn new(url: &str, prefix: &str) -> Result<Self, BadAddress> {
        let client = Client::open(url).map_err(|_| BadAddress)?;
        Ok(Self { client, name: format!("{prefix}:heads") })
    }

    /// Publishes what there is to tell, until `stop`. While a message is under way the next one gathers.
    pub async fn tell(self, news: impl Stream<Item = Vec<LogPosition>>, stop: CancellationToken) {
        let told = async {
            let mut connection = None;
            let mut health = Health::of("hints cannot be sent; other nodes look at the log by themselves");
            tokio::pin!(news);
            while let Some(news) = news.next().await {
                let message = encode(&news);
                let sent = self.publish(&mut connection, &message).await;
                let result = if sent.is_ok() { "sent" } else { "unsent" };
                metrics::counter!(telemetry::HINTS, "result" => result).increment(1);
                match sent {
                    Ok(()) => health.is_well(),
                    Err(broken) => {
                        connection = None;
                        health.is_broken(&broken);
                        sleep(limits::HINT_PAUSE).await;
                    }
                }
                sleep(limits::HINT_SPACING).await;
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = told => {}
        }
    }

    async fn publish(&self, kept: &mut Option<MultiplexedConnection>, message: &str) -> Result<(), Broken> {
        let connection = match kept {
            Some(connection) => connection,
            None => {
                let config = AsyncConnectionConfig::new()
                    .set_connection_timeout(Some(limits::HINT_CALL))
                    .set_response_timeout(Some(limits::HINT_CALL));
                kept.insert(self.client.get_multiplexed_async_connection_with_config(&config).await?)
            }
        };
        redis::cmd("PUBLISH").arg(&self.name).arg(message).exec_async(connection).await?;
        Ok(())
    }

    /// Hands everything that is heard to `hear`, which says whether it was news; until `stop`.
    pub async fn listen(self, hear: impl Fn(LogPosition) -> bool, stop: CancellationToken) {
        let heard = async {
            let mut health = Health::of("hints cannot be heard; this node looks at the log by itself");
            loop {
                if let Err(broken) = self.conversation(&hear, &mut health).await {
                    health.is_broken(&broken);
                }
                sleep(limits::HINT_PAUSE).await;
            }
        };
        tokio::select! {
            biased;
            () = stop.cancelled() => {}
            () = heard => {}
        }
    }

    async fn conversation(&self, hear: &impl Fn(LogPosition) -> bool, health: &mut Health) -> Result<(), Broken> {
        let pubsub = timeout(limits::HINT_CALL, self.client.get_async_pubsub()).await??;
        let (mut sink, mut messages) = pubsub.split();
        timeout(limits::HINT_CALL, sink.subscribe(&self.name)).await??;
        health.is_well();
        loop {
            match timeout(limits::HINT_PING, messages.next()).await {
                Ok(Some(message)) => hear_all(message.get_payload_bytes(), hear),
                Ok(None) => return Err(Broken::Closed),
                // A connection that leads nowhere looks like a quiet one.
                Err(_quiet) => {
                    let _pong: redis::Value = timeout(limits::HINT_CALL, sink.ping()).await??;
                }
            }
        }
    }
}

fn hear_all(payload: &[u8], hear: &impl Fn(LogPosition) -> bool) {
    let count = |result: &'static str| metrics::counter!(telemetry::HINTS, "result" => result).increment(1);
    let Some(hints) = decode(payload) else { return count("junk") };
    // Each has to be heard, whatever the one before was.
    let news = hints.into_iter().filter(|hint| hear(*hint)).count();
    count(if news > 0 { "news" } else { "stale" });
}

/// The message on the channel.
#[doc(hidden)]
#[must_use]
pub fn encode(positions: &[LogPosition]) -> String {
    positions.iter().map(LogPosition::to_string).collect::<Vec<_>>().join(" ")
}

/// `None`: somebody else talks on this channel.
#[doc(hidden)]
#[must_use]
pub fn decode(payload: &[u8]) -> Option<Vec<LogPosition>> {
    let text = std::str::from_utf8(payload).ok().filter(|text| text.len() <= limits::HINT_BYTES)?;
    text.split(' ').map(LogPosition::parse).collect()
}

/// Says once that something does not work, and once that it works again.
struct Health {
    trouble: &'static str,
    broken: bool,
}

impl Health {
    fn of(trouble: &'static str) -> Self {
        Self { trouble, broken: false }
    }

    fn is_well(&mut self) {
        if std::mem::take(&mut self.broken) {
            tracing::info!("Redis answers again");
        }
    }

    fn is_broken(&mut self, broken: &Broken) {
        if !std::mem::replace(&mut self.broken, true) {
            tracing::warn!(error = %broken, "{}", self.trouble);
        }
    }
}

const _: () = assert!(limits::HINT_PING.as_millis() > limits::HINT_CALL.as_millis(), "a ping has its time");

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::ids::{Partition, Position};

    fn at(partition: u16, position: u64) -> LogPosition {
        LogPosition { partition: Partition(partition), position: Position(position) }
    }

    #[test]
    fn hints_are_short_words_and_junk_is_left_aside() {
        let all = [at(0, 7), at(63, u64::MAX)];
        assert_eq!(encode(&all), "0:7 63:18446744073709551615");
        assert_eq!(decode(encode(&all).as_bytes()).as_deref(), Some(&all[..]));
        let long = "1:1 ".repeat(limits::HINT_BYTES);
        for junk in ["", " ", "1:1 ", "1:1  2:2", "1", "a:b", "1:-1", "70000:1", "1:1,2:2", "1:1\n", &long] {
            assert_eq!(decode(junk.as_bytes()), None, "{junk:.20}");
        }
        assert_eq!(decode(b"1:\xff"), None);
        let heard = RefCell::new(Vec::new());
        hear_all(b"1:2 3:4", &|hint| {
            heard.borrow_mut().push(hint);
            false
        });
        assert_eq!(heard.into_inner(), [at(1, 2), at(3, 4)]);
    }

    #[test]
    fn an_address_is_checked_and_not_repeated() {
        assert!(Channel::new("redis://127.0.0.1:1/0", "onsale").is_ok());
        for wrong in ["hunter2", "http://hunter2@x", "redis://:hunter2@:x"] {
            let error = Channel::new(wrong, "onsale").map(drop).expect_err(wrong).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
    }
}
