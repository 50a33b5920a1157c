//! How many instructions does a request cost? The two hot paths as a whole, as `scripts/instructions` has them counted.
//!
//! Everything is on one thread and follows a clock that is moved by hand, so that the same is done each time: a wave of
//! requests, one on each connection, then their answers, then the next wave; and after each round of waves the read models
//! take in what they missed. What is counted are the waves and their read models, without start and warm-up.

mod node;
mod wire;

use std::hint::black_box;
use std::sync::mpsc::{Receiver, sync_channel};

use serde_json::{Value, json};

use node::Node;
use wire::Wire;

/// As the program has it.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Requests in flight: about as many as meet in one commit when 256 connections keep a node busy.
const IN_FLIGHT: usize = 32;
/// Waves between two looks of the read models: what comes in that time at 30,000 requests a second.
const WAVES: usize = 40;
const ROUND: usize = IN_FLIGHT * WAVES;
/// That are counted.
const ROUNDS: usize = 2;
/// Of one path, with warm-up.
const REQUESTS: usize = IN_FLIGHT + ROUND * (ROUNDS + 1);
const SEATS_IN_ROW: usize = 500;

fn main() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let node = Node::start().await;
        let mut wire = Wire::connect(node.address, IN_FLIGHT).await;
        let seller = node.token("seller", true);
        let coupon = coupon(&mut wire, &seller).await;
        let performance = performance(&mut wire, &seller).await;
        let _held = hold_time();
        let issues = |n: usize| {
            let token = node.token(&format!("fan-{n}"), false);
            wire::post(&format!("/v1/coupons/{coupon}/issue"), &token, None, "{}")
        };
        run("coupon", &node, &mut wire, issues).await;
        let orders = |n: usize| {
            let token = node.token(&format!("buyer-{n}"), false);
            let seat = format!("{{\"seats\":[\"S-{}-{}\"]}}", n / SEATS_IN_ROW, n % SEATS_IN_ROW + 1);
            wire::post(&format!("/v1/performances/{performance}/orders"), &token, Some(&format!("k{n}")), &seat)
        };
        run("seats", &node, &mut wire, orders).await;
    });
}

/// Warms up, and then does what is counted.
async fn run(path: &'static str, node: &Node, wire: &mut Wire, request: impl Fn(usize) -> Vec<u8>) {
    let requests: Vec<Vec<u8>> = (0..REQUESTS).map(request).collect();
    let (first, rest) = requests.split_at(ROUND);
    let (last, counted) = rest.split_at(IN_FLIGHT);
    waves(wire, first).await;
    node.rest().await;
    // What comes to read models that rest is applied at once; from then on they gather as long as time is held.
    waves(wire, last).await;
    node.caught_up().await;
    begin(path);
    for round in counted.chunks(ROUND) {
        waves(wire, round).await;
        node.moment_passes().await;
        node.caught_up().await;
    }
    end(path);
    println!("{path} {}", counted.len());
}

async fn waves(wire: &mut Wire, requests: &[Vec<u8>]) {
    for wave in requests.chunks(IN_FLIGHT) {
        wire.exchange(wave).await;
    }
}

/// Counting begins at the call of this …
#[inline(never)]
fn begin(path: &'static str) {
    black_box(path);
}

/// … and ends at the call of this.
#[inline(never)]
fn end(path: &'static str) {
    black_box((path, 0));
}

/// From here on time passes only when it is moved. Dropped, it lets go of the thread that keeps it from moving by itself
/// whenever nobody has anything to do: while SQLite works, for example.
fn hold_time() -> impl Drop {
    struct Held(Option<std::sync::mpsc::SyncSender<()>>);
    impl Drop for Held {
        fn drop(&mut self) {
            drop(self.0.take());
        }
    }
    let (held, released): (_, Receiver<()>) = sync_channel(1);
    tokio::task::spawn_blocking(move || released.recv());
    tokio::time::pause();
    Held(Some(held))
}

async fn coupon(wire: &mut Wire, seller: &str) -> String {
    let coupon = json!({
        "name": "counted", "stock": 1_000_000, "opens_at": "2020-01-01T00:00:00Z", "closes_at": "2099-01-01T00:00:00Z",
        "valid_until": "2099-01-01T00:00:00Z", "discount": {"kind": "percent", "value": 10},
    });
    made(wire, "/v1/coupons", seller, &coupon, "coupon_id").await
}

async fn performance(wire: &mut Wire, seller: &str) -> String {
    let rows: Vec<Value> = (0..REQUESTS.div_ceil(SEATS_IN_ROW))
        .map(|row| json!({"row": row.to_string(), "seats": SEATS_IN_ROW}))
        .collect();
    let venue = json!({"name": "Hall", "sections": [{"section": "S", "grade": "R", "rows": rows}]});
    let show = json!({
        "title": "Counted", "category": "concert", "description": "", "place": "here", "starts_on": "2099-01-01",
        "ends_on": "2099-01-01",
    });
    let performance = json!({
        "show_id": made(wire, "/v1/shows", seller, &show, "show_id").await,
        "venue_id": made(wire, "/v1/venues", seller, &venue, "venue_id").await,
        "starts_at": "2099-01-01T00:00:00Z", "sale_opens_at": "2020-01-01T00:00:00Z",
        "sale_closes_at": "2098-01-01T00:00:00Z", "currency": "KRW", "prices": {"R": 1000}, "hold_seconds": 3600,
    });
    made(wire, "/v1/performances", seller, &performance, "performance_id").await
}

async fn made(wire: &mut Wire, path: &str, token: &str, body: &Value, id: &str) -> String {
    let answer = wire.ask(&wire::post(path, token, None, &body.to_string())).await;
    let answer: Value = serde_json::from_slice(&answer).expect("a body in JSON");
    answer[id].as_str().expect("the id of what was made").to_owned()
}
