//! Everything that FAULTS.md says clients will send: a stable 4xx, nothing appended, and the server goes on.

use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::support::server::Kind;
use crate::support::stage::Stage;

#[tokio::test]
async fn bodies_that_make_no_sense() {
    let stage = Stage::set(Kind::Sqlite).await;
    let kim = stage.member("kim");
    let orders = stage.orders();
    let before = stage.home.export().len();
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let malformed: Vec<Vec<u8>> = vec![
        b"".to_vec(),
        b"{".to_vec(),
        b"[]".to_vec(),
        b"null".to_vec(),
        b"{\"seats\": [\"A-1-1\"]} x".to_vec(),
        b"{\"seats\": [\"A-1-1\"], \"unknown\": 1}".to_vec(),
        b"{\"seats\": [\"A-1-1\"], \"seats\": [\"A-1-2\"]}".to_vec(),
        b"{\"seats\": \"A-1-1\"}".to_vec(),
        b"{\"seats\": [1]}".to_vec(),
        b"{\"seats\": [\"\\ud800\"]}".to_vec(),
        b"{\"seats\": [\"\xff\"]}".to_vec(),
        b"{\"seats\": NaN}".to_vec(),
        format!("{{\"seats\": {deep}}}").into_bytes(),
    ];
    for (number, body) in malformed.into_iter().enumerate() {
        let shown = String::from_utf8_lossy(&body).chars().take(60).collect::<String>();
        let answer = kim.key(&format!("m{number}")).post_raw(&orders, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body["code"].as_str()),
            (400, Some("malformed-body")),
            "{shown}: {}",
            answer.text
        );
    }
    let invalid = [
        json!({"seats": []}),
        json!({"seats": ["A-1-1", "A-1-1"]}),
        json!({"seats": ["Z-9-9"]}),
        json!({"seats": ["A-1-11"]}),
        json!({"seats": ["A-1-01"]}),
        json!({"seats": [""]}),
        json!({"seats": ["A-1-1\u{0}"]}),
        json!({"seats": ["A-1-1\u{202e}"]}),
        json!({"seats": ["A-1-1"], "reference": "line\nbreak"}),
    ];
    for (number, body) in invalid.into_iter().enumerate() {
        let answer = kim.key(&format!("i{number}")).post(&orders, &body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.body["code"].as_str()),
            (422, Some("invalid-value")),
            "{body}: {}",
            answer.text
        );
        assert!(
            answer.body["errors"][0]["pointer"].as_str().is_some_and(|pointer| pointer.starts_with('/')),
            "{}",
            answer.text
        );
    }
    let large = json!({"seats": ["A-1-1"], "reference": "x".repeat(70_000)});
    kim.key("large").post(&orders, &large).await.problem(413, "body-too-large");
    let request = kim.key("type").request(reqwest::Method::POST, &orders).body("{}");
    kim.try_send(request).await.unwrap().problem(415, "unsupported-media-type");
    assert_eq!(stage.home.export().len(), before, "nothing was appended");
    kim.key("fine").post(&orders, &json!({"seats": ["A-1-1"]})).await.expect(201);
}

#[tokio::test]
async fn amounts_that_are_none() {
    let stage = Stage::set(Kind::Sqlite).await;
    let store = stage.store().await;
    let pos = stage.anyone.with_token(&stage.home.token("pos-1", "pos", Some(&store)));
    let path = format!("/v1/stores/{store}/payments");
    let before = stage.home.export().len();
    for amount in ["-1", "0.1", "1e3", "9223372036854775808", "9007199254740992", "\"100\"", "null", "NaN", "0"] {
        let body = format!(
            "{{\"payment_id\": \"p\", \"amount\": {amount}, \"currency\": \"KRW\", \"method\": \"card\", \"paid_at\": \"2026-01-01T00:00:00Z\"}}"
        );
        let answer = pos.post_raw(&path, body).await;
        let status = answer.status.as_u16();
        assert!(status == 400 || status == 422, "{amount}: {}", answer.text);
        let code = answer.body["code"].as_str().unwrap();
        assert!(code == "malformed-body" || code == "invalid-value", "{amount}: {}", answer.text);
    }
    assert_eq!(stage.home.export().len(), before, "nothing was appended");
}

