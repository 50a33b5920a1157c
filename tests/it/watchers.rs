//! Who may watch, and who is seen watching: places for streams, displays of a store, and what they are shown.

use serde_json::{Value, json};

use crate::base::postgres;
use crate::support::Client;
use crate::support::raw::Raw;
use crate::support::server::{BOTH, Home, Kind};
use crate::support::sse::Stream;
use crate::support::stage::Stage;
use crate::support::wait::until;

/// A sale on a node with these options of `[sse]`.
pub async fn stage_with(kind: Kind, options: &str) -> Stage {
    let home = Home::new(kind).await;
    std::fs::write(home.config(), format!("[sse]\n{options}\n")).expect("a file");
    Stage::set_on(home, |_| {}).await
}

/// What a metric says, all its labels together; 0 where it was never counted.
pub async fn metric(client: &Client, name: &str) -> f64 {
    let text = client.get("/metrics").await.expect(200).text;
    let values = text.lines().filter(|line| line.starts_with(name)).filter_map(|line| line.rsplit(' ').next());
    values.map(|value| value.parse::<f64>().expect("a number")).sum()
}

fn now() -> onsale::timestamp::Timestamp {
    use onsale::clock::Clock;
    onsale::clock::SystemClock.wall()
}

async fn pay(pos: &Client, store: &str, id: &str) -> String {
    let body = json!({"payment_id": id, "amount": 500, "currency": "KRW", "method": "card",
        "paid_at": now().to_string()});
    pos.post(&format!("/v1/stores/{store}/payments"), &body).await.expect(201).str("position")
}

#[tokio::test]
async fn streams_are_bounded_per_account_address_and_node() {
    let options = "max_per_account = 2\nmax_per_address = 4\nmax_per_node = 5\nuncounted_addresses = \"127.0.0.3\"";
    let stage = stage_with(Kind::Sqlite, options).await;
    let kim = stage.member("kim");
    let order = kim.key("1").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(201);
    let own = format!("/v1/orders/{}/events", order.str("order_id"));
    let public = format!("/v1/performances/{}/seats/events", stage.performance);
    let refused = |answer: crate::support::http::Answer, status: u16, code: &str| {
        let answer = answer.problem(status, code);
        let seconds: u64 = answer.header("retry-after").expect("when to come back").parse().expect("seconds");
        assert!((3..=12).contains(&seconds), "{seconds}");
        answer.body["per"].clone()
    };

    let mut first = Stream::open(&kim, &own, None).await;
    first.frame().await;
    let second = Stream::open(&kim, &own, None).await;
    assert_eq!(refused(kim.get(&own).await, 429, "too-many-streams"), json!("account"));
    // Rankings are streams, too, and come from the same address.
    let board = Stream::open(&stage.anyone, "/v1/rankings/shows/events", None).await;
    assert_eq!((second.status, board.status), (200, 200));
    let fourth = Stream::open(&stage.anyone, &public, None).await;
    assert_eq!(fourth.status, 200);
    assert_eq!(refused(stage.anyone.get(&public).await, 429, "too-many-streams"), json!("address"));
    let mut elsewhere = Raw::ask(&stage.server, "127.0.0.2", &public, None).await;
    assert_eq!(elsewhere.status().await, 200, "another address has places of its own");
    let mut beyond = Raw::ask(&stage.server, "127.0.0.3", &public, None).await;
    assert_eq!(beyond.status().await, 503, "the node is full even for who is not counted");
    for (why, count) in [("account", 1.0), ("address", 1.0), ("node", 1.0)] {
        let name = format!("onsale_watchers_refused_total{{why=\"{why}\"}}");
        assert_eq!(metric(&stage.anyone, &name).await, count, "{why}");
    }

    drop((first, fourth));
    let again = async || Stream::open(&kim, &own, None).await;
    let again = until("a place that was given back", again, |stream: &Stream| stream.status == 200).await;
    assert_eq!(refused(kim.get(&own).await, 429, "too-many-streams"), json!("account"));
    let mut uncounted = Raw::ask(&stage.server, "127.0.0.3", &public, None).await;
    assert_eq!(uncounted.status().await, 200);
    drop((again, second, board));
    // Broken off without goodbye: places and topics go all the same.
    for raw in [elsewhere, uncounted, beyond] {
        raw.reset();
    }
    until("no watchers", || metric(&stage.anyone, "onsale_watchers "), |count| *count == 0.0).await;
    until("a seat map at most", || metric(&stage.anyone, "onsale_topics "), |count| *count <= 1.0).await;
}

