//! Does the stand-in behave like the provider that it stands in for? Over HTTP, as a stranger's client would see it.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::State;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::script::Script;
use super::{Simulator, SimulatorOptions, ledger};
use crate::clock::SystemClock;

/// A request without any help of our own client.
struct Shop {
    http: reqwest::Client,
    url: String,
    secret: &'static str,
}

impl Shop {
    fn of(simulator: &Simulator) -> Self {
        let http = reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client");
        Self { http, url: simulator.url(), secret: "test_sk_1" }
    }

    async fn post(&self, path: &str, key: &str, body: &Value) -> (u16, Value) {
        let request = self.http.post(format!("{}{path}", self.url)).basic_auth(self.secret, Some("")).json(body);
        let request = if key.is_empty() { request } else { request.header("idempotency-key", key) };
        let response = request.send().await.expect("an answer");
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }

    async fn confirm(&self, payment: &str, order: &str, amount: u64, key: &str) -> (u16, String) {
        let body = json!({"paymentKey": payment, "orderId": order, "amount": amount});
        let (status, body) = self.post("/v1/payments/confirm", key, &body).await;
        (status, body["code"].as_str().or(body["status"].as_str()).unwrap_or_default().to_owned())
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        let request = self.http.get(format!("{}{path}", self.url)).basic_auth(self.secret, Some(""));
        let response = request.send().await.expect("an answer");
        (response.status().as_u16(), response.json().await.expect("JSON"))
    }
}

/// What is waited for comes soon, or never.
async fn within<T>(awaited: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(20), awaited).await.expect("what the test waits for comes")
}

fn options(script: &str) -> SimulatorOptions {
    let script = Script::parse(script).expect("a good script");
    SimulatorOptions { listen: "127.0.0.1:0".parse().expect("an address"), script, ledger: None, webhook: None }
}

async fn start(options: SimulatorOptions) -> Simulator {
    Simulator::start(options, Arc::new(SystemClock)).await.expect("a free port")
}

#[tokio::test]
async fn requests_are_judged_as_documented() {
    let simulator = start(options("")).await;
    let shop = Shop::of(&simulator);
    let table = [
        ("pk_1", "order-1", 1_000, "a", 200, "DONE"),
        ("pk_1", "order-1", 1_000, "a", 200, "DONE"),
        ("pk_1", "order-1", 1_000, "b", 400, "ALREADY_PROCESSED_PAYMENT"),
        ("pk_1", "order-1", 1_000, "", 400, "ALREADY_PROCESSED_PAYMENT"),
        ("pk_1", "order-1", 2_000, "c", 400, "INVALID_REQUEST"),
        ("pk_1", "order-2", 1_000, "d", 400, "INVALID_REQUEST"),
        ("pk_2", "order-2", 99, "e", 400, "BELOW_MINIMUM_AMOUNT"),
        ("decline_1", "order-3", 1_000, "f", 403, "REJECT_CARD_PAYMENT"),
        ("decline_1", "order-3", 1_000, "g", 403, "REJECT_CARD_PAYMENT"),
        ("unheard_of", "order-4", 1_000, "h", 404, "NOT_FOUND_PAYMENT"),
        // The key's scope is method and path, not the body: what the first one got, the second one gets.
        ("pk_3", "order-5", 1_000, "a", 200, "DONE"),
    ];
    for (payment, order, amount, key, status, word) in table {
        assert_eq!(shop.confirm(payment, order, amount, key).await, (status, word.to_owned()), "{payment} {key}");
    }
    assert_eq!(shop.get("/v1/payments/pk_3").await.0, 404);
    let (status, found) = shop.get("/v1/payments/orders/order-1").await;
    assert_eq!((status, &found["paymentKey"], &found["balanceAmount"]), (200, &json!("pk_1"), &json!(1_000)));
    let long = "k".repeat(301);
    assert_eq!(shop.confirm("pk_4", "order-6", 1_000, &long).await.1, "INVALID_IDEMPOTENCY_KEY");
    assert_eq!(
        shop.post("/v1/payments/confirm", "i", &json!({"paymentKey": "pk_5"})).await.1["code"],
        "INVALID_REQUEST"
    );
    assert_eq!(
        shop.post("/v1/payments/pk_1/cancel", "j", &json!({"cancelReason": ""})).await.1["code"],
        "INVALID_REQUEST"
    );
    assert_eq!(shop.post("/v1/payments/decline_1/cancel", "k", &json!({"cancelReason": "r"})).await.0, 403);
    assert_eq!(shop.get("/nowhere").await.0, 404);
    for (secret, status) in [("live_sk_1", 401), ("test_ck_1", 401), ("", 401)] {
        let stranger = Shop { secret, ..Shop::of(&simulator) };
        assert_eq!(stranger.confirm("pk_9", "order-9", 1_000, "z").await, (status, "UNAUTHORIZED_KEY".to_owned()));
    }
    let unheard = shop.http.get(format!("{}/v1/payments/pk_1", shop.url)).send().await.expect("an answer");
    assert_eq!(unheard.status(), 401);
    let (_, ledger) = shop.get("/ledger").await;
    assert_eq!((&ledger["captured"], &ledger["net"]), (&json!(1_000), &json!(1_000)));
    assert_eq!(shop.get("/healthz").await, (200, json!({"ok": true})));
    simulator.stop().await;
}

