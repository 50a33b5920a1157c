//! Seats and orders, as a shop front sees them.

use serde_json::json;

use crate::support::server::BOTH;
use crate::support::stage::{self, Stage};
use crate::support::wait::until;

#[tokio::test]
async fn an_order_holds_all_its_seats_or_none() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let (kim, lee) = (stage.member("kim"), stage.member("lee"));
        let order = kim.key("k1").post(&stage.orders(), &json!({"seats": ["A-1-1", "A-2-가"]})).await.expect(201);
        assert_eq!(order.body["status"], "awaiting_payment");
        assert_eq!(order.body["amount"], 300_000);
        assert_eq!(
            order.body["seats"],
            json!([{"seat_id": "A-1-1", "price": 150_000}, {"seat_id": "A-2-가", "price": 150_000}])
        );
        assert_eq!(order.header("location"), Some(format!("/v1/orders/{}", order.str("order_id")).as_str()));

        let wanted = json!({"seats": ["B-1-1", "A-2-가", "A-1-1"]});
        let refused = lee.key("k1").post(&stage.orders(), &wanted).await.problem(409, "seat-unavailable");
        assert_eq!(refused.body["seats"], json!(["A-2-가", "A-1-1"]), "all that are taken, in the order asked");
        let seats = stage.anyone.get(&format!("/v1/performances/{}/seats", stage.performance)).await.expect(200);
        let held: Vec<&str> = seats.body["seats"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|seat| seat["status"] == "held")
            .map(|seat| seat["seat_id"].as_str().unwrap())
            .collect();
        assert_eq!(held, ["A-1-1", "A-2-가"], "no partial hold is visible");
        assert_eq!(seats.body["seats"].as_array().unwrap().len(), 20);

        let performance = stage.anyone.get(&format!("/v1/performances/{}", stage.performance)).await.expect(200);
        assert_eq!(performance.body["status"], "on_sale");
        assert_eq!(performance.body["remaining"], json!({"VIP": 10, "R": 8}));
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn a_repeated_request_has_one_effect_and_one_answer() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let kim = stage.member("kim");
        let body = json!({"seats": ["A-1-1"], "reference": "shop-77"});
        let first = kim.key("same").post(&stage.orders(), &body).await.expect(201);
        let again = kim.key("\"same\"").post(&stage.orders(), &body).await.expect(201);
        assert_eq!(first.body, again.body);
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(first.header("idempotent-replayed"), None);
        kim.key("same")
            .post(&stage.orders(), &json!({"seats": ["A-1-2"]}))
            .await
            .problem(422, "idempotency-key-reused");
        kim.post(&stage.orders(), &body).await.problem(400, "idempotency-key-required");

        let cancel = format!("/v1/orders/{}/cancel", first.str("order_id"));
        let cancelled = kim.key("c").post(&cancel, &json!({})).await.expect(200);
        assert_eq!(cancelled.body["status"], "cancelled");
        // The first answer is given again as it was, although the order has moved on.
        let again = kim.key("same").post(&stage.orders(), &body).await.expect(201);
        assert_eq!(first.body, again.body);
        let again = kim.key("c").post(&cancel, &json!({})).await.expect(200);
        assert_eq!(cancelled.body, again.body);
        let unchanged = kim.key("c2").post(&cancel, &json!({})).await.expect(200);
        assert_eq!(unchanged.body["status"], "cancelled");
        // The seat is free again, for somebody else.
        stage.member("lee").key("k").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(201);
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn a_hold_runs_out_by_itself() {
    for kind in BOTH {
        let stage = Stage::set_with(kind, |body| body["hold_seconds"] = json!(5)).await;
        let kim = stage.member("kim");
        let order = kim.key("k").post(&stage.orders(), &json!({"seats": ["A-1-1", "A-1-2"]})).await.expect(201);
        let path = format!("/v1/orders/{}", order.str("order_id"));
        let expired = until("the order to expire", || kim.get(&path), |order| order.body["status"] == "expired").await;
        assert!(expired.body["at"].as_str() >= order.body["hold_expires_at"].as_str(), "{}", expired.text);
        kim.key("late").post(&format!("{path}/cancel"), &json!({})).await.problem(409, "order-not-cancellable");
        stage.member("lee").key("k").post(&stage.orders(), &json!({"seats": ["A-1-1", "A-1-2"]})).await.expect(201);
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn the_promoter_controls_the_sale() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let kim = stage.member("kim");
        let act = |verb: &str| format!("/v1/performances/{}/{verb}", stage.performance);
        stage
            .seller
            .post(&act("seats/block"), &json!({"seats": ["B-1-1", "B-1-2"], "reason": "camera"}))
            .await
            .expect(200);
        kim.key("1").post(&stage.orders(), &json!({"seats": ["B-1-1"]})).await.problem(409, "seat-unavailable");
        let refused = json!({"seats": ["B-1-3", "B-1-1"], "reason": "camera"});
        stage.seller.post(&act("seats/block"), &refused).await.problem(409, "seat-unavailable");
        stage.seller.post(&act("seats/unblock"), &json!({"seats": ["B-1-1"], "reason": "moved"})).await.expect(200);
        kim.key("2").post(&stage.orders(), &json!({"seats": ["B-1-1"]})).await.expect(201);
        stage.seller.post(&act("pause"), &json!({"reason": "storm"})).await.expect(200);
        kim.key("3").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.problem(409, "sale-paused");
        let paused = stage.anyone.get(&format!("/v1/performances/{}", stage.performance)).await.expect(200);
        assert_eq!(paused.body["status"], "paused");
        stage.admin.post(&act("resume"), &json!({"reason": "sun"})).await.expect(200);
        kim.key("4").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(201);
        let other = stage.anyone.with_token(&stage.home.token("seller-2", "seller", None));
        other.post(&act("pause"), &json!({"reason": "mine"})).await.problem(404, "not-found");
        kim.post(&act("pause"), &json!({"reason": "mine"})).await.problem(403, "role-required");
        let log = serde_json::to_string(&stage.home.export()).unwrap();
        assert!(!log.contains("storm") && !log.contains("camera"), "free text must not be in the log");
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn times_and_limits_of_the_sale_are_kept() {
    for kind in BOTH {
        let stage = Stage::set_with(kind, |body| body["sale_opens_at"] = json!("2097-01-01T09:00:00+09:00")).await;
        let kim = stage.member("kim");
        let early =
            kim.key("1").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.problem(409, "sale-not-open");
        assert_eq!(early.body["opens_at"], "2097-01-01T00:00:00.000Z");
        assert!(early.body["at"].is_string());
        let many = json!({"seats": ["A-1-1", "A-1-2", "A-1-3", "A-1-4", "A-1-5"]});
        kim.key("2").post(&stage.orders(), &many).await.problem(422, "too-many-seats");
        let stage = Stage::set_with(kind, |body| {
            body["sale_opens_at"] = json!(stage::OPEN);
            body["sale_closes_at"] = json!("2021-01-01T00:00:00Z");
        })
        .await;
        let kim = stage.member("kim");
        kim.key("1").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.problem(409, "sale-closed");
    }
}

#[tokio::test]
async fn a_thousand_members_want_one_seat() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let tokens = stage.home.tokens("fan", "member", 1_000);
        let mut crowd = tokio::task::JoinSet::new();
        for token in tokens {
            let (client, orders) = (stage.anyone.with_token(&token).key("mine"), stage.orders());
            crowd.spawn(async move { client.post(&orders, &json!({"seats": ["A-1-1"]})).await });
        }
        let answers = crowd.join_all().await;
        let won = answers.iter().filter(|answer| answer.status == 201).count();
        let lost = answers.iter().filter(|answer| answer.body["code"] == "seat-unavailable").count();
        assert_eq!((won, lost), (1, 999));
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn fifty_thousand_seats_are_one_event() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let rows: Vec<_> = (0..100).map(|row| json!({"row": format!("{row}"), "seats": 500})).collect();
        let venue = json!({"name": "big", "sections": [{"section": "S", "grade": "R", "rows": rows}]});
        let venue = stage.seller.post("/v1/venues", &venue).await.expect(201);
        assert_eq!(venue.body["seats"], 50_000);
        let show = json!({"title": "t", "category": "c", "description": "d", "place": "p",
            "starts_on": "2099-01-01", "ends_on": "2099-01-01"});
        let show = stage.seller.post("/v1/shows", &show).await.expect(201).str("show_id");
        let mut body = stage::performance_body(&show, &venue.str("venue_id"));
        body["prices"] = json!({"R": 1_000});
        let before = stage.home.export().len();
        let performance = stage.seller.post("/v1/performances", &body).await.expect(201).str("performance_id");
        assert_eq!(stage.home.export().len(), before + 1);
        let seats = stage.anyone.get(&format!("/v1/performances/{performance}/seats?section=S")).await.expect(200);
        assert_eq!(seats.body["seats"].as_array().unwrap().len(), 50_000);
        let etag = seats.header("etag").unwrap().to_owned();
        let unchanged = stage.anyone.with("if-none-match", &etag);
        unchanged.get(&format!("/v1/performances/{performance}/seats?section=S")).await.expect(304);
    }
}
