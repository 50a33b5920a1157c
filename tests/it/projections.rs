//! Read models through the real program: kills at any moment, poison, gaps, rebuilds beside a serving node, and what
//! operators see and decide.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use onsale::clock::Entropy;
use onsale::events::Record;
use onsale::events::store::{Created, PaymentRecorded};
use onsale::events::{Event, StoreEvent};
use onsale::ids::{AccountId, Hash16, NodeId, Partition, PaymentId, Position, StoreId, StreamId};
use onsale::journal::conformance::Builder;
use onsale::journal::open::{Options, Role, Target, open};
use onsale::journal::{SharedJournal, Unit, Verdict};
use onsale::money::{Amount, Currency};
use serde_json::{Value, json};
use tokio::process::Command;

use crate::support::Client;
use crate::support::server::{BOTH, Home, Kind, Server};
use crate::support::stage::Stage;
use crate::support::wait::until;

/// Kills on each engine; two engines make 30.
const KILLS: u64 = 15;

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// Everything that writes: coupons, payments and orders, until the connection breaks. Counts answers.
async fn load(
    stage: &Stage,
    coupon: &str,
    store: &str,
    round: u64,
    answers: &Arc<AtomicU64>,
) -> tokio::task::JoinSet<()> {
    let mut load = tokio::task::JoinSet::new();
    let pos = stage.anyone.with_token(&stage.home.token("pos", "pos", Some(store)));
    for (number, token) in (0..).zip(stage.home.tokens(&format!("fan{round}"), "member", 6)) {
        let fan = stage.anyone.with_token(&token);
        let (pos, answers) = (pos.clone(), answers.clone());
        let (issue, orders) = (format!("/v1/coupons/{coupon}/issue"), stage.orders());
        let pay = format!("/v1/stores/{store}/payments");
        load.spawn(async move {
            for n in 0_u64.. {
                let name = format!("{round}-{number}-{n}");
                let answer = match n % 3 {
                    0 => fan.key(&name).try_post(&issue, &json!({})).await,
                    1 => {
                        let paid_at = onsale::clock::Clock::wall(&onsale::clock::SystemClock).to_string();
                        let body = json!({"payment_id": name, "amount": 1000, "currency": "KRW", "method": "card", "paid_at": paid_at});
                        pos.try_post(&pay, &body).await
                    }
                    _ => {
                        let seat = format!("A-1-{}", (n + number) % 10 + 1);
                        let placed = fan.key(&name).try_post(&orders, &json!({"seats": [seat]})).await;
                        if let Some(order) = placed.as_ref().filter(|order| order.status == 201) {
                            let path = format!("/v1/orders/{}/cancel", order.str("order_id"));
                            fan.key(&name).try_post(&path, &json!({})).await;
                        }
                        placed
                    }
                };
                if answer.is_none() {
                    return;
                }
                answers.fetch_add(1, Ordering::SeqCst);
            }
        });
    }
    load
}

/// SIGKILL while it catches up, while it follows, and while somebody rebuilds: P1 holds each time.
async fn kills_keep_p1(kind: Kind) {
    let mut stage = Stage::set(kind).await;
    let mut body = crate::support::stage::coupon_body(1_000_000);
    body["per_member"] = json!(100);
    let coupon = stage.seller.post("/v1/coupons", &body).await.expect(201).str("coupon_id");
    let store = stage.store().await;
    let dice = Entropy::seeded(7);
    for round in 0..KILLS {
        let answers = Arc::new(AtomicU64::new(0));
        let mut clients = load(&stage, &coupon, &store, round, &answers).await;
        let enough = 5 + dice.below(120);
        let mut rebuild = None;
        if round % 3 == 0 {
            let replay = ["replay"].map(str::to_owned).into_iter().chain(stage.home.options());
            let child = Command::new(env!("CARGO_BIN_EXE_onsale")).args(replay).kill_on_drop(true).output();
            rebuild = Some(tokio::spawn(child));
        }
        until("answers under load", || async { answers.load(Ordering::SeqCst) }, |count| *count >= enough).await;
        if round % 6 == 0 {
            // The rebuild dies with the node.
            if let Some(rebuild) = rebuild.take() {
                rebuild.abort();
            }
        }
        stage = stage.crash().await;
        while let Some(client) = clients.join_next().await {
            client.expect("a client under load");
        }
        if let Some(rebuild) = rebuild {
            let output = rebuild.await.expect("no panic").expect("it ran");
            assert!(output.status.success(), "{}", said(&output));
        }
        if round % 4 == 1 {
            // Again, before it has caught up.
            stage = stage.crash().await;
        }
        stage.home.assert_audit_passes();
    }
    let issues = stage.home.export().iter().filter(|event| event["kind"] == "coupon.issued").count();
    assert!(issues > 20, "{issues} coupons were issued under load");
    let output = stage.home.run(&["replay", "--verify"]);
    assert!(output.status.success(), "{}", said(&output));
}

