//! Does a sale go on while thousands of connections do nothing, or next to nothing? Every honest hold succeeds, and every
//! besieger is cut in time.

use std::time::Duration;

use onsale::clock::{Clock, SystemClock};
use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use crate::limits::connect;
use crate::support::shop::{Plan, Shop, sound};

const SILENT: usize = 2_000;
const SLOW_HEADERS: usize = 1_000;
const SLOW_BODIES: usize = 500;
const HOLDS: usize = 400;
/// The limit of headers, and time for a busy machine.
const CUT: Duration = Duration::from_secs(10 + 10);

/// Says what it has to say, then a byte a second, until the server has had enough. How long that took.
async fn besiege(mut connection: TcpStream, opening: String, drip: &'static [u8]) -> Duration {
    let begun = SystemClock.elapsed();
    let mut seconds = tokio::time::interval(Duration::from_secs(1));
    let mut said = connection.write_all(opening.as_bytes()).await.is_ok();
    let mut bytes = [0; 1024];
    loop {
        tokio::select! {
            read = connection.read(&mut bytes) => if !matches!(read, Ok(count) if count > 0) {
                return SystemClock.elapsed() - begun;
            },
            _ = seconds.tick(), if said && !drip.is_empty() => said = connection.write_all(drip).await.is_ok(),
        }
    }
}

/// Holds one seat after the other, and how long each took, the longest last.
async fn holds(shop: &Shop, row: usize) -> Vec<Duration> {
    let kim = shop.member(&format!("kim-{row}"));
    let path = format!("/v1/performances/{}/orders", shop.performance);
    let mut took = Vec::new();
    for number in 1..=HOLDS {
        let seat = format!("A-{row}-{number}");
        let begun = SystemClock.elapsed();
        kim.key(&seat).post(&path, &json!({"seats": [seat]})).await.expect(201);
        took.push(SystemClock.elapsed() - begun);
    }
    took.sort();
    took
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn honest_holds_go_on_and_besiegers_are_cut() {
    let mut files = getrlimit(Resource::Nofile);
    files.current = files.maximum.map_or(Some(1 << 16), |most| Some(most.min(1 << 16)));
    setrlimit(Resource::Nofile, files).expect("as many files as allowed");
    let shop = Shop::open(Plan { seats: 1_500, ..Plan::default() }).await;
    // Caches and files as they are in the middle of a sale.
    holds(&shop, 3).await;
    let before = holds(&shop, 1).await;

    let token = shop.home.token("slow", "member", None);
    let body = format!(
        "POST /v1/performances/{}/orders HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\nidempotency-key: k\r\n\
         content-type: application/json\r\ncontent-length: 1000\r\n\r\n{{",
        shop.performance
    );
    let kinds: [(usize, String, &'static [u8]); 3] = [
        (SILENT, String::new(), b""),
        (SLOW_HEADERS, "GET /livez HTTP/1.1\r\nhost: x\r\nx-slow: ".to_owned(), b"a"),
        (SLOW_BODIES, body, b" "),
    ];
    let mut siege = JoinSet::new();
    for (number, opening, drip) in kinds {
        for _ in 0..number {
            let connection = connect(&shop.server, "127.0.0.1").await.expect("the server takes it");
            siege.spawn(besiege(connection, opening.clone(), drip));
        }
    }
    let during = holds(&shop, 2).await;
    let mut ended: Vec<_> =
        std::iter::from_fn(|| siege.try_join_next()).map(|ended| ended.expect("no panic")).collect();
    let standing = siege.len();
    ended.extend(tokio::time::timeout(Duration::from_secs(60), siege.join_all()).await.expect("every besieger is cut"));
    assert_eq!(ended.len(), SILENT + SLOW_HEADERS + SLOW_BODIES);
    let longest = ended.iter().max().copied().unwrap_or_default();
    assert!(longest < CUT, "one of them stayed {longest:?}");
    let p99 = |took: &[Duration]| took[took.len() * 99 / 100];
    println!(
        "holds p50 {:?} -> {:?}, p99 {:?} -> {:?}; {standing} besiegers at the end of the holds; the longest stayed {longest:?}",
        before[HOLDS / 2],
        during[HOLDS / 2],
        p99(&before),
        p99(&during)
    );
    assert!(standing > 0, "the siege ended before the holds did");
    sound(&shop);
}
