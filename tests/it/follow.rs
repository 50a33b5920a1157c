//! A node that follows: everything that can be read, nothing that can be done, and streams that go on whatever happens to
//! the node that writes and to the hints between them.

use onsale::clock::Clock;
use serde_json::{Value, json};

use crate::support::redis::Redis;
use crate::support::server::Home;
use crate::support::sse::Stream;
use crate::support::stage::Stage;
use crate::support::wait::until;
use crate::support::{Client, Kind, Server};

/// The same people at another node.
fn at(client: &Client, node: &Server) -> Client {
    client.elsewhere(&node.base)
}

async fn paid(stage: &Stage, store: &str, number: u64) -> Value {
    let body = json!({"payment_id": format!("p-{number}"), "amount": 1_000 + number, "currency": "KRW", "method": "card",
        "paid_at": onsale::clock::SystemClock.wall().to_string()});
    let path = format!("/v1/stores/{store}/payments");
    let pos = stage.anyone.with_token(&stage.home.token("pos-1", "pos", Some(store)));
    pos.post(&path, &body).await.expect(201).body
}

#[tokio::test]
async fn everything_can_be_read_elsewhere_and_nothing_done() {
    let stage = Stage::set(Kind::Postgres).await;
    let node = Server::follow(&stage.home, &[]).await;
    let kim = stage.member("kim");
    let (coupon, store) = (stage.coupon(5).await, stage.store().await);
    let order = kim.key("o").post(&stage.orders(), &json!({"seats": ["A-1-1", "A-1-2"]})).await.expect(201);
    let task = kim.key("c").post(&format!("/v1/coupons/{coupon}/issue"), &json!({})).await.expect(201).str("task_id");
    let last = paid(&stage, &store, 1).await["position"].as_str().expect("a position").to_owned();
    let performance = &stage.performance;
    let paths = [
        (&stage.anyone, format!("/v1/performances/{performance}")),
        (&stage.anyone, format!("/v1/performances/{performance}/seats")),
        (&stage.anyone, format!("/v1/coupons/{coupon}")),
        (&stage.anyone, "/v1/performances".to_owned()),
        (&stage.anyone, "/v1/rankings/shows?window=1h".to_owned()),
        (&kim, format!("/v1/orders/{}", order.str("order_id"))),
        (&kim, format!("/v1/coupon-tasks/{task}")),
        (&kim, "/v1/orders".to_owned()),
        (&kim, "/v1/accounts/me/coupons".to_owned()),
        (&stage.seller, format!("/v1/coupons/{coupon}/statistics")),
        (&stage.seller, format!("/v1/stores/{store}/payments")),
        (&stage.admin, format!("/v1/admin/streams/order/{}", order.str("order_id"))),
    ];
    for (who, path) in &paths {
        let mark = if path.contains('?') { '&' } else { '?' };
        let seen = [order.str("position"), last.clone()].map(|position| format!("min_position={position}")).join("&");
        let path = if path.contains("/admin/") { path.clone() } else { format!("{path}{mark}{seen}") };
        let timeless = |mut body: Value| {
            // The reading's own time, and what each node refused by itself.
            if let Some(body) = body.as_object_mut().filter(|body| body.contains_key("position")) {
                body.remove("at");
                body.remove("refused");
            }
            body
        };
        let look = || async {
            let (here, there) = tokio::join!(who.get(&path), async { at(who, &node).get(&path).await });
            (timeless(here.expect(200).body), timeless(there.expect(200).body))
        };
        until(&path, look, |(here, there)| here == there).await;
    }
    let commands = [
        (&kim, stage.orders(), json!({"seats": ["A-1-3"]})),
        (&kim, format!("/v1/coupons/{coupon}/issue"), json!({})),
        (&stage.seller, "/v1/stores".to_owned(), json!({"name": "2호점"})),
        (&stage.anyone, "/v1/psp/toss/webhook".to_owned(), json!({})),
    ];
    for (who, path, body) in &commands {
        let refused = at(who, &node).key("k").post(path, body).await.problem(503, "not-owner");
        assert_eq!(refused.header("retry-after"), Some("1"), "{path}");
    }
    let path = format!("/v1/orders/{}/events", order.str("order_id"));
    at(&kim, &node).post("/v1/stream-tickets", &json!({"path": path})).await.expect(201);
    let ready = at(&stage.anyone, &node).get("/readyz").await.expect(200);
    assert_eq!(ready.body["ready"], true);
    assert_eq!(stage.server.terminate().await.code(), Some(0));
    // Nobody writes any more; what there is can still be read.
    at(&kim, &node).get(&format!("/v1/coupon-tasks/{task}")).await.expect(200);
    assert_eq!(node.terminate().await.code(), Some(0));
}

