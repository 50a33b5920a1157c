//! The classification by table, without any connection.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::answer::{Raw, by_order, by_payment_key, confirmation, refunding};
use super::super::{Confirmation, Lookup, Mismatch, Refunding, Share, Standing, Unknown, codes};
use super::{confirm, refund, won};
use crate::ids::{OrderId, PaymentKey};

fn raw(status: u16, body: &Value) -> Raw {
    Raw { status, body: serde_json::to_vec(body).expect("JSON") }
}

fn problem(status: u16, code: &str) -> Raw {
    raw(status, &json!({ "code": code, "message": "…" }))
}

/// What the provider says when all is well, and one member of it changed.
fn done(changed: &[(&str, Value)]) -> Raw {
    let mut body = json!({
        "mId": "x", "version": "2022-11-16", "paymentKey": "pk_1", "orderId": "order-pk_1", "orderName": "…",
        "status": "DONE", "totalAmount": 50_000, "balanceAmount": 50_000, "currency": "KRW", "method": "카드",
        "lastTransactionKey": "TX", "approvedAt": "2026-11-21T10:00:00+09:00", "cancels": null, "failure": null,
        "card": {"amount": 50_000}, "something": "new",
    });
    for (member, value) in changed {
        body[*member] = value.clone();
    }
    raw(200, &body)
}

/// `confirmed`, `declined <code>` or `unknown <label>`.
fn said(answer: &Raw) -> String {
    match confirmation(&confirm("pk_1"), answer) {
        Confirmation::Confirmed(_) => "confirmed".to_owned(),
        Confirmation::Declined { psp_code } => format!("declined {psp_code}"),
        Confirmation::Unknown { reason } => format!("unknown {}", reason.label()),
    }
}

#[test]
fn a_movement_of_money_has_a_name_or_none() {
    let name = |text: &str| match confirmation(&confirm("pk_1"), &done(&[("lastTransactionKey", json!(text))])) {
        Confirmation::Confirmed(captured) => captured.transaction_key,
        other => panic!("it is this payment: {other:?}"),
    };
    assert_eq!(name("TX-1_a").as_deref(), Some("TX-1_a"));
    for text in ["", "a b", "김민지", "a\u{0}", &"x".repeat(201)] {
        assert_eq!(name(text), None, "no free text gets into the log: {text}");
    }
}

