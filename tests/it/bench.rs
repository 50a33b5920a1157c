//! Does `onsale bench` measure something, and does it say so? Small loads: how fast they are is nobody's business here.

use std::process::Output;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::server::{BOTH, Home, Kind, Server, onsale};

/// The report of a run that must end well.
fn report(output: &Output) -> Value {
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}{complained}");
    let report: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
    let checks = report["checks"].as_array().expect("checks");
    assert!(!checks.is_empty() && checks.iter().all(|check| check["ok"] == true), "{report}");
    assert!(report["machine"]["processors"].as_u64() > Some(0), "{report}");
    report
}

fn figure(phase: &Value, name: &str) -> f64 {
    let figures = phase["figures"].as_array().expect("figures");
    let found = figures.iter().find(|figure| figure["name"] == name);
    found.and_then(|figure| figure["value"].as_f64()).unwrap_or_else(|| panic!("no {name} in {phase}"))
}

/// How many were measured under that name, and the row is in order.
fn count(phase: &Value, name: &str) -> u64 {
    let rows = phase["latencies"].as_array().expect("latencies");
    let row = rows.iter().find(|row| row["name"] == name).unwrap_or_else(|| panic!("no {name} in {phase}"));
    let quantiles: Vec<f64> =
        ["p50_ms", "p90_ms", "p99_ms", "p999_ms", "max_ms"].iter().map(|name| row[*name].as_f64().unwrap()).collect();
    assert!(quantiles.is_sorted() && quantiles[0] > 0.0, "{row}");
    row["count"].as_u64().expect("a number")
}

/// On an empty database, or on a directory of its own where there is none.
fn run(home: Option<&Home>, args: &[&str]) -> Output {
    let url = home.and_then(Home::database_url);
    let options = url.iter().flat_map(|url| ["--database-url", url]);
    onsale(&args.iter().copied().chain(options).collect::<Vec<_>>())
}

