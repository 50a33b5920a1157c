//! A store's payments as a list: by time, terminal and status, for those whom the store concerns.

use serde_json::{Value, json};

use crate::support::Client;
use crate::support::http::Answer;
use crate::support::lists::{column, read_after, rest};
use crate::support::server::BOTH;
use crate::support::stage::Stage;

/// So many minutes before now: a counter may be late, and payments arrive in any order.
fn ago(minutes: u64) -> String {
    use onsale::clock::Clock;
    let past = std::time::Duration::from_secs(60 * minutes);
    onsale::clock::SystemClock.wall().minus(past).to_string()
}

async fn pay(pos: &Client, store: &str, id: &str, paid_at: &str, terminal: Option<&str>) -> Answer {
    let body = json!({"payment_id": id, "amount": 1_000, "currency": "KRW", "method": "card", "paid_at": paid_at,
        "terminal_id": terminal});
    pos.post(&format!("/v1/stores/{store}/payments"), &body).await.expect(201)
}

#[tokio::test]
async fn payments_are_listed_by_the_counters_time() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let (store, other) = (stage.store().await, stage.store().await);
        let device = |role, store: &str| stage.anyone.with_token(&stage.home.token("dev", role, Some(store)));
        let (pos, display) = (device("pos", &store), device("display", &store));
        let middle = ago(20);
        pay(&pos, &store, "b", &middle, Some("t1")).await;
        pay(&pos, &store, "c", &ago(10), Some("t2")).await;
        pay(&pos, &store, "a", &ago(30), Some("t1")).await;
        pay(&pos, &store, "d", &ago(5), None).await;
        pay(&device("pos", &other), &other, "b", &middle, Some("t1")).await;
        let path = format!("/v1/stores/{store}/payments");
        let part = pos.key("1").post(&format!("{path}/b/cancel"), &json!({"amount": 400})).await.expect(201);
        let all = pos.post(&format!("{path}/c/cancel"), &json!({})).await.expect(201);
        let known = [&part, &all];

        let table: [(&str, &[&str]); 9] = [
            ("", &["d", "c", "b", "a"]),
            ("?terminal_id=t1", &["b", "a"]),
            ("?status=paid", &["d", "a"]),
            ("?status=partially_cancelled", &["b"]),
            ("?status=cancelled&terminal_id=t2", &["c"]),
            ("?status=cancelled&terminal_id=t1", &[]),
            (&format!("?from={middle}"), &["d", "c", "b"]),
            (&format!("?to={middle}"), &["a"]),
            (&format!("?from={middle}&to={}", ago(15)), &["b"]),
        ];
        for (query, expected) in table {
            let page = read_after(&display, &format!("{path}{query}"), &known).await.expect(200);
            assert_eq!(column(&page, "payment_id"), expected, "{query}");
        }
        let page = read_after(&pos, &path, &known).await.expect(200);
        let (b, c) = (&page.body["items"][2], &page.body["items"][1]);
        assert_eq!((&b["amount"], &b["remaining"], &b["paid_at"]), (&json!(1_000), &json!(600), &json!(middle)));
        assert_eq!((&c["remaining"], &c["method"], &c["currency"]), (&json!(0), &json!("card"), &json!("KRW")));
        assert!(c["cancelled_at"].is_string() && c["position"] == all.body["position"], "{c}");

        for reader in [&stage.seller, &stage.admin] {
            reader.get(&path).await.expect(200);
        }
        device("display", &other).get(&path).await.problem(404, "not-found");
        device("pos", &other).get(&path).await.problem(404, "not-found");
        let foreign = stage.anyone.with_token(&stage.home.token("seller-2", "seller", None));
        foreign.get(&path).await.problem(404, "not-found");
        stage.member("kim").get(&path).await.problem(403, "role-required");
        for junk in ["?from=x", "?status=lost", "?terminal_id="] {
            pos.get(&format!("{path}{junk}")).await.problem(400, "invalid-parameter");
        }
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn pages_hold_while_payments_come_in() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let store = stage.store().await;
        let pos = stage.anyone.with_token(&stage.home.token("pos-1", "pos", Some(&store)));
        // All at the same moment: then the payment's id decides.
        let moment = ago(10);
        let mut last = None;
        for id in ["p1", "p2", "p3", "p4", "p5"] {
            last = Some(pay(&pos, &store, id, &moment, None).await);
        }
        let path = format!("/v1/stores/{store}/payments?limit=2");
        let first = read_after(&pos, &path, &[&last.expect("five")]).await.expect(200);
        let before = pay(&pos, &store, "p6", &moment, None).await;
        let behind = pay(&pos, &store, "old", &ago(20), None).await;
        read_after(&pos, &path, &[&before, &behind]).await.expect(200);
        let seen = rest(&pos, &path, first, "payment_id").await;
        let expected: Vec<Value> = ["p5", "p4", "p3", "p2", "p1", "old"].map(|id| json!(id)).to_vec();
        assert_eq!(seen, expected, "what stands before the cursor was not missed, what stands behind it is found");
    }
}
