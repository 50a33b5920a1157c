//! SIGKILL between each two steps of a purchase and of a refund: the process goes on where it was, and both sides' books
//! say the same. The wire between node and provider is a proxy, so that "asked, but not heard" and "heard, but the answer
//! was lost" are states that a test can wait for.

use std::fs;

use serde_json::{Value, json};

use crate::base::proxy::{Proxy, Wire};
use crate::psp::Psp;
use crate::support::Client;
use crate::support::server::{Home, Kind};
use crate::support::stage::Stage;
use crate::support::wait::until;

/// Kills at each point.
const ROUNDS: usize = 20;

/// Where the process is when it is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Point {
    /// The client has asked; nobody knows whether that is in the log.
    Asked,
    /// The log says that the provider is asked; it never hears it.
    CallLost,
    /// The provider has done it; its answer does not come.
    AnswerLost,
    /// The log says that it is done.
    Done,
}

const POINTS: [Point; 4] = [Point::Asked, Point::CallLost, Point::AnswerLost, Point::Done];

struct Shop {
    stage: Stage,
    psp: Psp,
    wire: Proxy,
}

impl Shop {
    async fn open(kind: Kind, faults: &str) -> Self {
        let home = Home::new(kind).await;
        let script = home.data().join("script.toml");
        fs::write(&script, faults).expect("a script");
        let ledger = home.data().join("ledger.jsonl");
        let psp = Psp::start(&ledger, &["--script", script.to_str().expect("UTF-8")]).await;
        let wire = Proxy::to(psp.base.trim_start_matches("http://").to_owned()).await;
        let text = format!("[psp]\nurl = \"http://{}\"\nsecret_key = \"test_sk_1\"\ncall_ms = 1000\n", wire.address);
        fs::write(home.config(), text).expect("a configuration");
        let stage = Stage::set_on(home, |body| body["hold_seconds"] = json!(600)).await;
        Self { stage, psp, wire }
    }

    /// SIGKILL, and another process on the same log, with a good wire to the provider.
    async fn crash(self) -> Self {
        let Self { stage, psp, wire } = self;
        let Stage { home, server, performance, .. } = stage;
        server.kill().await;
        wire.set(Wire::Cut);
        wire.set(Wire::Open);
        Self { stage: Stage::again(home, performance).await, psp, wire }
    }

    fn buyer(&self) -> Client {
        self.stage.member("kim")
    }

    async fn place(&self, key: &str, seat: &str) -> String {
        let body = json!({"seats": [seat]});
        self.buyer().key(key).post(&self.stage.orders(), &body).await.expect(201).str("order_id")
    }

    async fn order(&self, id: &str) -> Value {
        self.buyer().get(&format!("/v1/orders/{id}")).await.expect(200).body
    }

    /// The provider's own word on an order: captured and given back.
    async fn books(&self, id: &str) -> (u64, u64) {
        let ledger = self.psp.ledger().await;
        let payments = ledger["payments"].as_array().expect("a list").clone();
        let ours = payments.iter().filter(|payment| payment["order_id"] == *id);
        ours.fold((0, 0), |(captured, back), payment| {
            (captured + payment["captured"].as_u64().unwrap(), back + payment["cancelled"].as_u64().unwrap())
        })
    }