#[test]
fn only_an_answer_about_this_very_payment_confirms_it() {
    let table: &[(&str, Value, &str)] = &[
        ("something", json!("else"), "confirmed"),
        // Some methods write whole amounts so.
        ("totalAmount", json!(50_000.0), "confirmed"),
        ("approvedAt", json!(null), "confirmed"),
        ("lastTransactionKey", json!(null), "confirmed"),
        ("paymentKey", json!("pk_2"), "unknown other-payment"),
        ("orderId", json!("order-pk_2"), "unknown other-payment"),
        ("currency", json!("USD"), "unknown other-payment"),
        ("totalAmount", json!(50_001), "unknown other-payment"),
        ("totalAmount", json!(49_999), "unknown malformed"),
        ("totalAmount", json!(50_000.5), "unknown malformed"),
        ("totalAmount", json!(-50_000), "unknown malformed"),
        ("totalAmount", json!("50000"), "unknown malformed"),
        ("totalAmount", json!(9_007_199_254_740_992_u64), "unknown malformed"),
        ("balanceAmount", json!(49_999), "unknown unsettled"),
        ("status", json!("PARTIAL_CANCELED"), "unknown unsettled"),
        ("status", json!("CANCELED"), "unknown unsettled"),
        ("status", json!("READY"), "unknown unsettled"),
        ("status", json!("IN_PROGRESS"), "unknown unsettled"),
        ("status", json!("WAITING_FOR_DEPOSIT"), "unknown unsettled"),
        ("status", json!("SOMETHING_NEW"), "unknown malformed"),
        ("status", json!("ABORTED"), "declined ABORTED"),
        ("status", json!("EXPIRED"), "declined EXPIRED"),
        ("currency", json!("krw"), "unknown malformed"),
        ("cancels", json!({}), "unknown malformed"),
    ];
    assert_eq!(said(&done(&[])), "confirmed");
    for (member, value, expected) in table {
        assert_eq!(said(&done(&[(member, value.clone())])), *expected, "{member} = {value}");
    }
    let aborted = done(&[("status", json!("ABORTED")), ("failure", json!({"code": "REJECT_CARD_PAYMENT"}))]);
    assert_eq!(said(&aborted), "declined REJECT_CARD_PAYMENT");
    for text in ["한도초과 010-1234-5678", "reject", "A B", &"A".repeat(65)] {
        let aborted = done(&[("status", json!("ABORTED")), ("failure", json!({"code": text}))]);
        assert_eq!(said(&aborted), "declined ABORTED", "no free text gets into the log: {text}");
    }
    // A refusal of somebody else's payment is no refusal of this one.
    let foreign = done(&[("status", json!("ABORTED")), ("orderId", json!("order-pk_2"))]);
    assert_eq!(said(&foreign), "unknown other-payment");
    let fewer = done(&[("status", json!("ABORTED")), ("totalAmount", json!(60_000))]);
    assert_eq!(said(&fewer), "unknown other-payment");
    match confirmation(&confirm("pk_1"), &done(&[])) {
        Confirmation::Confirmed(captured) => {
            assert_eq!(captured.transaction_key.as_deref(), Some("TX"));
            assert_eq!(captured.approved_at.map(|at| at.to_string()).as_deref(), Some("2026-11-21T01:00:00.000Z"));
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn only_documented_refusals_are_refusals() {
    for refusal in codes::CONFIRM {
        assert_eq!(said(&problem(refusal.status, refusal.code)), format!("declined {}", refusal.code));
        for status in [200, 202, 307, 401, 408, 409, 429, 500, 503] {
            let answer = said(&problem(status, refusal.code));
            assert!(answer.starts_with("unknown"), "{status} {}: {answer}", refusal.code);
        }
    }
    // Documented, and no refusals: temporary, already under way or done, or our own mistake.
    let others = [
        (400, "ALREADY_PROCESSED_PAYMENT"),
        (400, "PROVIDER_ERROR"),
        (400, "CARD_PROCESSING_ERROR"),
        (400, "INVALID_REQUEST"),
        (400, "INVALID_API_KEY"),
        (400, "INVALID_IDEMPOTENCY_KEY"),
        (400, "INVALID_AUTHORIZE_AUTH"),
        (400, "NOT_FOUND_TERMINAL_ID"),
        (400, "NOT_REGISTERED_BUSINESS"),
        (400, "INVALID_UNREGISTERED_SUBMALL"),
        (400, "UNAPPROVED_ORDER_ID"),
        (400, "DUPLICATED_ORDER_ID"),
        (401, "UNAUTHORIZED_KEY"),
        (403, "FORBIDDEN_REQUEST"),
        (403, "FORBIDDEN_CONSECUTIVE_REQUEST"),
        (403, "INCORRECT_BASIC_AUTH_FORMAT"),
        (404, "NOT_FOUND"),
        (409, "IDEMPOTENT_REQUEST_PROCESSING"),
        (500, "FAILED_PAYMENT_INTERNAL_SYSTEM_PROCESSING"),
        (500, "FAILED_INTERNAL_SYSTEM_PROCESSING"),
        (500, "UNKNOWN_PAYMENT_ERROR"),
        (403, "A_CODE_OF_TOMORROW"),
        (403, "reject_card_payment"),
        (403, ""),
    ];
    for (status, code) in others {
        assert_eq!(said(&problem(status, code)), "unknown status", "{status} {code}");
    }
    for body in ["", "{}", "null", "<html>bad gateway</html>", "{\"code\": 5}", "[\"REJECT_CARD_PAYMENT\"]"] {
        let answer = Raw { status: 403, body: body.as_bytes().to_vec() };
        assert_eq!(said(&answer), "unknown status", "{body}");
        let answer = Raw { status: 200, body: body.as_bytes().to_vec() };
        assert_eq!(said(&answer), "unknown malformed", "{body}");
    }
}

#[test]
fn a_code_that_looks_like_no_code_is_not_passed_on() {
    let long = "A".repeat(65);
    for code in ["<script>", "line\nbreak", "한글", long.as_str()] {
        match confirmation(&confirm("pk_1"), &problem(403, code)) {
            Confirmation::Unknown { reason: Unknown::Status { status: 403, code: None } } => {}
            other => panic!("{code}: {other:?}"),
        }
    }
}

fn cancelled(amount: u64, balance: u64, reason: &str, state: &str) -> Raw {
    let cancel = json!({"cancelAmount": amount, "cancelReason": reason, "transactionKey": "C1", "cancelStatus": state});
    let status = if balance == 0 { "CANCELED" } else { "PARTIAL_CANCELED" };
    done(&[("status", json!(status)), ("balanceAmount", json!(balance)), ("cancels", json!([cancel]))])
}

fn back(share: Share, amount: u64, answer: &Raw) -> String {
    match refunding(&refund("pk_1", "rf_1", share, amount), answer) {
        Refunding::Refunded(returned) => format!("refunded, {} left", returned.balance),
        Refunding::Refused { psp_code } => format!("refused {psp_code}"),
        Refunding::Unknown { reason } => format!("unknown {}", reason.label()),
    }
}

#[test]
fn money_is_back_when_the_answer_says_so_of_this_refund() {
    let ours = refund("pk_1", "rf_1", Share::Whole, 50_000).marked_reason();
    let table = [
        (Share::Whole, 50_000, cancelled(50_000, 0, &ours, "DONE"), "refunded, 0 left"),
        (Share::Part, 20_000, cancelled(20_000, 30_000, &ours, "DONE"), "refunded, 30000 left"),
        (Share::Part, 20_000, cancelled(20_000, 30_000, &ours, "IN_PROGRESS"), "unknown unsettled"),
        (Share::Part, 20_000, cancelled(20_001, 29_999, &ours, "DONE"), "unknown other-payment"),
        (Share::Part, 20_000, cancelled(20_000, 30_000, "a look-alike [rf_2]", "DONE"), "unknown unsettled"),
        (Share::Whole, 50_000, cancelled(50_000, 10_000, &ours, "DONE"), "unknown other-payment"),
        // Somebody gave all of it back by hand.
        (Share::Whole, 50_000, cancelled(50_000, 0, "by hand", "DONE"), "refunded, 0 left"),
        (Share::Part, 20_000, cancelled(50_000, 0, "by hand", "DONE"), "refunded, 0 left"),
        (Share::Whole, 50_000, done(&[]), "unknown unsettled"),
        (Share::Whole, 50_000, done(&[("paymentKey", json!("pk_2"))]), "unknown other-payment"),
        (Share::Whole, 50_000, problem(400, "ALREADY_CANCELED_PAYMENT"), "refunded, 0 left"),
        (Share::Part, 20_000, problem(400, "ALREADY_REFUND_PAYMENT"), "refunded, 0 left"),
        (Share::Whole, 50_000, problem(500, "ALREADY_CANCELED_PAYMENT"), "unknown status"),
        (Share::Whole, 50_000, problem(403, "NOT_CANCELABLE_PAYMENT"), "unknown status"),
        (Share::Whole, 50_000, problem(403, "FORBIDDEN_CONSECUTIVE_REQUEST"), "unknown status"),
        (Share::Whole, 50_000, problem(404, "NOT_FOUND_PAYMENT"), "unknown status"),
        (Share::Whole, 50_000, problem(500, "FAILED_REFUND_PROCESS"), "unknown status"),
        (Share::Whole, 50_000, problem(429, "TOO_MANY_REQUESTS"), "unknown status"),
    ];
    for (share, amount, answer, expected) in table {
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        assert_eq!(back(share, amount, &answer), expected, "{share:?} {amount} {} {text}", answer.status);
    }
    for refusal in codes::CANCEL {
        let answer = problem(refusal.status, refusal.code);
        assert_eq!(back(Share::Whole, 50_000, &answer), format!("refused {}", refusal.code));
        assert_eq!(back(Share::Whole, 50_000, &problem(500, refusal.code)), "unknown status");
    }
}

#[test]
fn looking_compares_what_was_looked_for() {
    let (order, key) = (OrderId::new("order-pk_1"), PaymentKey::new("pk_1"));
    assert!(matches!(by_order(&order, &done(&[])), Lookup::Found(p) if p.standing == Standing::Captured));
    assert!(matches!(by_payment_key(&key, &done(&[])), Lookup::Found(p) if p.amount == won(50_000)));
    let foreign = Lookup::Unknown { reason: Unknown::Other(Mismatch::Order) };
    assert_eq!(by_order(&OrderId::new("order-pk_2"), &done(&[])), foreign);
    let foreign = Lookup::Unknown { reason: Unknown::Other(Mismatch::PaymentKey) };
    assert_eq!(by_payment_key(&PaymentKey::new("pk_2"), &done(&[])), foreign);
    assert_eq!(by_order(&order, &problem(404, "NOT_FOUND_PAYMENT")), Lookup::NotFound);
    for answer in [problem(404, "NOT_FOUND"), problem(500, "NOT_FOUND_PAYMENT"), problem(403, "FORBIDDEN_REQUEST")] {
        assert!(matches!(by_order(&order, &answer), Lookup::Unknown { .. }));
    }
}

#[test]
fn a_reason_keeps_its_mark_however_long_it_is() {
    for reason in ["", "짧은 이유", &"길".repeat(500), "two\nlines"] {
        let mut asked = refund("pk_1", "rf_1", Share::Whole, 1);
        asked.reason = reason.to_owned();
        let marked = asked.marked_reason();
        assert!(marked.ends_with(" [rf_1]") && !marked.contains('\n'), "{marked}");
        assert!(marked.chars().count() <= crate::limits::PSP_REASON_CHARS);
    }
}

proptest! {
    /// Whatever bytes come, nothing but a whole, matching answer is a yes, and nothing but a listed code is a no.
    #[test]
    fn junk_is_unknown(status in 0_u16..1_000, body in prop::collection::vec(any::<u8>(), 0..300)) {
        let answer = Raw { status, body };
        prop_assert!(said(&answer).starts_with("unknown"), "{}", said(&answer));
        prop_assert!(back(Share::Whole, 50_000, &answer).starts_with("unknown"));
    }

    #[test]
    fn codes_that_are_not_listed_are_unknown(status in 400_u16..600, code in "[A-Z_]{1,40}") {
        let listed = codes::CONFIRM.iter().any(|refusal| refusal.code == code);
        prop_assert_eq!(said(&problem(status, &code)).starts_with("declined"), listed && matches!(status, 400 | 403 | 404));
    }
}
