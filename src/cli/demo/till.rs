//! How does a buyer of the demo pay? As a shop front does: again after a refusal, and patiently where nobody knows yet.

use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::{Value, json};

use super::status::Counts;
use crate::cli::client::{Answer, Client};
use crate::cli::failure::Failure;
use crate::clock::{Clock, Entropy, SystemClock};

/// Refusals after which an order has failed.
const ATTEMPTS: u32 = 3;
/// What a provider with hiccups may take at most.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(200);

/// One buyer's order at the till.
pub struct Till<'a> {
    pub buyer: u32,
    pub client: &'a Client,
    pub token: &'a str,
    pub counts: &'a Counts,
    pub dice: &'a Entropy,
    pub order: &'a Answer,
}

impl Till<'_> {
    fn id(&self) -> &str {
        self.order.text("order_id")
    }

    fn seats(&self) -> u64 {
        self.order.body.get("seats").and_then(Value::as_array).map_or(0, Vec::len) as u64
    }

    /// Pays, and in one case of six gives everything back.
    pub async fn pay(&self) -> Result<(), Failure> {
        let amount = self.order.body.get("amount").cloned().unwrap_or_default();
        for attempt in 1..=ATTEMPTS {
            // Named by the buyer, so that the provider's dice fall alike for the same seed.
            let body = json!({"payment_key": format!("pk_demo-{}-{attempt}", self.buyer), "amount": amount});
            let path = format!("/v1/orders/{}/payment", self.id());
            let answer = self.client.post(&path, self.token, Some(&format!("pay-{attempt}")), &body).await?;
            let status = match answer.status {
                200 => "completed".to_owned(),
                202 => self.settled("paying").await?,
                402 => "declined".to_owned(),
                // The hold ran out, or too much is going on: that is how on-sales are.
                409 | 429 | 503 => return Ok(()),
                other => return Err(Failure::of(format!("unexpected answer {other} {}", answer.text("code")))),
            };
            if status == "completed" {
                self.counts.sold.fetch_add(self.seats(), Ordering::Relaxed);
                return if self.dice.below(6) == 0 { self.give_back().await } else { Ok(()) };
            }
            self.counts.declined.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn give_back(&self) -> Result<(), Failure> {
        tokio::time::sleep(Duration::from_millis(self.dice.below(2_000))).await;
        let path = format!("/v1/orders/{}/cancel", self.id());
        let answer = self.client.post(&path, self.token, Some("give-back"), &json!({})).await?;
        let status = match answer.status {
            200 | 202 => self.settled("refunding").await?,
            other => return Err(Failure::of(format!("unexpected answer {other} {}", answer.text("code")))),
        };
        if status == "refunded" {
            self.counts.refunded.fetch_add(self.seats(), Ordering::Relaxed);
        }
        Ok(())
    }

    /// The order's status once it is not that one any more.
    async fn settled(&self, unsettled: &str) -> Result<String, Failure> {
        let until = SystemClock.elapsed() + PATIENCE;
        loop {
            let now = self.look().await?;
            if now.text("status") != unsettled {
                return Ok(now.text("status").to_owned());
            }
            if SystemClock.elapsed() > until {
                return Err(Failure::of(format!("order {} is {unsettled} for too long", self.id())));
            }
            tokio::time::sleep(LOOK).await;
        }
    }

    pub async fn look(&self) -> Result<Answer, Failure> {
        self.client.get(&format!("/v1/orders/{}", self.id()), self.token).await
    }
}