#[tokio::test]
async fn it_tells_how_long_each_confirmation_took() {
    let simulator = start(options("[[rule]]\nkey = \"pk_slow\"\nfault = \"delay\"\nms = 30\n")).await;
    let shop = Shop::of(&simulator);
    for payment in ["pk_1", "pk_slow", "pk_1"] {
        assert_eq!(shop.confirm(payment, payment, 1_000, payment).await.0, 200);
    }
    let (status, times) = shop.get("/times").await;
    let times = times["confirmations"].as_array().expect("a list").clone();
    let keys: Vec<_> = times.iter().map(|time| time[0].as_str().expect("a key")).collect();
    assert_eq!((status, keys), (200, vec!["pk_1", "pk_slow", "pk_1"]));
    assert!(times[1][1].as_u64().expect("microseconds") >= 30_000, "{times:?}");
    simulator.stop().await;
}

#[tokio::test]
async fn a_second_request_is_sent_away_while_the_first_one_runs() {
    let simulator = start(options("[[rule]]\nkey = \"pk_1\"\nfault = \"silence\"\n")).await;
    let shop = Arc::new(Shop::of(&simulator));
    let first = shop.clone();
    let waiting = tokio::spawn(async move { first.confirm("pk_1", "order-1", 1_000, "a").await });
    // The call is listed when its answer is being withheld.
    within(async {
        while simulator.calls()["count"] == 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    let busy = (409, "IDEMPOTENT_REQUEST_PROCESSING".to_owned());
    assert_eq!(shop.confirm("pk_1", "order-1", 1_000, "a").await, busy);
    waiting.abort();
    let _aborted = waiting.await;
    // The connection's end reaches the other side some time later.
    let answer = within(async {
        loop {
            let answer = shop.confirm("pk_1", "order-1", 1_000, "a").await;
            if answer != busy {
                return answer;
            }
        }
    })
    .await;
    assert_eq!(answer, (200, "DONE".to_owned()));
    simulator.stop().await;
}

#[tokio::test]
async fn the_books_outlive_it_and_add_up_whatever_went_wrong() {
    let place = tempfile::tempdir().expect("a directory");
    let path = place.path().join("ledger.jsonl");
    let dice = "[random]\nseed = 3\nms = 1\nconfirm = { decline = 0.2, error = 0.2, done-error = 0.2, delay = 0.1 }\n\
                cancel = { error = 0.2, done-error = 0.3, decline = 0.1 }\n";
    let with_file = || SimulatorOptions { ledger: Some(path.clone()), ..options(dice) };
    let simulator = start(with_file()).await;
    let shop = Shop::of(&simulator);
    let mut seen = std::collections::BTreeMap::<u16, u32>::new();
    for n in 0..60 {
        let (payment, order) = (format!("pk_{n}"), format!("order-{n}"));
        for _ in 0..3 {
            let (status, _) = shop.confirm(&payment, &order, 1_000, &format!("c{n}")).await;
            *seen.entry(status).or_default() += 1;
        }
        let part = json!({"cancelReason": "r", "cancelAmount": 300});
        for _ in 0..3 {
            shop.post(&format!("/v1/payments/{payment}/cancel"), &format!("x{n}"), &part).await;
        }
    }
    assert!([200, 403, 500].iter().all(|status| seen.contains_key(status)), "{seen:?}");
    let before = simulator.ledger();
    simulator.stop().await;
    let (books, entries) = ledger::read(&path).expect("a whole ledger");
    assert_eq!(books.ledger(), before);
    assert_eq!(before["entries"], entries.len());
    let sum = |member: &str| -> u64 {
        before["payments"].as_array().expect("a list").iter().filter_map(|p| p[member].as_u64()).sum()
    };
    assert_eq!(before["captured"], sum("captured"));
    assert_eq!(before["cancelled"], sum("cancelled"));
    assert_eq!(before["net"], sum("captured") - sum("cancelled"));
    assert!(sum("cancelled") > 0 && sum("cancelled") < sum("captured"));
    assert!(before["payments"].as_array().expect("a list").iter().all(|p| p["cancelled"].as_u64() <= Some(300)));

    let again = start(with_file()).await;
    assert_eq!(again.ledger(), before);
    // Keys are remembered too: whatever is asked again now, nothing moves that had moved.
    let shop = Shop::of(&again);
    let done = before["payments"].as_array().expect("a list").iter().find(|p| p["captured"] == 1_000).expect("one");
    let number = done["payment_key"].as_str().expect("a key").trim_start_matches("pk_");
    let mut last =
        shop.confirm(&format!("pk_{number}"), &format!("order-{number}"), 1_000, &format!("c{number}")).await;
    while last.0 == 500 {
        last = shop.confirm(&format!("pk_{number}"), &format!("order-{number}"), 1_000, &format!("c{number}")).await;
    }
    assert_eq!(last, (200, "DONE".to_owned()));
    assert_eq!(again.ledger()["net"], before["net"]);
    again.stop().await;
}

/// A receiver of webhooks that passes them on.
async fn receiver() -> (String, mpsc::Receiver<Value>) {
    let (sender, received) = mpsc::channel(100);
    let take = |State(sender): State<mpsc::Sender<Value>>, Json(body): Json<Value>| async move {
        sender.send(body).await.expect("the test listens");
    };
    let router = Router::new().route("/hook", post(take)).with_state(sender);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}/hook", listener.local_addr().expect("bound"));
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, received)
}

