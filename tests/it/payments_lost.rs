//! The provider's answer is lost. What had happened there is found out, and done once: by looking, by asking, or by people.

use serde_json::json;

use crate::support::server::BOTH;
use crate::support::shop::{Plan, Shop, sound};
use crate::support::wait::until;

/// Says nothing for `pk_dark…` and takes the money; says nothing for `pk_none…` and takes none.
const BLACK_HOLE: &str = r#"
[[rule]]
key = "pk_dark*"
fault = "done-silence"
times = 1000
[[rule]]
key = "pk_dark*"
on = "query"
fault = "silence"
times = 1000
[[rule]]
key = "pk_none*"
fault = "silence"
times = 1000
[[rule]]
key = "pk_none*"
on = "query"
fault = "silence"
times = 1000
"#;

#[tokio::test]
async fn taken_and_the_answer_lost() {
    for kind in BOTH {
        let script = "[[rule]]\nkey = \"pk_reset\"\nfault = \"done-reset\"\n[[rule]]\nkey = \"pk_error\"\n\
                      fault = \"done-error\"\n[[rule]]\nkey = \"pk_silent\"\nfault = \"done-silence\"\n\
                      [[rule]]\nkey = \"pk_junk\"\nfault = \"malformed\"\n";
        let shop = Shop::open(Plan { kind, script, call_ms: 1_000, ..Plan::default() }).await;
        let kim = shop.member("kim");
        let keys = ["lost_1", "late_1", "pk_reset", "pk_error", "pk_silent", "pk_junk"];
        for (seat, key) in (1..).zip(keys) {
            let paid = shop.buy(&kim, &format!("A-1-{seat}"), key).await;
            let order = paid.str("order_id");
            assert_eq!(shop.money_of(&order).await, (50_000, 0), "{key}");
            assert_eq!(shop.payments(&kim, &order).await, ["payment captured"], "{key}");
        }
        assert_eq!(shop.psp.net().await, 300_000);
        sound(&shop);
    }
}

#[tokio::test]
async fn refused_and_the_answer_heard() {
    let shop = Shop::open(Plan::default()).await;
    let kim = shop.member("kim");
    let order = shop.place(&kim, &["A-1-1"]).await;
    shop.pay(&kim, &order, "decline_1", 50_000).await.problem(402, "payment-declined");
    assert_eq!(shop.money_of(&order).await, (0, 0));
    let paid = shop.pay(&kim, &order, "pk_1", 50_000).await.expect(200);
    assert_eq!(paid.body["status"], "completed");
    assert_eq!(shop.payments(&kim, &order).await, ["payment declined", "payment captured"]);
    sound(&shop);
}

/// So little money is refused by the provider whatever the card says; the rule makes it lose that answer.
#[tokio::test]
async fn refused_and_the_answer_lost() {
    for fault in
        ["[[rule]]\nkey = \"pk_1\"\nfault = \"done-reset\"\n", "[[rule]]\nkey = \"pk_1\"\nfault = \"done-error\"\n"]
    {
        let shop = Shop::open(Plan { price: 50, script: fault, ..Plan::default() }).await;
        let kim = shop.member("kim");
        let order = shop.place(&kim, &["A-1-1"]).await;
        let refused = shop.pay(&kim, &order, "pk_1", 50).await.problem(402, "payment-declined");
        assert_eq!(refused.body["attempts_left"], 2);
        let ledger = shop.psp.ledger().await;
        assert_eq!((&ledger["payments"][0]["status"], &ledger["captured"]), (&json!("ABORTED"), &json!(0)));
        assert_eq!(shop.payments(&kim, &order).await, ["payment declined"]);
        assert_eq!(shop.order(&kim, &order).await.body["status"], "awaiting_payment");
        sound(&shop);
    }
}

#[tokio::test]
async fn nothing_is_known_for_a_while() {
    for kind in BOTH {
        let shop = Shop::open(Plan { kind, script: BLACK_HOLE, call_ms: 300, ..Plan::default() }).await;
        let kim = shop.member("kim");
        let mut orders = Vec::new();
        for (seat, key) in [("A-1-1", "pk_dark"), ("A-1-2", "pk_none")] {
            let order = shop.place(&kim, &[seat]).await;
            let body = json!({"payment_key": key, "amount": 50_000});
            let path = format!("/v1/orders/{order}/payment");
            let asked = kim.key(key).with("prefer", "respond-async").post(&path, &body).await.expect(202);
            assert_eq!(asked.body["status"], "paying");
            assert_eq!(asked.header("location"), Some(format!("/v1/orders/{order}").as_str()));
            assert_eq!(asked.header("preference-applied"), Some("respond-async"));
            // A bounded wait ends with the same.
            let bounded = kim.key(key).with("prefer", "wait=1").post(&path, &body).await.expect(202);
            assert_eq!(bounded.body["status"], "paying");
            shop.pay(&kim, &order, "pk_other", 50_000).await.problem(409, "payment-in-flight");
            let cancel = format!("/v1/orders/{order}/cancel");
            kim.key("c").post(&cancel, &json!({})).await.problem(409, "payment-in-flight");
            assert_eq!(shop.seat(seat).await, "held");
            orders.push((order, key));
        }
        let shop = shop.restart_psp("").await;
        for (order, key) in &orders {
            shop.hint(order, key).await;
            shop.order_becomes(&kim, order, "completed").await;
            assert_eq!(shop.money_of(order).await, (50_000, 0));
            // The repetition of a 202 is told the end.
            let again = shop.pay(&kim, order, key, 50_000).await.expect(200);
            assert_eq!(again.header("idempotent-replayed"), Some("true"));
        }
        sound(&shop);
    }
}

