//! The one who runs it: what the program says when something around it is wrong, and what it shows when all is well.

use std::process::{Command, Stdio};

use serde_json::json;

use crate::base::postgres;
use crate::support::server::{Home, Kind, onsale};
use crate::support::stage::Stage;

fn said(output: &std::process::Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

#[tokio::test]
async fn the_demo_ends_with_its_verdict() {
    let place = tempfile::tempdir().unwrap();
    let demo = ["demo", "--once", "--crowd", "20", "--listen", "127.0.0.1:0"];
    let mut demo = tokio::process::Command::from({
        let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
        command.args(demo).current_dir(place.path()).stdin(Stdio::null());
        command
    });
    let output = demo.output().await.unwrap();
    let text = said(&output);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let verdict = text.lines().last().unwrap();
    assert!(verdict.starts_with("wanted 20 issued 20 oversold 0 ") && verdict.contains(" audit ok"), "{verdict}");
    let number = |word: &str| {
        let mut words = verdict.split(' ').skip_while(|w| *w != word);
        words.nth(1).and_then(|n| n.parse::<u64>().ok()).unwrap_or_else(|| panic!("no {word}: {verdict}"))
    };
    assert!(number("sold") > 0, "{verdict}");
    assert!(verdict.contains(" payments agree with the provider's ledger"), "{verdict}");
    assert_eq!(text.lines().filter(|line| line.starts_with(". '") && line.contains("; curl ")).count(), 5, "{text}");
    let env = std::fs::read_to_string(place.path().join("demo.env")).unwrap();
    let names: Vec<&str> = env.lines().filter_map(|line| Some(line.split_once('=')?.0)).collect();
    assert_eq!(names, ["BASE", "MEMBER", "SELLER", "ADMIN", "POS", "DISPLAY"]);
}

#[tokio::test]
async fn what_is_wrong_around_it_is_said_in_one_line() {
    let home = Home::new(Kind::Sqlite).await;
    let file = home.data().join("a-file");
    std::fs::write(&file, "in the way").unwrap();
    let file = file.to_str().unwrap();
    let table: [(&[&str], i32, &str); 5] = [
        (&["serve", "--database-url", "sqlite:"], 78, "database.url"),
        (&["serve", "--data", file, "--listen", "127.0.0.1:0"], 1, "a-file"),
        (&["audit", "--data", "/nonexistent"], 1, "there is no log"),
        (&["log", "stats", "--data", "/nonexistent"], 1, "there is no log"),
        (&["migrate", "--database-url", "postgres://u:secret-marker@127.0.0.1:1/none"], 1, "refused"),
    ];
    for (args, code, words) in table {
        let output = onsale(args);
        let text = said(&output);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {text}");
        assert!(text.contains(words) && text.trim_end().lines().count() == 1, "{args:?}: {text}");
        assert!(!text.contains("secret-marker"), "{text}");
    }
}

#[tokio::test]
async fn a_reader_that_went_away_is_no_error() {
    let home = Home::new(Kind::Sqlite).await;
    assert!(home.run(&["migrate"]).status.success());
    for args in [&["config", "--defaults"][..], &["audit"], &["log", "stats"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
        let mut child =
            command.args(args).args(home.options()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        drop(child.stdout.take());
        let output = child.wait_with_output().unwrap();
        assert_eq!((output.status.code(), said(&output).as_str()), (Some(0), ""), "{args:?}");
    }
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let output =
        Command::new(env!("CARGO_BIN_EXE_onsale")).args(["config", "--defaults"]).stdout(full).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("cannot write"));
}

#[tokio::test]
async fn a_schema_of_tomorrow_is_left_alone() {
    let home = Home::new(Kind::Postgres).await;
    let again = home.run(&["migrate"]);
    assert_eq!(said(&again).lines().count(), 1, "a second migration has nothing to say: {}", said(&again));
    let url = home.owner_url().unwrap();
    postgres::sql(&url, "INSERT INTO log.migrations (number) VALUES (99)").await;
    for args in [&["migrate"][..], &["serve", "--listen", "127.0.0.1:0"], &["audit"]] {
        let output = home.run(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(said(&output).contains("use a newer build"), "{args:?}: {}", said(&output));
    }
}

#[tokio::test]
async fn what_every_answer_carries() {
    let stage = Stage::set(Kind::Sqlite).await;
    let kim = stage.member("kim");
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let asked = kim.key("1").with("prefer", "respond-async").with("x-request-id", "mine").with("traceparent", trace);
    let accepted = asked.post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(202);
    assert_eq!(accepted.header("preference-applied"), Some("respond-async"));
    assert_eq!(accepted.header("x-request-id"), Some("mine"));
    assert_eq!(accepted.header("cache-control"), Some("no-store"));
    assert_eq!(accepted.header("location"), accepted.body["status_url"].as_str());
    let export = stage.home.export();
    let placed = export.iter().find(|event| event["kind"] == "order.placed").unwrap();
    assert_eq!(placed["correlation"], "4bf92f35-77b3-4da6-a3ce-929d0e0e4736");
    // What was answered for can be waited for; what has not come yet cannot be had.
    let position = accepted.str("position");
    let order = kim.get(&format!("{}?min_position={position}", accepted.str("status_url"))).await.expect(200);
    assert_eq!((order.str("position"), order.header("cache-control")), (position.clone(), Some("no-store")));
    let (partition, _) = position.split_once(':').unwrap();
    let late = kim.get(&format!("{}?min_position={partition}:999999", accepted.str("status_url"))).await;
    assert_eq!(late.problem(503, "read-behind").header("retry-after"), Some("1"));
    let patient = kim.key("2").with("prefer", "wait=5").post(&stage.orders(), &json!({"seats": ["A-1-2"]})).await;
    assert_eq!(patient.expect(201).header("preference-applied"), Some("wait=5"));
    // Who asks is looked at before what is asked for.
    stage.anyone.post("/v1/orders/junk/cancel", &json!({})).await.problem(401, "unauthorized");
    let metrics = stage.anyone.get("/metrics").await.expect(200).text;
    for name in ["onsale_appended_events_total", "onsale_http_requests_total{class=\"2xx\"}", "onsale_actors_awake"] {
        assert!(metrics.contains(name), "{name} is missing");
    }
    let document = stage.anyone.get("/openapi.json").await.expect(200);
    assert_eq!(document.body["components"]["securitySchemes"]["bearer"]["scheme"], "bearer");
}
