//! The client through real connections: against the simulator, and against servers that misbehave below HTTP.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use super::super::simulator::script::Script;
use super::super::simulator::{DirectPayments, Simulator, SimulatorOptions};
use super::super::{
    Confirm, Confirmation, Lookup, Mode, Refunding, Share, SharedPayments, Standing, Toss, TossOptions, Unknown,
};
use super::{confirm, refund, won};
use crate::clock::{SimulatedClock, SystemClock};
use crate::ids::{OrderId, PaymentKey};
use crate::limits;
use crate::money::Currency;
use crate::timestamp::Timestamp;

const SECRET: &str = "test_sk_hunter2";
const PATIENT: Duration = Duration::from_secs(20);
const HASTY: Duration = Duration::from_secs(1);

fn client(url: &str, call_time: Duration) -> SharedPayments {
    let options = TossOptions {
        url: url.to_owned(),
        mode: Mode::Test,
        secret_key: SECRET.to_owned(),
        client_key: "test_ck_1".to_owned(),
        call_time,
    };
    assert!(!format!("{options:?}").contains("hunter2"));
    Arc::new(Toss::new(options).expect("a test key and a plain address"))
}

async fn simulator(script: &str) -> Simulator {
    let options = SimulatorOptions {
        listen: "127.0.0.1:0".parse().expect("an address"),
        script: Script::parse(script).expect("a good script"),
        ledger: None,
        webhook: None,
    };
    Simulator::start(options, Arc::new(SystemClock)).await.expect("a free port")
}

fn said(answer: &Confirmation) -> String {
    match answer {
        Confirmation::Confirmed(_) => "confirmed".to_owned(),
        Confirmation::Declined { psp_code } => format!("declined {psp_code}"),
        Confirmation::Unknown { reason } => format!("unknown {}", reason.label()),
    }
}

fn back(answer: &Refunding) -> String {
    match answer {
        Refunding::Refunded(returned) => format!("refunded, {} left", returned.balance),
        Refunding::Refused { psp_code } => format!("refused {psp_code}"),
        Refunding::Unknown { reason } => format!("unknown {}", reason.label()),
    }
}

/// What looking at the payment says of the question.
async fn looked(payments: &SharedPayments, key: &str) -> String {
    let asked = confirm(key);
    match payments.find_by_order(&asked.order_id).await {
        Lookup::Found(payment) => said(&payment.settle(&asked)),
        Lookup::NotFound => "not found".to_owned(),
        Lookup::Unknown { reason } => format!("unknown {}", reason.label()),
    }
}

/// Asks again with the same key. The other side may not have noticed yet that the first caller is gone.
async fn again(payments: &SharedPayments, asked: &Confirm) -> String {
    let busy =
        |answer: &Confirmation| matches!(answer, Confirmation::Unknown { reason: Unknown::Status { status: 409, .. } });
    let asking = async {
        loop {
            let answer = payments.confirm(asked).await;
            if !busy(&answer) {
                return said(&answer);
            }
        }
    };
    tokio::time::timeout(PATIENT, asking).await.expect("the first caller's place becomes free")
}