/// A crash of the server while nothing is known: the next one goes on asking.
#[tokio::test]
async fn nothing_is_known_and_the_server_dies() {
    for kind in BOTH {
        let shop = Shop::open(Plan { kind, script: BLACK_HOLE, call_ms: 300, ..Plan::default() }).await;
        let kim = shop.member("kim");
        let (taken, free) = (shop.place(&kim, &["A-1-1"]).await, shop.place(&kim, &["A-1-2"]).await);
        let kim_async = kim.with("prefer", "respond-async");
        shop.pay(&kim_async, &taken, "pk_dark", 50_000).await.expect(202);
        shop.pay(&kim_async, &free, "pk_none", 50_000).await.expect(202);
        until("the provider to have the money", || shop.money_of(&taken), |money| *money == (50_000, 0)).await;
        let shop = shop.crash().await.restart_psp("").await;
        let kim = shop.member("kim");
        for order in [&taken, &free] {
            shop.order_becomes(&kim, order, "completed").await;
            assert_eq!(shop.money_of(order).await, (50_000, 0));
        }
        sound(&shop);
    }
}

async fn in_review(shop: &Shop, who: &crate::support::Client, seat: &str, key: &str) -> String {
    let order = shop.place(who, &[seat]).await;
    shop.pay(&who.with("prefer", "respond-async"), &order, key, 50_000).await.expect(202);
    shop.order_becomes(who, &order, "review").await;
    order
}

async fn settle(shop: &Shop, order: &str, ruling: &str) -> crate::support::http::Answer {
    let body = json!({"as": ruling, "reason": "their books say so", "psp_reference": "T-1"});
    shop.admin.key(&format!("settle-{order}")).post(&format!("/v1/admin/review/{order}/settle"), &body).await
}

#[tokio::test]
async fn nothing_is_known_for_good_and_people_find_the_money() {
    for kind in BOTH {
        let plan = Plan { kind, script: BLACK_HOLE, call_ms: 300, review_after_seconds: 1, ..Plan::default() };
        let shop = Shop::open(plan).await;
        let kim = shop.member("kim");
        let order = in_review(&shop, &kim, "A-1-1", "pk_dark").await;
        let listed = || shop.admin.get("/v1/admin/review");
        let list = until("the list to name it", listed, |list| list.text.contains(&order)).await.expect(200);
        assert_eq!(list.body["items"][0]["status"], "review");
        kim.get("/v1/admin/review").await.problem(403, "role-required");
        kim.key("c").post(&format!("/v1/orders/{order}/cancel"), &json!({})).await.problem(409, "payment-in-flight");
        shop.pay(&kim, &order, "pk_2", 50_000).await.problem(409, "payment-in-flight");
        assert_eq!(shop.seat("A-1-1").await, "held");
        assert_eq!(shop.payments(&kim, &order).await, ["payment review"]);

        kim.key("s")
            .post(&format!("/v1/admin/review/{order}/settle"), &json!({"as": "captured", "reason": "mine"}))
            .await
            .problem(403, "role-required");
        let settled = settle(&shop, &order, "captured").await.expect(200);
        assert_eq!(settled.body["status"], "completed", "{}", settled.text);
        assert_eq!(settle(&shop, &order, "captured").await.expect(200).header("idempotent-replayed"), Some("true"));
        let body = json!({"as": "not-captured", "reason": "no"});
        let path = format!("/v1/admin/review/{order}/settle");
        let refused = shop.admin.key("n").post(&path, &body).await.problem(409, "order-not-in-review");
        assert_eq!(refused.body["order_status"], "completed");
        assert_eq!(shop.seat("A-1-1").await, "sold");
        assert_eq!(shop.money_of(&order).await, (50_000, 0));
        until("the list to be empty", listed, |list| !list.text.contains(&order)).await;
        sound(&shop);
    }
}

