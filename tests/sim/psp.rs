//! Who takes the money in a run? The project's own simulated provider, over a network that delays, loses and repeats.
//!
//! A request that has left a node goes on without it: it may be carried out long after the node gave up, or died. News
//! of it comes never, twice, late, or is forged. The books are the judge's: `judge/money.rs` reads them at the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use futures::future::BoxFuture;
use onsale::audit::psp::Booked;
use onsale::clock::{Clock, Entropy};
use onsale::gateways::payments::simulator::DirectPayments;
use onsale::gateways::payments::simulator::script::Script;
use onsale::gateways::payments::{Confirm, Confirmation, Lookup, Payments, Refund, Refunding, Standing, Unknown};
use onsale::ids::{OrderId, PaymentKey};
use onsale::money::Currency;
use parking_lot::Mutex;
use tokio::sync::oneshot;

use crate::door::Gate;
use crate::plan::Plan;
use crate::simulated::pass;
use crate::world::Tally;

/// The client of a node gives up after that long.
const CALL_TIME: Duration = Duration::from_secs(2);

/// Brings news to whoever serves; true: they were heard.
type Deliver = Box<dyn Fn(Vec<u8>) -> BoxFuture<'static, bool> + Send + Sync>;

/// The provider and the way to it.
pub struct Provider {
    faulty: DirectPayments,
    honest: DirectPayments,
    calm: AtomicBool,
    travels: bool,
    entropy: Entropy,
    tally: Arc<Tally>,
    /// Payments whose confirmation some node did not hear.
    doubtful: Mutex<BTreeSet<PaymentKey>>,
    deliver: Mutex<Option<Deliver>>,
    /// Payments of which news were heard, and what had been taken by then: a payment that was captured later is news again.
    heard: Mutex<BTreeMap<PaymentKey, u64>>,
}

impl Provider {
    pub fn new(plan: &Plan, clock: Arc<dyn Clock>, tally: Arc<Tally>) -> Arc<Self> {
        let faulty = DirectPayments::new(script(plan), clock, CALL_TIME);
        let honest = faulty.scripted(Script::default());
        let entropy = Entropy::seeded(plan.seed ^ 0x70_73_70);
        let (calm, travels) = (AtomicBool::new(!plan.psp), plan.network);
        let (doubtful, deliver, heard) = (Mutex::default(), Mutex::new(None), Mutex::default());
        Arc::new(Self { faulty, honest, calm, travels, entropy, tally, doubtful, deliver, heard })
    }

    /// Where news go.
    pub fn tell(&self, deliver: impl Fn(Vec<u8>) -> BoxFuture<'static, bool> + Send + Sync + 'static) {
        *self.deliver.lock() = Some(Box::new(deliver));
    }

    /// From now on all goes well.
    pub fn heal(&self) {
        self.calm.store(true, Ordering::SeqCst);
    }

    /// What nobody has said to have heard is told again, until somebody has: money that comes after people have said that
    /// there is none is found by these news alone.
    pub async fn tell_again(&self) {
        for _ in 0..50 {
            let unheard = |row: &Booked| self.heard.lock().get(&row.key) != Some(&row.captured);
            let left: Vec<Booked> = self.booked().into_iter().filter(unheard).collect();
            if left.is_empty() {
                return;
            }
            for row in left {
                self.news(&row.order, &row.key).await;
            }
            pass(Duration::from_millis(200)).await;
        }
    }

    fn books(&self) -> DirectPayments {
        if self.calm.load(Ordering::SeqCst) { self.honest.clone() } else { self.faulty.clone() }
    }

    /// What the provider says that it has taken and given back.
    pub fn booked(&self) -> Vec<Booked> {
        let ledger = self.honest.ledger();
        let rows = ledger["payments"].as_array().expect("a list of payments");
        let text = |row: &serde_json::Value, name: &str| row[name].as_str().expect("a text").to_owned();
        let number = |row: &serde_json::Value, name: &str| row[name].as_u64().expect("a number");
        rows.iter()
            .map(|row| Booked {
                key: PaymentKey::new(text(row, "payment_key")),
                order: OrderId::new(text(row, "order_id")),
                captured: number(row, "captured"),
                cancelled: number(row, "cancelled"),
            })
            .collect()
    }

    /// How long a request is under way.
    fn travel(&self) -> Duration {
        let millis = match self.entropy.below(20) {
            0 if self.travels && !self.calm.load(Ordering::SeqCst) => {
                self.tally.count("request to the provider late");
                self.entropy.below(6_000)
            }
            _ => 1 + self.entropy.below(120),
        };
        Duration::from_millis(millis)
    }

    async fn news(&self, order: &OrderId, key: &PaymentKey) {
        let body = serde_json::json!({ "data": { "paymentKey": key, "orderId": order } }).to_string().into_bytes();
        let delivered = self.deliver.lock().as_ref().map(|deliver| deliver(body));
        let Some(delivered) = delivered else { return };
        // What is taken while somebody listens may be too late for their look.
        let taken = self.booked().into_iter().find(|row| row.key == *key).map_or(0, |row| row.captured);
        if tokio::time::timeout(CALL_TIME, delivered).await == Ok(true) {
            self.heard.lock().insert(key.clone(), taken);
        }
    }

    /// What happened is told never, at once, late, or several times; sometimes of what never was.
    fn rumour(self: &Arc<Self>, order: &OrderId, key: &PaymentKey) {
        let forged = PaymentKey::new(format!("pk_{}", self.entropy.hash16()));
        for round in 0..self.entropy.below(4) {
            let key = if round == 2 { forged.clone() } else { key.clone() };
            let (own, order, late) = (self.clone(), order.clone(), self.entropy.below(3_000));
            self.tally.count("news of a payment");
            tokio::spawn(async move {
                pass(Duration::from_millis(late)).await;
                own.news(&order, &key).await;
            });
        }
    }

