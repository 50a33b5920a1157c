//! How many seats a member may have, as members, sellers and crashes try to get around it.

use onsale::clock::{Clock, SystemClock};
use onsale::timestamp::Timestamp;
use serde_json::{Value, json};

use crate::support::server::{BOTH, Home, Kind};
use crate::support::shop::{Plan, Shop, sound};
use crate::support::stage::{FAR, Stage};
use crate::support::wait::until;
use crate::support::{Client, http::Answer};

/// Every seat of the stage's house.
fn house() -> Vec<String> {
    let numbers = |section: &'static str, count| (1..=count).map(move |number| format!("{section}-{number}"));
    numbers("A-1", 10).chain(numbers("B-1", 8)).chain(["A-2-가".to_owned(), "A-2-나".to_owned()]).collect()
}

async fn place(stage: &Stage, who: &Client, key: &str, seats: &[&str]) -> Answer {
    who.key(key).post(&stage.orders(), &json!({"seats": seats})).await
}

async fn cancel(who: &Client, order: &Answer) {
    let path = format!("/v1/orders/{}/cancel", order.str("order_id"));
    let key = format!("cancel-{}", order.str("order_id"));
    who.key(&key).post(&path, &json!({})).await.expect(200);
}

fn assert_limit(answer: Answer, limit: u32, held: u32, sold: u32) {
    let body = answer.problem(409, "member-limit").body;
    assert_eq!((&body["limit"], &body["held"], &body["sold"]), (&json!(limit), &json!(held), &json!(sold)), "{body}");
}

async fn held(stage: &Stage) -> usize {
    let path = format!("/v1/performances/{}/seats?status=held", stage.performance);
    stage.anyone.get(&path).await.expect(200).body["seats"].as_array().expect("seats").len()
}

async fn change(stage: &Stage, key: &str, body: Value) -> Answer {
    stage.seller.key(key).patch(&format!("/v1/performances/{}", stage.performance), &body).await
}

/// One order for every seat of the house, all at once; the answers that came.
async fn storm(stage: &Stage, who: &Client, name: &str) -> Vec<Answer> {
    let mut load = tokio::task::JoinSet::new();
    for (number, seat) in house().into_iter().enumerate() {
        let (client, path) = (who.key(&format!("{name}-{number}")), stage.orders());
        load.spawn(async move { client.try_post(&path, &json!({"seats": [seat]})).await });
    }
    load.join_all().await.into_iter().flatten().collect()
}