async fn next(received: &mut mpsc::Receiver<Value>) -> (String, String) {
    let body = within(received.recv()).await.expect("the receiver runs");
    assert_eq!(body["eventType"], "PAYMENT_STATUS_CHANGED");
    let text = |member: &str| body["data"][member].as_str().expect("a text").to_owned();
    (text("paymentKey"), text("status"))
}

#[tokio::test]
async fn news_go_round_as_the_script_says() {
    let (url, mut received) = receiver().await;
    let rules: String = ["early", "late", "duplicated", "contradictory", "forged", "none"]
        .iter()
        .map(|news| format!("[[rule]]\nkey = \"pk_{news}\"\nwebhook = \"{news}\"\nms = 1\n"))
        .collect();
    let lost = "[[rule]]\nkey = \"pk_lost\"\nfault = \"silence\"\nwebhook = \"early\"\n";
    let simulator = start(SimulatorOptions { webhook: Some(url), ..options(&(rules + lost)) }).await;
    let shop = Arc::new(Shop::of(&simulator));
    let table: &[(&str, &[(&str, &str)])] = &[
        ("pk_normal", &[("pk_normal", "DONE")]),
        ("decline_1", &[("decline_1", "ABORTED")]),
        ("pk_early", &[("pk_early", "DONE")]),
        ("pk_late", &[("pk_late", "DONE")]),
        ("pk_duplicated", &[("pk_duplicated", "DONE"), ("pk_duplicated", "DONE")]),
        ("pk_contradictory", &[("pk_contradictory", "DONE"), ("pk_contradictory", "ABORTED")]),
        ("pk_forged", &[("forged_payment", "DONE")]),
        ("pk_none", &[]),
    ];
    for (payment, expected) in table {
        shop.confirm(payment, payment, 1_000, payment).await;
        for (key, status) in *expected {
            assert_eq!(next(&mut received).await, ((*key).to_owned(), (*status).to_owned()), "{payment}");
        }
    }
    // Early news of something that never happens.
    let silent = shop.clone();
    let waiting = tokio::spawn(async move { silent.confirm("pk_lost", "order-lost", 1_000, "lost").await });
    assert_eq!(next(&mut received).await, ("pk_lost".to_owned(), "DONE".to_owned()));
    assert_eq!(shop.get("/v1/payments/pk_lost").await.0, 404);
    waiting.abort();
    shop.post("/v1/payments/pk_normal/cancel", "r", &json!({"cancelReason": "r", "cancelAmount": 400})).await;
    assert_eq!(next(&mut received).await, ("pk_normal".to_owned(), "PARTIAL_CANCELED".to_owned()));
    // A repetition is no news.
    shop.post("/v1/payments/pk_normal/cancel", "r", &json!({"cancelReason": "r", "cancelAmount": 400})).await;
    shop.confirm("pk_last", "order-last", 1_000, "last").await;
    assert_eq!(next(&mut received).await.0, "pk_last");
    simulator.stop().await;
}
