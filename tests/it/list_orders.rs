//! Orders and tickets as lists: who sees which, by which filters, and page by page.

use serde_json::{Value, json};

use crate::support::http::Answer;
use crate::support::lists::{column, read_after, rest};
use crate::support::server::BOTH;
use crate::support::stage::{Stage, performance_body};
use crate::support::{Client, Kind};

/// A performance of another seller's.
async fn performance_of(seller: &Client) -> String {
    let venue =
        json!({"name": "홀", "sections": [{"section": "A", "grade": "VIP", "rows": [{"row": "1", "seats": 4}]}]});
    let venue = seller.post("/v1/venues", &venue).await.expect(201).str("venue_id");
    let show = json!({"title": "다른 공연", "category": "concert", "description": "", "place": "부산",
        "starts_on": "2099-01-01", "ends_on": "2099-01-02"});
    let show = seller.post("/v1/shows", &show).await.expect(201).str("show_id");
    let mut body = performance_body(&show, &venue);
    body["prices"] = json!({"VIP": 1_000});
    seller.post("/v1/performances", &body).await.expect(201).str("performance_id")
}

async fn place(client: &Client, performance: &str, seat: &str, reference: Option<&str>) -> Answer {
    let body = json!({"seats": [seat], "reference": reference});
    let path = format!("/v1/performances/{performance}/orders");
    client.key(&format!("{performance}-{seat}")).post(&path, &body).await.expect(201)
}

#[tokio::test]
async fn orders_are_listed_for_whom_they_concern() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let other = stage.anyone.with_token(&stage.home.token("seller-2", "seller", None));
        let elsewhere = performance_of(&other).await;
        let (kim, lee) = (stage.member("kim"), stage.member("lee"));
        let first = place(&kim, &stage.performance, "A-1-1", Some("kim/1")).await;
        let second = place(&kim, &elsewhere, "A-1-1", None).await;
        let third = place(&lee, &stage.performance, "A-1-2", Some("lee/1")).await;
        let cancel = format!("/v1/orders/{}/cancel", first.str("order_id"));
        let cancelled = kim.key("c").post(&cancel, &json!({})).await.expect(200);
        let known = [&cancelled, &second, &third];
        let (a, b, c) = (&first.body["order_id"], &second.body["order_id"], &third.body["order_id"]);

        let own = read_after(&kim, "/v1/orders", &known).await.expect(200);
        assert_eq!(column(&own, "order_id"), [b.clone(), a.clone()], "her own, the newest first");
        let one = kim.get(&format!("/v1/orders/{}", first.str("order_id"))).await.expect(200);
        assert_eq!(own.body["items"][1], one.body, "an item is the order as it is read alone");
        assert_eq!(own.body["next_cursor"], Value::Null);

        let (performance, orders) = (&stage.performance, stage.orders());
        let here = format!("/v1/orders?performance_id={performance}");
        let table: Vec<(&Client, String, &str)> = vec![
            (&kim, "/v1/orders?status=cancelled".to_owned(), "a"),
            (&kim, "/v1/orders?status=completed".to_owned(), ""),
            (&kim, here.clone(), "a"),
            (&kim, "/v1/orders?reference=kim/1".to_owned(), "a"),
            (&kim, "/v1/orders?reference=lee/1".to_owned(), ""),
            (&kim, "/v1/orders?account_id=lee".to_owned(), ""),
            (&kim, "/v1/orders?to=2020-01-01T00:00:00Z".to_owned(), ""),
            (&kim, "/v1/orders?from=2020-01-01T09:00:00+09:00".to_owned(), "ba"),
            (&lee, "/v1/orders".to_owned(), "c"),
            (&stage.seller, "/v1/orders".to_owned(), "ca"),
            (&stage.seller, format!("/v1/orders?performance_id={elsewhere}"), ""),
            (&stage.seller, "/v1/orders?account_id=kim".to_owned(), "a"),
            (&other, "/v1/orders".to_owned(), "b"),
            (&stage.admin, "/v1/orders".to_owned(), "cba"),
            (&stage.admin, "/v1/orders?account_id=kim".to_owned(), "ba"),
            (&stage.seller, orders.clone(), "ca"),
            (&stage.seller, format!("{orders}?status=awaiting_payment"), "c"),
            (&stage.seller, format!("{orders}?reference=kim/1"), "a"),
            (&stage.admin, orders.clone(), "ca"),
            (&kim, "/v1/tickets".to_owned(), ""),
            (&kim, format!("/v1/tickets?order_id={}&performance_id={performance}", first.str("order_id")), ""),
        ];
        for (client, path, expected) in table {
            let page = read_after(client, &path, &known).await.expect(200);
            let letter =
                |id: &Value| ["a", "b", "c"][[a, b, c].iter().position(|known| *known == id).expect("one of them")];
            let found: String = column(&page, "order_id").iter().map(letter).collect();
            assert_eq!(found, expected, "{path}");
        }
        other.get(&orders).await.problem(404, "not-found");
        kim.get(&orders).await.problem(403, "role-required");
        stage.seller.get("/v1/tickets").await.problem(403, "role-required");
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn pages_go_on_where_they_ended_while_orders_come_in() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let kim = stage.member("kim");
        let mut placed = Vec::new();
        for seat in 1..=5 {
            placed.push(place(&kim, &stage.performance, &format!("A-1-{seat}"), None).await);
        }
        let path = "/v1/orders?limit=2";
        let first = read_after(&kim, path, &[&placed[4]]).await.expect(200);
        let cursor = first.str("next_cursor");
        let late = place(&kim, &stage.performance, "A-1-6", None).await;
        let cancel = format!("/v1/orders/{}/cancel", placed[2].str("order_id"));
        let cancelled = kim.key("c").post(&cancel, &json!({})).await.expect(200);
        let newest = read_after(&kim, path, &[&late, &cancelled]).await.expect(200);
        assert_eq!(column(&newest, "order_id")[0], late.body["order_id"]);
        let seen = rest(&kim, path, first, "order_id").await;
        let expected: Vec<Value> = placed.iter().rev().map(|order| order.body["order_id"].clone()).collect();
        assert_eq!(seen, expected, "each once; what came later belongs to a list that begins later");
        let bent = format!("/v1/orders?limit=2&status=expired&cursor={cursor}");
        kim.get(&bent).await.problem(400, "invalid-parameter");
    }
}

#[tokio::test]
async fn what_a_list_does_not_take_is_refused() {
    let stage = Stage::set(Kind::Sqlite).await;
    let kim = stage.member("kim");
    for (query, code) in [
        ("colour=red", "unknown-parameter"),
        ("limit=0", "invalid-parameter"),
        ("limit=201", "invalid-parameter"),
        ("cursor=abc", "invalid-parameter"),
        ("status=lost", "invalid-parameter"),
        ("status=expired&status=expired", "invalid-parameter"),
        ("performance_id=7", "invalid-parameter"),
        ("reference=%00", "invalid-parameter"),
        ("from=yesterday", "invalid-parameter"),
        ("min_position=x", "invalid-parameter"),
    ] {
        kim.get(&format!("/v1/orders?{query}")).await.problem(400, code);
    }
    kim.get("/v1/tickets?status=valid").await.problem(400, "unknown-parameter");
    kim.get("/v1/orders?min_position=1:99999").await.problem(503, "read-behind");
}