#[tokio::test(flavor = "multi_thread")]
async fn purchases_are_measured_and_checked() {
    for kind in BOTH {
        let home = Home::new(kind).await;
        let line =
            ["bench", "purchase", "--rate", "20", "--seconds", "1", "--warm-up", "0", "--seats", "500", "--json"];
        let report = report(&run(Some(&home), &line));
        let phase = &report["phases"][0];
        let told = |name| count(phase, name);
        // A machine that is busy with something else may not begin all of them in time, and says so.
        let bought = told("whole purchase");
        assert!((1..=20).contains(&bought), "{kind:?} {report}");
        for name in ["place", "payment", "provider's own time", "payment without it"] {
            assert_eq!(told(name), bought, "{name} {report}");
        }
        assert!(figure(phase, "purchases") > 0.0 && figure(phase, "that failed") == 0.0, "{report}");
        let processes: Vec<&str> =
            phase["processes"].as_array().unwrap().iter().filter_map(|p| p["process"].as_str()).collect();
        assert!(processes.starts_with(&["node", "provider", "bench"]), "{processes:?}");
        let audit =
            report["checks"].as_array().unwrap().iter().find(|check| check["name"] == "audit").expect("an audit");
        assert!(audit["detail"].as_str().unwrap().contains(&format!("{bought} payments agree")), "{audit}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_house_that_sells_out_ends_the_load() {
    let line = ["bench", "purchase", "--connections", "4", "--seconds", "600", "--warm-up", "0", "--seats", "20"];
    let output = run(None, &line);
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for words in ["closed loop, 4 connections", "nothing left to do", "holds  audit: audit ok", "p99.9"] {
        assert!(said.contains(words), "{words}: {said}");
    }
    // Rows are whole.
    assert!(said.contains("all 500 are completed in the log"), "{said}");
}

/// What a check of that name says.
fn check<'a>(report: &'a Value, name: &str) -> &'a str {
    let checks = report["checks"].as_array().expect("checks");
    let found = checks.iter().find(|check| check["name"] == name);
    found.and_then(|check| check["detail"].as_str()).unwrap_or_else(|| panic!("no {name} in {report}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn coupons_are_measured_and_checked_against_the_log() {
    for kind in BOTH {
        let home = Home::new(kind).await;
        // Members run out long before the time does.
        let line = ["bench", "coupon", "--connections", "8", "--warm-up", "0", "--seconds", "600", "--members", "300"];
        let report = report(&run(Some(&home), &[&line[..], &["--coupons", "3", "--json"]].concat()));
        let phase = &report["phases"][0];
        assert_eq!(count(phase, "issue"), 300, "{kind:?} {report}");
        assert!(figure(phase, "issues") > 0.0 && figure(phase, "that failed") == 0.0, "{report}");
        assert_eq!(
            check(&report, "issued coupons"),
            "300 serials were told, 300 are in the log, 0 outcomes are unknown"
        );
        assert_eq!(phase["processes"][0]["process"], "node", "{report}");
        assert!(report["remarks"].to_string().contains("300 tokens were signed beforehand"), "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_coupon_that_sells_out_is_no_failure() {
    let line = ["bench", "coupon", "--rate", "400", "--warm-up", "0", "--seconds", "1", "--stock", "50", "--json"];
    let report = report(&run(None, &line));
    let phase = &report["phases"][0];
    assert_eq!(count(phase, "issue"), 50, "{report}");
    assert!(count(phase, "sold out") > 0 && figure(phase, "sold out") > 0.0, "{report}");
    assert_eq!((figure(phase, "that failed"), phase["failures"].to_string().as_str()), (0.0, "{}"), "{report}");
    assert_eq!(check(&report, "issued coupons"), "50 serials were told, 50 are in the log, 0 outcomes are unknown");
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_for_cold_seats_are_measured_and_checked() {
    for (kind, performances) in BOTH.into_iter().zip(["1", "2"]) {
        let home = Home::new(kind).await;
        let line = ["bench", "seats", "--connections", "8", "--warm-up", "0", "--seconds", "600", "--seats", "500"];
        let more = ["--seats-per-order", "4", "--performances", performances, "--members", "10", "--json"];
        let report = report(&run(Some(&home), &[&line[..], &more].concat()));
        let phase = &report["phases"][0];
        // Rows are whole, so each performance has 500 seats.
        let orders = 125 * performances.parse::<u64>().expect("a number");
        assert_eq!(count(phase, "order"), orders, "{kind:?} {report}");
        assert!((figure(phase, "seats") / figure(phase, "orders") - 4.0).abs() < 1e-6, "{report}");
        assert_eq!(check(&report, "placed orders"), format!("all {orders} are placed in the log"));
        assert!(check(&report, "audit").starts_with("audit ok"), "{report}");
        assert!(figure(phase, "streams in memory") >= 4.0 * orders as f64, "{report}");
        assert!(figure(phase, "memory per stream") >= 0.0, "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_are_measured_and_their_frames_checked() {
    for kind in BOTH {
        let home = Home::new(kind).await;
        let line = [
            "bench",
            "sse",
            "--watchers",
            "20",
            "--topics",
            "4",
            "--rate",
            "40",
            "--seconds",
            "1",
            "--warm-up",
            "0",
            "--compare",
            "--json",
        ];
        let report = report(&run(Some(&home), &line));
        let phases = report["phases"].as_array().expect("phases");
        assert_eq!(phases.len(), 2, "{report}");
        let recorded = phases.iter().map(|phase| figure(phase, "payments recorded") as u64);
        let [spread, at_one] = [recorded.clone().next().unwrap(), recorded.clone().next_back().unwrap()];
        // Five watchers of each store; then twenty of the first one, which has every fourth payment.
        assert_eq!(count(&phases[0], "frame since sending"), 5 * spread, "{kind:?} {report}");
        assert_eq!(count(&phases[1], "frame since sending"), 20 * at_one.div_ceil(4), "{kind:?} {report}");
        assert!(recorded.clone().all(|recorded| (1..=40).contains(&recorded)), "{report}");
        assert_eq!(count(&phases[0], "command"), spread, "{report}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_runs_already_is_measured_from_outside() {
    let home = Home::new(Kind::Sqlite).await;
    let server = Server::start(&home).await;
    let pid = server.child.id().expect("it runs").to_string();
    let line =
        ["bench", "sse", "--url", &server.base, "--pid", &pid, "--watchers", "20", "--rate", "0", "--seconds", "1"];
    let output = home.run(&[&line[..], &["--json"]].concat());
    let report = report(&output);
    let phase = &report["phases"][0];
    assert!(figure(phase, "node memory for each watcher") >= 0.0 && figure(phase, "heartbeats") >= 0.0, "{report}");
    assert_eq!(phase["processes"][0]["process"], "node", "{report}");
    // No provider: nothing can be bought, which is no success.
    let line = ["bench", "purchase", "--url", &server.base, "--seconds", "1", "--warm-up", "0", "--seats", "500"];
    let output = home.run(&[&line[..], &["--connections", "1"]].concat());
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("BROKEN load") && said.contains("failed: payment: 503 "), "{said}");
}

/// What a gateway between node and watchers does to the second frame that it sees.
#[derive(Clone, Copy, Debug)]
enum Mischief {
    Swallow,
    Repeat,
}

/// Passes everything on, but for one frame of one watcher.
async fn gateway(node: &str, mischief: Mischief) -> String {
    let node = node.trim_start_matches("http://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let base = format!("http://{}", listener.local_addr().expect("bound"));
    let frames = Arc::new(AtomicU32::new(0));
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            let (node, frames) = (TcpStream::connect(&node).await.expect("the node listens"), frames.clone());
            let ((mut from_client, mut to_client), (mut from_node, mut to_node)) =
                (client.into_split(), node.into_split());
            tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_node).await });
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 << 10];
                while let Ok(read @ 1..) = from_node.read(&mut buffer).await {
                    let frame = String::from_utf8_lossy(&buffer[..read]).contains("event: payment\n");
                    let times = match mischief {
                        _ if !frame || frames.fetch_add(1, Ordering::Relaxed) != 1 => 1,
                        Mischief::Swallow => 0,
                        Mischief::Repeat => 2,
                    };
                    for _ in 0..times {
                        if to_client.write_all(&buffer[..read]).await.is_err() {
                            return;
                        }
                    }
                }
            });
        }
    });
    base
}

