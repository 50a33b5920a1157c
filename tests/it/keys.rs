//! Keys change without a gap: what was signed before goes on until its key is retired, and no command shows a key.

use std::process::Output;

use serde_json::json;

use crate::support::server::{Home, Kind};
use crate::support::stage::Stage;

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

/// `(kind, id, state, source)` of each key.
fn listed(home: &Home) -> Vec<[String; 4]> {
    let output = home.run(&["keys", "list"]);
    assert!(output.status.success(), "{}", said(&output));
    let line = |line: &str| {
        let mut words = line.split_whitespace().map(str::to_owned);
        let mut word = || words.next().unwrap_or_default();
        [word(), word(), word(), word()]
    };
    String::from_utf8_lossy(&output.stdout).lines().map(line).collect()
}

fn id(home: &Home, kind: &str, state: &str) -> String {
    let found = listed(home).into_iter().find(|key| key[0] == kind && key[2] == state);
    found.map(|key| key[1].clone()).unwrap_or_else(|| panic!("no {state} {kind} key"))
}

#[tokio::test]
async fn tokens_and_codes_of_before_a_rotation_are_good_until_their_key_is_retired() {
    let stage = Stage::set(Kind::Sqlite).await;
    let store = stage.store().await;
    let path = format!("/v1/stores/{store}/tokens");
    let body = json!({"role": "pos", "name": "counter"});
    let old_device = stage.seller.key("k").post(&path, &body).await.expect(201);
    let old_member = stage.home.token("kim", "member", None);
    let before = listed(&stage.home);
    assert!(before.iter().all(|key| key[2] == "current") && before.len() == 5, "{before:?}");
    for kind in ["device", "access", "ticket-code"] {
        let output = stage.home.run(&["keys", "rotate", kind]);
        assert!(output.status.success(), "{}", said(&output));
    }
    let stage = stage.crash().await;
    let list = format!("/v1/stores/{store}/payments");
    let try_device = |stage: &Stage, token: &str| stage.anyone.with_token(token);
    let old = old_device.str("token");
    try_device(&stage, &old).get(&list).await.expect(200);
    stage.anyone.with_token(&old_member).get("/v1/accounts/me").await.expect(200);
    assert_eq!(
        stage.seller.key("k").post(&path, &body).await.expect(201).body,
        old_device.body,
        "the same token again"
    );
    let new = stage.seller.post(&path, &body).await.expect(201).str("token");
    try_device(&stage, &new).get(&list).await.expect(200);
    let codes = stage.anyone.get("/v1/ticket-keys").await.expect(200);
    let kids: Vec<&str> =
        codes.body["keys"].as_array().expect("keys").iter().filter_map(|key| key["kid"].as_str()).collect();
    let (current, previous) = (id(&stage.home, "ticket-code", "current"), id(&stage.home, "ticket-code", "previous"));
    assert_eq!(kids, [current.as_str(), previous.as_str()], "gates know both");

    let retired = id(&stage.home, "device", "previous");
    let current = id(&stage.home, "device", "current");
    for (key, why) in [(current.as_str(), "is the current key"), ("0a", "there is no previous key")] {
        let output = stage.home.run(&["keys", "retire", "device", key]);
        assert_eq!(output.status.code(), Some(1));
        assert!(said(&output).contains(why), "{}", said(&output));
    }
    assert!(stage.home.run(&["keys", "retire", "device", &retired]).status.success());
    let stage = stage.crash().await;
    try_device(&stage, &old).get(&list).await.problem(401, "unauthorized");
    try_device(&stage, &new).get(&list).await.expect(200);
    stage.anyone.with_token(&old_member).get("/v1/accounts/me").await.expect(200);
}

#[tokio::test]
async fn no_command_shows_a_key_and_configured_ones_are_changed_where_they_stand() {
    let home = Home::new(Kind::Sqlite).await;
    let first = listed(&home);
    assert_eq!(first, listed(&home));
    let file = std::fs::read_to_string(home.data().join("keys.json")).expect("the keys");
    let keys: serde_json::Value = serde_json::from_str(&file).expect("JSON");
    let secrets: Vec<&str> = keys.as_object().expect("kinds").values().filter_map(|ring| ring[0].as_str()).collect();
    assert_eq!(secrets.len(), 4);
    let mut outputs = vec![home.run(&["keys", "rotate", "seal"]), home.run(&["keys", "list"])];
    let (good, other) = ("k3Jx9Qw7Lm2Zr8Vt5Yb1Nc6Hd4Fg0Ps!", "Zb7Uq2Xe9Rk4Wm1Tj6Yn3Ld8Ch5Vg0Af!");
    let config = |text: &str| std::fs::write(home.config(), format!("[auth]\n{text}")).expect("ours");
    config(&format!("device_key = \"{good}\"\ndevice_key_previous = \"{other}\"\n"));
    let configured: Vec<_> = listed(&home).into_iter().filter(|key| key[3] == "configuration").collect();
    assert_eq!(
        configured.iter().map(|key| (&*key[0], &*key[2])).collect::<Vec<_>>(),
        [("device", "current"), ("device", "previous")]
    );
    let output = home.run(&["keys", "rotate", "device"]);
    assert!(output.status.code() == Some(1) && said(&output).contains("auth.device_key_previous"), "{}", said(&output));
    outputs.push(output);
    let wrong = [
        (format!("device_key = \"{good}\"\nseal_key = \"{good}\"\n"), "auth.device_key and auth.seal_key share a key"),
        (format!("device_key_previous = \"{good}\"\n"), "auth.device_key_previous is set"),
        ("device_key = \"short\"\n".to_owned(), "auth.device_key must have at least"),
        ("seal_key = \"change-me-change-me-change-me-change-me\"\n".to_owned(), "auth.seal_key looks like an example"),
    ];
    for (text, words) in wrong {
        config(&text);
        for command in [&["keys", "list"][..], &["serve", "--listen", "127.0.0.1:0"]] {
            let output = home.run(command);
            assert_eq!(output.status.code(), Some(78), "{}", said(&output));
            assert!(said(&output).contains(words), "{}", said(&output));
            outputs.push(output);
        }
    }
    for output in outputs {
        let said = said(&output);
        assert!(secrets.iter().chain(&[good, other]).all(|secret| !said.contains(secret)), "{said}");
    }
}
