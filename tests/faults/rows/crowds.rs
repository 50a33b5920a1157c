//! Many at once: clients that are gone before they are answered, ten thousand for one seat, everybody back after an outage,
//! and payments in the millisecond in which the hold runs out.

use std::sync::Arc;
use std::time::Duration;

use onsale::clock::{Clock, Entropy, SystemClock};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{Row, USUAL};
use crate::base::postgres;
use crate::load::{self, Crew};
use crate::run::Run;
use crate::stage::Plan;
use crate::stage::world::{PRICE, Person, tokens};
use crate::support::Client;
use crate::wait::{pause, pause_between, within};

const GONE: u64 = 10_000;
const CROWD: usize = 10_000;
/// As many connections as the crowd shares.
const LANES: usize = 200;
const OUTAGE: Duration = Duration::from_secs(30);
const HERD: usize = 150;
const RACES: usize = 100;

pub fn rows() -> Vec<Row> {
    vec![
        Row {
            name: "clients-gone",
            promise: "10,000 clients disconnect at a random moment: the pool keeps its size, nothing stays in a transaction",
            needs: &["done", "frames", "gone before the answer", "gone within the request", "gone after the answer"],
            strike: |run| Box::pin(gone(run)),
            ..USUAL
        },
        Row {
            name: "crowd",
            promise: "10,000 want one seat, 10,000 members a stock of 100, a node is killed meanwhile: one winner, exactly 100",
            needs: &["done", "unknown", "frames", "seats won", "coupons won"],
            strike: |run| Box::pin(crowd(run)),
            ..USUAL
        },
        Row {
            name: "herd",
            promise: "everybody retries after an outage of 30 s: back to 80 % of the rate of before within 60 s",
            needs: &["done", "unknown", "frames", "rate before"],
            strike: |run| Box::pin(herd(run)),
            ..USUAL
        },
        Row {
            name: "hold-race",
            promise: "the hold runs out in the millisecond of the payment: one wins; money taken too late is given back",
            needs: &["done", "frames", "race: paid", "race: too late"],
            plan: || Plan { hold_seconds: 5, provider: String::new(), ..Plan::default() },
            strike: |run| Box::pin(race(run)),
            ..USUAL
        },
    ]
}

/// What a Postgres says of the sessions of this run's database.
async fn sessions(run: &Run<'_>, more: &str) -> i64 {
    let query = format!(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = '{}' AND usename = '{}' {more}",
        run.stage.database.name(),
        postgres::SERVER_ROLE
    );
    postgres::number(&run.stage.cluster.url(), &query).await.unwrap_or(-1)
}

fn open_files(run: &Run<'_>) -> usize {
    let pid = run.stage.node.pid().map(|pid| pid.as_raw_nonzero().to_string()).unwrap_or_default();
    std::fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count)
}

/// Asks, or begins to, and is gone; when.
async fn ask_and_go(listen: String, request: Vec<u8>, dice: Entropy) -> Option<&'static str> {
    let mut socket = TcpStream::connect(listen).await.ok()?;
    let whole = dice.below(3) > 0;
    let part = if whole { request.len() } else { usize::try_from(dice.below(request.len() as u64)).ok()? };
    socket.write_all(&request[..part]).await.ok()?;
    let mut bytes = [0; 4096];
    let wait = Duration::from_micros(dice.below(20_000));
    let answered = tokio::time::timeout(wait, socket.read(&mut bytes)).await.is_ok();
    if dice.below(2) == 0 {
        socket.set_zero_linger().ok()?;
    }
    Some(match (whole, answered) {
        (false, _) => "gone within the request",
        (true, false) => "gone before the answer",
        (true, true) => "gone after the answer",
    })
}

