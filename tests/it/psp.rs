//! The payment provider's stand-in as a process of its own: it is killed, and its books are whole and add up.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::support::Client;
use crate::support::server::onsale;

/// `test_sk_1:` in base64.
const KEY: &str = "Basic dGVzdF9za18xOg==";

pub struct Psp {
    child: Child,
    pub client: Client,
    pub base: String,
}

impl Psp {
    pub async fn start(ledger: &Path, more: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_onsale"))
            .args(["psp-simulator", "--listen", "127.0.0.1:0", "--ledger", ledger.to_str().unwrap()])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .env("ONSALE_LOG__LEVEL", "error")
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let line = tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await.unwrap().unwrap().unwrap();
        let base = line.strip_prefix("psp-simulator listening on ").unwrap_or_else(|| panic!("{line}"));
        let client = Client::new(base).with("authorization", KEY);
        Self { child, client, base: base.to_owned() }
    }

    /// SIGKILL: it writes nothing more.
    async fn kill(mut self) {
        self.child.start_kill().unwrap();
        self.child.wait().await.unwrap();
    }

    /// `None`: the connection broke.
    async fn confirm(&self, payment: &str) -> Option<(u16, String)> {
        let body = json!({"paymentKey": payment, "orderId": format!("order-{payment}"), "amount": 1_000});
        let answer = self.client.key(payment).try_post("/v1/payments/confirm", &body).await?;
        let word = answer.body["code"].as_str().or(answer.body["status"].as_str()).unwrap_or_default();
        Some((answer.status.as_u16(), word.to_owned()))
    }

    async fn refund(&self, payment: &str, amount: u64) -> (u16, Value) {
        let (path, body) =
            (format!("/v1/payments/{payment}/cancel"), json!({"cancelReason": "r", "cancelAmount": amount}));
        let answer = self.client.key(&format!("refund-{payment}")).post(&path, &body).await;
        (answer.status.as_u16(), answer.body)
    }

    async fn status(&self, payment: &str) -> String {
        let answer = self.client.get(&format!("/v1/payments/orders/order-{payment}")).await;
        answer.body["status"].as_str().or(answer.body["code"].as_str()).unwrap_or_default().to_owned()
    }

    pub async fn ledger(&self) -> Value {
        self.client.get("/ledger").await.expect(200).body
    }
}

fn answered(status: u16, word: &str) -> Option<(u16, String)> {
    Some((status, word.to_owned()))
}

#[tokio::test]
async fn its_books_survive_its_death() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("ledger.jsonl");
    let psp = Psp::start(&path, &[]).await;
    assert_eq!(psp.confirm("pk_1").await, answered(200, "DONE"));
    assert_eq!(psp.confirm("decline_INVALID_PASSWORD_1").await, answered(403, "INVALID_PASSWORD"));
    assert_eq!(psp.confirm("lost_1").await, None);
    assert_eq!(psp.confirm("late_1").await, answered(500, "FAILED_INTERNAL_SYSTEM_PROCESSING"));
    assert_eq!(psp.status("late_1").await, "IN_PROGRESS");
    assert_eq!(psp.confirm("norefund_1").await, answered(200, "DONE"));
    assert_eq!(psp.refund("norefund_1", 1_000).await.0, 500);
    assert_eq!(psp.refund("pk_1", 300).await.1["balanceAmount"], 700);
    let before = psp.ledger().await;
    assert_eq!((before["captured"].as_u64(), before["cancelled"].as_u64()), (Some(3_000), Some(300)));
    psp.kill().await;

    let psp = Psp::start(&path, &[]).await;
    assert_eq!(psp.ledger().await, before);
    // What was promised once is kept, what was under way goes on, and no fault is repeated that was to come once.
    assert_eq!(psp.confirm("lost_1").await, answered(200, "DONE"));
    assert_eq!(psp.confirm("pk_1").await, answered(200, "DONE"));
    assert_eq!(psp.refund("pk_1", 300).await.1["balanceAmount"], 700);
    assert_eq!(psp.refund("norefund_1", 1_000).await.1["status"], "CANCELED");
    assert_eq!(psp.status("late_1").await, "IN_PROGRESS");
    assert_eq!(psp.status("late_1").await, "DONE");
    let after = psp.ledger().await;
    assert_eq!((after["captured"].as_u64(), after["cancelled"].as_u64()), (Some(4_000), Some(1_300)));
    let sum = |member: &str| -> u64 {
        after["payments"].as_array().unwrap().iter().map(|payment| payment[member].as_u64().unwrap()).sum()
    };
    assert_eq!((sum("captured"), sum("cancelled"), sum("net")), (4_000, 1_300, 2_700));
    assert_eq!(after["net"], 2_700);
    // The file says the same to somebody who can only add.
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let total = |kind: &str| -> u64 {
        let of_kind = lines.iter().filter(|line| line["what"]["kind"] == kind);
        of_kind.map(|line| line["what"]["amount"].as_u64().unwrap()).sum()
    };
    assert_eq!((total("captured"), total("cancelled")), (4_000, 1_300));
    assert!(!text.contains("test_sk_1") && !text.contains(KEY));
    let in_use = onsale(&["psp-simulator", "--ledger", path.to_str().unwrap()]);
    assert_eq!(in_use.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&in_use.stderr).contains("in use by another simulator"));
    psp.kill().await;
}

