//! Keys change, and people stay: they are found, their sessions go on; and no node takes the wrong keys for an empty house.

use serde_json::{Value, json};

use crate::support::people::{PASSWORD, code, login, mail, sign_up};
use crate::support::server::{BOTH, Home, Kind};
use crate::support::{Client, Server};

const KIM: &str = "kim@example.com";
const OTHER: &str = "k3Jx9Qw7Lm2Zr8Vt5Yb1Nc6Hd4Fg0Ps!";

#[track_caller]
fn said(home: &Home, args: &[&str], status: i32) -> String {
    let output = home.run(args);
    let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(status), "{args:?}: {said}");
    said
}

/// The ids of a kind, the current one first.
fn ids(home: &Home, kind: &str) -> Vec<String> {
    let listed = said(home, &["keys", "list"], 0);
    let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    listed.lines().map(words).filter(|words| words[0] == kind).map(|words| words[1].clone()).collect()
}

async fn again(home: &Home, server: Server) -> (Server, Client) {
    assert!(server.terminate().await.success());
    let server = Server::start(home).await;
    let anyone = server.client();
    (server, anyone)
}

#[tokio::test]
async fn sessions_outlive_the_key_that_signed_their_tokens() {
    for kind in BOTH {
        let home = Home::new(kind).await;
        let server = Server::start(&home).await;
        let id = sign_up(&home, &server, KIM).await;
        let old = login(&server.client(), KIM, None).await;
        said(&home, &["keys", "rotate", "access"], 0);
        let (server, anyone) = again(&home, server).await;
        let me = anyone.with_token(&old.access).get("/v1/accounts/me").await.expect(200);
        assert_eq!((me.str("sub"), &me.body["account"]["email"]), (id, &json!(KIM)), "good until it expires");
        let body = json!({"refresh_token": old.refresh});
        let new = anyone.post("/v1/auth/refresh", &body).await.expect(200);
        let (new, refresh) = (new.str("access_token"), new.str("refresh_token"));
        assert_ne!(new.split('.').next(), old.access.split('.').next(), "the new key signs");
        anyone.with_token(&new).get("/v1/accounts/me").await.expect(200);

        let previous = ids(&home, "access").pop().expect("two keys");
        said(&home, &["keys", "retire", "access", &previous], 0);
        let (_server, anyone) = again(&home, server).await;
        anyone.with_token(&old.access).get("/v1/accounts/me").await.problem(401, "unauthorized");
        anyone.with_token(&new).get("/v1/accounts/me").await.expect(200);
        let body = json!({"refresh_token": refresh});
        anyone.post("/v1/auth/refresh", &body).await.expect(200);
    }
}

#[tokio::test]
async fn people_are_found_after_every_change_of_the_seal_key_and_the_oldest_one_stays() {
    for kind in BOTH {
        let home = Home::new(kind).await;
        let mut server = Server::start(&home).await;
        sign_up(&home, &server, KIM).await;
        let oldest = ids(&home, "seal").pop().expect("a key");
        for round in 0..4 {
            said(&home, &["keys", "rotate", "seal"], 0);
            let anyone;
            (server, anyone) = again(&home, server).await;
            let kim = anyone.with_token(&login(&anyone, KIM, None).await.access);
            assert_eq!(kim.get("/v1/accounts/me").await.expect(200).body["account"]["email"], KIM);
            let late = format!("late{round}@example.com");
            sign_up(&home, &server, &late).await;
        }
        assert_eq!(ids(&home, "seal").len(), 5);
        let full = said(&home, &["keys", "rotate", "seal"], 1);
        assert!(full.contains("there are 4 keys before the current one already"), "{full}");
        let refused = said(&home, &["keys", "retire", "seal", &oldest], 1);
        assert!(refused.contains("accounts are found by digests under the oldest seal key"), "{refused}");
        assert_eq!(ids(&home, "seal").last(), Some(&oldest), "nothing was taken away");
        // Those between go, and nobody with them: what they sealed is sealed anew.
        for id in &ids(&home, "seal")[1..4] {
            said(&home, &["keys", "retire", "seal", id], 0);
        }
        assert_eq!(ids(&home, "seal").len(), 2);
        assert!(said(&home, &["keys", "reseal"], 0).starts_with("0 "), "nothing is left to do");
        let (server, anyone) = again(&home, server).await;
        for email in [KIM, "late0@example.com", "late3@example.com"] {
            let who = anyone.with_token(&login(&anyone, email, None).await.access);
            assert_eq!(who.get("/v1/accounts/me").await.expect(200).body["account"]["email"], email);
        }
        // A mailed code is recognised as well.
        anyone.post("/v1/auth/password/forgot", &json!({"email": KIM})).await.expect(204);
        let code = code(&mail(&home, KIM, 2).await);
        let reset = json!({"email": KIM, "code": code, "new_password": PASSWORD});
        anyone.post("/v1/auth/password/reset", &reset).await.expect(204);
        drop(server);
    }
}

/// What stands in `keys.json`, without the last of the seal keys.
fn lose_the_oldest(home: &Home) -> String {
    let path = home.data().join("keys.json");
    let before = std::fs::read_to_string(&path).expect("the node's keys");
    let mut keys: Value = serde_json::from_str(&before).expect("JSON");
    keys["seal"].as_array_mut().expect("a list").pop().expect("the oldest");
    std::fs::write(&path, keys.to_string()).expect("ours");
    before
}

#[tokio::test]
async fn a_node_with_another_seal_key_does_not_start() {
    const SERVE: [&str; 3] = ["serve", "--listen", "127.0.0.1:0"];
    const SAYS: &str = "the last of auth.seal_key_previous";
    for kind in BOTH {
        let home = Home::new(kind).await;
        let config = |text: &str| std::fs::write(home.config(), text).expect("ours");
        // Where nobody has signed up, every key will do.
        let server = Server::start(&home).await;
        assert!(server.terminate().await.success());
        config(&format!("[auth]\nseal_key = \"{OTHER}\"\n"));
        let server = Server::start(&home).await;
        assert!(server.terminate().await.success());
        config("");
        let server = Server::start(&home).await;
        sign_up(&home, &server, KIM).await;
        assert!(server.terminate().await.success());

        config(&format!("[auth]\nseal_key = \"{OTHER}\"\n"));
        let account = ["account", "role", "--email", KIM, "--role", "seller"];
        let mut follow = SERVE.to_vec();
        follow.push("--follow");
        let commands: &[&[&str]] =
            if kind == Kind::Postgres { &[&SERVE, &follow, &account] } else { &[&SERVE, &account] };
        for command in commands {
            let refused = said(&home, command, 78);
            assert!(refused.contains(SAYS) && !refused.contains(OTHER), "{refused}");
        }
        config("");
        said(&home, &["keys", "rotate", "seal"], 0);
        let whole = lose_the_oldest(&home);
        let refused = said(&home, &SERVE, 78);
        assert!(refused.contains(SAYS), "{refused}");
        std::fs::write(home.data().join("keys.json"), whole).expect("ours");
        let server = Server::start(&home).await;
        login(&server.client(), KIM, None).await;
    }
}