    /// Sends a request on its way, and waits for its answer as long as a client does.
    async fn ask<T: Send + 'static>(
        self: &Arc<Self>,
        call: impl Future<Output = T> + Send + 'static,
    ) -> Result<T, Unknown> {
        let (travel, (reply, answer)) = (self.travel(), oneshot::channel());
        tokio::spawn(async move {
            pass(travel).await;
            // Nobody may wait for it any more.
            let _ = reply.send(call.await);
        });
        match tokio::time::timeout(CALL_TIME, answer).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) => Err(Unknown::Broken),
            Err(_) => Err(Unknown::TimedOut),
        }
    }
}

/// What the provider does wrong: dice by payment and call, so that a run repeats. Of some payments nothing can be found out
/// before all is well again: those come before people.
fn script(plan: &Plan) -> Script {
    if !plan.psp {
        return Script::default();
    }
    let text = format!(
        "[[rule]]\nkey = \"pk_0*\"\nfault = \"done-silence\"\ntimes = 1000\n\
         [[rule]]\nkey = \"pk_0*\"\non = \"query\"\nfault = \"error\"\ntimes = 1000\n\
         [[rule]]\nkey = \"pk_1*\"\nfault = \"error\"\ntimes = 1000\n\
         [[rule]]\nkey = \"pk_1*\"\non = \"query\"\nfault = \"reset\"\ntimes = 1000\n\
         [[rule]]\nkey = \"pk_3*\"\nfault = \"late\"\nlooks = 9\ntimes = 1000\n\
         [[rule]]\nkey = \"pk_2*\"\non = \"cancel\"\nfault = \"done-error\"\ntimes = 1000\n\
         [[rule]]\nkey = \"pk_2*\"\non = \"query\"\nfault = \"error\"\ntimes = 1000\n\
         [random]\nseed = {}\nms = 1500\n\
         confirm = {{ decline = 0.12, delay = 0.05, silence = 0.03, done-silence = 0.05, reset = 0.03, done-reset = 0.06, \
         error = 0.04, done-error = 0.04, rate-limit = 0.02, late = 0.04, wrong-amount = 0.02, wrong-order = 0.02, \
         wrong-key = 0.01, wrong-currency = 0.01, malformed = 0.02, oversized = 0.01, redirect = 0.01 }}\n\
         cancel = {{ decline = 0.06, delay = 0.05, silence = 0.05, done-silence = 0.07, done-reset = 0.07, error = 0.05, \
         done-error = 0.05, wrong-amount = 0.02, malformed = 0.02 }}\n\
         query = {{ delay = 0.05, silence = 0.05, error = 0.1, wrong-order = 0.02, wrong-amount = 0.02, malformed = 0.02 }}\n",
        plan.seed % 1_000_000_007
    );
    Script::parse(&text).expect("a script that can be read")
}

/// A node's client of the provider.
pub struct Line {
    pub provider: Arc<Provider>,
    pub gate: Arc<Gate>,
}

impl std::fmt::Debug for Line {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Line")
    }
}

#[async_trait]
impl Payments for Line {
    async fn confirm(&self, asked: &Confirm) -> Confirmation {
        let (provider, asked) = (self.provider.clone(), asked.clone());
        let key = asked.payment_key.clone();
        let call = async move {
            let answer = provider.books().confirm(&asked).await;
            provider.rumour(&asked.order_id, &asked.payment_key);
            answer
        };
        let answer = self.gate.through(self.provider.ask(call)).await;
        let answer = answer.unwrap_or_else(|reason| Confirmation::Unknown { reason });
        if matches!(answer, Confirmation::Unknown { .. }) {
            self.provider.tally.count("charge unknown");
            self.provider.doubtful.lock().insert(key);
        }
        answer
    }

    async fn find_by_order(&self, order: &OrderId) -> Lookup {
        let (provider, order) = (self.provider.clone(), order.clone());
        let call = async move { provider.books().find_by_order(&order).await };
        let answer = self.gate.through(self.provider.ask(call)).await;
        answer.unwrap_or_else(|reason| Lookup::Unknown { reason })
    }

    async fn find_by_payment_key(&self, key: &PaymentKey) -> Lookup {
        let (provider, asked) = (self.provider.clone(), key.clone());
        let call = async move { provider.books().find_by_payment_key(&asked).await };
        let answer = self.gate.through(self.provider.ask(call)).await;
        let answer = answer.unwrap_or_else(|reason| Lookup::Unknown { reason });
        if let Lookup::Found(found) = &answer
            && found.standing == Standing::Captured
            && self.provider.doubtful.lock().contains(key)
        {
            self.provider.tally.count("unknown charge found by looking");
        }
        answer
    }

    async fn cancel(&self, asked: &Refund) -> Refunding {
        let (provider, asked) = (self.provider.clone(), asked.clone());
        let call = async move {
            let answer = provider.books().cancel(&asked).await;
            provider.rumour(&asked.order_id, &asked.payment_key);
            answer
        };
        let answer = self.gate.through(self.provider.ask(call)).await;
        let answer = answer.unwrap_or_else(|reason| Refunding::Unknown { reason });
        if matches!(answer, Refunding::Unknown { .. }) {
            self.provider.tally.count("refund unknown");
        }
        answer
    }

    fn takes(&self, currency: Currency) -> bool {
        self.provider.honest.takes(currency)
    }

    fn client_key(&self) -> &str {
        "test_ck_simulated"
    }
}