#[tokio::test]
async fn a_payment_is_taken_found_and_given_back_in_parts() {
    let simulator = simulator("").await;
    let payments = client(&simulator.url(), PATIENT);
    let asked = confirm("pk_1");
    assert_eq!(looked(&payments, "pk_1").await, "not found");
    assert_eq!(payments.find_by_payment_key(&asked.payment_key).await, Lookup::NotFound);
    let Confirmation::Confirmed(captured) = payments.confirm(&asked).await else { panic!("not confirmed") };
    assert_eq!(captured.payment_key, asked.payment_key);
    assert!(captured.transaction_key.is_some() && captured.approved_at.is_some());
    // The same key gives the same answer, another one hears that it was done.
    assert_eq!(payments.confirm(&asked).await, Confirmation::Confirmed(captured));
    let mut other = asked.clone();
    other.idempotency_key = crate::ids::Hash16([9; 16]);
    assert_eq!(said(&payments.confirm(&other).await), "unknown status");
    assert_eq!(looked(&payments, "pk_1").await, "confirmed");

    let part = refund("pk_1", "rf_1", Share::Part, 20_000);
    for _ in 0..2 {
        assert_eq!(back(&payments.cancel(&part).await), "refunded, 30000 left");
    }
    let much = refund("pk_1", "rf_2", Share::Part, 30_001);
    assert_eq!(back(&payments.cancel(&much).await), "refused NOT_CANCELABLE_AMOUNT");
    let rest = refund("pk_1", "rf_3", Share::Whole, 30_000);
    assert_eq!(back(&payments.cancel(&rest).await), "refunded, 0 left");
    let again = refund("pk_1", "rf_4", Share::Whole, 30_000);
    assert_eq!(back(&payments.cancel(&again).await), "refunded, 0 left", "already cancelled is done");
    let Lookup::Found(payment) = payments.find_by_payment_key(&asked.payment_key).await else { panic!("not found") };
    assert_eq!((payment.standing, payment.balance), (Standing::Cancelled, won(0)));
    assert_eq!(back(&payment.settle_refund(&part)), "refunded, 0 left");
    assert_eq!(said(&payment.settle(&asked)), "unknown unsettled", "taken and given back is no yes");

    let ledger = simulator.ledger();
    assert_eq!((ledger["captured"].as_u64(), ledger["net"].as_u64()), (Some(50_000), Some(0)));
    assert_eq!(ledger["payments"][0]["cancels"].as_array().map(Vec::len), Some(2));
    let calls = simulator.calls();
    assert_eq!(calls["calls"][2]["idempotency_key"], asked.idempotency_key.to_string());
    assert!(calls["calls"][0]["idempotency_key"].is_null());
    assert!(!format!("{calls}{ledger}{payments:?}").contains("hunter2"));
    assert_eq!((payments.client_key(), payments.takes(Currency::KRW)), ("test_ck_1", true));
    simulator.stop().await;
}

#[tokio::test]
async fn test_keys_end_as_their_names_say() {
    let simulator = simulator("").await;
    let (hasty, payments) = (client(&simulator.url(), HASTY), client(&simulator.url(), PATIENT));
    // Key, the first answer, what looking says, what asking again with the same key says, won in the books.
    let table = [
        ("pk_1", "confirmed", "confirmed", "confirmed", 50_000),
        (
            "decline_1",
            "declined REJECT_CARD_PAYMENT",
            "declined REJECT_CARD_PAYMENT",
            "declined REJECT_CARD_PAYMENT",
            0,
        ),
        ("decline_FDS_ERROR_1", "declined FDS_ERROR", "declined FDS_ERROR", "declined FDS_ERROR", 0),
        // Refused, but not in words that count as a refusal: only looking tells.
        ("decline_PROVIDER_ERROR_1", "unknown status", "declined PROVIDER_ERROR", "unknown status", 0),
        ("slow_1", "unknown timed-out", "confirmed", "confirmed", 50_000),
        ("lost_1", "unknown broken", "confirmed", "confirmed", 50_000),
        ("late_1", "unknown status", "unknown unsettled", "confirmed", 50_000),
        ("nobody_1", "declined NOT_FOUND_PAYMENT", "not found", "declined NOT_FOUND_PAYMENT", 0),
    ];
    for (key, first, look, then, won) in table {
        let asking = if first == "unknown timed-out" { &hasty } else { &payments };
        assert_eq!(said(&asking.confirm(&confirm(key)).await), first, "{key}");
        assert_eq!(looked(&payments, key).await, look, "{key}");
        assert_eq!(again(&payments, &confirm(key)).await, then, "{key}");
        let ledger = simulator.ledger();
        let all = ledger["payments"].as_array().expect("a list");
        let taken: u64 = all.iter().filter(|p| p["payment_key"] == key).filter_map(|p| p["captured"].as_u64()).sum();
        assert_eq!(taken, won, "{key}");
    }
    // Nobody asks again, somebody looks: the late payment is captured all the same.
    assert_eq!(said(&payments.confirm(&confirm("late_2")).await), "unknown status");
    assert_eq!(looked(&payments, "late_2").await, "unknown unsettled");
    assert_eq!(looked(&payments, "late_2").await, "confirmed");
    simulator.stop().await;
}

