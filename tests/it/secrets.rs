//! Does a log ever say what nobody may read in it? A whole small sale under the most talkative log there is.

use serde_json::json;

use crate::base::postgres;
use crate::support::markers::Markers;
use crate::support::redis::Redis;
use crate::support::server::{BOTH, Kind, Server};
use crate::support::shop::{PSP_KEY, Plan, Shop};
use crate::support::sse::Stream;

/// What the node has in its files, and was told by its configuration.
fn of_the_node(shop: &Shop, markers: &mut Markers) {
    let keys = std::fs::read_to_string(shop.home.data().join("keys.json")).expect("the node's keys");
    let keys: serde_json::Value = serde_json::from_str(&keys).expect("JSON");
    let mut texts = Vec::new();
    leaves(&keys, &mut texts);
    let long: Vec<&String> = texts.iter().filter(|text| text.len() >= 32).collect();
    assert!(long.len() >= 2, "keys of tokens and of tickets");
    for key in long {
        markers.mark("a key of the node", key.as_str());
    }
    markers.mark("the provider's key", PSP_KEY);
    if shop.home.database_url().is_some() {
        markers.mark("the database's password", postgres::SERVER_PASSWORD);
    }
}

fn leaves(value: &serde_json::Value, texts: &mut Vec<String>) {
    match value {
        serde_json::Value::String(text) => texts.push(text.clone()),
        serde_json::Value::Array(items) => items.iter().for_each(|item| leaves(item, texts)),
        serde_json::Value::Object(members) => members.values().for_each(|member| leaves(member, texts)),
        _ => {}
    }
}

async fn sale(shop: &Shop, markers: &mut Markers) {
    let token = |sub: &str, role: &str, store: Option<&str>| shop.home.token(sub, role, store);
    let kim = markers.mark_token("a member's token", token("kim", "member", None));
    let kim = shop.anyone.with_token(&kim);
    let key = |markers: &mut Markers, name: &str| markers.mark("an idempotency key", format!("marker-key-{name}"));
    let placing = key(markers, "place");
    let reference = markers.mark("an order's reference", "marker-reference-of-kim");
    let orders = format!("/v1/performances/{}/orders", shop.performance);
    let body = json!({"seats": ["A-1-1", "A-1-2"], "reference": reference});
    let order = kim.key(&placing).post(&orders, &body).await.expect(201).str("order_id");
    let again = markers.mark("another body", "marker-reference-reused");
    kim.key(&placing).post(&orders, &json!({"seats": ["A-1-1"], "reference": again})).await.expect(422);
    for (what, junk) in [
        ("a member nobody knows", json!({"seats": ["A-1-3"], "marker-member": "marker-of-unknown-member"})),
        ("a value of the wrong type", json!({"seats": "marker-of-wrong-type"})),
    ] {
        markers.mark(what, "marker-member");
        markers.mark(what, if what.contains("type") { "marker-of-wrong-type" } else { "marker-of-unknown-member" });
        kim.key(&key(markers, what.split(' ').next_back().expect("words"))).post(&orders, &junk).await.expect(400);
    }
    let broken = markers.mark("a body that is no JSON", "marker-of-broken-body");
    kim.key(&key(markers, "broken")).post_raw(&orders, format!("{{\"reference\": \"{broken}")).await.expect(400);

    // A browser: a ticket in the address.
    let path = format!("/v1/orders/{order}/events");
    let ticket = kim.post("/v1/stream-tickets", &json!({"path": path})).await.expect(201).str("ticket");
    let ticket = markers.mark_token("a stream's ticket", ticket);
    let mut stream = Stream::open(&shop.anyone, &format!("{path}?ticket={ticket}"), None).await;
    assert_eq!(stream.frame().await.event, "order");
    shop.anyone.get(&format!("/v1/orders?ticket={ticket}")).await.expect(400);
    let forged = markers.mark("a forged ticket", "marker.forged-ticket.signature");
    shop.anyone.get(&format!("{path}?ticket={forged}")).await.expect(401);

    // Paid, and given back with a reason.
    let body = json!({"payment_key": "pk_1", "amount": 2 * shop.price});
    kim.key(&key(markers, "pay")).post(&format!("/v1/orders/{order}/payment"), &body).await.expect(200);
    let paid = shop.order(&kim, &order).await;
    let code =
        kim.get(&format!("/v1/tickets/{}", paid.body["tickets"][0]["ticket_id"].as_str().expect("a ticket"))).await;
    markers.mark_token("a ticket's code", code.expect(200).str("code"));
    assert_eq!(stream.frame().await.event, "order");
    let reason = markers.mark("a reason of a person", "marker: 아파서 \"못\" 갑니다");
    let cancel = format!("/v1/orders/{order}/cancel");
    kim.key(&key(markers, "cancel")).post(&cancel, &json!({"reason": reason})).await.expect(200);
    let pause = markers.mark("a seller's reason", "marker-reason-of-pause");
    shop.seller
        .post(&format!("/v1/performances/{}/pause", shop.performance), &json!({"reason": pause}))
        .await
        .expect(200);

    // A coupon, and a counter.
    let body = crate::support::stage::coupon_body(3);
    let coupon = shop.seller.post("/v1/coupons", &body).await.expect(201).str("coupon_id");
    kim.key(&key(markers, "coupon")).post(&format!("/v1/coupons/{coupon}/issue"), &json!({})).await.expect(201);
    let store = shop.seller.post("/v1/stores", &json!({"name": "가게"})).await.expect(201).str("store_id");
    let till = shop.anyone.with_token(&markers.mark_token("a till's token", token("till-1", "pos", Some(&store))));
    let now = onsale::clock::Clock::wall(&onsale::clock::SystemClock).to_string();
    let payment = json!({"payment_id": "p1", "amount": 100, "currency": "KRW", "method": "card", "paid_at": now});
    till.post(&format!("/v1/stores/{store}/payments"), &payment).await.expect(201);

    // Who is nobody.
    for (what, wrong) in [
        ("a token that is none", "marker-malformed-token"),
        ("a token of another key", "eyJhbGciOiJIUzI1NiJ9.eyJtYXJrZXItc3ViIjoxfQ.marker-wrong-signature"),
    ] {
        let wrong = markers.mark_token(what, wrong);
        shop.anyone.with_token(&wrong).get("/v1/orders").await.expect(401);
    }
    let basic = markers.mark("a password of another scheme", "bWFya2VyLWJhc2ljLXBhc3N3b3Jk");
    shop.anyone.with("authorization", &format!("Basic {basic}")).get("/v1/orders").await.expect(401);
    let cookie = markers.mark("a cookie", "session=marker-cookie");
    shop.anyone.with("cookie", &cookie).get("/v1/orders").await.expect(401);
}