/// People say that nothing was taken. They are wrong: as soon as the provider says so, the money goes back, once.
#[tokio::test]
async fn nothing_is_known_for_good_and_people_are_wrong() {
    for kind in BOTH {
        let change = |body: &mut serde_json::Value| body["hold_seconds"] = json!(5);
        let plan = Plan { kind, script: BLACK_HOLE, call_ms: 300, review_after_seconds: 1, change, ..Plan::default() };
        let shop = Shop::open(plan).await;
        let kim = shop.member("kim");
        let wrong = in_review(&shop, &kim, "A-1-1", "pk_dark").await;
        let right = in_review(&shop, &kim, "A-1-2", "pk_none").await;
        for order in [&wrong, &right] {
            let settled = settle(&shop, order, "not-captured").await.expect(200);
            assert_eq!(settled.body["attempts_left"], 2);
            // The hold goes on to its deadline, and not beyond.
            shop.order_becomes(&kim, order, "expired").await;
        }
        assert_eq!((shop.seat("A-1-1").await, shop.seat("A-1-2").await), ("available".into(), "available".into()));
        assert_eq!((shop.money_of(&wrong).await, shop.money_of(&right).await), ((50_000, 0), (0, 0)));
        let shop = shop.restart_psp("").await;
        let news = || async {
            shop.hint(&wrong, "pk_dark").await;
            shop.hint(&right, "pk_none").await;
            shop.money_of(&wrong).await
        };
        until("the money to be back", news, |money| *money == (50_000, 50_000)).await;
        let listed = || shop.payments(&kim, &wrong);
        let known = until("the refund to be known", listed, |list| list.iter().any(|one| one == "refund done")).await;
        assert_eq!(known, ["payment captured", "refund done"]);
        assert_eq!(shop.order(&kim, &wrong).await.body["status"], "expired");
        assert_eq!(shop.money_of(&right).await, (0, 0));
        assert_eq!(shop.psp.net().await, 0);
        shop.buy(&shop.member("lee"), "A-1-1", "pk_lee").await;
        sound(&shop);
    }
}

/// One hint is enough, also while the process sleeps and has not noticed that people have ruled.
#[tokio::test]
async fn one_hint_after_a_wrong_ruling_is_enough() {
    let script = "[[rule]]\nkey = \"pk_dark\"\nfault = \"done-error\"\ntimes = 1000\n\
                  [[rule]]\nkey = \"pk_dark\"\non = \"query\"\nfault = \"error\"\ntimes = 1000\n";
    let shop = Shop::open(Plan { script, review_after_seconds: 1, ..Plan::default() }).await;
    let kim = shop.member("kim");
    let order = in_review(&shop, &kim, "A-1-1", "pk_dark").await;
    // It looks in vain, and the longer it does, the longer it waits until it looks again.
    until("looks in vain", || shop.psp.looks(), |looks| *looks >= 6).await;
    let settled = settle(&shop, &order, "not-captured").await.expect(200);
    assert_eq!(settled.body["status"], "awaiting_payment");
    // Nobody can look just now: the provider is asked to tell it again.
    let news = shop.told(&order, "pk_dark").await.problem(503, "unavailable");
    assert!(news.header("retry-after").is_some());
    let shop = shop.restart_psp("").await;
    shop.hint(&order, "pk_dark").await;
    until("the money to be back", || shop.money_of(&order), |money| *money == (50_000, 50_000)).await;
    let paid = shop.pay(&kim, &order, "pk_2", 50_000).await.expect(200);
    assert_eq!(paid.body["tickets"].as_array().map(Vec::len), Some(1));
    assert_eq!(shop.money_of(&order).await, (100_000, 50_000));
    sound(&shop);
}

/// Gives back what it is asked for the first time, says nothing of it, and cannot be looked at just then.
const GIVES_BACK_IN_SILENCE: &str = r#"
[[rule]]
key = "pk_*"
on = "cancel"
fault = "done-silence"
times = 1
[[rule]]
key = "pk_*"
on = "query"
fault = "silence"
times = 1
"#;

/// Of two tickets one goes back, so that the provider would have the money to give it back twice.
#[tokio::test]
async fn a_share_that_was_given_back_in_silence_is_not_given_back_again() {
    let shop = Shop::open(Plan { script: GIVES_BACK_IN_SILENCE, call_ms: 300, ..Plan::default() }).await;
    let kim = shop.member("kim");
    let order = shop.place(&kim, &["A-1-1", "A-1-2"]).await;
    let paid = shop.pay(&kim, &order, "pk_1", 100_000).await.expect(200);
    let ticket = paid.body["tickets"][0]["ticket_id"].clone();
    let asking = kim.key("c").with("prefer", "respond-async");
    asking.post(&format!("/v1/orders/{order}/cancel"), &json!({"tickets": [ticket]})).await.expect(202);
    until("the seat to be free", || shop.seat("A-1-1"), |seat| seat == "available").await;
    assert_eq!((shop.seat("A-1-2").await.as_str(), shop.money_of(&order).await), ("sold", (100_000, 50_000)));
    sound(&shop);
}
