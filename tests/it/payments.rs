//! Orders are paid for and given back, as a shop front sees it: one answer to one request, and books that agree.

use serde_json::json;

use crate::support::server::{BOTH, Kind};
use crate::support::shop::{Plan, Shop, sound};
use crate::support::sse::Stream;

#[tokio::test]
async fn a_paid_order_has_tickets_and_is_paid_once() {
    for kind in BOTH {
        let shop = Shop::open(Plan { kind, ..Plan::default() }).await;
        let kim = shop.member("kim");
        let order = shop.place(&kim, &["A-1-1", "A-1-2"]).await;
        let path = format!("/v1/orders/{order}/payment");
        let body = json!({"payment_key": "pk_1", "amount": 100_000});

        kim.post(&path, &body).await.problem(400, "idempotency-key-required");
        let cheaper = json!({"payment_key": "pk_1", "amount": 99_999});
        let refused = kim.key("cheap").post(&path, &cheaper).await.problem(422, "amount-mismatch");
        assert_eq!(refused.body["expected"], 100_000);
        for key in ["", "with space", "결제", "../x"] {
            let bad = json!({"payment_key": key, "amount": 100_000});
            let refused = kim.key("bad").post(&path, &bad).await.problem(422, "invalid-value");
            assert_eq!(refused.body["errors"][0]["pointer"], "/payment_key", "{}", refused.text);
        }
        shop.member("lee").key("1").post(&path, &body).await.problem(404, "not-found");
        assert_eq!(shop.psp.net().await, 0, "what is refused never reaches the provider");

        let paid = kim.key("1").post(&path, &body).await.expect(200);
        assert_eq!((&paid.body["status"], &paid.body["amount"]), (&json!("completed"), &json!(100_000)));
        let tickets = paid.body["tickets"].as_array().unwrap();
        let seats: Vec<_> = tickets.iter().map(|ticket| ticket["seat_id"].as_str().unwrap()).collect();
        assert_eq!(seats, ["A-1-1", "A-1-2"]);
        assert_ne!(tickets[0]["ticket_id"], tickets[1]["ticket_id"]);
        assert_eq!(paid.header("idempotent-replayed"), None);

        let again = kim.key("1").post(&path, &body).await.expect(200);
        assert_eq!(paid.body, again.body);
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        let other = json!({"payment_key": "pk_2", "amount": 100_000});
        kim.key("1").post(&path, &other).await.problem(422, "idempotency-key-reused");
        let refused = kim.key("2").post(&path, &other).await.problem(409, "order-not-payable");
        assert_eq!(refused.body["order_status"], "completed");

        assert_eq!(shop.payments(&kim, &order).await, ["payment captured"]);
        shop.member("lee").get(&format!("/v1/orders/{order}/payments")).await.problem(404, "not-found");
        shop.seller.get(&format!("/v1/orders/{order}/payments")).await.expect(200);
        assert_eq!((shop.seat("A-1-1").await, shop.seat("A-1-3").await), ("sold".to_owned(), "available".to_owned()));
        assert_eq!(shop.money_of(&order).await, (100_000, 0));
        assert_eq!(shop.psp.net().await, 100_000);
        sound(&shop);
    }
}

#[tokio::test]
async fn an_order_is_the_same_wherever_it_is_shown() {
    for kind in BOTH {
        let shop = Shop::open(Plan { kind, ..Plan::default() }).await;
        let kim = shop.member("kim");
        let id = shop.place(&kim, &["A-1-2", "A-1-1"]).await;
        let mut live = Stream::open(&kim, &format!("/v1/orders/{id}/events"), None).await;
        let first = live.frame().await.id.expect("an id");
        shop.pay(&kim, &id, "pk_1", 100_000).await.expect(200);
        let mut late = Stream::open(&kim, &format!("/v1/orders/{id}/events"), Some(&first)).await;
        let order = shop.order(&kim, &id).await;
        let checkout =
            json!({"provider": "toss", "client_key": "test_ck_1", "order_id": id, "order_name": "A-1-2 + 1"});
        assert_eq!(order.body["checkout"], checkout);
        for stream in [&mut live, &mut late] {
            let mut frame = stream.frame().await.data;
            while frame["status"] != "completed" {
                frame = stream.frame().await.data;
            }
            frame.as_object_mut().expect("an order").remove("prev");
            assert_eq!(frame, order.body);
        }
        let listed = kim.get(&format!("/v1/orders?min_position={}", order.str("position"))).await.expect(200);
        assert_eq!(listed.body["items"], json!([order.body]));
    }
}

