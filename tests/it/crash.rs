//! SIGKILL and SIGTERM under load: what was answered is in the log, and nothing is there twice.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;

use crate::support::Client;
use crate::support::server::{BOTH, Home, Kind, Server};
use crate::support::sse::Stream;
use crate::support::stage::Stage;
use crate::support::wait::until;

/// Crashes in one test, as many as the promise names.
const CRASHES: usize = 10;

/// What was told to clients: idempotency key → answer's position.
type Told = Arc<Mutex<BTreeMap<String, String>>>;

/// Issues coupons one after another until the connection breaks; every answer is noted.
async fn issue_until_cut(client: Client, path: String, name: String, told: Told) {
    for number in 0_u32.. {
        let key = format!("{name}-{number}");
        let Some(answer) = client.key(&key).try_post(&path, &json!({})).await else { return };
        if answer.status == 201 {
            told.lock().insert(key, answer.str("task_id"));
        } else {
            // Only overload and outages are excuses.
            assert_eq!(answer.status, 503, "{}", answer.text);
        }
    }
}

async fn crash_again_and_again(kind: Kind) {
    let mut stage = Stage::set(kind).await;
    let mut body = crate::support::stage::coupon_body(1_000_000);
    body["per_member"] = json!(100);
    let coupon = stage.seller.post("/v1/coupons", &body).await.expect(201).str("coupon_id");
    let path = format!("/v1/coupons/{coupon}/issue");
    let told: Told = Arc::default();
    for round in 0..CRASHES {
        let tokens = stage.home.tokens(&format!("fan{round}"), "member", 16);
        let mut load = tokio::task::JoinSet::new();
        for (number, token) in tokens.into_iter().enumerate() {
            let client = stage.anyone.with_token(&token);
            load.spawn(issue_until_cut(client, path.clone(), format!("{round}-{number}"), told.clone()));
        }
        let before = told.lock().len();
        until("answers under load", || async { told.lock().len() }, |count| *count >= before + 50).await;
        stage = stage.crash().await;
        while let Some(client) = load.join_next().await {
            client.expect("a client under load");
        }
    }
    assert_all_told_is_logged_once(&stage.home, &told.lock());
    stage.home.assert_audit_passes();
}

fn assert_all_told_is_logged_once(home: &Home, told: &BTreeMap<String, String>) {
    let export = home.export();
    let issued: Vec<&str> = export
        .iter()
        .filter(|event| event["kind"] == "coupon.issued")
        .map(|event| event["data"]["task_id"].as_str().unwrap())
        .collect();
    let distinct: BTreeSet<&str> = issued.iter().copied().collect();
    assert_eq!(issued.len(), distinct.len(), "a task is in the log twice");
    let lost: Vec<&String> = told.values().filter(|task| !distinct.contains(task.as_str())).collect();
    assert!(told.len() >= CRASHES * 50 && lost.is_empty(), "{} answered, lost: {lost:?}", told.len());
    let serials: Vec<u64> = export
        .iter()
        .filter(|event| event["kind"] == "coupon.issued")
        .map(|event| event["data"]["serial"].as_u64().unwrap())
        .collect();
    assert!(serials.iter().copied().eq(1..=serials.len() as u64), "serials are the order of the log");
}

#[tokio::test]
async fn ten_crashes_lose_no_answer_on_sqlite() {
    crash_again_and_again(Kind::Sqlite).await;
}

#[tokio::test]
async fn ten_crashes_lose_no_answer_on_postgres() {
    crash_again_and_again(Kind::Postgres).await;
}

#[tokio::test]
async fn the_same_key_gets_the_same_answer_after_a_crash() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let body = json!({"seats": ["A-1-1", "B-1-1"]});
        let first = stage.member("kim").key("k").post(&stage.orders(), &body).await.expect(201);
        let stage = stage.crash().await;
        let again = stage.member("kim").key("k").post(&stage.orders(), &body).await.expect(201);
        assert_eq!(first.body, again.body);
        stage.member("lee").key("k").post(&stage.orders(), &body).await.problem(409, "seat-unavailable");
    }
}

