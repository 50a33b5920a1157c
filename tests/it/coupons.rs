//! First come, first served: coupons under a crowd.

use std::collections::BTreeSet;

use serde_json::json;

use crate::support::server::BOTH;
use crate::support::stage::{Stage, coupon_body};

#[tokio::test]
async fn ten_thousand_members_for_a_hundred_coupons() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let path = format!("/v1/coupons/{}/issue", stage.coupon(100).await);
        let tokens = stage.home.tokens("fan", "member", 10_000);
        let mut crowd = tokio::task::JoinSet::new();
        // 200 connections at a time, as a proxy in front would keep them.
        let places = std::sync::Arc::new(tokio::sync::Semaphore::new(200));
        for token in tokens {
            let (client, path, places) = (stage.anyone.with_token(&token), path.clone(), places.clone());
            crowd.spawn(async move {
                let _place = places.acquire_owned().await.unwrap();
                client.post(&path, &json!({})).await
            });
        }
        let answers = crowd.join_all().await;
        let serials: BTreeSet<u64> =
            answers.iter().filter(|a| a.status == 201).map(|a| a.body["serial"].as_u64().unwrap()).collect();
        assert_eq!(serials, (1..=100).collect(), "exactly 100, serials 1 to 100");
        assert_eq!(answers.iter().filter(|a| a.status == 201).count(), 100);
        assert_eq!(answers.iter().filter(|a| a.body["code"] == "coupon-sold-out").count(), 9_900);
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn one_coupon_a_member() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let coupon = stage.coupon(3).await;
        let path = format!("/v1/coupons/{coupon}/issue");
        let kim = stage.member("kim");
        let first = kim.key("k").post(&path, &json!({})).await.expect(201);
        assert_eq!((first.body["status"].as_str(), first.body["serial"].as_u64()), (Some("issued"), Some(1)));
        let again = kim.key("k").post(&path, &json!({})).await.expect(201);
        assert_eq!(first.body, again.body);
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        let refused = kim.post(&path, &json!({})).await.problem(409, "coupon-already-issued");
        assert_eq!(refused.body["serial"], 1);
        let shown = stage.anyone.get(&format!("/v1/coupons/{coupon}")).await.expect(200);
        assert_eq!(
            (&shown.body["issued"], &shown.body["remaining"], &shown.body["status"]),
            (&json!(1), &json!(2), &json!("open"))
        );
        let task = kim.get(&format!("/v1/coupon-tasks/{}", first.str("task_id"))).await.expect(200);
        assert_eq!(task.body["serial"], 1);
        stage.member("lee").get(&format!("/v1/coupon-tasks/{}", first.str("task_id"))).await.problem(404, "not-found");
        let later = stage.member("lee").with("prefer", "respond-async").post(&path, &json!({})).await.expect(202);
        assert_eq!(later.header("preference-applied"), Some("respond-async"));
        assert_eq!(later.header("location"), Some(later.str("status_url").as_str()));
        let result = stage.member("lee").get(&later.str("status_url")).await.expect(200);
        assert_eq!(result.body["serial"], 2);
    }
}

#[tokio::test]
async fn several_a_member_need_a_key() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let mut body = coupon_body(10);
        body["per_member"] = json!(2);
        let coupon = stage.seller.post("/v1/coupons", &body).await.expect(201).str("coupon_id");
        let path = format!("/v1/coupons/{coupon}/issue");
        let kim = stage.member("kim");
        kim.post(&path, &json!({})).await.problem(400, "idempotency-key-required");
        assert_eq!(kim.key("1").post(&path, &json!({})).await.expect(201).body["serial"], 1);
        assert_eq!(kim.key("2").post(&path, &json!({})).await.expect(201).body["serial"], 2);
        kim.key("3").post(&path, &json!({})).await.problem(409, "coupon-already-issued");
    }
}