#[tokio::test]
async fn an_owner_sees_which_displays_are_connected() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let (store, other) = (stage.store().await, stage.store().await);
        let device = |sub, role, store: &str| stage.anyone.with_token(&stage.home.token(sub, role, Some(store)));
        let pos = device("pos-1", "pos", &store);
        let (one, two) = (device("screen-1", "display", &store), device("screen-2", "display", &store));
        let feed = format!("/v1/stores/{store}/payments/events");
        let path = format!("/v1/stores/{store}/displays");
        let shown = async |of: &str| {
            let answer = stage.seller.get(&format!("/v1/stores/{of}/displays")).await.expect(200);
            assert_eq!(answer.body["next_cursor"], Value::Null);
            answer.body["items"].as_array().expect("a list").clone()
        };
        let positions = |items: &[Value]| -> Vec<(Value, Value)> {
            items.iter().map(|item| (item["account"].clone(), item["position"].clone())).collect()
        };
        assert_eq!(shown(&store).await, Vec::<Value>::new());

        let before = now();
        let mut first = Stream::open(&one, &feed, None).await;
        let paid = pay(&pos, &store, "p-1").await;
        assert_eq!(first.frame().await.id, Some(paid.clone()));
        let second = Stream::open(&two, &feed, Some(&paid)).await;
        let third = Stream::open(&stage.seller, &feed, None).await;
        assert_eq!((second.status, third.status), (200, 200));
        // A fresh one is told where the feed stands before it gets a frame.
        let expected = ["screen-1", "screen-2", "seller-1"].map(|account| (json!(account), json!(paid)));
        let items = until("all of them", || shown(&store), |items: &Vec<Value>| positions(items) == expected).await;
        assert_eq!((&items[0]["role"], &items[2]["role"]), (&json!("display"), &json!("seller")));
        assert!(items[0]["node"].as_str().is_some_and(|node| node.starts_with("node-")), "{items:?}");
        let since = items[0]["connected_at"].as_str().expect("a time");
        assert!(before.to_string().as_str() <= since && since <= now().to_string().as_str(), "{since}");
        assert_eq!(shown(&other).await, Vec::<Value>::new(), "a display of one store is none of another");

        let paid = pay(&pos, &store, "p-2").await;
        assert_eq!(first.frame().await.id, Some(paid.clone()));
        let all_have_it = |items: &Vec<Value>| items.iter().all(|item| item["position"] == json!(paid));
        until("the new payment on all", || shown(&store), all_have_it).await;
        drop((second, third));
        until("one display left", || shown(&store), |items: &Vec<Value>| items.len() == 1).await;

        for (who, status, code) in [
            (&stage.member("kim"), 403, "role-required"),
            (&one, 403, "role-required"),
            (&stage.anyone.with_token(&stage.home.token("seller-2", "seller", None)), 404, "not-found"),
            (&stage.anyone, 401, "unauthorized"),
        ] {
            who.get(&path).await.problem(status, code);
        }
        stage.admin.get(&path).await.expect(200);
        if let Some(url) = stage.home.owner_url() {
            // Another node's word, as that node would write it; and one that has been silent for too long.
            let word = |node: &str, account: &str, age: u32| {
                format!(
                    "INSERT INTO log.presence VALUES ('{node}', now() - interval '{age} s', '[{{\"store\": \"{store}\", \
                     \"account\": \"{account}\", \"role\": \"display\", \"connected_at\": 1795000000000, \"position\": \"1:2\"}}]')"
                )
            };
            postgres::sql(&url, &word("node-far", "screen-9", 1)).await;
            postgres::sql(&url, &word("node-gone", "screen-8", 20)).await;
            let items = shown(&store).await;
            assert_eq!(positions(&items)[1..], [(json!("screen-9"), json!("1:2"))]);
            assert_eq!(items[1]["node"], "node-far");
            // And ours is written down for the others.
            let ours = format!(
                "DO $$ BEGIN ASSERT (SELECT count(*) FROM log.presence WHERE node = '{}' AND \
                displays @> '[{{\"account\": \"screen-1\"}}]') = 1; END $$",
                items[0]["node"].as_str().expect("a name")
            );
            until("our word", || postgres::holds(&url, &ours), |holds| *holds).await;
        }
    }
}

#[tokio::test]
async fn a_display_follows_its_own_store_and_forgets_what_is_old() {
    let stage = stage_with(Kind::Sqlite, "store_resume_seconds = 1").await;
    let (store, other) = (stage.store().await, stage.store().await);
    let pos = stage.anyone.with_token(&stage.home.token("pos-1", "pos", Some(&store)));
    let display = stage.anyone.with_token(&stage.home.token("screen-1", "display", Some(&store)));
    let feed = format!("/v1/stores/{store}/payments/events");
    let foreign = format!("/v1/stores/{other}/payments/events");
    display.get(&foreign).await.problem(404, "not-found");
    let ticket = display.post("/v1/stream-tickets", &json!({"path": foreign})).await.expect(201).str("ticket");
    stage.anyone.get(&format!("{foreign}?ticket={ticket}")).await.problem(404, "not-found");

    let first = pay(&pos, &store, "p-1").await;
    pay(&pos, &store, "p-2").await;
    let cancel = format!("/v1/stores/{store}/payments/p-1/cancel");
    let cancelled = pos.post(&cancel, &json!({})).await.expect(201).str("position");
    let mut stream = Stream::open(&display, &feed, Some(&first)).await;
    let latest = stream.frame().await;
    assert_eq!((latest.event.as_str(), &latest.data["skipped"]), ("payment.cancelled", &json!(1)));
    assert_eq!(latest.id, Some(cancelled.clone()));
    let old = now().plus(std::time::Duration::from_millis(1_100));
    until("the cancellation to be old", async || now(), |now| *now > old).await;
    let mut stream = Stream::open(&display, &feed, Some(&first)).await;
    let third = pay(&pos, &store, "p-3").await;
    let next = stream.frame().await;
    assert_eq!((next.id, next.data["prev"].as_str()), (Some(third), Some(cancelled.as_str())));
    let mut all = Stream::open(&display, &format!("{feed}?resume=all"), Some(&first)).await;
    for expected in ["payment", "payment.cancelled", "payment"] {
        assert_eq!(all.frame().await.event, expected);
    }
}
