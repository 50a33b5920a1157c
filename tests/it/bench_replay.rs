//! Do `onsale bench replay` and `onsale bench growth` measure something, judge it, and leave alone what is somebody's? Small
//! logs: how fast they are is nobody's business here.

use std::process::Output;

use serde_json::Value;

use crate::base::postgres;
use crate::support::server::{BOTH, Home, Kind, Server, onsale};

/// The report of a run that must end well.
fn report(output: &Output) -> Value {
    let (said, complained) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(0), "{said}{complained}");
    let report: Value = serde_json::from_str(&said).unwrap_or_else(|e| panic!("{e}: {said}"));
    let checks = report["checks"].as_array().expect("checks");
    assert!(!checks.is_empty() && checks.iter().all(|check| check["ok"] == true), "{report}");
    report
}

fn figure(phase: &Value, name: &str) -> f64 {
    let figures = phase["figures"].as_array().expect("figures");
    let found = figures.iter().find(|figure| figure["name"] == name);
    found.and_then(|figure| figure["value"].as_f64()).unwrap_or_else(|| panic!("no {name} in {phase}"))
}

fn titles(report: &Value) -> Vec<&str> {
    report["phases"].as_array().expect("phases").iter().filter_map(|phase| phase["title"].as_str()).collect()
}

const PHASES: [&str; 5] = [
    "one fold in memory",
    "into SQL: all read models at once",
    "into SQL: the slowest read model alone",
    "audit of the log",
    "audit with all rows of the read models",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_log_of_its_own_is_read_back() {
    for kind in BOTH {
        let home = Home::new(kind).await;
        let url = home.database_url();
        let options = url.iter().flat_map(|url| ["--database-url", url]);
        let line = ["bench", "replay", "--events", "3000", "--json"];
        let output = onsale(&line.into_iter().chain(options.clone()).collect::<Vec<_>>());
        let told = report(&output);
        assert_eq!(titles(&told), PHASES, "{kind:?}");
        for phase in told["phases"].as_array().expect("phases") {
            assert!(figure(phase, "read") > 0.0 && phase["processes"][0]["process"] == "bench", "{phase}");
        }
        assert!(told["load"].as_str().is_some_and(|load| load.starts_with("30")), "{told}");
        if kind == Kind::Postgres {
            // What it made is now somebody's: it is read when that is asked for, and else left alone.
            let refused = onsale(&line.into_iter().chain(options.clone()).collect::<Vec<_>>());
            assert_eq!(refused.status.code(), Some(2), "{}", String::from_utf8_lossy(&refused.stdout));
            let line = ["bench", "replay", "--existing", "--json"];
            let again = report(&onsale(&line.into_iter().chain(options).collect::<Vec<_>>()));
            assert_eq!((&again["load"], titles(&again)), (&told["load"], PHASES.to_vec()));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_existing_log_is_only_read_and_its_damage_found() {
    let home = Home::new(Kind::Postgres).await;
    let line = ["bench", "replay", "--existing"];
    let empty = home.run(&line);
    assert_eq!(empty.status.code(), Some(2), "{}", String::from_utf8_lossy(&empty.stdout));
    let server = Server::start(&home).await;
    let seller = home.token("seller", "seller", None);
    for name in ["one", "two"] {
        let made = server.client().with_token(&seller).post("/v1/stores", &serde_json::json!({ "name": name })).await;
        made.expect(201);
    }
    server.terminate().await;
    let before = home.export();
    let told = report(&home.run(&[&line[..], &["--json"]].concat()));
    assert_eq!(told["load"], "2 events", "{told}");
    assert_eq!(home.export(), before, "it is only read");

    let url = home.database_url().expect("a database");
    let owner = postgres::owner_of(&url).await;
    let edit = "ALTER TABLE log.events DISABLE TRIGGER events_no_edit; UPDATE log.events SET principal = 'x'";
    postgres::sql(&owner, edit).await;
    let damaged = home.run(&line);
    let complained = String::from_utf8_lossy(&damaged.stderr);
    assert_eq!(damaged.status.code(), Some(1), "{complained}");
    assert!(complained.contains("does not follow"), "{complained}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_is_filled_and_measured_at_each_size() {
    let home = Home::new(Kind::Postgres).await;
    let owner = home.owner_url().expect("a database");
    let line = ["bench", "growth", "--events", "1000,20000", "--rounds", "3", "--database-url"];
    let told = report(&onsale(&[&line[..], &[&owner, "--json"]].concat()));
    let steps = told["phases"].as_array().expect("phases");
    let sizes: Vec<f64> = steps.iter().map(|step| figure(step, "events in the log")).collect();
    // As many for each of 64 partitions, in whole orders.
    assert!(sizes[0] == 1_152.0 && (20_000.0..20_200.0).contains(&sizes[1]) && sizes.len() == 2, "{told}");
    for step in steps {
        let rows = step["latencies"].as_array().expect("latencies");
        let counts: Vec<_> = rows.iter().map(|row| (row["name"].as_str().unwrap(), row["count"].as_u64())).collect();
        let loads = [("load of 512 streams", Some(20)), ("load of 1 stream", Some(500))];
        let appends = [("append of 500", Some(3)), ("append of 10", Some(3))];
        assert_eq!(counts, [loads, appends].concat());
        for name in ["table", "indexes", "written ahead", "start of a node", "appended in batches of 500"] {
            assert!(figure(step, name) > 0.0, "{name} {step}");
        }
    }
    assert_eq!(figure(&steps[0], "cost in batches of 500"), 1.0);
    assert!(figure(&steps[1], "cost in batches of 10") > 0.0);
    // Said in the report: fillers have no chain. So nobody takes a log for real that is not.
    assert_eq!(home.run(&["audit"]).status.code(), Some(1));
}

#[tokio::test(flavor = "multi_thread")]
async fn growth_fills_nobodys_log_and_refuses_what_it_cannot_do() {
    let home = Home::new(Kind::Postgres).await;
    let refused = |args: &[&str], words: &str| {
        let output = onsale(&[&["bench", "growth"], args].concat());
        let complained = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_ne!(output.status.code(), Some(0), "{args:?}");
        assert!(complained.contains(words), "{args:?}: {complained}");
    };
    let (server, owner) = (home.database_url().expect("a database"), home.owner_url().expect("a database"));
    refused(&["--data", &home.data().display().to_string()], "--database-url");
    refused(&["--database-url", &server, "--events", "1000"], "the role that owns the log");
    refused(&["--database-url", &owner, "--events", "2000,1000"], "larger than the one before");
    refused(&["--database-url", &owner, "--events", "1000,1000000000"], "the disk is too small");
    assert_eq!(home.export().len(), 0);
    let made = home.run(&["bench", "replay", "--events", "1000"]);
    assert_eq!(made.status.code(), Some(0), "{}", String::from_utf8_lossy(&made.stderr));
    refused(&["--database-url", &owner, "--events", "10000"], "holds a log already");
}