#[tokio::test]
async fn kills_at_any_moment_keep_p1_on_sqlite() {
    kills_keep_p1(Kind::Sqlite).await;
}

#[tokio::test]
async fn kills_at_any_moment_keep_p1_on_postgres() {
    kills_keep_p1(Kind::Postgres).await;
}

fn position_of(text: &str) -> u64 {
    text.split_once(':').expect("a position").1.parse().expect("a number")
}

/// A reader polls a list through rebuilds under load: it never sees it empty, shrink, or go back in position.
#[tokio::test]
async fn a_reader_sees_nothing_of_a_rebuild() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let store = stage.store().await;
        let pos = stage.anyone.with_token(&stage.home.token("pos", "pos", Some(&store)));
        let path = format!("/v1/stores/{store}/payments");
        let pay = |n: u64| {
            let paid_at = onsale::clock::Clock::wall(&onsale::clock::SystemClock).to_string();
            json!({"payment_id": format!("p-{n}"), "amount": 1000, "currency": "KRW", "method": "card", "paid_at": paid_at})
        };
        let first = pos.post(&path, &pay(0)).await.expect(201).str("position");
        pos.get(&format!("{path}?min_position={first}")).await.expect(200);
        let stop = Arc::new(AtomicBool::new(false));
        let reader = tokio::spawn(read_until(pos.clone(), path.clone(), stop.clone()));
        let mut n = 1;
        for _ in 0..3 {
            let args = ["replay".to_owned()].into_iter().chain(stage.home.options());
            let rebuild = tokio::spawn(Command::new(env!("CARGO_BIN_EXE_onsale")).args(args).output());
            while !rebuild.is_finished() {
                pos.post(&path, &pay(n)).await.expect(201);
                n += 1;
            }
            let output = rebuild.await.expect("no panic").expect("it ran");
            assert!(output.status.success(), "{}", said(&output));
            // Every read model is on its new build before the next rebuild begins.
            let builds = || async { admin_builds(&stage.admin).await };
            until("live again", builds, |all| all.iter().all(|(_, state)| state == "live")).await;
        }
        let last = pos.post(&path, &pay(n)).await.expect(201).str("position");
        pos.get(&format!("{path}?min_position={last}")).await.expect(200);
        stop.store(true, Ordering::SeqCst);
        let (looks, seen) = reader.await.expect("no panic");
        assert!(looks > 20 && seen > 1, "{looks} looks, {seen} items");
        assert!(stage.server.terminate().await.success());
        stage.home.assert_audit_passes();
    }
}

/// Looks at the newest page all the time; how often, and how many items there were at last.
async fn read_until(client: Client, path: String, stop: Arc<AtomicBool>) -> (u64, usize) {
    let (mut looks, mut items, mut newest) = (0, 0, 0);
    while !stop.load(Ordering::SeqCst) {
        let page = client.get(&format!("{path}?limit=200")).await.expect(200);
        let found = page.body["items"].as_array().expect("items");
        let positions = found.iter().map(|item| position_of(item["position"].as_str().expect("a position")));
        let now = positions.max().unwrap_or_default();
        assert!(found.len() >= items, "shrank from {items} to {}", found.len());
        assert!(now >= newest, "went back from {newest} to {now}");
        (looks, items, newest) = (looks + 1, found.len(), now);
    }
    (looks, items)
}

