//! Does production mode keep a node from running with rights that it must not have, and are secrets taken from files?

use std::process::{Output, Stdio};

use crate::base::postgres;
use crate::support::server::{Home, Kind, Server, onsale};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn config(home: &Home, text: &str) {
    std::fs::write(home.config(), text).expect("the directory is ours");
}

#[tokio::test]
async fn production_refuses_a_role_that_could_edit_history() {
    let home = Home::telling(Kind::Postgres).await;
    let owner = home.owner_url().expect("a database");
    config(&home, "[server]\nproduction = true\n");
    let (data, file) = (home.data().display().to_string(), home.config().display().to_string());
    for follow in [&[][..], &["--follow"]] {
        let line = ["serve", "--listen", "127.0.0.1:0", "--database-url", &owner, "--data", &data, "--config", &file];
        let output = onsale(&[&line[..], follow].concat());
        assert_eq!(output.status.code(), Some(78), "{}", said(&output));
        let told = String::from_utf8_lossy(&output.stderr).into_owned();
        let error = told.lines().find(|line| line.starts_with("onsale: ")).expect("one line that says why");
        for word in ["database.url", "is a superuser", "could edit history", "`onsale migrate`", postgres::SERVER_ROLE]
        {
            assert!(error.contains(word), "{word}: {error}");
        }
    }
    // As the role that the migration made, it serves, and so does a node that follows.
    let server = Server::start(&home).await;
    let follower = Server::follow(&home, &[]).await;
    server.client().get("/v1/venues").await.expect(200);
    follower.client().get("/v1/venues").await.expect(200);
    assert!(follower.terminate().await.success() && server.terminate().await.success());
    let told = std::fs::read_to_string(home.told()).expect("the nodes' log");
    assert!(!told.contains("could edit history"), "{told}");
    assert!(told.contains("keys come from this node's data directory"), "what else is odd is said");

    // Elsewhere it is a warning.
    config(&home, "");
    let home = home.served_by_owner();
    let server = Server::start(&home).await;
    assert!(server.terminate().await.success());
    let told = std::fs::read_to_string(home.told()).expect("the node's log");
    let warnings = told.lines().filter(|line| line.contains("\"WARN\"") && line.contains("could edit history"));
    assert_eq!(warnings.count(), 1, "{told}");
}

#[tokio::test]
async fn a_migration_is_the_owners() {
    let home = Home::new(Kind::Postgres).await;
    let url = home.database_url().expect("a database");
    let output = onsale(&["migrate", "--database-url", &url, "--data", &home.data().display().to_string()]);
    assert_eq!(output.status.code(), Some(78), "{}", said(&output));
    assert!(said(&output).contains("as the role that owns the log"), "{}", said(&output));
    let output = home.run(&["migrate", "--server-role", "Not Plain"]);
    assert_eq!(output.status.code(), Some(78), "{}", said(&output));
    assert!(said(&output).contains("database.server_role"), "{}", said(&output));
    let output = home.run(&["migrate"]);
    assert!(said(&output).contains(&format!("nodes work as the role {}", postgres::SERVER_ROLE)), "{}", said(&output));
}

/// As in Docker and Kubernetes: nothing but paths in arguments and environment.
#[tokio::test]
async fn secrets_come_from_files() {
    let home = Home::new(Kind::Postgres).await;
    let secrets = tempfile::tempdir().expect("a directory");
    let secret = |name: &str, text: &str| {
        let path = secrets.path().join(name);
        std::fs::write(&path, text).expect("the directory is ours");
        format!("file:{}", path.display())
    };
    let keys = [("access_key", 'a'), ("ticket_key", 'b')].map(|(name, letter)| {
        let text: String = (0..40_u8).map(|n| if n % 2 == 0 { char::from(b'A' + n) } else { letter }).collect();
        format!("{name} = \"{}\"\n", secret(name, &format!("{text}\n")))
    });
    let url = secret("database", &format!("{}\n", home.database_url().expect("a database")));
    config(&home, &format!("[database]\nurl = \"{url}\"\n[auth]\n{}", keys.concat()));
    let (data, file) = (home.data().display().to_string(), home.config().display().to_string());
    let options = ["--data", &data, "--config", &file];
    let stats = onsale(&[&["log", "stats"][..], &options].concat());
    assert!(stats.status.success(), "{}", said(&stats));
    let token = onsale(&[&["token", "--sub", "kim", "--role", "member"][..], &options].concat());
    assert!(token.status.success(), "{}", said(&token));
    let server = Server::start_with(&home, "127.0.0.1:0", &[]).await;
    let kim = server.client().with_token(String::from_utf8_lossy(&token.stdout).trim());
    kim.get("/v1/orders").await.expect(200);

    let gone = secrets.path().join("gone").display().to_string();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_onsale"))
        .args(["log", "stats"])
        .env("ONSALE_DATABASE_URL", format!("file:{gone}"))
        .stdin(Stdio::null())
        .output()
        .expect("the binary runs");
    assert_eq!(output.status.code(), Some(78), "{}", said(&output));
    assert!(said(&output).contains("database.url") && said(&output).contains(&gone), "{}", said(&output));
}
