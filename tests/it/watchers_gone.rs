//! Watchers that stop reading, and a node that stops: nobody else notices, and nobody is left behind.

use std::collections::BTreeSet;

use futures::StreamExt;
use serde_json::{Value, json};

use crate::support::raw::Raw;
use crate::support::server::{Home, Kind};
use crate::support::sse::Stream;
use crate::support::stage::{FAR, Stage, performance_body};
use crate::support::wait::until;
use crate::watchers::{metric, stage_with};

const ROWS: usize = 20;
const SEATS: usize = 100;

/// A house whose changes are large: 2,000 seats.
struct House {
    stage: Stage,
    performance: String,
}

impl House {
    async fn open(options: &str) -> Self {
        let stage = stage_with(Kind::Sqlite, options).await;
        let rows: Vec<Value> = (1..=ROWS).map(|row| json!({"row": row.to_string(), "seats": SEATS})).collect();
        let venue = json!({"name": "큰 집", "sections": [{"section": "A", "grade": "VIP", "rows": rows}]});
        let venue = stage.seller.post("/v1/venues", &venue).await.expect(201).str("venue_id");
        let show = json!({"title": "t", "category": "c", "description": "d", "place": "p", "starts_on": "2099-01-01",
            "ends_on": "2099-01-02"});
        let show = stage.seller.post("/v1/shows", &show).await.expect(201).str("show_id");
        let mut body = performance_body(&show, &venue);
        body["prices"] = json!({"VIP": 150_000});
        body["starts_at"] = json!(FAR);
        let performance = stage.seller.post("/v1/performances", &body).await.expect(201).str("performance_id");
        Self { stage, performance }
    }

    fn path(&self, rest: &str) -> String {
        format!("/v1/performances/{}/seats{rest}", self.performance)
    }

    async fn act(&self, what: &str, seats: &[String]) {
        let body = json!({"seats": seats, "reason": "x"});
        self.stage.seller.post(&self.path(&format!("/{what}")), &body).await.expect(200);
    }

    /// Frames of 20 KB and more, in this number.
    async fn shake(&self, times: usize) {
        let all = seats();
        for time in 0..times {
            self.act(if time % 2 == 0 { "block" } else { "unblock" }, &all).await;
        }
    }
}

fn seats() -> Vec<String> {
    (1..=ROWS).flat_map(|row| (1..=SEATS).map(move |seat| format!("A-{row}-{seat}"))).collect()
}

/// Reads so many changes, each of which names the one before it.
async fn follow(mut stream: Stream, changes: usize) -> Stream {
    let mut last = stream.frame().await.id.expect("a snapshot has an id");
    for _ in 0..changes {
        let frame = stream.frame().await;
        assert_eq!(frame.data["prev"].as_str(), Some(last.as_str()), "{}", frame.event);
        last = frame.id.expect("a change has an id");
    }
    stream
}

#[tokio::test]
async fn a_watcher_that_never_reads_is_cut_and_others_get_everything() {
    let house = House::open("stalled_seconds = 1").await;
    let client = house.stage.anyone.clone();
    let path = house.path("/events");
    let changes = 24;
    let others: Vec<_> = futures::stream::iter(0..3)
        .then(async |_| tokio::spawn(follow(Stream::open(&client, &path, None).await, changes)))
        .collect()
        .await;
    let mut stuck = Raw::ask(&house.stage.server, "127.0.0.1", &path, None).await;
    stuck.until("event: snapshot").await;
    house.shake(changes).await;
    let cut = || metric(&client, "onsale_sse_cut_total{why=\"stalled\"}");
    until("the watcher that does not read to be cut", cut, |count| *count == 1.0).await;
    let mut streams = Vec::new();
    for other in others {
        streams.push(other.await.expect("every change, in order"));
    }
    until("its place to be free", || metric(&client, "onsale_watchers "), |count| *count == 3.0).await;
    while stuck.read().await {}
    assert!(!stuck.body().1, "it was cut, and cannot take that for the end");
    // Those who read are not cut, however little happens.
    house.shake(2).await;
    for mut stream in streams {
        assert!(stream.frame().await.id.is_some());
    }
    assert_eq!(cut().await, 1.0);
}

#[tokio::test]
async fn a_watcher_that_pauses_starts_over_with_a_snapshot() {
    let house = House::open("").await;
    let client = house.stage.anyone.clone();
    let path = house.path("/events");
    let mut pausing = Raw::ask(&house.stage.server, "127.0.0.1", &path, None).await;
    pausing.until("event: snapshot").await;
    // Its socket is full after these; then more changes come than are kept for anybody.
    let (large, small) = (24, 1_100);
    let other = tokio::spawn(follow(Stream::open(&client, &path, None).await, large + small));
    house.shake(large).await;
    let seats = seats();
    futures::stream::iter(&seats[..small])
        .for_each_concurrent(64, |seat| house.act("block", std::slice::from_ref(seat)))
        .await;
    other.await.expect("the other one gets everything");

    pausing.until("event: reset\ndata: {}\n\nid: ").await.until("event: snapshot\ndata: {").await;
    house.act("unblock", &seats[..1]).await;
    pausing.until("event: seat.released").await;
    let (body, complete) = pausing.body();
    let fresh = &body[body.rfind("event: reset").expect("a reset")..];
    assert!(!complete, "the stream goes on");
    let data: Vec<Value> = fresh
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .map(|data| serde_json::from_str(data).expect("JSON"))
        .collect();
    assert_eq!(data[1]["seats"].as_array().expect("a map").len(), small, "all that is blocked now");
    assert_eq!(metric(&client, "onsale_watcher_resets_total").await, 1.0);
    assert_eq!(metric(&client, "onsale_sse_cut_total").await, 0.0);
}

#[tokio::test]
async fn a_node_that_stops_says_when_to_come_back() {
    let stage = Stage::set_on(Home::new(Kind::Sqlite).await, |_| {}).await;
    let store = stage.store().await;
    let token = stage.home.token("screen-1", "display", Some(&store));
    let seats = format!("/v1/performances/{}/seats/events", stage.performance);
    let feed = format!("/v1/stores/{store}/payments/events");
    let mut watchers = Vec::new();
    for number in 0..60 {
        let (path, token) = match number % 6 {
            0 => (feed.as_str(), Some(token.as_str())),
            1 => ("/v1/rankings/shows/events", None),
            _ => (seats.as_str(), None),
        };
        let mut watcher = Raw::ask(&stage.server, "127.0.0.1", path, token).await;
        watcher.until("retry: ").await;
        watchers.push(watcher);
    }
    let ended = tokio::spawn(stage.server.terminate());
    let mut told = BTreeSet::new();
    for mut watcher in watchers {
        while watcher.read().await {}
        let (body, complete) = watcher.body();
        assert!(complete, "a stream that ends in order: {body}");
        let last = body.trim_end().rsplit("\n\n").next().expect("a frame");
        let millis: u64 = last.strip_prefix("retry: ").expect("the last word").parse().expect("milliseconds");
        assert!((1_000..=5_000).contains(&millis), "{millis}");
        assert!(body.ends_with("\n\n"), "whole frames only");
        told.insert(millis);
    }
    assert!(told.len() > 40, "each has a time of its own: {told:?}");
    assert!(ended.await.expect("no panic").success());
}