async fn admin_builds(admin: &Client) -> Vec<(u64, String)> {
    let all = admin.get("/v1/admin/projections").await.expect(200);
    let items = all.body["items"].as_array().expect("items").clone();
    items
        .iter()
        .map(|item| (item["build"].as_u64().unwrap_or_default(), item["state"].as_str().unwrap_or_default().to_owned()))
        .collect()
}

/// Writes a log as a node would, without one.
pub struct Scribe {
    pub journal: SharedJournal,
    builders: Vec<Builder>,
}

impl Scribe {
    pub async fn open(home: &Home) -> Self {
        let target = match home.database_url() {
            Some(url) => Target::Postgres { url },
            None => Target::Sqlite { dir: home.data().to_owned() },
        };
        let journal = open(&target, Options::new(Role::Serve)).await.expect("a log");
        let claim = journal.claim(&NodeId::new("scribe")).await.expect("nobody serves it");
        let builders = claim.partitions.iter().map(Builder::after).collect();
        Self { journal, builders }
    }

    pub async fn write(&mut self, partition: Partition, facts: Vec<(StreamId, Event)>, edit: impl Fn(&mut Record)) {
        let builder = &mut self.builders[usize::from(partition.0)];
        let before = builder.chain;
        let mut unit = Unit { records: builder.records(facts), ..Unit::default() };
        let mut chain = before;
        for record in &mut unit.records {
            edit(record);
            record.chain = record.chain_after(&chain);
            chain = record.chain;
        }
        builder.chain = chain;
        let batch = builder.batch(vec![unit]);
        assert_eq!(self.journal.append(&[batch]).await, Ok(vec![Verdict::Written]));
    }

    /// The log's time of what is written next.
    pub fn at(&mut self, partition: Partition, at: onsale::timestamp::Timestamp) {
        self.builders[usize::from(partition.0)].at = at;
    }

    pub async fn end(self) {
        self.journal.release(&NodeId::new("scribe")).await.expect("given back");
    }
}

fn store_id(seed: u8) -> StoreId {
    StoreId::new(format!("st_{}", Hash16([seed; 16])))
}

fn created(store: &StoreId) -> (StreamId, Event) {
    let (store_id, owner) = (store.clone(), AccountId::new("seller-1"));
    let event = Created { store_id, owner, name: "점포".to_owned(), body: Hash16::default() };
    (StreamId::store(store), StoreEvent::from(event).into())
}

fn paid(store: &StoreId, payment: &str) -> (StreamId, Event) {
    let event = PaymentRecorded {
        payment_id: PaymentId::new(payment),
        amount: Amount::new(500).expect("a small amount"),
        currency: Currency::KRW,
        method: "card".to_owned(),
        paid_at: onsale::clock::Clock::wall(&onsale::clock::SystemClock),
        terminal_id: None,
    };
    (StreamId::store(store), StoreEvent::from(event).into())
}

