//! Nodes and the carrier of hints die at random under load, and every watcher has seen what the log says.
//!
//! `ONSALE_STORM_SECONDS=300 ONSALE_STORM_WATCHERS=500 scripts/test --test it storm::` is the long run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use onsale::clock::{Clock, Entropy, SystemClock};
use rustix::process::Signal;
use serde_json::{Value, json};
use tokio::io::AsyncReadExt;
use tokio::task::JoinSet;

use crate::support::redis::Redis;
use crate::support::server::Home;
use crate::support::stage::Stage;
use crate::support::wait::until;
use crate::support::watcher::{Record, ask, events};
use crate::support::{Client, Kind, Server};

/// The storm's rhythm. Nothing is waited for with it.
async fn pause(length: Duration) {
    let _over = tokio::time::timeout(length, std::future::pending::<()>()).await;
}

#[allow(clippy::disallowed_methods, reason = "the storm is steered from outside by two variables only")]
fn chosen(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

/// Watches until it is told to stop; comes back at once, at one node or the other.
async fn watch(nodes: [String; 2], path: String, token: Option<String>, record: Record, dice: Entropy) {
    loop {
        let node = &nodes[usize::try_from(dice.below(2)).expect("small")];
        if let Some(mut socket) = ask(node, &path, token.as_deref(), record.last_id().as_deref()).await {
            let mut bytes = Vec::new();
            // Some leave by themselves, in the middle of whatever comes.
            let leaves = dice.below(200) + 20;
            for _ in 0..leaves {
                match tokio::time::timeout(Duration::from_secs(20), socket.read_buf(&mut bytes)).await {
                    Ok(Ok(1..)) => record.add(events(&mut bytes)),
                    Ok(Ok(0) | Err(_)) | Err(_) => break,
                }
            }
        }
        pause(Duration::from_millis(20 + dice.below(200))).await;
    }
}

/// Sends until it is taken: the same again changes nothing.
async fn insist(client: &Client, path: &str, body: &Value) -> Option<String> {
    loop {
        let answer = client.try_post(path, body).await;
        match answer.map(|answer| (answer.status.as_u16(), answer)) {
            Some((200 | 201, answer)) => return Some(answer.str("position")),
            Some((409 | 422, _)) => return None,
            _ => pause(Duration::from_millis(50)).await,
        }
    }
}

async fn pay(pos: Client, store: String, stop: Arc<AtomicBool>, sent: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        let body = json!({"payment_id": format!("p-{number}"), "amount": number + 1, "currency": "KRW", "method": "card",
            "paid_at": SystemClock.wall().to_string()});
        insist(&pos, &format!("/v1/stores/{store}/payments"), &body).await;
        pause(Duration::from_millis(5)).await;
    }
}

async fn order(kim: Client, orders: String, stop: Arc<AtomicBool>, sent: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        let number = sent.fetch_add(1, Ordering::Relaxed);
        let body = json!({"seats": [format!("A-1-{}", number % 10 + 1)]});
        let placed = kim.key(&format!("o{number}")).try_post(&orders, &body).await.filter(|a| a.status == 201);
        if let Some(placed) = placed {
            let path = format!("/v1/orders/{}/cancel", placed.str("order_id"));
            insist(&kim.key(&format!("c{number}")), &path, &json!({})).await;
        }
        pause(Duration::from_millis(5)).await;
    }
}

/// The ids of all frames of the topic whose streams begin like this: the ends of their units.
fn frames(log: &[Value], prefix: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut open: BTreeMap<u64, bool> = BTreeMap::new();
    for event in log {
        let partition = event["partition"].as_u64().expect("a partition");
        let ours = event["stream"].as_str().is_some_and(|stream| stream.starts_with(prefix));
        // A store's creation is no frame.
        let told = ours && event["kind"] != "store.created";
        *open.entry(partition).or_default() |= told;
        if event["unit_last"] == true && open.insert(partition, false) == Some(true) {
            found.push(format!("{partition}:{}", event["position"]));
        }
    }
    found
}

async fn end(node: Server, at_once: bool) {
    if at_once {
        node.kill().await;
    } else {
        assert_eq!(node.terminate().await.code(), Some(0));
    }
}

struct Storm {
    home: Home,
    owner: Option<Server>,
    follower: Option<Server>,
    redis: Redis,
    at: [String; 2],
}