async fn gone(run: &mut Run<'_>) -> Result<(), String> {
    let ghosts = tokens(&run.stage, "ghost", "member", &["--count", "200"])?;
    let (before, files) = (sessions(run, "").await, open_files(run));
    let crew = run.crew.clone();
    let mut asking = JoinSet::new();
    run.crew.struck();
    for n in 0..GONE {
        let token = &ghosts[usize::try_from(n).unwrap_or(0) % ghosts.len()];
        let (path, body) = match n % 3 {
            0 => (crew.world.orders(), json!({"seats": [crew.world.seat(run.dice.below(1_000) as usize)]})),
            1 => (format!("/v1/coupons/{}/issue", crew.world.wide), json!({})),
            _ => (String::new(), Value::Null),
        };
        let head = format!("host: x\r\nauthorization: Bearer {token}\r\nidempotency-key: ghost-{n}\r\n");
        let request = if path.is_empty() {
            format!("GET /v1/performances/{}/seats HTTP/1.1\r\n{head}\r\n", crew.world.performance)
        } else {
            let body = body.to_string();
            let length = body.len();
            format!(
                "POST {path} HTTP/1.1\r\n{head}content-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
            )
        };
        if asking.len() >= 64
            && let Some(Ok(Some(when))) = asking.join_next().await
        {
            crew.count(when);
        }
        let dice = Entropy::seeded(run.dice.below(u64::MAX));
        asking.spawn(ask_and_go(run.stage.node.listen.clone(), request.into_bytes(), dice));
    }
    while let Some(ended) = asking.join_next().await {
        if let Ok(Some(when)) = ended {
            crew.count(when);
        }
    }
    run.done(20, Duration::from_secs(20)).await.ok_or("nothing is done after they are gone")?;
    let idle = "AND state LIKE 'idle in transaction%' AND state_change < clock_timestamp() - interval '1 second'";
    let quiet = within(Duration::from_secs(5), async || sessions(run, idle).await == 0).await;
    if quiet.is_none() {
        run.broken("pool", "sessions stay idle in a transaction".to_owned());
    }
    let after = sessions(run, "").await;
    run.crew.count_many("sessions before", u64::try_from(before).unwrap_or_default());
    run.crew.count_many("sessions after", u64::try_from(after).unwrap_or_default());
    // Under load the pools had what they may have; a few may have been between two connections.
    if after > before + 4 {
        run.broken("pool", format!("{before} sessions became {after}"));
    }
    let few = within(Duration::from_secs(20), async || open_files(run) < files + 100).await;
    if few.is_none() {
        run.broken("open files", format!("{files} became {}", open_files(run)));
    }
    Ok(())
}

async fn crowd(run: &mut Run<'_>) -> Result<(), String> {
    let base = format!("http://{}", run.stage.wires.front.address);
    let anyone = Client::new(&base);
    let all = tokens(&run.stage, "fan", "member", &["--count", &CROWD.to_string()])?;
    let fans: Vec<Person> = (1..)
        .zip(&all)
        .map(|(n, token)| Person { name: format!("fan-{n}"), client: anyone.with_token(token) })
        .collect();
    let mut lanes = JoinSet::new();
    let fans = Arc::new(fans);
    for lane in 0..LANES {
        let (crew, fans) = (run.crew.clone(), fans.clone());
        lanes.spawn(async move {
            for fan in fans.iter().skip(lane).step_by(LANES) {
                want(&crew, fan).await;
            }
        });
    }
    pause_between(&run.dice, 1_000, 4_000).await;
    run.crew.struck();
    run.stage.node.kill().await;
    run.stage.node.start().await?;
    let ended = tokio::time::timeout(Duration::from_secs(240), async { while lanes.join_next().await.is_some() {} });
    ended.await.map_err(|_| "the crowd was not served within four minutes".to_owned())?;
    let log = run.stage.export()?;
    let hot = format!("coupon/{}", run.crew.world.hot);
    let lines = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let issued = lines.filter(|event| event["stream"] == hot.as_str() && event["kind"] == "coupon.issued").count();
    if issued != 100 {
        run.broken("I4", format!("{issued} of a stock of 100 were issued"));
    }
    if run.crew.state("seats won") != 1 {
        run.broken("I1", format!("{} were told that the seat is theirs", run.crew.state("seats won")));
    }
    Ok(())
}

