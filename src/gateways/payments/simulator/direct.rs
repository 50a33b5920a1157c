//! How is the simulated provider asked without a network? The same books, script and classification, for runs that must
//! repeat exactly from a seed: no sockets, no threads, and time only from tokio's clock, which a test can hold still.
//!
//! What connections do is told as what the client says of it: a reset is "broken", silence lasts until the call's time is up.
//! There is no news by webhook here, and no two calls with one key at once.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use serde_json::Value;

use super::desk::{Answer, CancelBody, ConfirmBody, Desk, Done};
use super::ledger::Ledger;
use super::mischief::{self, Plan, Reply};
use super::reply;
use super::script::{On, Script};
use crate::clock::Clock;
use crate::gateways::payments::answer::{self, Raw};
use crate::gateways::payments::{Confirm, Confirmation, Lookup, Payments, Refund, Refunding, Share, Unknown};
use crate::ids::{Hash16, OrderId, PaymentKey};
use crate::money::Currency;

/// A provider within the process. Clones share their books.
#[derive(Clone)]
pub struct DirectPayments {
    desk: Arc<Desk>,
    script: Arc<Script>,
    call_time: Duration,
}

impl fmt::Debug for DirectPayments {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirectPayments")
    }
}

impl DirectPayments {
    #[must_use]
    pub fn new(script: Script, clock: Arc<dyn Clock>, call_time: Duration) -> Self {
        Self { desk: Arc::new(Desk::new(Ledger::in_memory(), clock)), script: Arc::new(script), call_time }
    }

    /// The same books, with other things going wrong from now on.
    #[must_use]
    pub fn scripted(&self, script: Script) -> Self {
        Self { script: Arc::new(script), ..self.clone() }
    }

    /// The books, of the same shape as `GET /ledger`.
    #[must_use]
    pub fn ledger(&self) -> Value {
        self.desk.ledger()
    }

    async fn ask(
        &self,
        key: &PaymentKey,
        on: On,
        act: impl FnOnce(&Plan) -> std::io::Result<Done>,
    ) -> Result<Raw, Unknown> {
        let plan = mischief::plan(&self.script, key.as_str(), on, self.desk.count(key, on));
        let noted = plan.fault.map_or(Ok(()), |fault| self.desk.note_fault(key, on, fault));
        let done = noted.and_then(|()| act(&plan)).map_err(|_| Unknown::Broken)?;
        self.heard(&plan.reply, done.answer).await
    }

    async fn heard(&self, reply: &Reply, answer: Answer) -> Result<Raw, Unknown> {
        match reply {
            Reply::Delayed(time) if *time < self.call_time => tokio::time::sleep(*time).await,
            Reply::Delayed(_) | Reply::Silence => {
                tokio::time::sleep(self.call_time).await;
                return Err(Unknown::TimedOut);
            }
            Reply::Reset => return Err(Unknown::Broken),
            Reply::Malformed => return Err(Unknown::Malformed),
            Reply::Oversized => return Err(Unknown::Oversized),
            Reply::Redirect => return Err(Unknown::Status { status: 307, code: None }),
            _ => {}
        }
        let answer = reply::altered(reply, answer);
        Ok(Raw { status: answer.status, body: answer.body.to_string().into_bytes() })
    }
}

fn scope(what: &str, key: &Hash16) -> Option<Hash16> {
    Some(Hash16::of("psp simulator direct", &[what.as_bytes(), &key.0]))
}

#[async_trait]
impl Payments for DirectPayments {
    async fn confirm(&self, asked: &Confirm) -> Confirmation {
        let body = ConfirmBody {
            payment_key: asked.payment_key.clone(),
            order_id: asked.order_id.clone(),
            amount: asked.amount,
        };
        let exists = mischief::exists(&self.script, asked.payment_key.as_str());
        let scope = scope("confirm", &asked.idempotency_key);
        let act = |plan: &Plan| self.desk.confirm(&body, exists, scope, &plan.act);
        match self.ask(&asked.payment_key, On::Confirm, act).await {
            Ok(raw) => answer::confirmation(asked, &raw),
            Err(reason) => Confirmation::Unknown { reason },
        }
    }

    async fn find_by_order(&self, order: &OrderId) -> Lookup {
        let Some(key) = self.desk.key_of_order(order) else { return Lookup::NotFound };
        match self.ask(&key, On::Query, |_| self.desk.query(&key)).await {
            Ok(raw) => answer::by_order(order, &raw),
            Err(reason) => Lookup::Unknown { reason },
        }
    }

    async fn find_by_payment_key(&self, key: &PaymentKey) -> Lookup {
        match self.ask(key, On::Query, |_| self.desk.query(key)).await {
            Ok(raw) => answer::by_payment_key(key, &raw),
            Err(reason) => Lookup::Unknown { reason },
        }
    }

    async fn cancel(&self, asked: &Refund) -> Refunding {
        let part = (asked.share == Share::Part).then_some(asked.amount);
        let body = CancelBody { cancel_reason: asked.marked_reason(), cancel_amount: part };
        let scope = scope(asked.payment_key.as_str(), &asked.idempotency_key);
        let act = |plan: &Plan| self.desk.cancel(&asked.payment_key, &body, scope, &plan.act);
        match self.ask(&asked.payment_key, On::Cancel, act).await {
            Ok(raw) => answer::refunding(asked, &raw),
            Err(reason) => Refunding::Unknown { reason },
        }
    }

    fn takes(&self, currency: Currency) -> bool {
        currency == Currency::KRW
    }

    fn client_key(&self) -> &str {
        ""
    }
}