/// A payload that nobody can read: its store waits in the read models that follow it, every other store goes on.
#[tokio::test]
async fn a_poison_message_waits_for_an_operator() {
    for kind in BOTH {
        let home = Home::new(kind).await;
        let (bad, good) = (store_id(1), store_id(2));
        let mut scribe = Scribe::open(&home).await;
        let partitions = scribe.journal.partitions();
        let at = |store: &StoreId| Partition::of_key(store.as_str(), partitions);
        scribe.write(at(&bad), vec![created(&bad), paid(&bad, "p-1")], |_| {}).await;
        scribe.write(at(&good), vec![created(&good)], |_| {}).await;
        scribe.write(at(&bad), vec![paid(&bad, "p-2")], |record| record.payload = vec![0xff; 3]).await;
        scribe.write(at(&bad), vec![paid(&bad, "p-3")], |_| {}).await;
        scribe.write(at(&good), vec![paid(&good, "p-1"), paid(&good, "p-2")], |_| {}).await;
        scribe.end().await;

        let server = Server::start(&home).await;
        let admin = server.client().with_token(&home.token("root", "admin", None));
        let parked = || async { admin.get("/v1/admin/parked").await.expect(200).body["items"].clone() };
        // Two read models follow stores, and each parks the key for itself.
        // A store waits as a whole; of payments only the one, and the next goes on.
        let both = |items: &Value| {
            let events = items.as_array().into_iter().flatten().filter_map(|one| one["events"].as_u64());
            events.sum::<u64>() == 3
        };
        let items = until("parked keys", parked, both).await;
        let of = |name: &str| {
            let items = items.as_array().expect("items");
            items.iter().find(|item| item["projection"] == name).cloned().expect("this read model parked it")
        };
        let payments = of("store_payments");
        assert_eq!((&payments["key"], &payments["events"]), (&json!(format!("store/{bad}")), &json!(1)));
        let list = |store: &StoreId| format!("/v1/stores/{store}/payments");
        let count = |page: Value| page["items"].as_array().map_or(0, Vec::len);
        let good_payments = || async { count(admin.get(&list(&good)).await.body) };
        until("the others go on", good_payments, |found| *found == 2).await;
        let ready = admin.get("/readyz").await.expect(200);
        let detail =
            ready.body["checks"].as_array().expect("checks").iter().find(|c| c["name"] == "projections").cloned();
        assert!(
            detail.is_some_and(|check| check["detail"].as_str().is_some_and(|text| text.contains("1 keys parked")))
        );
        let one = admin.get("/v1/admin/parked?projection=stores&limit=1").await.expect(200);
        assert_eq!(count(one.body), 1);
        admin.get("/v1/admin/parked?projection=nothing").await.problem(400, "invalid-parameter");

        // What cannot be read is shown with what is wrong with it.
        let stream = admin.get(&format!("/v1/admin/streams/store/{bad}")).await.expect(200);
        let broken = &stream.body["items"][2];
        assert!(broken["data"].is_null() && broken["error"].is_string(), "{broken}");
        let id = payments["id"].as_str().expect("an id").to_owned();
        let retry = format!("/v1/admin/parked/{id}/retry");
        admin.post(&retry, &json!({"reason": ""})).await.problem(422, "invalid-value");
        let still = admin.key("k1").post(&retry, &json!({"reason": "한 번 더"})).await.expect(200);
        assert!(still.str("outcome").contains("still cannot be"), "{}", still.text);
        let again = admin.key("k1").post(&retry, &json!({"reason": "한 번 더"})).await.expect(200);
        assert_eq!((again.header("idempotent-replayed"), &again.body), (Some("true"), &still.body));
        admin.key("k1").post(&retry, &json!({"reason": "other"})).await.problem(422, "idempotency-key-reused");
        let nothing = format!("/v1/admin/parked/store_payments.{}.999/skip", at(&bad));
        admin.post(&nothing, &json!({"reason": "x"})).await.problem(404, "not-found");

        // Kept across a crash; then one is skipped over the API, the other on the command line while no node runs.
        server.kill().await;
        let stores = of("stores")["id"].as_str().expect("an id").to_owned();
        let listed = said(&home.run(&["parked", "list"]));
        assert!(listed.contains(&id) && listed.contains(&stores), "{listed}");
        let skip = home.run(&["parked", "skip", &stores, "--reason", "a broken till", "--actor", "kim"]);
        assert!(skip.status.success(), "{}", said(&skip));
        let server = Server::start(&home).await;
        let admin = server.client().with_token(&home.token("root", "admin", None));
        let parked = || async { count(admin.get("/v1/admin/parked").await.expect(200).body) };
        until("one was skipped on the command line", parked, |left| *left == 1).await;
        let skip = format!("/v1/admin/parked/{id}/skip");
        let skipped = admin.post(&skip, &json!({"reason": "금액을 알 수 없음"})).await.expect(200);
        assert_eq!((skipped.str("outcome").as_str(), skipped.str("actor").as_str()), ("skipped", "root"));
        until("nothing is parked", parked, |left| *left == 0).await;
        // A rebuild leaves out what was skipped, and is the same.
        let verified = home.run(&["replay", "--verify", "store_payments", "stores"]);
        assert!(verified.status.success(), "{}", said(&verified));
    }
}

