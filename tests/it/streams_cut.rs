//! A stream that is cut at any byte goes on as if nothing had happened: nothing is missing, nothing comes twice.

use serde_json::json;
use tokio::io::AsyncReadExt;

use onsale::clock::{Clock, SystemClock};

use crate::support::server::BOTH;
use crate::support::stage::Stage;
use crate::support::watcher::{Record, Told, ask, events};

/// Reads until the event with this id.
async fn read_until(
    base: &str,
    path: &str,
    token: Option<&str>,
    last: Option<&str>,
    end: &str,
) -> (Vec<u8>, Vec<Told>) {
    let mut socket = ask(base, path, token, last).await.expect("the stream opens");
    let (mut bytes, mut rest, mut told) = (Vec::new(), Vec::new(), Vec::new());
    while told.last().and_then(|told: &Told| told.id.as_deref()) != Some(end) {
        let before = bytes.len();
        assert_ne!(socket.read_buf(&mut bytes).await.expect("an open stream"), 0, "it ended before {end}");
        rest.extend_from_slice(&bytes[before..]);
        told.extend(events(&mut rest));
    }
    (bytes, told)
}

/// Cuts the stream after every one of its bytes, comes back with the last id, and compares.
async fn cut_everywhere(base: &str, path: &str, token: Option<&str>, from: Option<&str>, ids: &[String]) -> usize {
    let end = ids.last().expect("there are frames");
    let (whole, told) = read_until(base, path, token, from, end).await;
    for cut in 0..whole.len() {
        let mut socket = ask(base, path, token, from).await.expect("the stream opens");
        let mut bytes = vec![0; cut];
        socket.read_exact(&mut bytes).await.expect("that many bytes");
        drop(socket);
        let record = Record::default();
        record.add(events(&mut bytes));
        let last = record.last_id();
        let seen = record.len();
        if last.as_ref() != Some(end) {
            let last = last.as_deref().or(from);
            record.add(read_until(base, path, token, last, end).await.1);
        }
        if from.is_none() {
            assert_eq!(record.resets(), 0, "cut after {cut}");
            record.assert_equals(ids);
        } else {
            assert_eq!(record.len(), told.len(), "cut after {cut}, when {seen} were there");
            record.assert_equals(ids);
        }
    }
    whole.len()
}

#[tokio::test]
async fn a_seat_map_and_a_feed_go_on_after_every_byte() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let base = &stage.server.base;
        let kim = stage.member("kim");
        let store = stage.store().await;
        let pos = stage.anyone.with_token(&stage.home.token("pos-1", "pos", Some(&store)));
        let (mut seats, mut payments) = (Vec::new(), Vec::new());
        // The first two of each are what a watcher had seen before.
        for number in 0..6 {
            let order = json!({"seats": [format!("A-1-{}", number + 1)]});
            let held = kim.key(&format!("o{number}")).post(&stage.orders(), &order).await.expect(201);
            seats.push(held.str("position"));
            let body = json!({"payment_id": format!("p\u{ac00}-{number}"), "amount": 1_000, "currency": "KRW",
                "method": "현금", "paid_at": SystemClock.wall().to_string()});
            let paid = pos.post(&format!("/v1/stores/{store}/payments"), &body).await.expect(201);
            payments.push(paid.str("position"));
        }
        let path = format!("/v1/performances/{}/seats/events", stage.performance);
        let mut cuts = cut_everywhere(base, &path, None, Some(&seats[1]), &seats[2..]).await;
        let display = stage.home.token("screen", "display", Some(&store));
        let path = format!("/v1/stores/{store}/payments/events?resume=all");
        cuts += cut_everywhere(base, &path, Some(&display), Some(&payments[1]), &payments[2..]).await;
        assert!(cuts > 1_000, "only {cuts} bytes");
    }
}