#[tokio::test]
async fn holds_that_ran_out_meanwhile_are_released() {
    for kind in BOTH {
        let stage = Stage::set_with(kind, |body| body["hold_seconds"] = json!(5)).await;
        let order = stage.member("kim").key("k").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(201);
        let due = order.str("hold_expires_at");
        let Stage { home, server, performance, .. } = stage;
        server.kill().await;
        let clock = || async {
            use onsale::clock::Clock;
            onsale::clock::SystemClock.wall().to_string()
        };
        until("the hold to run out while nobody serves", clock, |now| *now > due).await;
        let stage = Stage::again(home, performance).await;
        let path = format!("/v1/orders/{}", order.str("order_id"));
        let kim = stage.member("kim");
        until("the order to expire", || kim.get(&path), |order| order.body["status"] == "expired").await;
        stage.member("lee").key("k").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(201);
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn watchers_miss_nothing_across_crashes() {
    for kind in BOTH {
        let mut stage = Stage::set(kind).await;
        let mut last: Option<String> = None;
        let mut seen = Vec::new();
        for round in 0..4 {
            let path = format!("/v1/performances/{}/seats/events", stage.performance);
            let mut stream = Stream::open(&stage.anyone, &path, last.as_deref()).await;
            let mut expected = 2;
            if round == 0 {
                let snapshot = stream.frame().await;
                assert_eq!(snapshot.event, "snapshot");
                last = snapshot.id;
            } else {
                // One change was made after the last frame was read and before the crash.
                expected += 1;
            }
            let kim = stage.member("kim");
            for seat in 1..=2 {
                let seats = json!({"seats": [format!("A-1-{}", round * 2 + seat)]});
                kim.key(&format!("{round}-{seat}")).post(&stage.orders(), &seats).await.expect(201);
            }
            for _ in 0..expected {
                let frame = stream.frame().await;
                assert_eq!(frame.data["prev"].as_str(), last.as_deref(), "nothing is missing, nothing comes twice");
                last = frame.id;
                seen.push(frame.data["seats"][0].as_str().unwrap().to_owned());
            }
            let unseen = json!({"seats": [format!("B-1-{}", round + 1)]});
            kim.key(&format!("{round}-b")).post(&stage.orders(), &unseen).await.expect(201);
            stage = stage.crash().await;
        }
        let expected =
            ["A-1-1", "A-1-2", "B-1-1", "A-1-3", "A-1-4", "B-1-2", "A-1-5", "A-1-6", "B-1-3", "A-1-7", "A-1-8"];
        assert_eq!(seen, expected);
    }
}

#[tokio::test]
async fn sigterm_finishes_what_is_under_way() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let mut body = crate::support::stage::coupon_body(1_000_000);
        body["per_member"] = json!(100);
        let coupon = stage.seller.post("/v1/coupons", &body).await.expect(201).str("coupon_id");
        let told: Told = Arc::default();
        let mut load = tokio::task::JoinSet::new();
        for (number, token) in stage.home.tokens("fan", "member", 8).into_iter().enumerate() {
            let client = stage.anyone.with_token(&token);
            load.spawn(issue_until_cut(
                client,
                format!("/v1/coupons/{coupon}/issue"),
                format!("{number}"),
                told.clone(),
            ));
        }
        until("answers under load", || async { told.lock().len() }, |count| *count >= 50).await;
        let Stage { home, server, .. } = stage;
        let status = server.terminate().await;
        assert_eq!(status.code(), Some(0));
        while let Some(client) = load.join_next().await {
            client.expect("a client under load");
        }
        let export = home.export();
        let logged: BTreeSet<&str> = export.iter().filter_map(|event| event["data"]["task_id"].as_str()).collect();
        assert!(told.lock().values().all(|task| logged.contains(task.as_str())));
        home.assert_audit_passes();
        // Its place is free at once.
        let again = Server::start(&home).await;
        assert_eq!(again.terminate().await.code(), Some(0));
    }
}
