//! A store's counter: payments and cancellations.

use serde_json::json;

use crate::support::server::BOTH;
use crate::support::stage::Stage;

fn now() -> String {
    use onsale::clock::Clock;
    onsale::clock::SystemClock.wall().to_string()
}

#[tokio::test]
async fn payments_are_recorded_once_and_cancelled_in_part() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let store = stage.store().await;
        let pos = stage.anyone.with_token(&stage.home.token("pos-1", "pos", Some(&store)));
        let path = format!("/v1/stores/{store}/payments");
        let payment = json!({"payment_id": "p-1", "amount": 10_000, "currency": "KRW", "method": "card",
            "paid_at": now(), "terminal_id": "t1"});
        let first = pos.key("p1").post(&path, &payment).await.expect(201);
        for again in [pos.clone(), pos.key("p1"), pos.key("p2")] {
            assert_eq!(first.body["position"], again.post(&path, &payment).await.expect(200).body["position"]);
        }
        let mut other = payment.clone();
        other["payment_id"] = json!("p-2");
        pos.key("p1").post(&path, &other).await.problem(422, "idempotency-key-reused");
        pos.key("p3").post(&path, &other).await.expect(201);
        let mut other = payment.clone();
        other["amount"] = json!(1);
        pos.post(&path, &other).await.problem(409, "payment-mismatch");
        other["payment_id"] = json!("old");
        other["paid_at"] = json!("2020-01-01T00:00:00Z");
        pos.post(&path, &other).await.problem(422, "payment-too-old");

        let cancel = format!("{path}/p-1/cancel");
        pos.post(&cancel, &json!({"amount": 4_000})).await.problem(400, "idempotency-key-required");
        let part = pos.key("c1").post(&cancel, &json!({"amount": 4_000})).await.expect(201);
        let again = pos.key("c1").post(&cancel, &json!({"amount": 4_000})).await;
        assert_eq!(part.body, again.body);
        pos.key("c2").post(&cancel, &json!({"amount": 6_001})).await.problem(422, "amount-exceeds-remaining");
        pos.post(&cancel, &json!({})).await.expect(201);
        pos.post(&cancel, &json!({})).await.problem(409, "already-cancelled");
        pos.post(&format!("{path}/unknown/cancel"), &json!({})).await.problem(404, "not-found");
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn a_device_is_bound_to_its_store() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let (mine, other) = (stage.store().await, stage.store().await);
        let pos = stage.anyone.with_token(&stage.home.token("pos-1", "pos", Some(&mine)));
        let payment = json!({"payment_id": "p", "amount": 1, "currency": "KRW", "method": "card", "paid_at": now()});
        pos.post(&format!("/v1/stores/{other}/payments"), &payment).await.problem(404, "not-found");
        stage.seller.post(&format!("/v1/stores/{mine}/payments"), &payment).await.problem(403, "role-required");
        pos.post(&format!("/v1/stores/{mine}/payments"), &payment).await.expect(201);
    }
}