#[tokio::test]
async fn routes_tokens_and_methods() {
    let stage = Stage::set(Kind::Sqlite).await;
    let kim = stage.member("kim");
    stage.anyone.get("/v1/nothing").await.problem(404, "not-found");
    stage.anyone.get("/v1/orders/o1_junk").await.problem(401, "unauthorized");
    for id in ["o1_junk", "x", "o99999_00000000000000000000000000000000", "o0_00000000000000000000000000000000"] {
        kim.get(&format!("/v1/orders/{id}")).await.problem(404, "not-found");
    }
    let answer = stage.anyone.post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.problem(401, "unauthorized");
    assert_eq!(answer.header("www-authenticate"), Some("Bearer"));
    let none = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJraW0iLCJyb2xlIjoibWVtYmVyIn0.";
    let huge = "x".repeat(15_000);
    for token in ["", "junk", "a.b.c", none, &huge] {
        let answer = stage.anyone.with_token(token).post(&stage.orders(), &json!({})).await;
        assert!(matches!(answer.status.as_u16(), 401 | 431), "{token:.20}: {}", answer.text);
    }
    let expired = stage.home.run(&["token", "--sub", "kim", "--role", "member", "--ttl", "1s"]);
    let expired = stage.anyone.with_token(String::from_utf8(expired.stdout).unwrap().trim());
    let path = "/v1/accounts/me";
    crate::support::wait::until("the token to expire", || expired.get(path), |answer| answer.status == 401).await;
    let request = stage.anyone.request(reqwest::Method::PUT, &stage.orders());
    let refused = stage.anyone.try_send(request).await.unwrap().problem(405, "method-not-allowed");
    assert!(refused.header("allow").is_some_and(|allow| allow.contains("POST")));
    kim.key("1")
        .get(&format!("/v1/performances/{}/seats?colour=red", stage.performance))
        .await
        .problem(400, "unknown-parameter");
    for key in ["", "a b", "한글", &"k".repeat(256)] {
        let answer = kim.key(key).post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await;
        assert_eq!(answer.status.as_u16(), 400, "{key:.20}: {}", answer.text);
    }
    let longest = "k".repeat(255);
    kim.key(&longest).post(&stage.orders(), &json!({"seats": ["A-1-1"]})).await.expect(201);
}

/// What a client gets for raw bytes, until the server closes the connection.
async fn raw(base: &str, bytes: &[u8]) -> String {
    let mut connection = TcpStream::connect(base.trim_start_matches("http://")).await.unwrap();
    connection.write_all(bytes).await.unwrap();
    let mut answer = Vec::new();
    let mut chunk = [0; 4096];
    while let Ok(count) = connection.read(&mut chunk).await {
        answer.extend_from_slice(&chunk[..count]);
        if count == 0 || answer.windows(4).any(|end| end == b"\r\n\r\n") {
            break;
        }
    }
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn requests_that_are_no_http() {
    let stage = Stage::set(Kind::Sqlite).await;
    let base = &stage.server.base;
    let flood = format!("GET /livez HTTP/1.1\r\nhost: x\r\n{}\r\n", "a: b\r\n".repeat(200));
    let wide = format!("GET /livez HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "b".repeat(40_000));
    let table: [(&[u8], &str); 5] = [
        (b"nonsense\r\n\r\n", "400"),
        (b"GET /livez HTTP/9.9\r\n\r\n", "400"),
        (b"POST /v1/venues HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", "400"),
        (flood.as_bytes(), "431"),
        (wide.as_bytes(), "431"),
    ];
    for (bytes, status) in table {
        let answer = raw(base, bytes).await;
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{:.40}: {answer}", String::from_utf8_lossy(bytes));
    }
    stage.anyone.get("/livez").await.expect(200);
}

#[tokio::test]
async fn slow_clients_are_cut() {
    let stage = Stage::set(Kind::Sqlite).await;
    let mut connection = TcpStream::connect(stage.server.base.trim_start_matches("http://")).await.unwrap();
    connection.write_all(b"GET /livez HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    // The server ends it by itself; how soon is its configuration's business.
    let mut rest = Vec::new();
    let ended = tokio::time::timeout(std::time::Duration::from_secs(30), connection.read_to_end(&mut rest)).await;
    assert!(ended.is_ok(), "a client that never ends its headers was kept");
}