#[tokio::test]
async fn a_refund_that_is_unknown_is_done_once() {
    let text = "[[rule]]\nkey = \"pk_done\"\non = \"cancel\"\nfault = \"done-reset\"\n\
                [[rule]]\nkey = \"pk_no\"\non = \"cancel\"\nfault = \"decline\"\ncode = \"EXCEED_MAX_REFUND_DUE\"\n\
                [[rule]]\nkey = \"pk_twice\"\non = \"cancel\"\nfault = \"duplicate\"\n";
    let simulator = simulator(text).await;
    let payments = client(&simulator.url(), PATIENT);
    // Key, the first answer, what looking says, what asking again with the same key says, won given back.
    let table = [
        ("norefund_1", "unknown status", "unknown unsettled", "refunded, 30000 left", 20_000),
        ("pk_done", "unknown broken", "refunded, 30000 left", "refunded, 30000 left", 20_000),
        ("pk_no", "refused EXCEED_MAX_REFUND_DUE", "unknown unsettled", "refused EXCEED_MAX_REFUND_DUE", 0),
    ];
    for (key, first, look, again, won) in table {
        assert_eq!(said(&payments.confirm(&confirm(key)).await), "confirmed");
        let asked = refund(key, "rf_1", Share::Part, 20_000);
        assert_eq!(back(&payments.cancel(&asked).await), first, "{key}");
        let found = payments.find_by_payment_key(&asked.payment_key).await;
        let Lookup::Found(payment) = found else { panic!("{key}: {found:?}") };
        assert_eq!(back(&payment.settle_refund(&asked)), look, "{key}");
        assert_eq!(back(&payments.cancel(&asked).await), again, "{key}");
        let ledger = simulator.ledger();
        let all = ledger["payments"].as_array().expect("a list");
        let given: u64 = all.iter().filter(|p| p["payment_key"] == key).filter_map(|p| p["cancelled"].as_u64()).sum();
        assert_eq!(given, won, "{key}");
    }
    assert_eq!(said(&payments.confirm(&confirm("pk_twice")).await), "confirmed");
    let whole = refund("pk_twice", "rf_1", Share::Whole, 50_000);
    assert_eq!(back(&payments.cancel(&whole).await), "refunded, 0 left");
    simulator.stop().await;
}

/// Fault of a script, the first answer, won in the books after it.
const FAULTS: [(&str, &str, u64); 17] = [
    ("delay", "unknown timed-out", 50_000),
    ("silence", "unknown timed-out", 0),
    ("done-silence", "unknown timed-out", 50_000),
    ("reset", "unknown broken", 0),
    ("done-reset", "unknown broken", 50_000),
    ("error", "unknown status", 0),
    ("done-error", "unknown status", 50_000),
    ("rate-limit", "unknown status", 0),
    ("late", "unknown status", 0),
    ("duplicate", "unknown status", 50_000),
    ("wrong-amount", "unknown other-payment", 50_000),
    ("wrong-order", "unknown other-payment", 50_000),
    ("wrong-key", "unknown other-payment", 50_000),
    ("wrong-currency", "unknown other-payment", 50_000),
    ("malformed", "unknown malformed", 50_000),
    ("oversized", "unknown oversized", 50_000),
    ("redirect", "unknown status", 0),
];

fn rules() -> String {
    FAULTS.iter().map(|(fault, ..)| format!("[[rule]]\nkey = \"x_{fault}\"\nfault = \"{fault}\"\n")).collect()
}

#[tokio::test]
async fn every_fault_of_a_script_is_unknown_and_ends_well() {
    let simulator = simulator(&rules()).await;
    let (hasty, patient) = (client(&simulator.url(), HASTY), client(&simulator.url(), PATIENT));
    for (fault, first, won) in FAULTS {
        let asked = confirm(&format!("x_{fault}"));
        // Where something has to run out, it shall do so soon; elsewhere a slow machine must not decide.
        let payments = if first == "unknown timed-out" { &hasty } else { &patient };
        let before = simulator.ledger()["captured"].as_u64().unwrap_or_default();
        assert_eq!(said(&payments.confirm(&asked).await), first, "{fault}");
        assert_eq!(simulator.ledger()["captured"].as_u64(), Some(before + won), "{fault}");
        assert_eq!(again(&patient, &asked).await, "confirmed", "{fault}");
        assert_eq!(simulator.ledger()["captured"].as_u64(), Some(before + 50_000), "{fault}");
    }
    let calls = simulator.calls().to_string();
    assert!(!calls.contains("elsewhere"), "a redirect was followed");
    simulator.stop().await;
}

