//! Coupons as lists: the public one, a member's own, a coupon's issues, and how a sale went.

use serde_json::{Value, json};

use crate::support::http::Answer;
use crate::support::lists::{column, read_after, rest};
use crate::support::server::BOTH;
use crate::support::stage::{FAR, OPEN, Stage, coupon_body};
use crate::support::{Client, Kind};

async fn coupon(seller: &Client, name: &str, stock: u64, change: impl FnOnce(&mut Value)) -> Answer {
    let mut body = coupon_body(stock);
    body["name"] = json!(name);
    change(&mut body);
    seller.post("/v1/coupons", &body).await.expect(201)
}

async fn issue(member: &Client, coupon: &str) -> Answer {
    member.post(&format!("/v1/coupons/{coupon}/issue"), &json!({})).await
}

#[tokio::test]
async fn everybody_finds_coupons_by_name_and_status() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let other = stage.anyone.with_token(&stage.home.token("seller-2", "seller", None));
        let open = coupon(&stage.seller, "봄 SPRING 10%", 5, |_| {}).await;
        let last = coupon(&stage.seller, "한 장", 1, |_| {}).await;
        let closed = coupon(&other, "지난 봄", 5, |body| body["closes_at"] = json!("2020-02-01T00:00:00Z")).await;
        let later = coupon(&other, "내년", 5, |body| body["opens_at"] = json!("2098-01-01T00:00:00Z")).await;
        let issued = issue(&stage.member("kim"), &last.str("coupon_id")).await.expect(201);
        let known = [&open, &closed, &later, &issued];
        let id = |answer: &Answer| answer.body["coupon_id"].clone();
        let table: [(&Client, &str, Vec<Value>); 11] = [
            (&stage.anyone, "/v1/coupons", vec![id(&later), id(&closed), id(&last), id(&open)]),
            (&stage.anyone, "/v1/coupons?status=open", vec![id(&open)]),
            (&stage.anyone, "/v1/coupons?status=sold_out", vec![id(&last)]),
            (&stage.anyone, "/v1/coupons?status=closed", vec![id(&closed)]),
            (&stage.anyone, "/v1/coupons?status=scheduled", vec![id(&later)]),
            (&stage.anyone, "/v1/coupons?name=%EB%B4%84", vec![id(&closed), id(&open)]),
            (&stage.anyone, "/v1/coupons?name=spring", vec![id(&open)]),
            (&stage.anyone, "/v1/coupons?name=10%25", vec![id(&open)]),
            (&stage.anyone, "/v1/coupons?name=1_%25", vec![]),
            (&stage.seller, "/v1/coupons?owner=me", vec![id(&last), id(&open)]),
            (&other, "/v1/coupons?owner=me&status=closed", vec![id(&closed)]),
        ];
        for (client, path, expected) in table {
            let page = read_after(client, path, &known).await.expect(200);
            assert_eq!(column(&page, "coupon_id"), expected, "{path}");
        }
        let page = read_after(&stage.anyone, "/v1/coupons?status=sold_out", &known).await.expect(200);
        let mut alone = stage.anyone.get(&format!("/v1/coupons/{}", last.str("coupon_id"))).await.expect(200).body;
        let mut item = page.body["items"][0].clone();
        // The time of reading is another one.
        (alone["at"], item["at"]) = (Value::Null, Value::Null);
        assert_eq!(item, alone, "an item is the coupon as it is read alone");
        stage.anyone.get("/v1/coupons?owner=me").await.problem(401, "unauthorized");
        stage.member("kim").get("/v1/coupons?owner=me").await.problem(403, "role-required");
        for junk in ["owner=seller-1", "status=lost", "name=", "name=%00"] {
            stage.anyone.get(&format!("/v1/coupons?{junk}")).await.problem(400, "invalid-parameter");
        }
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn members_and_sellers_see_their_issues() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let other = stage.anyone.with_token(&stage.home.token("seller-2", "seller", None));
        let spring = coupon(&stage.seller, "봄", 10, |_| {}).await.str("coupon_id");
        let autumn = coupon(&other, "가을", 10, |body| body["per_member"] = json!(3)).await.str("coupon_id");
        let (kim, lee) = (stage.member("kim"), stage.member("lee"));
        let mut of_lee = Vec::new();
        for number in ["1", "2", "3"] {
            of_lee.push(issue(&lee.key(number), &autumn).await.expect(201));
        }
        let early = issue(&kim, &spring).await.expect(201);
        let late = issue(&kim.key("k"), &autumn).await.expect(201);
        let known = [&early, &late, &of_lee[2]];

        let own = read_after(&kim, "/v1/accounts/me/coupons", &known).await.expect(200);
        assert_eq!(column(&own, "task_id"), [late.body["task_id"].clone(), early.body["task_id"].clone()]);
        let newest = &own.body["items"][0];
        assert_eq!(
            (&newest["name"], &newest["serial"], &newest["status"]),
            (&json!("가을"), &json!(4), &json!("issued"))
        );
        assert_eq!(
            (&newest["valid_until"], &newest["discount"]["value"]),
            (&json!("2099-01-01T00:00:00.000Z"), &json!(10))
        );
        assert_eq!((&newest["coupon_id"], &newest["issued_at"]), (&json!(autumn), &late.body["issued_at"]));
        assert_eq!(newest["position"], late.body["position"]);

        let issues = format!("/v1/coupons/{autumn}/issues");
        let first = read_after(&other, &format!("{issues}?limit=2"), &known).await.expect(200);
        assert_eq!(column(&first, "serial"), [1, 2]);
        let meanwhile = issue(&stage.member("park").key("p"), &autumn).await.expect(201);
        read_after(&other, &issues, &[&meanwhile]).await.expect(200);
        let serials = rest(&other, &format!("{issues}?limit=2"), first, "serial").await;
        assert_eq!(serials, [1, 2, 3, 4, 5], "what comes in the meantime comes at the end");
        let path = format!("{issues}?account_id=lee&limit=2");
        let page = read_after(&stage.admin, &path, &known).await.expect(200);
        assert_eq!(rest(&stage.admin, &path, page, "serial").await, [1, 2, 3]);
        let page = other.get(&format!("{issues}?account_id=kim")).await.expect(200);
        assert_eq!(page.body["items"][0]["account_id"], "kim");
        stage.seller.get(&issues).await.problem(404, "not-found");
        stage.seller.get(&format!("/v1/coupons/{autumn}/statistics")).await.problem(404, "not-found");
        lee.get(&issues).await.problem(403, "role-required");
        other.get("/v1/accounts/me/coupons").await.problem(403, "role-required");
        stage.home.assert_audit_passes();
    }
}