/// The one seat that all want, which no buyer of the usual load asks for, and one of the few coupons.
async fn want(crew: &Crew, fan: &Person) {
    let world = &crew.world;
    let body = json!({"seats": [world.seat(world.seats - 2)]});
    let placed = crew.insist(fan, "place", &world.performance, &world.orders(), "one", &body).await;
    if placed.status == 201 {
        crew.count("seats won");
        let order = placed.body["order_id"].as_str().unwrap_or_default().to_owned();
        for attempt in 1..=3 {
            let body = json!({"payment_key": format!("pk_one_{attempt}"), "amount": PRICE});
            let path = format!("/v1/orders/{order}/payment");
            let paid = crew.insist(fan, "pay", &order, &path, &format!("pay-{attempt}"), &body).await;
            if paid.status != 402 {
                break;
            }
        }
    }
    let path = format!("/v1/coupons/{}/issue", world.hot);
    if crew.insist(fan, "issue", &world.hot, &path, "hot", &json!({})).await.status == 201 {
        crew.count("coupons won");
    }
}

/// Definite answers of a while.
async fn rate(crew: &Crew, seconds: u64) -> u64 {
    let answers = || crew.state("done") + crew.state("refused");
    let before = answers();
    pause(Duration::from_secs(seconds)).await;
    (answers() - before) / seconds
}

async fn herd(run: &mut Run<'_>) -> Result<(), String> {
    let crew = run.crew.clone();
    for hunter in crew.world.hunters.iter().take(HERD) {
        let (crew, hunter) = (crew.clone(), hunter.clone());
        run.join(load::hunter(crew, vec![hunter], Entropy::seeded(run.dice.below(u64::MAX))));
    }
    pause(Duration::from_secs(3)).await;
    let before = rate(&crew, 4).await;
    crew.count_many("rate before", before);
    crew.struck();
    run.stage.node.kill().await;
    pause(OUTAGE).await;
    run.stage.node.start().await?;
    let begun = SystemClock.elapsed();
    let mut best = 0;
    while SystemClock.elapsed() - begun < Duration::from_secs(60) {
        let now = rate(&crew, 2).await;
        best = best.max(now);
        if now * 10 >= before * 8 {
            crew.count_many("rate after", now);
            let took = SystemClock.elapsed() - begun;
            crew.count_many("seconds until it was back", took.as_secs());
            return Ok(());
        }
    }
    run.broken("herd", format!("{before} answers a second before, at most {best} in the 60 s after"));
    Ok(())
}

async fn race(run: &mut Run<'_>) -> Result<(), String> {
    let crew = run.crew.clone();
    let mut racing = JoinSet::new();
    run.crew.struck();
    for n in 0..RACES {
        let (crew, dice) = (crew.clone(), Entropy::seeded(run.dice.below(u64::MAX)));
        let who = crew.world.hunters[n].clone();
        racing.spawn(async move { race_one(&crew, &who, n, &dice).await });
    }
    while racing.join_next().await.is_some() {}
    Ok(())
}

/// Pays as close to the end of the hold as it can.
async fn race_one(crew: &Crew, who: &Person, n: usize, dice: &Entropy) {
    let world = &crew.world;
    // Spread over a second, at the end of the house.
    pause_between(dice, 0, 1_000).await;
    let body = json!({"seats": [world.seat(world.seats - 10 - n)]});
    let placed = crew.insist(who, "place", &world.performance, &world.orders(), &format!("race-{n}"), &body).await;
    let (Some(order), Some(end)) = (placed.body["order_id"].as_str(), placed.body["hold_expires_at"].as_str()) else {
        return crew.count("race: no seat");
    };
    let end: i64 = onsale::timestamp::Timestamp::parse(end).map_or(0, |end| end.0);
    let early = i64::try_from(dice.below(160)).unwrap_or(0) - 10;
    let left = end - early - SystemClock.wall().0;
    pause(Duration::from_millis(u64::try_from(left).unwrap_or(0))).await;
    let path = format!("/v1/orders/{order}/payment");
    let body = json!({"payment_key": format!("pk_race_{n}"), "amount": PRICE});
    let paid = crew.insist(who, "pay", order, &path, &format!("pay-race-{n}"), &body).await;
    crew.count(match (paid.status, paid.body["code"].as_str()) {
        (200 | 202, _) => "race: paid",
        (409, Some("order-not-payable")) => "race: too late",
        _ => "race: otherwise",
    });
}