/// A simulation that stands still in time hears the same as a client with a network.
#[tokio::test(start_paused = true)]
async fn without_a_network_all_of_it_sounds_the_same() {
    let clock = Arc::new(SimulatedClock::starting_at(Timestamp(1_000)));
    let direct = DirectPayments::new(Script::parse(&rules()).expect("a good script"), clock, HASTY);
    let payments: SharedPayments = Arc::new(direct.clone());
    for (fault, first, won) in FAULTS {
        let asked = confirm(&format!("x_{fault}"));
        let before = direct.ledger()["captured"].as_u64().unwrap_or_default();
        assert_eq!(said(&payments.confirm(&asked).await), first, "{fault}");
        assert_eq!(direct.ledger()["captured"].as_u64(), Some(before + won), "{fault}");
        assert_eq!(said(&payments.confirm(&asked).await), "confirmed", "{fault}");
        assert_eq!(direct.ledger()["captured"].as_u64(), Some(before + 50_000), "{fault}");
        assert_eq!(looked(&payments, &format!("x_{fault}")).await, "confirmed");
    }
    assert_eq!(said(&payments.confirm(&confirm("decline_1")).await), "declined REJECT_CARD_PAYMENT");
    assert_eq!(said(&payments.confirm(&confirm("unheard_of")).await), "declined NOT_FOUND_PAYMENT");
    assert_eq!(looked(&payments, "pk_1").await, "not found");
    assert_eq!(payments.find_by_payment_key(&PaymentKey::new("pk_1")).await, Lookup::NotFound);
    assert_eq!(said(&payments.confirm(&confirm("norefund_1")).await), "confirmed");
    let part = refund("norefund_1", "rf_1", Share::Part, 20_000);
    assert_eq!(back(&payments.cancel(&part).await), "unknown status");
    for _ in 0..2 {
        assert_eq!(back(&payments.cancel(&part).await), "refunded, 30000 left");
    }
    assert_eq!(direct.ledger()["cancelled"], 20_000);
}

#[tokio::test]
async fn looking_can_go_wrong_too() {
    let faults = ["silence", "reset", "error", "rate-limit", "wrong-order", "malformed", "oversized", "redirect"];
    let rule = |fault: &&str| format!("[[rule]]\nkey = \"x_{fault}\"\non = \"query\"\nfault = \"{fault}\"\n");
    let simulator = simulator(&faults.iter().map(rule).collect::<String>()).await;
    let (hasty, patient) = (client(&simulator.url(), HASTY), client(&simulator.url(), PATIENT));
    for fault in faults {
        let key = format!("x_{fault}");
        assert_eq!(said(&patient.confirm(&confirm(&key)).await), "confirmed");
        let first = looked(if fault == "silence" { &hasty } else { &patient }, &key).await;
        assert!(first.starts_with("unknown "), "{fault}: {first}");
        assert_eq!(looked(&patient, &key).await, "confirmed", "{fault}");
    }
    simulator.stop().await;
}

#[tokio::test]
async fn what_cannot_be_asked_is_not_sent() {
    let simulator = simulator("").await;
    let payments = client(&simulator.url(), PATIENT);
    let mut foreign = confirm("pk_1");
    foreign.currency = Currency::parse("USD").expect("a code");
    let mut traversing = confirm("pk_1");
    traversing.payment_key = PaymentKey::new("../ledger");
    for asked in [foreign, traversing] {
        assert_eq!(said(&payments.confirm(&asked).await), "unknown not-sent");
    }
    let odd = OrderId::new("../../ledger");
    assert!(matches!(payments.find_by_order(&odd).await, Lookup::Unknown { reason: Unknown::NotSent { .. } }));
    assert_eq!(simulator.calls()["count"], 0);
    let url = simulator.url();
    simulator.stop().await;
    let gone = client(&url, PATIENT);
    assert_eq!(said(&gone.confirm(&confirm("pk_1")).await), "unknown not-sent");
}