/// A second node, and what both have to say when their Redis goes away.
async fn elsewhere(shop: &Shop, mut redis: Redis, markers: &mut Markers) {
    let node = Server::follow(&shop.home, &[]).await;
    let lee = shop.home.token("lee", "member", None);
    let lee = shop.anyone.with_token(&markers.mark_token("a token at another node", lee)).elsewhere(&node.base);
    lee.get("/v1/orders").await.expect(200);
    let path = format!("/v1/performances/{}/seats/events", shop.performance);
    let ticket = lee.post("/v1/stream-tickets", &json!({"path": path})).await.expect(201).str("ticket");
    let ticket = markers.mark_token("a ticket of another node", ticket);
    let mut stream = Stream::open(&shop.anyone.elsewhere(&node.base), &format!("{path}?ticket={ticket}"), None).await;
    assert_eq!(stream.frame().await.event, "snapshot");
    redis.stop().await;
    let block = json!({"seats": ["A-1-9"], "reason": markers.mark("a reason to block", "marker-reason-of-block")});
    shop.seller.post(&format!("/v1/performances/{}/seats/block", shop.performance), &block).await.expect(200);
    assert_eq!(stream.frame().await.event, "seat.blocked");
    assert!(node.terminate().await.success());
}

#[tokio::test(flavor = "multi_thread")]
async fn logs_at_their_most_talkative_keep_secrets() {
    for kind in BOTH {
        let mut markers = Markers::default();
        let redis = Redis::start().await;
        let password = markers.mark("the password of Redis", "marker-of-redis");
        redis.said(&format!("CONFIG SET requirepass {password}")).await.expect("it runs");
        let url = redis.url.replace("redis://", &format!("redis://:{password}@"));
        let more = if kind == Kind::Postgres { format!("[redis]\nurl = \"{url}\"\n") } else { String::new() };
        let shop = Shop::open(Plan { kind, tells: true, more, ..Plan::default() }).await;
        of_the_node(&shop, &mut markers);
        sale(&shop, &mut markers).await;
        if kind == Kind::Postgres {
            elsewhere(&shop, redis, &mut markers).await;
        }
        assert!(shop.server.terminate().await.success());
        let told = std::fs::read_to_string(shop.home.told()).expect("the node's log");
        for word in ["\"TRACE\"", "\"DEBUG\"", "hyper", "\"ready\""] {
            assert!(told.contains(word), "{kind:?}: a log at trace says {word}");
        }
        let found = markers.found_in(&told);
        let lines = |secret: &String| {
            let value = secret.split_once(" (").map_or("", |(_, value)| value.trim_end_matches(')'));
            told.lines().find(|line| line.contains(value)).unwrap_or_default().to_owned()
        };
        let lines: Vec<String> = found.iter().map(lines).collect();
        assert!(found.is_empty(), "{kind:?}: the log says {found:#?}, for example {lines:#?}");
    }
}
