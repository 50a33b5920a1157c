//! A coupon takes part in an order: reserved, used, and given back on every way out; the shares add up to the won.

use serde_json::{Value, json};

use crate::support::Client;
use crate::support::server::BOTH;
use crate::support::shop::{Plan, Shop, sound};
use crate::support::wait::until;

async fn issued(shop: &Shop, who: &Client, percent: u64) -> String {
    let mut body = crate::support::stage::coupon_body(10);
    body["discount"] = json!({"kind": "percent", "value": percent});
    let coupon = shop.seller.post("/v1/coupons", &body).await.expect(201).str("coupon_id");
    who.post(&format!("/v1/coupons/{coupon}/issue"), &json!({})).await.expect(201).str("task_id")
}

async fn status_becomes(who: &Client, wanted: &str) {
    let status = || async { who.get("/v1/accounts/me/coupons").await.expect(200).body["items"][0]["status"].clone() };
    until("the coupon", status, |status| *status == wanted).await;
}

fn order(seats: &[&str], task: &str) -> Value {
    json!({"seats": seats, "coupon_task_id": task})
}

#[tokio::test]
async fn a_coupon_serves_one_order_and_comes_back_with_it() {
    for kind in BOTH {
        let shop = Shop::open(Plan { kind, price: 333, ..Plan::default() }).await;
        let kim = shop.member("kim");
        let task = issued(&shop, &kim, 10).await;
        let orders = format!("/v1/performances/{}/orders", shop.performance);
        let placed = kim.key("one").post(&orders, &order(&["A-1-1", "A-1-2"], &task)).await.expect(201);
        assert_eq!(
            (&placed.body["subtotal"], &placed.body["discount"], &placed.body["amount"]),
            (&json!(666), &json!(66), &json!(600))
        );
        let again = kim.key("one").post(&orders, &order(&["A-1-1", "A-1-2"], &task)).await.expect(201);
        assert_eq!(
            (again.header("idempotent-replayed"), again.str("order_id")),
            (Some("true"), placed.str("order_id"))
        );
        let second = kim.key("two").post(&orders, &order(&["A-1-3"], &task)).await.problem(409, "coupon-not-usable");
        assert_eq!(second.body["reason"], "reserved");
        let stranger = shop.member("eve").key("x").post(&orders, &order(&["A-1-3"], &task)).await;
        assert_eq!(stranger.problem(409, "coupon-not-usable").body["reason"], "unknown");
        let id = placed.str("order_id");
        shop.pay(&kim, &id, "pk_1", 600).await.expect(200);
        status_becomes(&kim, "used").await;
        let tickets = kim.get(&format!("/v1/orders/{id}")).await.expect(200).body["tickets"].clone();
        let ticket = tickets[0]["ticket_id"].as_str().unwrap();
        assert_eq!(kim.get(&format!("/v1/tickets/{ticket}")).await.expect(200).body["paid"], 300);
        kim.key("part").post(&format!("/v1/orders/{id}/cancel"), &json!({"tickets": [ticket]})).await.expect(200);
        status_becomes(&kim, "used").await;
        kim.key("all").post(&format!("/v1/orders/{id}/cancel"), &json!({})).await.expect(200);
        status_becomes(&kim, "issued").await;
        assert_eq!(shop.psp.net().await, 0);
        let news = || async { kim.get("/v1/accounts/me/notifications").await.expect(200).body["items"].clone() };
        let kinds = |items: &Value| -> Vec<String> {
            items.as_array().unwrap().iter().map(|item| item["kind"].as_str().unwrap().to_owned()).collect()
        };
        until("the news", news, |items| kinds(items) == ["refunded", "refunded", "order-completed"]).await;
        sound(&shop);
    }
}

#[tokio::test]
async fn a_coupon_comes_back_on_every_way_out_and_pays_for_all_of_it() {
    let shop = Shop::open(Plan::default()).await;
    let kim = shop.member("kim");
    let task = issued(&shop, &kim, 100).await;
    let orders = format!("/v1/performances/{}/orders", shop.performance);
    let ask = async |key: &str| kim.key(key).post(&orders, &order(&["A-1-1"], &task)).await;
    let place = async |key: &str| ask(key).await.expect(201).str("order_id");
    let hold = async |seconds: u32| {
        let path = format!("/v1/performances/{}", shop.performance);
        shop.seller.patch(&path, &json!({"hold_seconds": seconds})).await.expect(200);
    };
    // Refused after the coupon was reserved.
    kim.key("no").post(&orders, &order(&["A-9-9"], &task)).await.problem(422, "invalid-value");
    status_becomes(&kim, "issued").await;
    let id = place("cancelled").await;
    status_becomes(&kim, "reserved").await;
    kim.key("c").post(&format!("/v1/orders/{id}/cancel"), &json!({})).await.expect(200);
    status_becomes(&kim, "issued").await;
    hold(5).await;
    place("expired").await;
    hold(180).await;
    // Nothing is left to pay, so the provider is not asked; and the server dies before the coupon hears of the refund.
    let given_back = until("the coupon", || ask("free"), |answer| answer.status != 409).await;
    let id = given_back.expect(201).str("order_id");
    let free = kim.key("free").post(&format!("/v1/orders/{id}/payment"), &json!({"amount": 0})).await.expect(200);
    assert_eq!((free.body["status"].as_str(), free.body["amount"].as_u64()), (Some("completed"), Some(0)));
    kim.key("back").post(&format!("/v1/orders/{id}/cancel"), &json!({})).await.expect(200);
    let shop = shop.crash().await;
    status_becomes(&shop.member("kim"), "issued").await;
    assert_eq!(shop.psp.net().await, 0);
    sound(&shop);
}