#[tokio::test]
async fn only_a_postgres_can_be_followed() {
    let home = Home::new(Kind::Sqlite).await;
    let output = home.run(&["serve", "--follow", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.code() == Some(78) && said.contains("--follow reads the log of a Postgres"), "{said}");
    let home = Home::new(Kind::Postgres).await;
    let output = home.run(&["serve", "--follow", "--listen", "127.0.0.1:0", "--redis-url", "http://secret@x"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("redis.url") && !said.contains("secret"), "{said}");
}

#[tokio::test]
async fn streams_begin_and_go_on_at_any_node() {
    let stage = Stage::set(Kind::Postgres).await;
    let node = Server::follow(&stage.home, &[]).await;
    let kim = stage.member("kim");
    let (there, seats) = (at(&stage.anyone, &node), format!("/v1/performances/{}/seats/events", stage.performance));
    let mut map = Stream::open(&there, &seats, None).await;
    assert_eq!(map.frame().await.event, "snapshot");
    for round in 1..=6 {
        let seat = format!("A-1-{round}");
        let order = kim.key(&seat).post(&stage.orders(), &json!({"seats": [seat]})).await.expect(201);
        let (id, position) = (order.str("order_id"), order.str("position"));
        // At once, at the node that has not heard of it: there is such an order.
        let mut own = Stream::open(&at(&kim, &node), &format!("/v1/orders/{id}/events"), None).await;
        let placed = own.frame().await;
        assert_eq!((placed.event.as_str(), placed.id.as_deref()), ("order", Some(position.as_str())));
        // At once, with what the other node has shown: nothing is from the future.
        let mut resumed = Stream::open(&there, &seats, Some(&position)).await;
        let held = map.frame().await;
        assert_eq!((held.event.as_str(), held.id.as_deref()), ("seat.held", Some(position.as_str())));
        kim.key(&format!("c{round}")).post(&format!("/v1/orders/{id}/cancel"), &json!({})).await.expect(200);
        assert_eq!(own.frame().await.data["status"], "cancelled");
        let (released, again) = (map.frame().await, resumed.frame().await);
        assert_eq!((released.event.as_str(), &released), ("seat.released", &again));
    }
    let future = "63:99999999";
    let mut lost = Stream::open(&there, &seats, Some(future)).await;
    assert_eq!((lost.frame().await.event, lost.frame().await.event), ("reset".to_owned(), "snapshot".to_owned()));
}

#[tokio::test]
async fn a_result_is_told_by_another_node_when_that_which_took_the_request_is_gone() {
    let stage = Stage::set(Kind::Postgres).await;
    let node = Server::follow(&stage.home, &[]).await;
    let kim = stage.member("kim");
    let coupon = stage.coupon(5).await;
    let issue =
        kim.key("c").with("prefer", "respond-async").post(&format!("/v1/coupons/{coupon}/issue"), &json!({})).await;
    let task = issue.expect(202).str("task_id");
    let order = kim.key("o").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(201).str("order_id");
    let again = kim.clone();
    stage.server.kill().await;
    let kim = at(&kim, &node);
    let mut result = Stream::open(&kim, &format!("/v1/coupon-tasks/{task}/events"), None).await;
    let frame = result.frame().await;
    assert_eq!(
        (frame.event.as_str(), &frame.data["status"], &frame.data["serial"]),
        ("result", &json!("issued"), &json!(1))
    );
    assert_eq!(result.next().await, None);
    let mut own = Stream::open(&kim, &format!("/v1/orders/{order}/events"), None).await;
    assert_eq!(own.frame().await.data["status"], "awaiting_payment");
    // Somebody else takes over, and the stream goes on with what happens there.
    let server = Server::start(&stage.home).await;
    at(&again, &server).key("x").post(&format!("/v1/orders/{order}/cancel"), &json!({})).await.expect(200);
    assert_eq!(own.frame().await.data["status"], "cancelled");
}

#[tokio::test]
async fn hints_are_worth_nothing_and_their_carrier_may_do_what_it_likes() {
    let mut redis = Redis::start().await;
    let home = Home::new(Kind::Postgres).await;
    std::fs::write(home.config(), format!("[redis]\nurl = \"{}\"\n", redis.url)).expect("the directory is ours");
    let stage = Stage::set_on(home, |_| {}).await;
    let node = Server::follow(&stage.home, &[]).await;
    let store = stage.store().await;
    let display = stage.anyone.with_token(&stage.home.token("screen", "display", Some(&store)));
    let mut feed = Stream::open(&at(&display, &node), &format!("/v1/stores/{store}/payments/events"), None).await;
    let counted = |name: &'static str| {
        let metrics = at(&stage.anyone, &node);
        move || {
            let metrics = metrics.clone();
            async move {
                let text = metrics.get("/metrics").await.expect(200).text;
                let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_default().to_owned();
                line.rsplit(' ').next().and_then(|number| number.parse::<f64>().ok()).unwrap_or_default()
            }
        }
    };
    let news = counted("onsale_hints_total{result=\"news\"}");
    let mut number = 0;
    // They do arrive, and are what makes this node look.
    let hinted = async {
        while news().await < 3.0 {
            number += 1;
            let sent = paid(&stage, &store, number).await;
            assert_eq!(feed.frame().await.id.as_deref(), sent["position"].as_str());
        }
    };
    tokio::time::timeout(std::time::Duration::from_secs(30), hinted).await.expect("hints are heard");
    for trouble in 0..6 {
        match trouble {
            0 => redis.stop().await,
            1 => redis.again().await,
            2 => drop(redis.said("FLUSHALL").await.expect("an answer")),
            3 => redis.freeze(),
            4 => redis.thaw(),
            _ => {
                until("a listener", || redis.publish("junk"), |heard| *heard > 0).await;
                let all: Vec<String> = (0..70).map(|partition| format!("{partition}:18446744073709551615")).collect();
                for lie in [&all.join(" "), "0:0", "1:-1", "", "\n\n", &"9".repeat(100_000)] {
                    redis.publish(lie).await;
                }
            }
        }
        for _ in 0..5 {
            number += 1;
            let sent = paid(&stage, &store, number).await;
            let frame = feed.frame().await;
            assert_eq!(frame.id.as_deref(), sent["position"].as_str(), "trouble {trouble}");
            assert_eq!(frame.data["amount"], 1_000 + number);
        }
    }
    assert_eq!(at(&stage.anyone, &node).get("/readyz").await.expect(200).body["ready"], true);
    stage.home.assert_audit_passes();
}
