//! Are the rivals of `onsale bench --against` honest, and does the comparison come to its end? A rival that sold a seat twice
//! would be no rival. How fast anybody is is nobody's business here.

use std::collections::BTreeSet;
use std::process::{Output, Stdio};

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::Client;
use crate::support::redis::Redis;
use crate::support::server::{Home, Kind, onsale};

const RIVALS: [&str; 3] = ["redis-lua", "row-lock", "sql-best"];

struct Rival {
    home: Home,
    anyone: Client,
    // Each ends with the test.
    _process: Child,
    _redis: Redis,
}

impl Rival {
    async fn start(name: &str, more: &[&str]) -> Self {
        let home = Home::new(Kind::Postgres).await;
        let redis = Redis::durable(home.data()).await;
        let mut process = Command::new(env!("CARGO_BIN_EXE_onsale"))
            .args(["bench", "rival", name, "--pool", "4", "--redis-url", &redis.url])
            .args(home.options())
            .args(more)
            .env("ONSALE_LOG__LEVEL", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(process.stdout.take().expect("its output is ours")).lines();
        let line = lines.next_line().await.expect("text").expect("it says where it listens");
        let base = line.strip_prefix("listening on ").expect("an address");
        Self { anyone: Client::new(base), home, _process: process, _redis: redis }
    }

    fn member(&self, name: &str) -> Client {
        self.anyone.with_token(&self.home.token(name, "member", None))
    }

    fn crowd(&self, count: usize) -> Vec<Client> {
        self.home.tokens("fan", "member", count).iter().map(|token| self.anyone.with_token(token)).collect()
    }

    fn seller(&self) -> Client {
        self.anyone.with_token(&self.home.token("seller", "seller", None))
    }

    /// The path by which it is asked for.
    async fn coupon(&self, stock: u64) -> String {
        let body = json!({"name": "c", "stock": stock, "opens_at": "2020-01-01T00:00:00Z", "closes_at": "2099-01-01T00:00:00Z"});
        let made = self.seller().post("/v1/coupons", &body).await.expect(201);
        format!("/v1/coupons/{}/issue", made.str("coupon_id"))
    }

    /// One row of that many seats; the path by which they are ordered.
    async fn sale(&self, seats: u32) -> String {
        let rows = json!([{"row": "1", "seats": seats}]);
        let venue = json!({"name": "v", "sections": [{"section": "A", "grade": "R", "rows": rows}]});
        let venue = self.seller().post("/v1/venues", &venue).await.expect(201).str("venue_id");
        let performance = json!({
            "show_id": "sh_1", "venue_id": venue, "sale_opens_at": "2020-01-01T00:00:00Z",
            "sale_closes_at": "2099-01-01T00:00:00Z", "currency": "KRW", "prices": {"R": 1_000}, "hold_seconds": 600,
        });
        let made = self.seller().post("/v1/performances", &performance).await.expect(201);
        format!("/v1/performances/{}/orders", made.str("performance_id"))
    }

    async fn books(&self) -> Value {
        self.seller().get("/rival/books").await.expect(200).body["books"].clone()
    }
}

fn order(seats: &[&str]) -> Value {
    json!({"seats": seats})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rival_issues_its_stock_once_and_to_each_member_once() {
    for name in RIVALS {
        let rival = Rival::start(name, &[]).await;
        let path = rival.coupon(5).await;
        let kim = rival.member("kim");
        let first = kim.key("k").post(&path, &json!({})).await.expect(201);
        let again = kim.key("k").post(&path, &json!({})).await.expect(201);
        assert_eq!(first.body, again.body, "{name}");
        assert_eq!(again.header("idempotent-replayed"), Some("true"), "{name}");
        kim.key("k").post_raw(&path, "").await.problem(422, "idempotency-key-reused");
        for other in [kim.clone(), kim.key("l")] {
            let refused = other.post(&path, &json!({})).await.problem(409, "coupon-already-issued");
            assert_eq!(refused.body["serial"], first.body["serial"], "{name}");
        }
        rival.anyone.post(&path, &json!({})).await.problem(401, "unauthorized");
        rival.seller().post(&path, &json!({})).await.problem(403, "role-required");
        // All at once, each twice.
        let mut crowd = tokio::task::JoinSet::new();
        for fan in rival.crowd(20) {
            for key in ["a", "b"] {
                let (fan, path) = (fan.key(key), path.clone());
                crowd.spawn(async move { fan.post(&path, &json!({})).await });
            }
        }
        let answers = crowd.join_all().await;
        let mut serials: Vec<u64> =
            answers.iter().filter(|a| a.status == 201).map(|a| a.body["serial"].as_u64().unwrap()).collect();
        serials.push(first.body["serial"].as_u64().unwrap());
        let distinct: BTreeSet<u64> = serials.iter().copied().collect();
        assert_eq!((serials.len(), distinct), (5, (1..=5).collect()), "{name}");
        let refused = |code: &str| answers.iter().filter(|a| a.body["code"] == code).count();
        assert_eq!((refused("coupon-already-issued"), refused("coupon-sold-out")), (4, 32), "{name}");
        // Who has one is told so, also when there are no more.
        assert_eq!(kim.key("k").post(&path, &json!({})).await.expect(201).body, first.body, "{name}");
        let books = rival.books().await;
        assert_eq!((&books["issues"], &books["entries"], &books["wrong"]), (&json!(5), &json!(5), &json!(0)), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rival_sells_each_seat_once_and_orders_as_a_whole() {
    for name in RIVALS {
        let rival = Rival::start(name, &[]).await;
        let path = rival.sale(12).await;
        let kim = rival.member("kim");
        let first = kim.key("k").post(&path, &order(&["A-1-2", "A-1-1"])).await.expect(201);
        assert_eq!(
            (&first.body["amount"], &first.body["status"]),
            (&json!(2_000), &json!("awaiting_payment")),
            "{name}"
        );
        let again = kim.key("k").post(&path, &order(&["A-1-2", "A-1-1"])).await.expect(201);
        assert_eq!((&first.body, again.header("idempotent-replayed")), (&again.body, Some("true")), "{name}");
        for others in [&["A-1-1"][..], &["A-1-12"]] {
            kim.key("k").post(&path, &order(others)).await.problem(422, "idempotency-key-reused");
        }
        kim.post(&path, &order(&["A-1-12"])).await.problem(400, "idempotency-key-required");
        kim.key("n").post(&path, &order(&["A-1-13"])).await.problem(422, "invalid-value");
        // Twenty members for ten seats, in pairs that overlap.
        let mut crowd = tokio::task::JoinSet::new();
        for (n, fan) in rival.crowd(20).into_iter().enumerate() {
            let (path, pair) = (path.clone(), [format!("A-1-{}", 3 + n % 9), format!("A-1-{}", 4 + n % 9)]);
            crowd.spawn(async move { (fan.key("k").post(&path, &order(&[&pair[1], &pair[0]])).await, pair) });
        }
        let (mut sold, mut orders) = (BTreeSet::new(), 1);
        for (answer, pair) in crowd.join_all().await {
            if answer.status == 201 {
                orders += 1;
                assert!(
                    pair.into_iter().all(|seat| sold.insert(seat)),
                    "{name}: a seat was sold twice: {}",
                    answer.text
                );
            } else {
                answer.problem(409, "seat-unavailable");
            }
        }
        assert!(orders > 1, "{name}: nobody got anything");
        let books = rival.books().await;
        let wanted = json!({"issues": 0, "orders": orders, "seats": 2 * orders, "timers": orders, "entries": 3 * orders, "wrong": 0});
        assert_eq!(books, wanted, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rival_that_keeps_no_log_has_the_same_answers() {
    for name in RIVALS {
        let rival = Rival::start(name, &["--without-log"]).await;
        let (coupon, sale) = (rival.coupon(1).await, rival.sale(2).await);
        let kim = rival.member("kim").key("k");
        for (path, body) in [(&coupon, json!({})), (&sale, order(&["A-1-1", "A-1-2"]))] {
            let first = kim.post(path, &body).await.expect(201);
            assert_eq!(kim.post(path, &body).await.expect(201).body, first.body, "{name}");
        }
        rival.member("lee").key("k").post(&coupon, &json!({})).await.problem(409, "coupon-sold-out");
        rival.member("lee").key("k").post(&sale, &order(&["A-1-2"])).await.problem(409, "seat-unavailable");
        let wanted = json!({"issues": 1, "orders": 1, "seats": 2, "timers": 1, "entries": 0, "wrong": 0});
        assert_eq!(rival.books().await, wanted, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_answers_before_the_disk_is_no_rival() {
    let redis = Redis::start().await;
    let output = onsale(&["bench", "rival", "redis-lua", "--redis-url", &redis.url]);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{complained}");
    assert!(complained.contains("appendonly"), "{complained}");
}

/// A run that must end well; its report.
fn report(output: &Output) -> Value {
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}{complained}");
    serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"))
}

/// Node and rival by turns, each rival compared, all books in order.
fn assert_compared(report: &Value, rivals: &[&str], rounds: usize) {
    let texts = |list: &str, member: &str| -> Vec<String> {
        let list = report[list].as_array().expect(list);
        list.iter().map(|one| one[member].as_str().expect(member).to_owned()).collect()
    };
    assert_eq!(texts("comparisons", "rival"), rivals, "{report}");
    let turns: Vec<&str> =
        rivals.iter().flat_map(|rival| std::iter::repeat_n(["node", *rival], rounds)).flatten().collect();
    assert_eq!(texts("phases", "title"), turns);
    for comparison in report["comparisons"].as_array().unwrap() {
        let figure = |name: &str| comparison[name].as_f64().expect(name);
        assert!(figure("node_rate") > 0.0 && figure("rival_rate") > 0.0, "{comparison}");
        assert!(figure("lowest") <= figure("highest") && figure("ratio") > 0.0, "{comparison}");
    }
    let checks = report["checks"].as_array().expect("checks");
    assert!(checks.iter().all(|check| check["ok"] == true), "{report}");
    let books = checks.iter().filter(|check| check["name"] == "the rival's books").count();
    assert_eq!(books, rivals.iter().filter(|rival| **rival != "token-only").count(), "{report}");
}

#[tokio::test(flavor = "multi_thread")]
async fn coupons_are_compared_by_turns() {
    let home = Home::new(Kind::Postgres).await;
    let url = home.database_url().expect("on Postgres");
    let line = ["bench", "coupon", "--connections", "4", "--seconds", "1", "--warm-up", "0", "--members", "20000"];
    let rest =
        ["--against", "redis-lua,sql-best,row-lock,token-only", "--sweep-seconds", "0", "--rounds", "1", "--json"];
    let report = report(&onsale(&[&line[..], &rest[..], &["--database-url", &url]].concat()));
    assert_compared(&report, &["redis-lua", "sql-best", "row-lock", "token-only"], 1);
    let remarks = report["remarks"].to_string();
    assert!(remarks.contains("appendfsync always") && remarks.contains("fsync=on, "), "{remarks}");
}

#[tokio::test(flavor = "multi_thread")]
async fn seats_are_compared_by_turns_and_pools_are_tried() {
    let home = Home::new(Kind::Postgres).await;
    let url = home.database_url().expect("on Postgres");
    let line = ["bench", "seats", "--connections", "4", "--seconds", "1", "--warm-up", "0", "--seats", "20000"];
    let rest = ["--seats-per-order", "2", "--against", "sql-best", "--sweep-seconds", "1", "--rounds", "2", "--json"];
    let report = report(&onsale(&[&line[..], &rest[..], &["--database-url", &url]].concat()));
    assert_compared(&report, &["sql-best"], 2);
    let tried = report["comparisons"][0]["tried"].as_array().expect("pools");
    assert_eq!(tried.len(), 4, "{report}");
}

#[test]
fn rivals_on_postgres_need_one() {
    let output = onsale(&["bench", "coupon", "--against", "sql-best", "--members", "10"]);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{complained}");
    assert!(complained.contains("--database-url"), "{complained}");
}
