//! Do `onsale bench replay` and `onsale bench growth` measure something, judge it, and leave alone what is somebody's? Small
//! logs: how fast they are is nobody's business here.

use std::process::Output;

use serde_json::Value;

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
    let owner = crate::support::postgres::owner_of(&url).await;
    let edit = "ALTER TABLE log.events DISABLE TRIGGER events_no_edit; UPDATE log.events SET principal = 'x'";
    crate::support::postgres::sql(&owner, edit).await;
    let damaged = home.run(&line);
    let complained = String::from_utf8_lossy(&damaged.stderr);
    assert_eq!(damaged.status.code(), Some(1), "{complained}");
    assert!(complained.contains("does not follow"), "{complained}");
}