/// A row that was taken out of the log: an alarm that names the place, and nobody goes over it.
#[tokio::test]
async fn a_gap_in_the_log_raises_the_alarm() {
    let home = Home::new(Kind::Sqlite).await;
    let (bad, good) = (store_id(1), store_id(2));
    let mut scribe = Scribe::open(&home).await;
    let partitions = scribe.journal.partitions();
    let at = |store: &StoreId| Partition::of_key(store.as_str(), partitions);
    for store in [&bad, &good] {
        scribe.write(at(store), vec![created(store)], |_| {}).await;
        for n in 0..5 {
            scribe.write(at(store), vec![paid(store, &format!("p-{n}"))], |_| {}).await;
        }
    }
    scribe.end().await;
    let gap = Position(4);
    let file = format!("sqlite://{}", home.log_db().display());
    let sql = format!(
        "DROP TRIGGER events_no_delete; DELETE FROM events WHERE partition = {} AND position = {gap}",
        at(&bad)
    );
    {
        use sqlx::Connection;
        let mut conn = sqlx::SqliteConnection::connect(&file).await.expect("the file");
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql)).execute(&mut conn).await.expect("somebody who came in past the server");
    }
    let server = Server::start(&home).await;
    let admin = server.client().with_token(&home.token("root", "admin", None));
    let gaps = || async {
        let all = admin.get("/v1/admin/projections").await.expect(200);
        let items = all.body["items"].as_array().expect("items").clone();
        items.iter().find(|item| item["name"] == "store_payments").map(|item| item["gaps"].clone())
    };
    let place = json!([format!("{}:{gap}", at(&bad))]);
    until("the alarm", gaps, |gaps| gaps.as_ref() == Some(&place)).await;
    let count = |page: Value| page["items"].as_array().map_or(0, Vec::len);
    let list = |store: &StoreId| format!("/v1/stores/{store}/payments");
    let good_payments = || async { count(admin.get(&list(&good)).await.body) };
    until("the other partition goes on", good_payments, |found| *found == 5).await;
    let metrics = admin.get("/metrics").await.expect(200).text;
    assert!(metrics.contains("onsale_projection_gaps_total{projection=\"store_payments\"}"), "{metrics}");
    let ready = admin.get("/readyz").await.expect(200).text;
    assert!(ready.contains("a gap in the log at"), "{ready}");
}

#[tokio::test]
async fn operators_see_streams_and_read_models() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let store = stage.store().await;
        let pos = stage.anyone.with_token(&stage.home.token("pos", "pos", Some(&store)));
        for n in 0..3 {
            let paid_at = onsale::clock::Clock::wall(&onsale::clock::SystemClock).to_string();
            let body = json!({"payment_id": format!("p-{n}"), "amount": 1, "currency": "KRW", "method": "cash", "paid_at": paid_at});
            pos.post(&format!("/v1/stores/{store}/payments"), &body).await.expect(201);
        }
        let path = format!("/v1/admin/streams/store/{store}");
        stage.seller.get(&path).await.problem(403, "role-required");
        let whole = stage.admin.get(&path).await.expect(200);
        let first = stage.admin.get(&format!("{path}?limit=3")).await.expect(200);
        let rest = stage.admin.get(&format!("{path}?limit=3&cursor={}", first.str("next_cursor"))).await.expect(200);
        let events = |answer: &crate::support::http::Answer| answer.body["items"].as_array().expect("items").clone();
        assert_eq!([events(&first), events(&rest)].concat(), events(&whole));
        let exported: Vec<Value> =
            stage.home.export().into_iter().filter(|event| event["stream"] == format!("store/{store}")).collect();
        assert_eq!(events(&whole), exported, "the same as the export");
        stage.admin.get("/v1/admin/streams/store/none").await.problem(404, "not-found");
        stage.admin.get("/v1/admin/streams/a%00b").await.problem(404, "not-found");
        let elsewhere = format!("/v1/admin/streams/store/other?cursor={}", first.str("next_cursor"));
        stage.admin.get(&elsewhere).await.problem(400, "invalid-parameter");

        let builds = || async { admin_builds(&stage.admin).await };
        let before = until("all live", builds, |all| all.iter().all(|(_, state)| state == "live")).await;
        let output = stage.home.run(&["replay"]);
        assert!(output.status.success(), "{}", said(&output));
        assert!(said(&output).contains("events, "), "plain lines tell the progress: {}", said(&output));
        let switched =
            |all: &Vec<(u64, String)>| all.iter().zip(&before).all(|(now, before)| now.0 > before.0 && now.1 == "live");
        until("on the new builds", builds, switched).await;
        let past = stage.home.run(&["replay", "stores", "--until", "2020-01-01T00:00:00Z"]);
        let told = said(&past);
        assert!(past.status.success() && told.contains("past_stores") && told.contains("LIMIT 10"), "{told}");
        for (args, code) in [
            (&["replay", "nothing"][..], 2),
            (&["replay", "--until", "yesterday"], 2),
            (&["replay", "--until", "0:999999"], 1),
            (&["replay", "--until", "0:1", "--verify"], 2),
            (&["parked", "skip", "stores.0.1", "--reason", "x", "--actor", "y"], 1),
            (&["parked", "retry", "junk", "--reason", "x", "--actor", "y"], 1),
            (&["parked", "skip", "stores.0.1", "--reason", "", "--actor", "y"], 2),
        ] {
            let output = stage.home.run(args);
            assert_eq!(output.status.code(), Some(code), "{args:?}: {}", said(&output));
        }
        stage.home.assert_audit_passes();
    }
}