impl Storm {
    async fn strike(&mut self, which: u64) {
        match which {
            0 | 1 => {
                let owner = self.owner.take().expect("it runs");
                end(owner, which == 0).await;
                self.owner = Some(Server::start_at(&self.home, &self.at[0]).await);
            }
            2 | 3 => {
                let follower = self.follower.take().expect("it runs");
                end(follower, which == 2).await;
                self.follower = Some(Server::start_with(&self.home, &self.at[1], &["--follow"]).await);
            }
            4 => {
                self.redis.stop().await;
                pause(Duration::from_millis(300)).await;
                self.redis.again().await;
            }
            5 => {
                self.redis.freeze();
                pause(Duration::from_millis(500)).await;
                self.redis.thaw();
            }
            _ => {
                // A node that stands still for a moment, in the middle of whatever it does.
                let node = self.follower.as_ref().expect("it runs");
                node.signal(Signal::STOP);
                pause(Duration::from_millis(300)).await;
                node.signal(Signal::CONT);
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_watchers_record_equals_the_log() {
    let redis = Redis::start().await;
    let home = Home::new(Kind::Postgres).await;
    // All displays come with one token.
    let config = format!("[redis]\nurl = \"{}\"\n[sse]\nmax_per_account = 0\n", redis.url);
    std::fs::write(home.config(), config).expect("the directory is ours");
    let stage = Stage::set_on(home, |_| {}).await;
    let store = stage.store().await;
    let kim = stage.member("kim");
    let pos = stage.anyone.with_token(&stage.home.token("pos-1", "pos", Some(&store)));
    let display = stage.home.token("screen", "display", Some(&store));
    let (performance, orders) = (stage.performance.clone(), stage.orders());
    let Stage { home, server, anyone, .. } = stage;
    let follower = Server::follow(&home, &[]).await;
    let nodes = [server.base.clone(), follower.base.clone()];
    let at = nodes.clone().map(|base| base.strip_prefix("http://").expect("an address").to_owned());
    let mut storm = Storm { home, owner: Some(server), follower: Some(follower), redis, at };

    let dice = Entropy::seeded(7);
    let (feed, map) = (
        format!("/v1/stores/{store}/payments/events?resume=all"),
        format!("/v1/performances/{performance}/seats/events"),
    );
    let mut watchers = JoinSet::new();
    let records: Vec<(bool, Record)> = (0..chosen("ONSALE_STORM_WATCHERS", 40))
        .map(|number| {
            let (feeds, record) = (number % 2 == 0, Record::default());
            let (path, token) = if feeds { (feed.clone(), Some(display.clone())) } else { (map.clone(), None) };
            watchers.spawn(watch(nodes.clone(), path, token, record.clone(), Entropy::seeded(number)));
            (feeds, record)
        })
        .collect();
    let (stop, sent) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let mut load = JoinSet::new();
    load.spawn(pay(pos.clone(), store.clone(), stop.clone(), sent.clone()));
    load.spawn(order(kim.clone(), orders.clone(), stop.clone(), sent.clone()));
    let told = || async { records.iter().all(|(_, record)| record.len() > 0) };
    until("the first frames", told, |told| *told).await;
    let end = SystemClock.elapsed() + Duration::from_secs(chosen("ONSALE_STORM_SECONDS", 12));
    let mut strikes = BTreeMap::new();
    while SystemClock.elapsed() < end {
        let which = dice.below(7);
        storm.strike(which).await;
        *strikes.entry(which).or_insert(0) += 1;
        pause(Duration::from_millis(dice.below(1_000))).await;
    }
    stop.store(true, Ordering::Relaxed);
    while let Some(ended) = load.join_next().await {
        ended.expect("the load ends well");
    }
    let log = storm.home.export();
    let (payments, seats) = (frames(&log, &format!("store/{store}")), frames(&log, &format!("seat/{performance}/")));
    assert!(payments.len() > 20 && seats.len() > 20, "{} and {} frames", payments.len(), seats.len());
    for (feeds, record) in &records {
        let last = if *feeds { payments.last() } else { seats.last() };
        until("the last frame", || async { record.last_id() }, |seen| seen.as_ref() == last).await;
        record.assert_equals(if *feeds { &payments } else { &seats });
    }
    let resets: usize = records.iter().map(|(_, record)| record.resets()).sum();
    eprintln!("{} payments, {} changes of seats, strikes {strikes:?}, {resets} resets", payments.len(), seats.len());
    // Nobody who was told everything is told to start over.
    assert_eq!(resets, 0);
    watchers.abort_all();
    let both = [&nodes[0], &nodes[1]].map(|base| anyone.elsewhere(base));
    let path = format!("/v1/performances/{performance}/seats");
    let maps = || async {
        let (here, there) = (both[0].get(&path).await.expect(200).body, both[1].get(&path).await.expect(200).body);
        (here["seats"].clone(), there["seats"].clone())
    };
    until("the same map", maps, |(here, there)| here == there).await;
    storm.home.assert_audit_passes();
}