#[tokio::test]
async fn three_declined_payments_are_the_end_of_an_order() {
    for kind in BOTH {
        let shop = Shop::open(Plan { kind, ..Plan::default() }).await;
        let kim = shop.member("kim");
        let order = shop.place(&kim, &["A-1-1"]).await;
        let held = shop.order(&kim, &order).await;
        let keys = ["decline_1", "decline_INVALID_PASSWORD_2", "decline_3"];
        let codes = ["REJECT_CARD_PAYMENT", "INVALID_PASSWORD", "REJECT_CARD_PAYMENT"];
        for (left, (key, code)) in [2, 1, 0].into_iter().zip(keys.into_iter().zip(codes)) {
            let refused = shop.pay(&kim, &order, key, 50_000).await.problem(402, "payment-declined");
            assert_eq!((&refused.body["psp_code"], &refused.body["attempts_left"]), (&json!(code), &json!(left)));
            assert_eq!(refused.body["hold_expires_at"], held.body["hold_expires_at"]);
            let now = shop.order(&kim, &order).await;
            let status = if left == 0 { "failed" } else { "awaiting_payment" };
            assert_eq!((&now.body["status"], &now.body["attempts_left"]), (&json!(status), &json!(left)));
            assert_eq!(shop.seat("A-1-1").await, if left == 0 { "available" } else { "held" });
        }
        // Whoever asks again is told what was said then, not what would be said now.
        for (left, key) in [2, 1, 0].into_iter().zip(keys) {
            let again = shop.pay(&kim, &order, key, 50_000).await.problem(402, "payment-declined");
            assert_eq!(again.body["attempts_left"], left);
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
        }
        let refused = shop.pay(&kim, &order, "pk_1", 50_000).await.problem(409, "order-not-payable");
        assert_eq!(refused.body["order_status"], "failed");
        assert_eq!(shop.payments(&kim, &order).await, ["payment declined"; 3]);
        let lee = shop.member("lee");
        shop.buy(&lee, "A-1-1", "pk_lee").await;
        assert_eq!(shop.psp.net().await, 50_000);
        sound(&shop);
    }
}

#[tokio::test]
async fn a_whole_order_is_given_back_and_its_seats_are_free() {
    for kind in BOTH {
        let shop = Shop::open(Plan { kind, ..Plan::default() }).await;
        let kim = shop.member("kim");
        let order = shop.buy(&kim, "A-1-1", "pk_1").await.str("order_id");
        let cancel = format!("/v1/orders/{order}/cancel");
        shop.member("lee").key("c").post(&cancel, &json!({})).await.problem(404, "not-found");
        let back = kim.key("c").post(&cancel, &json!({"reason": "ill"})).await.expect(200);
        assert_eq!((&back.body["status"], &back.body["refunded"]), (&json!("refunded"), &json!(50_000)));
        assert_eq!(shop.money_of(&order).await, (50_000, 50_000));
        assert_eq!(shop.seat("A-1-1").await, "available");
        let again = kim.key("c").post(&cancel, &json!({"reason": "ill"})).await.expect(200);
        assert_eq!(again.header("idempotent-replayed"), Some("true"));
        assert_eq!(again.body, back.body);
        let unchanged = kim.key("d").post(&cancel, &json!({})).await.expect(200);
        assert_eq!(unchanged.body["status"], "refunded");
        assert_eq!(shop.payments(&kim, &order).await, ["payment captured", "refund done"]);
        shop.buy(&shop.member("lee"), "A-1-1", "pk_2").await;
        assert_eq!(shop.psp.net().await, 50_000);
        sound(&shop);
    }
}

#[tokio::test]
async fn one_ticket_is_given_back_and_the_others_stay() {
    let shop = Shop::open(Plan::default()).await;
    let kim = shop.member("kim");
    let order = shop.place(&kim, &["A-1-1", "A-1-2", "A-1-3"]).await;
    let paid = shop.pay(&kim, &order, "pk_1", 150_000).await.expect(200);
    let ticket = |place: usize| paid.body["tickets"][place]["ticket_id"].clone();
    let cancel = format!("/v1/orders/{order}/cancel");
    let back = kim.key("1").post(&cancel, &json!({"tickets": [ticket(1)]})).await.expect(200);
    assert_eq!((&back.body["status"], &back.body["refunded"]), (&json!("completed"), &json!(50_000)));
    let free = (shop.seat("A-1-1").await, shop.seat("A-1-2").await, shop.seat("A-1-3").await);
    assert_eq!(free, ("sold".to_owned(), "available".to_owned(), "sold".to_owned()));
    // Once is enough, whichever key is used.
    let again = kim.key("2").post(&cancel, &json!({"tickets": [ticket(1)]})).await.expect(200);
    assert_eq!((&again.body["status"], &again.body["refunded"]), (&json!("completed"), &json!(50_000)));
    assert_eq!(shop.money_of(&order).await, (150_000, 50_000));
    let rest = kim.key("3").post(&cancel, &json!({})).await.expect(200);
    assert_eq!((&rest.body["status"], &rest.body["refunded"]), (&json!("refunded"), &json!(150_000)));
    assert_eq!(shop.money_of(&order).await, (150_000, 150_000));
    sound(&shop);
}

