//! Other terms for a sale that runs, and its end, as its promoter sees them.

use serde_json::{Value, json};

use crate::support::server::BOTH;
use crate::support::stage::Stage;

#[tokio::test]
async fn other_terms_are_for_orders_to_come() {
    for kind in BOTH {
        let stage = Stage::set_with(kind, |body| body["max_seats_per_member"] = json!(3)).await;
        let path = format!("/v1/performances/{}", stage.performance);
        let seats = format!("{path}/seats");
        let (kim, lee) = (stage.member("kim"), stage.member("lee"));
        let old = kim.key("1").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(201);
        let tag = stage.anyone.get(&seats).await.expect(200).header("etag").expect("a tag").to_owned();

        let change = json!({"prices": {"VIP": 170_000, "R": 90_000}, "cancel_until": "2098-12-01T00:00:00Z"});
        let changed = stage.seller.key("p1").patch(&path, &change).await.expect(200);
        assert_eq!(changed.body["prices"], json!({"VIP": 170_000, "R": 90_000}));
        assert_eq!(changed.body["max_seats_per_member"], 3, "what is not there stays");
        assert_eq!(changed.header("idempotent-replayed"), None);
        let mut read = stage.anyone.get(&path).await.expect(200).body;
        let mut told = changed.body.clone();
        assert_eq!(read["position"], told["position"]);
        read["at"].take();
        told["at"].take();
        assert_eq!(read, told, "the same body as GET's");

        let map = stage.anyone.with("if-none-match", &tag).get(&seats).await.expect(200);
        assert_eq!(map.body["seats"][0]["price"], 170_000, "a new price is a new answer");
        let new = lee.key("1").post(&stage.orders(), &json!({"seats": ["A-1-2"]})).await.expect(201);
        assert_eq!(new.body["amount"], 170_000);
        let kept = kim.get(&format!("/v1/orders/{}", old.str("order_id"))).await.expect(200);
        assert_eq!(kept.body["amount"], 150_000);

        let cleared = json!({"cancel_until": null, "max_seats_per_member": null});
        let cleared = stage.seller.key("p2").patch(&path, &cleared).await.expect(200);
        assert_eq!(
            (&cleared.body["cancel_until"], &cleared.body["max_seats_per_member"]),
            (&Value::Null, &Value::Null)
        );
        let again = stage.seller.key("p1").patch(&path, &change).await.expect(200);
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.body["cancel_until"], changed.body["cancel_until"], "as it was told the first time");
        assert_eq!(again.body["position"], changed.body["position"]);
        let other = stage.seller.key("p1").patch(&path, &json!({"hold_seconds": 60})).await;
        other.problem(422, "idempotency-key-reused");
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn terms_without_sense_are_refused() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let path = format!("/v1/performances/{}", stage.performance);
        for (body, pointer) in [
            (json!({}), ""),
            (json!({"hold_seconds": 4}), "/hold_seconds"),
            (json!({"hold_seconds": 1.5}), "/hold_seconds"),
            (json!({"max_seats_per_order": 101}), "/max_seats_per_order"),
            (json!({"max_seats_per_member": 0}), "/max_seats_per_member"),
            (json!({"starts_at": "tomorrow"}), "/starts_at"),
            (json!({"sale_opens_at": "2099-01-01T00:00:00Z"}), "/sale_opens_at"),
            (json!({"sale_closes_at": "2019-01-01T00:00:00Z"}), "/sale_closes_at"),
            (json!({"cancel_until": "2100-01-01T00:00:00Z"}), "/cancel_until"),
            (json!({"prices": {"VIP": 1}}), "/prices"),
            (json!({"prices": {"VIP": -1, "R": 1}}), "/prices/VIP"),
            (json!({"prices": {"VIP": 1, "R": 1, "S": 1}}), "/prices/S"),
        ] {
            let refused = stage.seller.patch(&path, &body).await.problem(422, "invalid-value");
            assert_eq!(refused.body["errors"][0]["pointer"], pointer, "{body}: {}", refused.text);
        }
        for body in [json!({"currency": "USD"}), json!({"show_id": "sh_1"}), json!({"starts_at": null}), json!([])] {
            let refused = stage.seller.patch(&path, &body).await.expect(400);
            assert_eq!(refused.header("content-type"), Some("application/problem+json"), "{body}");
        }
        let good = json!({"hold_seconds": 60});
        let other = stage.anyone.with_token(&stage.home.token("seller-2", "seller", None));
        other.patch(&path, &good).await.problem(404, "not-found");
        stage.member("kim").patch(&path, &good).await.problem(403, "role-required");
        let nowhere = format!("/v1/performances/pf_{}", "0".repeat(32));
        stage.admin.patch(&nowhere, &good).await.problem(404, "not-found");
        let untouched = stage.anyone.get(&path).await.expect(200);
        assert_eq!(untouched.body["hold_seconds"], 180);
        stage.admin.patch(&path, &good).await.expect(200);
    }
}

#[tokio::test]
async fn what_is_cancelled_is_neither_changed_nor_sold() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let path = format!("/v1/performances/{}", stage.performance);
        let (cancel, cancellation) = (format!("{path}/cancel"), format!("{path}/cancellation"));
        let other = stage.anyone.with_token(&stage.home.token("seller-2", "seller", None));
        stage.seller.get(&cancellation).await.problem(404, "not-found");
        let reason = json!({"reason": "the singer is ill"});
        other.post(&cancel, &reason).await.problem(404, "not-found");
        stage.seller.post(&cancel, &json!({"reason": ""})).await.problem(422, "invalid-value");

        let cancelled = stage.seller.key("c").post(&cancel, &reason).await.expect(202);
        assert_eq!(cancelled.header("location"), Some(cancellation.as_str()));
        let mut expected = json!({"performance_id": stage.performance, "status": "cancelled", "orders": 0,
            "refunded": 0, "pending": 0, "review": 0, "position": cancelled.body["position"]});
        assert_eq!(cancelled.body, expected);
        let again = stage.seller.key("c").post(&cancel, &reason).await.expect(202);
        assert_eq!((again.header("idempotent-replayed"), &again.body), (Some("true"), &cancelled.body));
        stage.admin.post(&cancel, &reason).await.expect(202);

        let read = stage.seller.get(&cancellation).await.expect(200);
        expected["position"] = read.body["position"].clone();
        assert_eq!(read.body, expected);
        other.get(&cancellation).await.problem(404, "not-found");
        assert_eq!(stage.anyone.get(&path).await.expect(200).body["status"], "cancelled");
        let seats = stage.anyone.get(&format!("{path}/seats")).await.expect(200);
        assert_eq!(seats.body["seats"][0]["status"], "available", "the map says what the seats say");

        let gone = "performance-cancelled";
        stage.seller.patch(&path, &json!({"hold_seconds": 60})).await.problem(409, gone);
        stage.seller.post(&format!("{path}/pause"), &reason).await.problem(409, gone);
        let block = json!({"seats": ["A-1-1"], "reason": "camera"});
        stage.seller.post(&format!("{path}/seats/block"), &block).await.problem(409, gone);
        let order = json!({"seats": ["A-1-1"]});
        stage.member("kim").key("late").post(&stage.orders(), &order).await.problem(409, "sale-closed");
        let log = serde_json::to_string(&stage.home.export()).unwrap();
        assert!(!log.contains("the singer"), "free text must not be in the log");
        stage.home.assert_audit_passes();
    }
}