/// Killed while payments are being made, several times over: whatever was answered is in the books.
#[tokio::test]
async fn what_it_has_answered_is_in_its_books_after_any_kill() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("ledger.jsonl");
    let mut promised = Vec::new();
    for round in 0..5 {
        let psp = Psp::start(&path, &[]).await;
        let (told, mut heard) = tokio::sync::mpsc::channel::<String>(1_000);
        let shops = (0..4).map(|shop| {
            let (client, told) = (psp.client.clone(), told.clone());
            tokio::spawn(async move {
                for n in 0..u32::MAX {
                    let payment = format!("pk_{round}_{shop}_{n}");
                    let body = json!({"paymentKey": payment, "orderId": format!("o-{payment}"), "amount": 1_000});
                    let Some(answer) = client.key(&payment).try_post("/v1/payments/confirm", &body).await else {
                        return;
                    };
                    assert_eq!(answer.status, 200, "{}", answer.text);
                    if told.send(payment).await.is_err() {
                        return;
                    }
                }
            })
        });
        let shops: Vec<_> = shops.collect();
        drop(told);
        for _ in 0..50 {
            promised.push(heard.recv().await.unwrap());
        }
        psp.kill().await;
        while let Some(payment) = heard.recv().await {
            promised.push(payment);
        }
        for shop in shops {
            shop.await.unwrap();
        }
    }
    let psp = Psp::start(&path, &[]).await;
    let ledger = psp.ledger().await;
    let payments = ledger["payments"].as_array().unwrap();
    let captured: std::collections::BTreeSet<&str> =
        payments.iter().map(|p| p["payment_key"].as_str().unwrap()).collect();
    assert!(promised.len() >= 250);
    let missing: Vec<_> = promised.iter().filter(|payment| !captured.contains(payment.as_str())).collect();
    assert!(missing.is_empty(), "answered, and not in the books: {missing:?}");
    assert_eq!(ledger["captured"], 1_000 * captured.len());
    psp.kill().await;
}

#[tokio::test]
async fn wrong_use_and_wrong_scripts_are_told_apart() {
    let place = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = place.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let typo = file("typo.toml", "[[rule]]\nkey = \"pk_1\"\nfault = \"explode\"\n");
    let unknown = file("unknown.toml", "[random]\nseed = 1\nconfrim = { decline = 0.1 }\n");
    let damaged = file("damaged.jsonl", "junk\n");
    let ledger = file("ledger.jsonl", "");
    let table: [(&[&str], i32, &str); 8] = [
        (&["--script", &typo], 78, "typo.toml: line 3: fault: unknown variant `explode`"),
        (&["--script", &unknown], 78, "unknown.toml: line 3: "),
        (&["--script", "/nonexistent"], 78, "/nonexistent: cannot be read"),
        (&["--ledger", &damaged], 1, "damaged in line 1"),
        (&["--ledger", "/nonexistent/ledger"], 1, "/nonexistent/ledger"),
        (&["--listen", "junk"], 2, "--listen"),
        (&["--webhook", "https://example.org"], 2, "--webhook"),
        (&["--nonsense"], 2, "--nonsense"),
    ];
    for (args, code, words) in table {
        let mut all = vec!["psp-simulator"];
        all.extend(args);
        if code == 78 {
            all.extend(["--ledger", &ledger]);
        }
        let output = onsale(&all);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(words), "{args:?}: {said}");
        assert!(code == 2 || said.trim_end().lines().count() == 1, "{args:?}: {said}");
    }
}

#[tokio::test]
async fn a_script_makes_things_go_wrong() {
    let place = tempfile::tempdir().unwrap();
    let script = place.path().join("script.toml");
    let text = "[[rule]]\nkey = \"pk_1\"\nfault = \"error\"\nstatus = 503\ntimes = 10\n";
    std::fs::write(&script, text).unwrap();
    let psp = Psp::start(&place.path().join("ledger.jsonl"), &["--script", script.to_str().unwrap()]).await;
    for _ in 0..10 {
        assert_eq!(psp.confirm("pk_1").await, answered(503, "FAILED_INTERNAL_SYSTEM_PROCESSING"));
        assert_eq!(psp.status("pk_1").await, "NOT_FOUND_PAYMENT");
    }
    assert_eq!(psp.confirm("pk_1").await, answered(200, "DONE"));
    let calls = psp.client.get("/calls").await.expect(200).body;
    assert_eq!((calls["count"].as_u64(), &calls["calls"][0]["answered"]), (Some(21), &json!("503")));
    psp.kill().await;
}

#[test]
fn a_node_refuses_keys_of_the_wrong_kind() {
    let place = tempfile::tempdir().unwrap();
    let table = [
        ("test", "live_sk_hunter2", "psp.secret_key: is a live key, and psp.mode is test"),
        ("live", "test_sk_hunter2", "psp.secret_key: is a test key, and psp.mode is live"),
        ("test", "", "psp.secret_key: is not set"),
        ("both", "test_sk_hunter2", "psp.mode"),
    ];
    for (mode, key, words) in table {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_onsale"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data", place.path().to_str().unwrap()])
            .env("ONSALE_PSP_URL", "https://psp.invalid")
            .env("ONSALE_PSP__MODE", mode)
            .env("ONSALE_PSP__SECRET_KEY", key)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(78), "{mode} {key}: {said}");
        assert!(said.contains(words) && !said.contains("hunter2"), "{said}");
    }
}