/// Somebody edited a row of a read model: the audit says which one, and a rebuild mends it.
#[tokio::test]
async fn the_audit_finds_a_row_that_the_log_does_not_give() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let store = stage.store().await;
        let kim = stage.member("kim");
        let order = kim.key("1").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(201);
        let listed = stage.seller.get(&format!("/v1/orders?min_position={}", order.str("position"))).await.expect(200);
        assert_eq!(listed.body["items"][0]["status"], "awaiting_payment");
        stage.home.assert_audit_passes();
        assert!(stage.server.terminate().await.success());
        match stage.home.owner_url() {
            Some(url) => {
                let sql = "UPDATE read.orders SET status = 'completed'; DELETE FROM read.stores";
                crate::base::postgres::sql(&url, sql).await;
            }
            None => {
                use sqlx::Connection;
                for (projection, sql) in
                    [("orders", "UPDATE orders SET status = 'completed'"), ("stores", "DELETE FROM stores")]
                {
                    let file = newest(stage.home.data(), projection);
                    let mut conn = sqlx::SqliteConnection::connect(&file).await.expect("the file");
                    sqlx::raw_sql(sql).execute(&mut conn).await.expect("edited");
                }
            }
        }
        let output = stage.home.run(&["audit"]);
        let told = said(&output);
        assert_eq!(output.status.code(), Some(1), "{told}");
        let order = order.str("order_id");
        assert!(
            told.contains("P1 broken in orders") && told.contains(&order) && told.contains("awaiting_payment"),
            "{told}"
        );
        assert!(told.contains("P1 broken in stores") && told.contains(&store) && told.contains("is missing"), "{told}");
        let verify = stage.home.run(&["replay", "--verify", "orders"]);
        assert_eq!(verify.status.code(), Some(1), "{}", said(&verify));
        assert!(said(&verify).contains("status is \"completed\", rebuilt \"awaiting_payment\""), "{}", said(&verify));
        assert!(stage.home.run(&["replay", "orders", "stores"]).status.success());
        stage.home.assert_audit_passes();
    }
}

/// The file of the newest build of a read model.
fn newest(data: &std::path::Path, projection: &str) -> String {
    let entries = std::fs::read_dir(data.join("read")).expect("read models");
    let number = |name: &str| {
        let number = name.strip_prefix(projection)?.strip_prefix('_')?.strip_suffix(".db")?;
        number.parse::<u32>().ok()
    };
    let numbers = entries.filter_map(|entry| number(&entry.ok()?.file_name().to_string_lossy()));
    let newest = numbers.max().expect("a build");
    format!("sqlite://{}", data.join("read").join(format!("{projection}_{newest}.db")).display())
}