#[tokio::test(flavor = "multi_thread")]
async fn one_frame_too_few_or_too_many_is_found() {
    let home = Home::new(Kind::Sqlite).await;
    let server = Server::start(&home).await;
    for mischief in [Mischief::Swallow, Mischief::Repeat] {
        let url = gateway(&server.base, mischief).await;
        let options = home.options();
        let run = tokio::task::spawn_blocking(move || {
            let line =
                ["bench", "sse", "--url", &url, "--watchers", "5", "--rate", "10", "--seconds", "1", "--warm-up", "0"];
            onsale(&line.into_iter().chain(options.iter().map(String::as_str)).collect::<Vec<_>>())
        });
        let output = run.await.expect("it ends");
        let said = String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(1), "{mischief:?}: {said}{}", String::from_utf8_lossy(&output.stderr));
        assert!(said.contains("BROKEN completeness"), "{mischief:?}: {said}");
        assert!(said.contains("holds  audit"), "{mischief:?}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_is_somebodys_is_left_alone() {
    let home = Home::new(Kind::Postgres).await;
    let server = Server::start(&home).await;
    let seller = home.token("seller", "seller", None);
    let made = server.client().with_token(&seller).post("/v1/stores", &serde_json::json!({"name": "somebody's"})).await;
    made.expect(201);
    let before = home.export().len();
    let output = run(Some(&home), &["bench", "sse", "--watchers", "1"]);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{complained}");
    assert!(complained.contains("holds a log already"), "{complained}");
    assert_eq!(home.export().len(), before);
}