#[tokio::test]
async fn statistics_tell_how_a_coupon_went() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let fresh = coupon(&stage.seller, "새것", 3, |_| {}).await;
        let path = format!("/v1/coupons/{}/statistics", fresh.str("coupon_id"));
        let empty = read_after(&stage.seller, &path, &[&fresh]).await.expect(200).body;
        assert_eq!((&empty["issued"], &empty["series"], &empty["sold_out_at"]), (&json!(0), &json!([]), &Value::Null));

        let id = fresh.str("coupon_id");
        let mut last = None;
        for number in 1..=3 {
            last = Some(issue(&stage.member(&format!("fan-{number}")), &id).await.expect(201));
        }
        let last = last.expect("three");
        for _ in 0..4 {
            issue(&stage.member("late"), &id).await.problem(409, "coupon-sold-out");
        }
        issue(&stage.member("fan-1"), &id).await.problem(409, "coupon-already-issued");
        let told = read_after(&stage.seller, &path, &[&last]).await.expect(200).body;
        assert_eq!((&told["stock"], &told["issued"], &told["revoked"]), (&json!(3), &json!(3), &json!(0)));
        assert_eq!((&told["remaining"], &told["sold_out_at"]), (&json!(0), &last.body["issued_at"]));
        assert_eq!(told["last_issued_at"], last.body["issued_at"]);
        assert!(told["seconds_to_sell_out"].as_f64().is_some_and(|seconds| seconds > 0.0), "{told}");
        let points = told["series"].as_array().expect("a series");
        let issued: u64 = points.iter().map(|point| point["issued"].as_u64().expect("a number")).sum();
        assert_eq!((issued, &told["width_seconds"]), (3, &json!(1)));
        assert!((1..=3).contains(&told["peak_per_second"].as_u64().expect("a number")), "{told}");
        let by_code = json!({"coupon-already-issued": 1, "coupon-sold-out": 4});
        assert_eq!((&told["refused"]["total"], &told["refused"]["by_code"]), (&json!(5), &by_code));
        let metrics = stage.anyone.get("/metrics").await.expect(200).text;
        for line in [
            r#"onsale_commands_total{noun="coupon",outcome="accepted"} 4"#,
            r#"onsale_commands_total{noun="coupon",outcome="refused"} 5"#,
        ] {
            assert!(metrics.contains(line), "{line} is missing");
        }

        let stage = stage.crash().await;
        let after = read_after(&stage.seller, &path, &[&last]).await.expect(200).body;
        assert_eq!((&after["issued"], &after["refused"]["total"]), (&json!(3), &json!(0)), "refusals are of this run");
        assert!(after["refused"]["since"].as_str() > told["refused"]["since"].as_str(), "and it says since when");
    }
}

#[tokio::test]
async fn the_parts_of_a_coupon_without_issues_are_empty_lists() {
    let stage = Stage::set(Kind::Sqlite).await;
    let fresh = coupon(&stage.seller, "새것", 3, |body| {
        (body["opens_at"], body["closes_at"]) = (json!(OPEN), json!(FAR));
    });
    let fresh = fresh.await;
    let issues = format!("/v1/coupons/{}/issues", fresh.str("coupon_id"));
    let page = read_after(&stage.seller, &issues, &[&fresh]).await.expect(200);
    assert_eq!(page.body, json!({"items": [], "next_cursor": null}));
    let own = read_after(&stage.member("kim"), "/v1/accounts/me/coupons", &[&fresh]).await.expect(200);
    assert_eq!(own.body, json!({"items": [], "next_cursor": null}));
}