    /// Asks for a thing and comes back when the process is at `point`; the caller kills it then.
    async fn drive_to(&self, point: Point, ask: impl Future<Output = ()> + Send + 'static, order: &str, money: Money) {
        self.wire.set(match point {
            Point::CallLost => Wire::Silent,
            Point::AnswerLost => Wire::AnswersLost,
            Point::Asked | Point::Done => Wire::Open,
        });
        let sent = *self.wire.sent.borrow();
        let asking = tokio::spawn(ask);
        match point {
            Point::Asked => tokio::task::yield_now().await,
            Point::CallLost => {
                let heard = || async { *self.wire.sent.borrow() };
                until("a call to the provider", heard, |now| *now > sent).await;
            }
            Point::AnswerLost => {
                let moved = || async { self.books(order).await };
                until("the provider's books", moved, |books| match money {
                    Money::Taken => books.0 > 0,
                    Money::Back => books.1 > 0,
                })
                .await;
            }
            Point::Done => {
                let status = || async { self.order(order).await["status"].clone() };
                until("the end of the step", status, |status| *status == money.end()).await;
            }
        }
        asking.abort();
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Money {
    Taken,
    Back,
}

impl Money {
    fn end(self) -> &'static str {
        match self {
            Self::Taken => "completed",
            Self::Back => "refunded",
        }
    }
}

const PRICE: u64 = 150_000;

/// Sends a request whose answer may never come.
async fn ask(client: Client, path: String, body: Value) {
    let _unheard = client.try_post(&path, &body).await;
}

async fn killed_at_each_step(kind: Kind, faults: &str) {
    let mut shop = Shop::open(kind, faults).await;
    for round in 0..ROUNDS {
        for point in POINTS {
            let name = format!("{round}-{point:?}");
            // The seat is free again after each purchase and its refund.
            let id = shop.place(&format!("place-{name}"), "A-1-1").await;
            let payment = json!({"payment_key": format!("pk_{name}"), "amount": PRICE});
            let (path, key) = (format!("/v1/orders/{id}/payment"), format!("pay-{name}"));
            let asking = ask(shop.buyer().key(&key), path.clone(), payment.clone());
            shop.drive_to(point, asking, &id, Money::Taken).await;
            shop = shop.crash().await;
            // The buyer asks again under the same key, as clients do: whatever was begun is not done twice.
            let again = || async { shop.buyer().key(&key).post(&path, &payment).await.status.as_u16() };
            until("the purchase", again, |status| *status == 200).await;
            assert_eq!(shop.books(&id).await, (PRICE, 0), "{name}: charged once");

            let (path, key) = (format!("/v1/orders/{id}/cancel"), format!("cancel-{name}"));
            let asking = ask(shop.buyer().key(&key), path.clone(), json!({}));
            shop.drive_to(point, asking, &id, Money::Back).await;
            shop = shop.crash().await;
            let again = || async {
                let answer = shop.buyer().key(&key).post(&path, &json!({})).await;
                (answer.status.as_u16(), answer.body["status"].as_str().unwrap_or_default().to_owned())
            };
            until("the refund", again, |answer| *answer == (200, "refunded".to_owned())).await;
            assert_eq!(shop.books(&id).await, (PRICE, PRICE), "{name}: refunded once");
        }
    }
    let seats = shop.stage.anyone.get(&format!("/v1/performances/{}/seats", shop.stage.performance)).await.expect(200);
    let seats = seats.body["seats"].as_array().expect("seats").clone();
    assert!(seats.iter().all(|seat| seat["status"] == "available"), "every seat is free again");
    let ledger = shop.stage.home.data().join("ledger.jsonl");
    let output = shop.stage.home.run(&["audit", "--psp", ledger.to_str().expect("UTF-8")]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    assert!(said.contains(&format!("{} payments agree", ROUNDS * POINTS.len())), "{said}");
}

/// Errors of the provider now and then, also after it has done what it was asked.
const FAULTS: &str = "[random]\nseed = 4\nconfirm = { error = 0.1, done-reset = 0.1 }\n\
                      cancel = { error = 0.1, done-reset = 0.1 }\nquery = { error = 0.1 }\n";

#[tokio::test]
async fn killed_at_each_step_of_purchases_and_refunds_on_sqlite() {
    killed_at_each_step(Kind::Sqlite, FAULTS).await;
}

#[tokio::test]
async fn killed_at_each_step_of_purchases_and_refunds_on_postgres() {
    killed_at_each_step(Kind::Postgres, FAULTS).await;
}
