//! The command line: exit codes, the log's tools, and damage that is found.

use serde_json::json;

use crate::support::server::{BOTH, Home, Kind, Server, onsale};
use crate::support::stage::Stage;

#[tokio::test]
async fn wrong_usage_and_wrong_configuration() {
    let home = Home::new(Kind::Sqlite).await;
    let table: [(&[&str], i32); 5] = [
        (&["serve", "--colour"], 2),
        (&["nonsense"], 2),
        (&["token", "--sub", "x"], 2),
        (&["serve", "--config", "/nonexistent.toml"], 78),
        (&["serve", "--database-url", "mysql://localhost/x"], 78),
    ];
    for (args, code) in table {
        let output = onsale(args);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
    }
    let config = home.data().join("wrong.toml");
    std::fs::write(&config, "[server]\nlisten = \"127.0.0.1:0\"\ncolour = \"secret-marker\"\n").unwrap();
    let output = home.run(&["serve", "--config", config.to_str().unwrap()]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(78), "{said}");
    assert!(said.contains("colour") && said.contains("wrong.toml"), "{said}");
    assert!(!said.contains("secret-marker"), "values are never shown: {said}");
    let output = onsale(&["serve", "--database-url", "postgres://u:secret-marker@127.0.0.1:1/none"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(!said.contains("secret-marker"), "{said}");
    let defaults = onsale(&["config", "--defaults"]);
    assert!(defaults.status.success() && !defaults.stdout.is_empty());
}

#[tokio::test]
async fn a_second_server_on_one_log_is_refused() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        let options = stage.home.options();
        let mut args = vec!["serve", "--listen", "127.0.0.1:0"];
        args.extend(options.iter().map(String::as_str));
        let second = onsale(&args);
        let said = String::from_utf8_lossy(&second.stderr).into_owned();
        assert_eq!(second.status.code(), Some(1), "{said}");
        assert!(said.contains("serving"), "{said}");
        // The first one is not disturbed, and reading beside it is allowed.
        stage.member("kim").key("k").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(201);
        stage.home.assert_audit_passes();
        // A port in use is said in one line.
        let address = stage.server.base.trim_start_matches("http://").to_owned();
        let other = Home::new(Kind::Sqlite).await;
        let output = other.run(&["serve", "--listen", &address]);
        assert_eq!(output.status.code(), Some(1));
        assert!(String::from_utf8_lossy(&output.stderr).contains("in use"));
    }
}

#[tokio::test]
async fn not_a_database_is_said() {
    let home = Home::new(Kind::Sqlite).await;
    std::fs::write(home.log_db(), "this is a text file, and not at all a database of any kind\n".repeat(100)).unwrap();
    let output = home.run(&["serve", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("not a database"), "{said}");
}

#[tokio::test]
async fn the_log_as_json_is_the_contract() {
    for kind in BOTH {
        let stage = Stage::set(kind).await;
        stage.member("kim").key("k").post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(201);
        let export = stage.home.export();
        let members = [
            "partition",
            "position",
            "stream",
            "version",
            "kind",
            "schema",
            "event_id",
            "command",
            "correlation",
            "causation",
            "principal",
            "owner",
            "epoch",
            "node",
            "at",
            "recorded_at",
            "unit_last",
            "chain",
            "data",
        ];
        for event in &export {
            let object = event.as_object().unwrap();
            assert!(members.iter().all(|member| object.contains_key(*member)), "{event}");
        }
        let held = export.iter().find(|event| event["kind"] == "seat.held").unwrap();
        assert_eq!(held["stream"], format!("seat/{}/A-1-1", stage.performance));
        assert!(held["data"]["order_id"].is_string());
        assert_eq!((held["principal"].as_str(), held["owner"].as_str()), (Some("kim"), Some("seller-1")));
        let stats = stage.home.run(&["log", "stats"]);
        assert!(String::from_utf8_lossy(&stats.stdout).contains("order.placed"));
        let one = stage.home.run(&["log", "export", "--json", "--stream", held["stream"].as_str().unwrap()]);
        assert_eq!(String::from_utf8_lossy(&one.stdout).lines().count(), 1);
    }
}

/// Damages the log as a broken disk or a careless hand would, past the triggers that guard it.
async fn damage(home: &Home, sql: &str) {
    use sqlx::{ConnectOptions, Connection};
    let options = sqlx::sqlite::SqliteConnectOptions::new().filename(home.log_db());
    let mut connection = options.connect().await.unwrap();
    let triggers: Vec<(String,)> =
        sqlx::query_as("SELECT name FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'events'")
            .fetch_all(&mut connection)
            .await
            .unwrap();
    assert!(!triggers.is_empty(), "the database itself refuses edits");
    assert!(
        sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.is_err(),
        "the edit was not refused"
    );
    for (trigger,) in triggers {
        sqlx::raw_sql(sqlx::AssertSqlSafe(format!("DROP TRIGGER {trigger}"))).execute(&mut connection).await.unwrap();
    }
    sqlx::raw_sql(sqlx::AssertSqlSafe(sql.to_owned())).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

#[tokio::test]
async fn damage_is_found_and_named() {
    let flipped =
        "UPDATE events SET payload = CAST(x'ff' || substr(payload, 2) AS BLOB) WHERE partition = :p AND position = 3";
    let removed = "DELETE FROM events WHERE partition = :p AND position = 3";
    let swapped = "UPDATE events SET position = 1000003 WHERE partition = :p AND position = 3;
        UPDATE events SET position = 3 WHERE partition = :p AND position = 4;
        UPDATE events SET position = 4 WHERE partition = :p AND position = 1000003";
    for sql in [flipped, removed, swapped] {
        let stage = Stage::set(Kind::Sqlite).await;
        let kim = stage.member("kim");
        for seat in 1..=3 {
            let seats = json!({"seats": [format!("A-1-{seat}")]});
            kim.key(&format!("{seat}")).post(&stage.orders(), &seats).await.expect(201);
        }
        let export = stage.home.export();
        let partition = export.iter().find(|event| event["kind"] == "seat.held").unwrap()["partition"].to_string();
        let Stage { home, server, .. } = stage;
        assert_eq!(Server::terminate(server).await.code(), Some(0));
        home.assert_audit_passes();
        damage(&home, &sql.replace(":p", &partition)).await;
        let output = home.run(&["audit"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(said.contains(&format!("{partition}:3")), "the position is named: {said}");
    }
}
