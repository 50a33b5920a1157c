//! How does the news of a payment go round? Posts what the real provider posts, and what it should not.
//!
//! One sender, one queue with an end. A webhook that gets lost stays lost: the real one is sent again for days, and nobody may
//! depend on either.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::script::News;
use crate::clock::Clock;
use crate::limits;

/// Sends to one address, or to nobody.
#[derive(Clone)]
pub struct Webhooks {
    queue: mpsc::Sender<Value>,
    http: reqwest::Client,
    url: Option<String>,
    late: TaskTracker,
    stop: CancellationToken,
}

impl Webhooks {
    pub fn start(url: Option<String>, stop: CancellationToken) -> Result<Self, reqwest::Error> {
        let http = reqwest::Client::builder()
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .timeout(limits::SIMULATOR_WEBHOOK_TIME)
            .tls_certs_only([])
            .build()?;
        let (queue, mut waiting) = mpsc::channel(limits::SIMULATOR_WEBHOOKS);
        let this = Self { queue, http, url, late: TaskTracker::new(), stop };
        let sender = this.clone();
        tokio::spawn(async move {
            let work = async {
                while let Some(body) = waiting.recv().await {
                    sender.post(&body).await;
                }
            };
            tokio::select! {
                () = work => {}
                () = sender.stop.cancelled() => {}
            }
        });
        Ok(this)
    }

    /// News that come before the thing itself, and before the caller's answer.
    pub async fn early(&self, payment: &Value, clock: &dyn Clock) {
        self.post(&told(payment, "DONE", clock)).await;
    }

    /// News of what has happened.
    pub fn tell(&self, news: News, after: Duration, payment: &Value, clock: &dyn Clock) {
        let status = payment["status"].as_str().unwrap_or_default().to_owned();
        let honest = told(payment, &status, clock);
        match news {
            // Early news were told already.
            News::None | News::Early => {}
            News::Normal => self.send(honest),
            News::Duplicated => {
                self.send(honest.clone());
                self.send(honest);
            }
            News::Contradictory => {
                self.send(honest);
                self.send(told(payment, if status == "DONE" { "ABORTED" } else { "DONE" }, clock));
            }
            News::Forged => {
                let mut forged = told(payment, "DONE", clock);
                forged["data"]["paymentKey"] = json!("forged_payment");
                forged["data"]["totalAmount"] = json!(1);
                self.send(forged);
            }
            News::Late => {
                let this = self.clone();
                self.late.spawn(async move {
                    tokio::select! {
                        () = tokio::time::sleep(after) => this.send(honest),
                        () = this.stop.cancelled() => {}
                    }
                });
            }
        }
    }

    fn send(&self, body: Value) {
        if self.url.is_some() && self.queue.try_send(body).is_err() {
            tracing::debug!("a webhook got lost: too many are waiting");
        }
    }

    async fn post(&self, body: &Value) {
        let Some(url) = &self.url else { return };
        match self.http.post(url).json(body).send().await {
            Ok(response) if response.status().is_success() => {}
            Ok(response) => tracing::debug!(status = response.status().as_u16(), "a webhook was not taken"),
            Err(error) => tracing::debug!(%error, "a webhook was not delivered"),
        }
    }
}

fn told(payment: &Value, status: &str, clock: &dyn Clock) -> Value {
    let mut data = payment.clone();
    data["status"] = json!(status);
    json!({ "eventType": "PAYMENT_STATUS_CHANGED", "createdAt": clock.wall(), "data": data })
}