#[tokio::test]
async fn a_refund_of_which_nothing_is_known_at_first_happens_once() {
    let shop = Shop::open(Plan::default()).await;
    let kim = shop.member("kim");
    let order = shop.buy(&kim, "A-1-1", "norefund_1").await.str("order_id");
    let cancel = format!("/v1/orders/{order}/cancel");
    let asked = kim.key("c").with("prefer", "respond-async").post(&cancel, &json!({})).await.expect(202);
    assert_eq!(asked.header("preference-applied"), Some("respond-async"));
    shop.order_becomes(&kim, &order, "refunded").await;
    assert_eq!(shop.money_of(&order).await, (50_000, 50_000));
    assert_eq!(shop.seat("A-1-1").await, "available");
    sound(&shop);
}

#[tokio::test]
async fn buyers_may_cancel_until_a_moment_and_sellers_afterwards() {
    let change = |body: &mut serde_json::Value| body["cancel_until"] = json!("2021-01-01T00:00:00Z");
    let shop = Shop::open(Plan { change, ..Plan::default() }).await;
    let kim = shop.member("kim");
    let order = shop.buy(&kim, "A-1-1", "pk_1").await.str("order_id");
    let cancel = format!("/v1/orders/{order}/cancel");
    let refused = kim.key("c").post(&cancel, &json!({})).await.problem(409, "cancel-closed");
    assert_eq!(refused.body["cancel_until"], "2021-01-01T00:00:00.000Z");
    assert_eq!(shop.money_of(&order).await, (50_000, 0));
    let back = shop.seller.key("c").post(&cancel, &json!({})).await.expect(200);
    assert_eq!(back.body["status"], "refunded");
    assert_eq!(shop.psp.net().await, 0);
    // What is not paid for yet may always be let go.
    let order = shop.place(&kim, &["A-1-2"]).await;
    let gone = kim.key("d").post(&format!("/v1/orders/{order}/cancel"), &json!({})).await.expect(200);
    assert_eq!(gone.body["status"], "cancelled");
    sound(&shop);
}

#[tokio::test]
async fn a_used_ticket_is_not_given_back() {
    let shop = Shop::open(Plan::default()).await;
    let kim = shop.member("kim");
    let order = shop.place(&kim, &["A-1-1", "A-1-2"]).await;
    let paid = shop.pay(&kim, &order, "pk_1", 100_000).await.expect(200);
    let ticket = |place: usize| paid.body["tickets"][place]["ticket_id"].as_str().unwrap().to_owned();
    let gate = format!("/v1/tickets/{}/check-in", ticket(0));
    shop.seller.key("in").post_raw(&gate, "").await.expect(200);
    let cancel = format!("/v1/orders/{order}/cancel");
    let refused = kim.key("c").post(&cancel, &json!({})).await.problem(409, "ticket-used");
    assert_eq!(refused.body["tickets"], json!([ticket(0)]), "{}", refused.text);
    assert_eq!(shop.money_of(&order).await, (100_000, 0));
    let back = kim.key("d").post(&cancel, &json!({"tickets": [ticket(1)]})).await.expect(200);
    assert_eq!((&back.body["status"], &back.body["refunded"]), (&json!("completed"), &json!(50_000)));
    sound(&shop);
}

#[tokio::test]
async fn without_a_provider_nothing_can_be_paid() {
    let stage = crate::support::stage::Stage::set(Kind::Sqlite).await;
    let kim = stage.member("kim");
    let order = kim.key("k").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(201);
    let path = format!("/v1/orders/{}/payment", order.str("order_id"));
    let body = json!({"payment_key": "pk_1", "amount": order.body["amount"]});
    kim.key("1").post(&path, &body).await.problem(503, "payments-unavailable");
    let now = kim.get(&format!("/v1/orders/{}", order.str("order_id"))).await.expect(200);
    assert_eq!(now.body["status"], "awaiting_payment");
}
