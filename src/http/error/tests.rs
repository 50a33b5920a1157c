//! Does every refusal and fault have its status and code, and is nothing internal said?

use super::*;
use crate::ids::{Partition, Position, SeatId};
use crate::money::Amount;
use crate::timestamp::Timestamp;

fn answer(problem: Problem) -> (u16, Value) {
    let body = serde_json::from_slice(&problem.body("r-1")).expect("a problem is JSON");
    (problem.into_response().status().as_u16(), body)
}

#[test]
fn codes_are_unique_and_explained() {
    let names: std::collections::BTreeSet<_> = Code::ALL.iter().map(|c| c.name()).collect();
    assert_eq!(names.len(), Code::ALL.len());
    for code in Code::ALL {
        assert!((400..600).contains(&code.status()), "{code:?}");
        assert!(code.help().len() > 10 && !code.title().is_empty(), "{code:?}");
        assert!(code.name().bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{code:?}");
    }
}

#[test]
fn refusals_have_the_codes_of_the_contract() {
    let (at, opens_at) = (Timestamp(0), Timestamp(1));
    let seats = vec![SeatId::new("A-1-1")];
    let table = [
        (Refusal::NotFound, 404, "not-found", None),
        (Refusal::InvalidValue { pointer: "/a".into(), detail: "b".into() }, 422, "invalid-value", None),
        (Refusal::KeyReused, 422, "idempotency-key-reused", None),
        (Refusal::KeyRequired, 400, "idempotency-key-required", None),
        (Refusal::SeatUnavailable { seats }, 409, "seat-unavailable", Some(("seats", json!(["A-1-1"])))),
        (Refusal::SaleNotOpen { opens_at, at }, 409, "sale-not-open", Some(("at", json!("1970-01-01T00:00:00.000Z")))),
        (Refusal::SaleClosed, 409, "sale-closed", None),
        (Refusal::SalePaused, 409, "sale-paused", None),
        (Refusal::TooManySeats { limit: 4 }, 422, "too-many-seats", Some(("limit", json!(4)))),
        (
            Refusal::OrderNotCancellable { status: "expired" },
            409,
            "order-not-cancellable",
            Some(("status", json!(409))),
        ),
        (Refusal::CouponSoldOut, 409, "coupon-sold-out", None),
        (Refusal::CouponAlreadyIssued { serial: 7 }, 409, "coupon-already-issued", Some(("serial", json!(7)))),
        (Refusal::CouponNotOpen { opens_at, at }, 409, "coupon-not-open", Some(("opens_at", json!(opens_at)))),
        (Refusal::CouponClosed, 409, "coupon-closed", None),
        (Refusal::PaymentMismatch, 409, "payment-mismatch", None),
        (Refusal::PaymentTooOld { oldest: at }, 422, "payment-too-old", None),
        (Refusal::AlreadyCancelled, 409, "already-cancelled", None),
        (Refusal::AmountExceedsRemaining { remaining: Amount::ZERO }, 422, "amount-exceeds-remaining", None),
        (Refusal::StoreFull, 409, "store-full", None),
        (Refusal::MemberLimit { limit: 2, held: 1, sold: 0 }, 409, "member-limit", Some(("held", json!(1)))),
        (Refusal::TooManyLiveOrders { limit: 1 }, 409, "too-many-live-orders", Some(("limit", json!(1)))),
        (
            Refusal::TooManyHolds { limit: 1, until: opens_at, at },
            429,
            "too-many-holds",
            Some(("until", json!(opens_at))),
        ),
        (Refusal::InUse { detail: "sold" }, 409, "in-use", Some(("detail", json!("sold")))),
    ];
    for (refusal, status, code, member) in table {
        assert_eq!(refusal.code(), code, "counted under the name that clients see");
        let (got, body) = answer(refusal.into());
        assert_eq!((got, &body["code"], &body["status"]), (status, &json!(code), &json!(status)), "{body}");
        assert_eq!(body["type"], json!(format!("urn:onsale:problem:{code}")));
        assert_eq!(body["request_id"], json!("r-1"));
        if let Some((name, value)) = member {
            assert_eq!(body[name], value, "{body}");
        }
    }
}

#[test]
fn faults_say_whether_it_may_have_happened_and_nothing_internal() {
    let marker = "select * from log.events";
    let place = (Partition(1), Position(2));
    let table = [
        (Fault::Overloaded { retry_after: Duration::from_millis(200) }, 503, "overloaded", true),
        (Fault::unavailable(marker), 503, "unavailable", true),
        (Fault::Superseded, 503, "unavailable", true),
        (Fault::NotOwner { partition: place.0 }, 503, "not-owner", true),
        (Fault::UnknownOutcome, 503, "outcome-unknown", true),
        (Fault::Damaged { partition: place.0, position: place.1, detail: marker.into() }, 500, "internal", false),
        (Fault::Rejected { detail: marker.into() }, 500, "internal", false),
        (Fault::internal(marker), 500, "internal", false),
    ];
    for (fault, status, code, retry) in table {
        let unknown = fault == Fault::UnknownOutcome;
        let problem = Problem::from(fault);
        let (got, body) = answer(problem.clone());
        assert_eq!((got, &body["code"]), (status, &json!(code)));
        assert_eq!(body["outcome"] == json!("unknown"), unknown);
        assert!(!body.to_string().contains(marker), "{body}");
        let header = problem.into_response().headers().get(RETRY_AFTER).cloned();
        assert_eq!(header.is_some(), retry, "{code}");
        assert!(header.is_none_or(|value| value == "1"));
    }
}

/// The command is in the log: whatever keeps its answer from being made, it may have been done.
#[test]
fn what_is_done_is_never_answered_with_nothing_was_done() {
    for fault in [Fault::unavailable("x"), Fault::internal("x"), Fault::Superseded, Fault::UnknownOutcome] {
        let problem = Problem::unanswered(fault);
        assert_eq!(problem.code, Code::OutcomeUnknown);
        assert_eq!(problem.members["outcome"], "unknown");
    }
}