#[tokio::test]
async fn calls_have_a_bound_and_end_within_their_time() {
    let simulator = simulator("[[rule]]\nkey = \"pk_*\"\nfault = \"silence\"\ntimes = 1000000\n").await;
    let payments = client(&simulator.url(), Duration::from_secs(3));
    let calls: Vec<_> = (0..limits::PSP_CALLS + 20)
        .map(|n| {
            let payments = payments.clone();
            tokio::spawn(async move { said(&payments.confirm(&confirm(&format!("pk_{n}"))).await) })
        })
        .collect();
    let mut answers = Vec::new();
    for call in calls {
        answers.push(call.await.expect("ends"));
    }
    let count = |word: &str| answers.iter().filter(|answer| *answer == word).count();
    assert_eq!((count("unknown timed-out"), count("unknown not-sent")), (limits::PSP_CALLS, 20));
    assert_eq!(simulator.calls()["count"], limits::PSP_CALLS);
    simulator.stop().await;
}

/// A server that speaks no TLS hears nothing but the beginning of a handshake, least of all the key.
#[tokio::test]
async fn under_https_nothing_is_said_in_the_clear() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let options = TossOptions {
        url: format!("https://{}", listener.local_addr().expect("bound")),
        mode: Mode::Live,
        secret_key: "live_sk_hunter2".to_owned(),
        client_key: String::new(),
        call_time: PATIENT,
    };
    let payments: SharedPayments = Arc::new(Toss::new(options).expect("root certificates on this machine"));
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.expect("a caller");
        let mut bytes = vec![0; 16 << 10];
        let length = stream.read(&mut bytes).await.expect("a handshake");
        stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await.expect("open");
        bytes.truncate(length);
        bytes
    });
    assert_eq!(said(&payments.confirm(&confirm("pk_1")).await), "unknown not-sent");
    let heard = heard.await.expect("heard");
    // 0x16: the record of a handshake.
    assert_eq!(heard.first(), Some(&0x16));
    assert!(!String::from_utf8_lossy(&heard).to_lowercase().contains("authorization"));
}

/// Answers every connection with these bytes, once a request has begun, and then holds or ends it.
async fn rude(bytes: Vec<u8>, hold: bool) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let bytes = bytes.clone();
            tokio::spawn(async move {
                let mut request = [0; 4_096];
                let _read = stream.read(&mut request).await;
                let _written = stream.write_all(&bytes).await;
                if hold {
                    let _gone = stream.read(&mut request).await;
                }
            });
        }
    });
    url
}

#[tokio::test]
async fn servers_that_misbehave_below_http_are_unknown() {
    let endless = "x".repeat(2 * limits::PSP_ANSWER_BYTES);
    let table = [
        ("nonsense\r\n\r\n".to_owned(), false, PATIENT, "unknown broken"),
        (String::new(), false, PATIENT, "unknown broken"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{".to_owned(), false, PATIENT, "unknown broken"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n{".to_owned(), true, HASTY, "unknown timed-out"),
        ("HTTP/1.1 200 OK\r\nx: ".to_owned(), true, HASTY, "unknown timed-out"),
        (format!("HTTP/1.1 200 OK\r\n\r\n{endless}"), true, PATIENT, "unknown oversized"),
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999\r\n\r\n".to_owned() + &endless,
            true,
            PATIENT,
            "unknown oversized",
        ),
        ("HTTP/1.1 204 No Content\r\n\r\n".to_owned(), false, PATIENT, "unknown status"),
        ("HTTP/1.1 403 Forbidden\r\ncontent-length: 4\r\n\r\nnope".to_owned(), false, PATIENT, "unknown status"),
    ];
    for (bytes, hold, time, expected) in table {
        let payments = client(&rude(bytes.clone().into_bytes(), hold).await, time);
        let answer = said(&payments.confirm(&confirm("pk_1")).await);
        assert_eq!(answer, expected, "{bytes:.60}");
    }
}