#[tokio::test]
async fn twenty_orders_at_once_get_no_more_than_the_limit() {
    for kind in BOTH {
        let stage = Stage::set_with(kind, |body| body["max_seats_per_member"] = json!(2)).await;
        let (kim, lee) = (stage.member("kim"), stage.member("lee"));
        let (placed, refused): (Vec<_>, Vec<_>) =
            storm(&stage, &kim, "first").await.into_iter().partition(|answer| answer.status == 201);
        assert_eq!((placed.len(), refused.len()), (2, 18));
        refused.into_iter().for_each(|answer| assert_limit(answer, 2, 2, 0));
        assert_eq!(held(&stage).await, 2);
        // The limit is told before other people's seats, and too many for any order before the limit.
        let taken = placed[0].body["seats"][0]["seat_id"].as_str().expect("a seat").to_owned();
        assert_limit(place(&stage, &kim, "taken", &[&taken]).await, 2, 2, 0);
        place(&stage, &lee, "taken", &[&taken]).await.problem(409, "seat-unavailable");
        let five = ["A-1-1", "A-1-2", "A-1-3", "A-1-4", "A-1-5"];
        place(&stage, &kim, "five", &five).await.problem(422, "too-many-seats");
        assert_limit(place(&stage, &stage.member("han"), "three", &five[..3]).await, 2, 0, 0);

        // A seat that was let go may be taken again, and is counted again.
        cancel(&kim, &placed[0]).await;
        place(&stage, &kim, "again", &[&taken]).await.expect(201);
        let more = if taken == "B-1-1" { "B-1-2" } else { "B-1-1" };
        assert_limit(place(&stage, &kim, "more", &[more]).await, 2, 2, 0);
        let export = stage.home.export();
        let stream = format!("member/{}/kim", stage.performance);
        let told: Vec<&Value> = export.iter().filter(|event| event["stream"] == stream.as_str()).collect();
        assert_eq!(
            told.iter().map(|e| e["kind"].as_str().unwrap()).collect::<Vec<_>>(),
            ["member.held", "member.held", "member.released", "member.held"]
        );
        assert_eq!((&told[0]["data"]["seats"], &told[0]["data"]["account_id"]), (&json!(1), &json!("kim")));
        assert_eq!((&told[2]["data"]["reason"], &told[2]["data"]["unpaid"]), (&json!("cancelled"), &json!(true)));
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn a_crash_in_the_middle_keeps_the_count() {
    for kind in BOTH {
        let mut stage = Stage::set_with(kind, |body| body["max_seats_per_member"] = json!(2)).await;
        for round in 0..4 {
            let (name, key) = (format!("fan-{round}"), format!("round-{round}"));
            let (fan, orders) = (stage.member(&name), stage.orders());
            let mut load = tokio::task::JoinSet::new();
            for (number, seat) in house().into_iter().enumerate() {
                let (client, path) = (fan.key(&format!("{key}-{number}")), orders.clone());
                load.spawn(async move { client.try_post(&path, &json!({"seats": [seat]})).await });
            }
            // As soon as anything was answered: the others are somewhere on their way.
            let _first = load.join_next().await;
            stage = stage.crash().await;
            load.join_all().await;
            let fan = stage.member(&name);
            let (placed, refused): (Vec<_>, Vec<_>) =
                storm(&stage, &fan, &key).await.into_iter().partition(|answer| answer.status == 201);
            assert_eq!((placed.len(), refused.len()), (2, 18), "round {round}");
            assert_eq!(held(&stage).await, 2, "round {round}");
            refused.into_iter().for_each(|answer| assert_limit(answer, 2, 2, 0));
            stage = stage.crash().await;
            let fan = stage.member(&name);
            assert_limit(place(&stage, &fan, "after", &["A-1-1"]).await, 2, 2, 0);
            for order in &placed {
                cancel(&fan, order).await;
            }
            let again = place(&stage, &fan, "both", &["A-1-1", "A-1-2"]).await.expect(201);
            cancel(&fan, &again).await;
        }
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn holds_let_go_free_the_count_and_bar_for_a_while() {
    for kind in BOTH {
        let stage = Stage::set_with(kind, |body| {
            body["hold_seconds"] = json!(5);
            body["max_seats_per_member"] = json!(2);
            body["max_live_orders_per_member"] = json!(1);
            body["max_unpaid_holds_per_member"] = json!(2);
        })
        .await;
        let shown = stage.anyone.get(&format!("/v1/performances/{}", stage.performance)).await.expect(200).body;
        assert_eq!(
            (&shown["max_live_orders_per_member"], &shown["max_unpaid_holds_per_member"]),
            (&json!(1), &json!(2))
        );
        let kim = stage.member("kim");
        let order = place(&stage, &kim, "1", &["A-1-1"]).await.expect(201);
        let live = place(&stage, &kim, "2", &["A-1-2"]).await.problem(409, "too-many-live-orders");
        assert_eq!(live.body["limit"], 1);
        let path = format!("/v1/orders/{}", order.str("order_id"));
        until("the hold to run out", || kim.get(&path), |order| order.body["status"] == "expired").await;

        let second = place(&stage, &kim, "3", &["A-1-1", "A-1-2"]).await.expect(201);
        cancel(&kim, &second).await;
        let barred = place(&stage, &kim, "4", &["A-1-1"]).await.problem(429, "too-many-holds");
        let retry: u64 = barred.header("retry-after").expect("says when").parse().expect("seconds");
        assert!((500..=600).contains(&retry), "{retry}");
        let until = Timestamp::parse(&barred.str("until")).expect("a time");
        assert!(until > SystemClock.wall() && barred.body["limit"] == 2, "{}", barred.text);
        place(&stage, &stage.member("lee"), "1", &["A-1-1"]).await.expect(201);
        // After a crash, too: it is the log's memory.
        let stage = stage.crash().await;
        let kim = stage.member("kim");
        place(&stage, &kim, "5", &["A-1-2"]).await.problem(429, "too-many-holds");
        change(&stage, "more", json!({"max_unpaid_holds_per_member": 3})).await.expect(200);
        place(&stage, &kim, "5", &["A-1-2"]).await.expect(201);
        change(&stage, "free", json!({"max_live_orders_per_member": null})).await.expect(200);
        place(&stage, &kim, "6", &["A-1-3"]).await.expect(201);
        assert_limit(place(&stage, &kim, "7", &["A-1-4"]).await, 2, 2, 0);
        stage.home.assert_audit_passes();
    }
}

async fn give_back(who: &Client, key: &str, order: &str, tickets: Option<&[&str]>) -> Answer {
    let body = tickets.map_or(json!({}), |tickets| json!({"tickets": tickets}));
    who.key(key).post(&format!("/v1/orders/{order}/cancel"), &body).await
}

#[tokio::test]
async fn what_is_given_back_may_be_bought_again() {
    for kind in BOTH {
        let change = |body: &mut Value| body["max_seats_per_member"] = json!(2);
        let shop = Shop::open(Plan { kind, change, ..Plan::default() }).await;
        let kim = shop.member("kim");
        let orders = format!("/v1/performances/{}/orders", shop.performance);
        let one = |seat: &'static str| (kim.key(&format!("one-{seat}")), json!({"seats": [seat]}));
        let order = shop.place(&kim, &["A-1-1", "A-1-2"]).await;
        let paid = shop.pay(&kim, &order, "pk_1", 2 * shop.price).await.expect(200);
        let (client, body) = one("A-1-3");
        assert_limit(client.post(&orders, &body).await, 2, 0, 2);

        let ticket = paid.body["tickets"][0]["ticket_id"].as_str().expect("a ticket").to_owned();
        give_back(&kim, "part", &order, Some(&[&ticket])).await.expect(200);
        client.post(&orders, &body).await.expect(201);
        let (client, body) = one("A-1-4");
        assert_limit(client.post(&orders, &body).await, 2, 1, 1);

        give_back(&kim, "rest", &order, None).await.expect(200);
        let next = client.post(&orders, &body).await.expect(201).str("order_id");
        let (client, body) = one("A-1-5");
        assert_limit(client.post(&orders, &body).await, 2, 2, 0);
        // Payments that fail for good give the seats back, too.
        for number in 1..=3 {
            shop.pay(&kim, &next, &format!("decline_{number}"), shop.price).await.problem(402, "payment-declined");
        }
        let shop = shop.crash().await;
        let kim = shop.member("kim");
        kim.key("last").post(&orders, &body).await.expect(201);
        assert_limit(kim.key("over").post(&orders, &json!({"seats": ["A-1-6"]})).await, 2, 2, 0);
        sound(&shop);
    }
}

#[tokio::test]
async fn sellers_move_the_limit_while_they_sell() {
    for kind in BOTH {
        let stage = Stage::set_with(kind, |body| body["max_seats_per_member"] = json!(1)).await;
        let kim = stage.member("kim");
        place(&stage, &kim, "1", &["A-1-1"]).await.expect(201);
        assert_limit(place(&stage, &kim, "2", &["A-1-2"]).await, 1, 1, 0);
        change(&stage, "more", json!({"max_seats_per_member": 3})).await.expect(200);
        place(&stage, &kim, "2", &["A-1-2", "A-1-3"]).await.expect(201);
        change(&stage, "fewer", json!({"max_seats_per_member": 2})).await.expect(200);
        assert_limit(place(&stage, &kim, "3", &["A-1-4"]).await, 2, 3, 0);
        change(&stage, "free", json!({"max_seats_per_member": null})).await.expect(200);
        place(&stage, &kim, "3", &["A-1-4"]).await.expect(201);
        change(&stage, "again", json!({"max_seats_per_member": 4})).await.expect(200);
        assert_limit(place(&stage, &kim, "4", &["A-1-5"]).await, 4, 4, 0);
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn members_are_counted_from_the_first_order_on() {
    let stage = Stage::set_on(Home::new(Kind::Sqlite).await, |_| {}).await;
    let refused = change(&stage, "late", json!({"max_seats_per_member": 2})).await.problem(409, "in-use");
    assert!(refused.str("detail").contains("before the sale opens"), "{}", refused.text);
    place(&stage, &stage.member("kim"), "1", &["A-1-1", "A-1-2", "A-1-3"]).await.expect(201);
    assert!(stage.home.export().iter().all(|event| !event["stream"].as_str().unwrap().starts_with("member/")));
    let early = Stage::set_with(Kind::Sqlite, |body| body["sale_opens_at"] = json!("2098-01-01T00:00:00Z")).await;
    let body = json!({"max_seats_per_member": 2, "starts_at": FAR});
    assert_eq!(change(&early, "in-time", body).await.expect(200).body["max_seats_per_member"], 2);
    let opened = change(&early, "open", json!({"sale_opens_at": "2020-01-01T00:00:00Z"})).await.expect(200);
    assert_eq!(opened.body["status"], "on_sale");
    let kim = early.member("kim");
    assert_limit(place(&early, &kim, "1", &["A-1-1", "A-1-2", "A-1-3"]).await, 2, 0, 0);
    place(&early, &kim, "2", &["A-1-1", "A-1-2"]).await.expect(201);
}
