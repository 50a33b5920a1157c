//! Watchers: every change once, in order, across reconnects.

use serde_json::json;

use crate::support::server::BOTH;
use crate::support::sse::Stream;
use crate::support::stage::Stage;

#[tokio::test]
async fn the_seat_map_is_a_snapshot_and_then_every_change() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let kim = stage.member("kim");
        kim.key("1").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(201);
        let path = format!("/v1/performances/{}/seats/events", stage.performance);
        let mut stream = Stream::open(&stage.anyone, &path, None).await;
        assert_eq!(stream.headers["content-type"], "text/event-stream");
        assert_eq!(stream.headers["cache-control"], "no-cache, no-transform");
        let snapshot = stream.frame().await;
        assert_eq!(snapshot.event, "snapshot");
        assert!(stream.retry.is_some_and(|retry| (2_000..=5_000).contains(&retry)));
        assert_eq!(snapshot.data["seats"], json!([{"seat_id": "A-1-1", "status": "held"}]));

        let order = kim.key("2").post(&stage.orders(), &json!({"seats": ["A-1-3", "A-1-2"]})).await.expect(201);
        let held = stream.frame().await;
        assert_eq!((held.event.as_str(), &held.data["status"]), ("seat.held", &json!("held")));
        assert_eq!(held.data["seats"].as_array().unwrap().len(), 2, "an order over two seats is one frame");
        assert_eq!(held.id.as_deref(), order.body["position"].as_str(), "the same string as in the answer");
        assert_eq!(held.data["prev"].as_str(), snapshot.id.as_deref());
        drop(stream);

        kim.key("3").post(&format!("/v1/orders/{}/cancel", order.str("order_id")), &json!({})).await.expect(200);
        let block = json!({"seats": ["B-1-8"], "reason": "x"});
        stage.seller.post(&format!("/v1/performances/{}/seats/block", stage.performance), &block).await.expect(200);
        let mut stream = Stream::open(&stage.anyone, &path, held.id.as_deref()).await;
        let (released, blocked) = (stream.frame().await, stream.frame().await);
        assert_eq!((released.event.as_str(), released.data["prev"].as_str()), ("seat.released", held.id.as_deref()));
        assert_eq!((blocked.event.as_str(), blocked.data["prev"].as_str()), ("seat.blocked", released.id.as_deref()));

        let partition = held.id.as_deref().unwrap().split(':').next().unwrap().to_owned();
        let future = format!("{partition}:999999");
        let mut stream = Stream::open(&stage.anyone, &path, Some(&future)).await;
        assert_eq!(stream.frame().await.event, "reset");
        assert_eq!(stream.frame().await.event, "snapshot");
        for junk in ["x", "-1", "1:-1", "99999999999999999999:1"] {
            stage.anyone.with("last-event-id", junk).get(&path).await.expect(400);
        }
    }
}

#[tokio::test]
async fn an_order_and_a_coupon_task_can_be_followed() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let kim = stage.member("kim");
        let asynchronously = kim.key("1").with("prefer", "respond-async");
        let order = asynchronously.post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(202);
        let mut stream = Stream::open(&kim, &order.str("events_url"), None).await;
        let placed = stream.frame().await;
        assert_eq!((placed.event.as_str(), &placed.data["status"]), ("order", &json!("awaiting_payment")));
        kim.key("2").post(&format!("{}/cancel", order.str("status_url")), &json!({})).await.expect(200);
        let cancelled = stream.frame().await;
        assert_eq!(cancelled.data["status"], "cancelled");
        let shown = kim.get(&order.str("status_url")).await.expect(200);
        for member in ["order_id", "status", "amount", "seats", "position"] {
            assert_eq!(shown.body[member], cancelled.data[member], "{member}");
        }
        stage.member("lee").get(&order.str("events_url")).await.problem(404, "not-found");
        stage.anyone.get(&order.str("events_url")).await.problem(401, "unauthorized");

        let coupon = stage.coupon(5).await;
        let task = kim.with("prefer", "respond-async").post(&format!("/v1/coupons/{coupon}/issue"), &json!({})).await;
        let task = task.expect(202);
        let mut stream = Stream::open(&kim, &task.str("events_url"), None).await;
        let result = stream.frame().await;
        assert_eq!((result.event.as_str(), &result.data["serial"]), ("result", &json!(1)));
        assert_eq!(stream.next().await, None, "the stream ends after the result");
        let again = Stream::open(&kim, &task.str("events_url"), result.id.as_deref()).await;
        assert_eq!(again.status, 204);
    }
}

#[tokio::test]
async fn a_display_gets_the_latest_missed_payment_or_all() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let store = stage.store().await;
        let pos = stage.anyone.with_token(&stage.home.token("pos-1", "pos", Some(&store)));
        let display = stage.anyone.with_token(&stage.home.token("screen-1", "display", Some(&store)));
        let path = format!("/v1/stores/{store}/payments/events");
        let pay = async |id: &str| {
            use onsale::clock::Clock;
            let body = json!({"payment_id": id, "amount": 500, "currency": "KRW", "method": "card",
                "paid_at": onsale::clock::SystemClock.wall().to_string()});
            pos.post(&format!("/v1/stores/{store}/payments"), &body).await.expect(201).str("position")
        };
        let first = pay("p-1").await;
        let mut stream = Stream::open(&display, &path, None).await;
        let second = pay("p-2").await;
        let frame = stream.frame().await;
        assert_eq!((frame.event.as_str(), &frame.data["payment_id"]), ("payment", &json!("p-2")));
        assert_eq!(frame.id.as_deref(), Some(second.as_str()));
        drop(stream);
        pay("p-3").await;
        let mut stream = Stream::open(&display, &path, Some(&first)).await;
        let latest = stream.frame().await;
        assert_eq!((&latest.data["payment_id"], &latest.data["skipped"]), (&json!("p-3"), &json!(1)));
        let mut stream = Stream::open(&display, &format!("{path}?resume=all"), Some(&first)).await;
        assert_eq!(stream.frame().await.data["payment_id"], "p-2");
        assert_eq!(stream.frame().await.data["payment_id"], "p-3");
        stage.member("kim").get(&path).await.problem(403, "role-required");
        let foreign = stage.store().await;
        display.get(&format!("/v1/stores/{foreign}/payments/events")).await.problem(404, "not-found");
    }
}

#[tokio::test]
async fn a_ticket_opens_one_path() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let kim = stage.member("kim");
        let order = kim.key("1").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(201);
        let path = format!("/v1/orders/{}/events", order.str("order_id"));
        let ticket = kim.post("/v1/stream-tickets", &json!({"path": path})).await.expect(201);
        assert_eq!(ticket.body["expires_in"], 60);
        let ticket = ticket.str("ticket");
        let mut stream = Stream::open(&stage.anyone, &format!("{path}?ticket={ticket}"), None).await;
        assert_eq!(stream.frame().await.data["order_id"], order.body["order_id"]);
        let other = kim.key("2").post(&stage.orders(), &json!({"seats": ["A-1-2"]})).await.expect(201);
        let other = format!("/v1/orders/{}/events?ticket={ticket}", other.str("order_id"));
        stage.anyone.get(&other).await.problem(401, "ticket-invalid");
        stage.anyone.get(&format!("{path}?ticket=junk")).await.problem(401, "ticket-invalid");
        kim.with_token(&ticket).get(&format!("/v1/orders/{}", order.str("order_id"))).await.expect(401);
    }
}
