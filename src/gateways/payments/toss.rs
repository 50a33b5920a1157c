//! How is Toss Payments asked? Its HTTP API: one request, one answer, within one time, and nothing is repeated here.
//!
//! What an answer means is `answer.rs`'s business. The secret key lives in this client only, and never gets into a message.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use reqwest::{Method, RequestBuilder, redirect, retry};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::Payments;
use super::answer::{self, Raw};
use super::keys::{self, Mode, SetupError};
use super::outcome::{Confirm, Confirmation, Lookup, Refund, Refunding, Share, Unknown};
use crate::ids::{Hash16, OrderId, PaymentKey};
use crate::limits;
use crate::money::Currency;

/// With what the client is made.
#[derive(Clone)]
pub struct TossOptions {
    /// `https://api.tosspayments.com`, or the simulator's address.
    pub url: String,
    pub mode: Mode,
    pub secret_key: String,
    pub client_key: String,
    /// One call ends within this, from waiting for a free place to the last byte of the answer.
    pub call_time: Duration,
}

impl fmt::Debug for TossOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TossOptions")
            .field("mode", &self.mode)
            .field("call_time", &self.call_time)
            .finish_non_exhaustive()
    }
}

/// A client of Toss Payments.
pub struct Toss {
    http: reqwest::Client,
    options: TossOptions,
    calls: Semaphore,
}

impl fmt::Debug for Toss {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Toss").field("mode", &self.options.mode).finish_non_exhaustive()
    }
}

impl Toss {
    /// Refuses keys of the wrong kind, so that a rehearsal takes no money and a sale takes real money.
    pub fn new(mut options: TossOptions) -> Result<Self, SetupError> {
        keys::check(options.mode, &options.secret_key, &options.client_key)?;
        options.url = keys::address(options.mode, &options.url)?;
        let mut builder = reqwest::Client::builder()
            // A redirect would carry the secret key, and a payment, to somewhere else.
            .redirect(redirect::Policy::none())
            .retry(retry::never())
            .no_proxy()
            .http1_only()
            .tcp_nodelay(true)
            .connect_timeout(limits::PSP_CONNECT_TIME)
            .pool_max_idle_per_host(limits::PSP_CALLS);
        if options.url.starts_with("http://") {
            // No TLS, no certificates: a machine that has none can still rehearse.
            builder = builder.tls_certs_only([]);
        }
        let http = builder.build().map_err(|_| SetupError {
            key: "psp.url",
            problem: "no HTTP client could be made; are the system's root certificates installed?",
        })?;
        Ok(Self { http, options, calls: Semaphore::new(limits::PSP_CALLS) })
    }

    async fn get(&self, path: &str) -> Result<Raw, Unknown> {
        self.call(self.request(Method::GET, path)).await
    }

    async fn post(&self, path: &str, key: &Hash16, body: &Value) -> Result<Raw, Unknown> {
        self.call(self.request(Method::POST, path).header("idempotency-key", key.to_string()).json(body)).await
    }

    /// Ids become parts of addresses: one with a slash or a dot in it would ask for something else.
    fn plain(id: &str) -> Result<&str, Unknown> {
        match PaymentKey::parse(id) {
            Some(_) => Ok(id),
            None => Err(Unknown::NotSent { detail: "such an id cannot exist there" }),
        }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.options.url);
        self.http.request(method, url).basic_auth(&self.options.secret_key, Some(""))
    }

    async fn call(&self, request: RequestBuilder) -> Result<Raw, Unknown> {
        let called = async {
            let waited = tokio::time::timeout(self.options.call_time / 2, self.calls.acquire()).await;
            let Ok(Ok(_place)) = waited else {
                return Err(Unknown::NotSent { detail: "too many calls are under way" });
            };
            let mut response = request.send().await.map_err(|e| broken(&e))?;
            let mut body = Vec::new();
            while let Some(chunk) = response.chunk().await.map_err(|_| Unknown::Broken)? {
                if body.len() + chunk.len() > limits::PSP_ANSWER_BYTES {
                    return Err(Unknown::Oversized);
                }
                body.extend_from_slice(&chunk);
            }
            Ok(Raw { status: response.status().as_u16(), body })
        };
        tokio::time::timeout(self.options.call_time, called).await.unwrap_or(Err(Unknown::TimedOut))
    }
}

/// Only what failed before there was a connection was certainly not sent.
fn broken(error: &reqwest::Error) -> Unknown {
    match (error.is_builder() || error.is_connect(), error.is_timeout()) {
        (true, _) => Unknown::NotSent { detail: "no connection could be made" },
        (false, true) => Unknown::TimedOut,
        (false, false) => Unknown::Broken,
    }
}

impl Toss {
    async fn asked_to_confirm(&self, asked: &Confirm) -> Result<Raw, Unknown> {
        self.native(asked.currency)?;
        Self::plain(asked.payment_key.as_str())?;
        let body = json!({ "paymentKey": asked.payment_key, "orderId": asked.order_id, "amount": asked.amount });
        self.post("/v1/payments/confirm", &asked.idempotency_key, &body).await
    }

    async fn asked_to_cancel(&self, asked: &Refund) -> Result<Raw, Unknown> {
        self.native(asked.currency)?;
        let mut body = json!({ "cancelReason": asked.marked_reason() });
        if asked.share == Share::Part {
            body["cancelAmount"] = json!(asked.amount);
        }
        let path = format!("/v1/payments/{}/cancel", Self::plain(asked.payment_key.as_str())?);
        self.post(&path, &asked.idempotency_key, &body).await
    }

    async fn look(&self, under: &str, id: &str) -> Result<Raw, Unknown> {
        self.get(&format!("/v1/payments/{under}{}", Self::plain(id)?)).await
    }

    fn native(&self, currency: Currency) -> Result<(), Unknown> {
        let foreign = Unknown::NotSent { detail: "the provider is not set up for this currency" };
        if self.takes(currency) { Ok(()) } else { Err(foreign) }
    }
}

#[async_trait]
impl Payments for Toss {
    async fn confirm(&self, asked: &Confirm) -> Confirmation {
        match self.asked_to_confirm(asked).await {
            Ok(raw) => answer::confirmation(asked, &raw),
            Err(reason) => Confirmation::Unknown { reason },
        }
    }

    async fn find_by_order(&self, order: &OrderId) -> Lookup {
        match self.look("orders/", order.as_str()).await {
            Ok(raw) => answer::by_order(order, &raw),
            Err(reason) => Lookup::Unknown { reason },
        }
    }

    async fn find_by_payment_key(&self, key: &PaymentKey) -> Lookup {
        match self.look("", key.as_str()).await {
            Ok(raw) => answer::by_payment_key(key, &raw),
            Err(reason) => Lookup::Unknown { reason },
        }
    }

    async fn cancel(&self, asked: &Refund) -> Refunding {
        match self.asked_to_cancel(asked).await {
            Ok(raw) => answer::refunding(asked, &raw),
            Err(reason) => Refunding::Unknown { reason },
        }
    }

    /// Others come and go as decimal fractions of their major unit, which nothing here needs yet.
    fn takes(&self, currency: Currency) -> bool {
        currency == Currency::KRW
    }

    fn client_key(&self) -> &str {
        &self.options.client_key
    }
}
