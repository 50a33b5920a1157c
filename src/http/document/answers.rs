//! With which codes can a route refuse? What all routes have in common is found from their form; what the rules of a noun
//! add stands in one table.
//!
//! The table promises clients what may come, and `scripts/contract` looks whether anything else does.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Input, Operation};
use crate::http::error::Code::{self, *};

/// What the rules and the world outside add to what every route of this form can answer.
const OF_ITS_OWN: &[(&str, &str, &[Code])] = &[
    ("POST", "/v1/performances/{id}/seats/block", &[SeatUnavailable, PerformanceCancelled]),
    ("POST", "/v1/performances/{id}/seats/unblock", &[SeatUnavailable, PerformanceCancelled]),
    ("POST", "/v1/performances/{id}/pause", &[PerformanceCancelled]),
    ("POST", "/v1/performances/{id}/resume", &[PerformanceCancelled]),
    ("PATCH", "/v1/performances/{id}", &[PerformanceCancelled, InUse]),
    (
        "POST",
        "/v1/performances/{id}/orders",
        &[
            SeatUnavailable,
            SaleNotOpen,
            SaleClosed,
            SalePaused,
            PerformanceCancelled,
            MemberLimit,
            TooManyLiveOrders,
            CouponNotUsable,
            KeyInUse,
            TooManySeats,
            TooManyHolds,
        ],
    ),
    (
        "POST",
        "/v1/orders/{id}/payment",
        &[PaymentDeclined, PaymentInFlight, OrderNotPayable, AmountMismatch, PaymentsUnavailable],
    ),
    ("POST", "/v1/orders/{id}/cancel", &[PaymentInFlight, OrderNotCancellable, CancelClosed, TicketUsed, TicketVoid]),
    ("GET", "/v1/tickets/{id}/qr.svg", &[TicketVoid]),
    ("POST", "/v1/tickets/{id}/check-in", &[TicketUsed, TicketVoid]),
    ("POST", "/v1/admin/review/{id}/settle", &[NotInReview, RulingUnfit]),
    ("POST", "/v1/coupons/{id}/issue", &[CouponSoldOut, CouponAlreadyIssued, CouponNotOpen, CouponClosed, KeyRequired]),
    ("POST", "/v1/stores/{id}/payments", &[PaymentMismatch, StoreFull, PaymentTooOld]),
    (
        "POST",
        "/v1/stores/{id}/payments/{payment_id}/cancel",
        &[KeyRequired, AlreadyCancelled, StoreFull, AmountExceedsRemaining],
    ),
    ("POST", "/v1/stores/{id}/tokens", &[TooManyTokens]),
    ("POST", "/v1/accounts/verify", &[CodeInvalid]),
    ("PATCH", "/v1/accounts/me", &[NotFound]),
    ("DELETE", "/v1/accounts/me", &[NotFound]),
    ("POST", "/v1/auth/login", &[InvalidCredentials, TotpRequired, OriginNotAllowed, TooManyFailures]),
    ("POST", "/v1/auth/refresh", &[RefreshInvalid, OriginNotAllowed]),
    ("POST", "/v1/auth/logout", &[RefreshInvalid, OriginNotAllowed]),
    ("POST", "/v1/auth/logout-all", &[NotFound]),
    ("POST", "/v1/auth/password/reset", &[CodeInvalid]),
    ("POST", "/v1/auth/password/change", &[InvalidCredentials, NotFound, TooManyFailures]),
    ("POST", "/v1/auth/totp/enrol", &[InvalidCredentials, NotFound, TotpEnrolled, TooManyFailures]),
    ("POST", "/v1/auth/totp/confirm", &[NotFound, TotpEnrolled, TotpMissing, CodeInvalid]),
    (
        "POST",
        "/v1/auth/totp/disable",
        &[InvalidCredentials, NotFound, TotpMissing, TotpNeeded, CodeInvalid, TooManyFailures],
    ),
    ("POST", "/v1/auth/unlock", &[CodeInvalid]),
    ("POST", "/v1/sellers/apply", &[NotFound, AlreadySeller]),
    ("POST", "/v1/admin/sellers/{id}/approve", &[NotApplied]),
    ("GET", "/v1/coupons", &[Unauthorized, RoleRequired, SecondFactorRequired]),
    ("GET", "/metrics", &[NotFound]),
];

/// Every code that this route can answer with.
pub fn codes(operation: &Operation) -> Vec<Code> {
    let mut codes = vec![UnknownParameter, Internal];
    let mut when = |holds: bool, more: &[Code]| {
        if holds {
            codes.extend_from_slice(more);
        }
    };
    let reads = operation.reads();
    when(operation.asks_who() || operation.may_be_told(), &[Unauthorized]);
    when(operation.turns_roles_away(), &[RoleRequired]);
    when(operation.asks_for_proof(), &[SecondFactorRequired]);
    when(operation.takes_parameters(), &[InvalidParameter]);
    when(operation.template.contains('{'), &[NotFound]);
    when(operation.takes_keys(), &[KeyInvalid, KeyReused]);
    when(operation.needs_key(), &[KeyRequired]);
    let body = operation.body();
    when(body != Input::None, &[MalformedBody, RequestTimeout, BodyTooLarge]);
    when(matches!(body, Input::Nothing | Input::Members), &[UnsupportedMediaType]);
    when(body == Input::Members, &[InvalidValue]);
    when(operation.is_stream(), &[InvalidEventId, TooManyStreams, TooManyWatchers]);
    when(operation.takes_tickets(), &[TicketInvalid]);
    let api = operation.template.starts_with("/v1/");
    when(api, &[RateLimited, Unavailable]);
    when(api && reads && !operation.is_stream(), &[ReadBehind]);
    when(reads, &[TimedOut]);
    when(!reads, &[Overloaded, NotOwner, OutcomeUnknown]);
    let own = OF_ITS_OWN.iter().filter(|(method, path, _)| *method == operation.method && *path == operation.template);
    codes.extend(own.flat_map(|(_, _, codes)| codes.iter().copied()));
    codes.sort_by_key(|code| (code.status(), Code::ALL.iter().position(|known| known == code)));
    codes.dedup();
    codes
}

/// The refusals of a route, by status.
pub fn refusals(operation: &Operation) -> Map<String, Value> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes(operation) {
        by_status.entry(code.status()).or_default().push(code);
    }
    by_status.into_iter().map(|(status, codes)| (status.to_string(), refusal(status, &codes))).collect()
}

fn refusal(status: u16, codes: &[Code]) -> Value {
    let lines: Vec<String> = codes.iter().map(|code| format!("- `{}`: {}", code.name(), code.title())).collect();
    let mut headers = json!({"X-Request-Id": header("X-Request-Id")});
    match status {
        401 => headers["WWW-Authenticate"] = header("WWW-Authenticate"),
        429 | 503 => headers["Retry-After"] = header("Retry-After"),
        _ => {}
    }
    json!({
        "description": lines.join("\n"),
        "headers": headers,
        "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}},
        "x-codes": codes.iter().map(|code| code.name()).collect::<Vec<_>>(),
    })
}

fn header(name: &str) -> Value {
    json!({"$ref": format!("#/components/headers/{name}")})
}

/// The headers that answers to this route carry when it went well.
pub fn headers(operation: &Operation, status: &str) -> Map<String, Value> {
    let mut names = vec!["X-Request-Id"];
    if matches!(status, "201" | "202") {
        names.push("Location");
    }
    if operation.takes_keys() {
        names.push("Idempotent-Replayed");
    }
    if operation.takes_preferences() {
        names.push("Preference-Applied");
    }
    if operation.has_etag() && matches!(status, "200" | "304") {
        names.push("ETag");
    }
    if operation.template.starts_with("/v1/") {
        names.extend(["RateLimit", "RateLimit-Policy"]);
    }
    names.into_iter().map(|name| (name.to_owned(), header(name))).collect()
}

/// What those headers say.
pub fn header_components() -> Value {
    let text = |required: bool, description: &str| json!({"required": required, "description": description, "schema": {"type": "string"}});
    let mut all = json!({
        "X-Request-Id": text(true, "The name of the request in our logs: yours, if you sent a sane one."),
        "Location": text(true, "The path of what was made, or of where its end can be seen."),
        "WWW-Authenticate": text(true, "`Bearer`"),
        "Idempotent-Replayed": text(false, "`true`: the answer to the first request with this key."),
        "Preference-Applied": text(false, "Which preference had an effect (RFC 7240)."),
        "ETag": text(true, "Send it as If-None-Match: 304 while nothing has changed."),
        "RateLimit": text(false, "What is left of the limit that is nearest."),
        "RateLimit-Policy": text(false, "The limits that this request counted for."),
        "Retry-After": text(true, "Seconds."),
    });
    all["Retry-After"]["schema"] = json!({"type": "integer", "minimum": 1});
    all
}

#[cfg(test)]
mod tests {
    use super::super::tests::operations;
    use super::*;

    #[test]
    fn every_code_is_promised_by_some_route_and_every_line_is_about_one() {
        let all = operations();
        let promised: Vec<Code> = all.iter().flat_map(codes).collect();
        // The first is about no route; nothing answers the second any more, but clients may know it.
        for code in Code::ALL.iter().filter(|code| !matches!(code, MethodNotAllowed | NotAvailable)) {
            assert!(promised.contains(code), "{code:?}");
        }
        for (method, path, _) in OF_ITS_OWN {
            assert!(all.iter().any(|one| one.method == *method && one.template == *path), "{method} {path}");
        }
    }

    #[test]
    fn what_a_route_cannot_answer_is_not_promised() {
        let of = |method: &str, path: &str| {
            let all = operations();
            codes(all.iter().find(|one| one.method == method && one.template == path).expect("a route"))
        };
        let public = of("GET", "/v1/shows/{id}");
        assert!(public.contains(&NotFound) && !public.contains(&Unauthorized) && !public.contains(&MalformedBody));
        let order = of("POST", "/v1/performances/{id}/orders");
        for code in
            [Unauthorized, RoleRequired, KeyRequired, MalformedBody, InvalidValue, SeatUnavailable, OutcomeUnknown]
        {
            assert!(order.contains(&code), "{code:?}");
        }
        assert!(!order.contains(&SecondFactorRequired), "admins buy nothing");
        assert!(of("GET", "/v1/orders/{id}/events").contains(&TicketInvalid));
        assert!(!of("GET", "/v1/accounts/me").contains(&RoleRequired), "everybody may know who they are");
        assert!(!of("GET", "/livez").contains(&RateLimited), "what is never limited");
        let hint = of("POST", "/v1/psp/toss/webhook");
        assert!(hint.contains(&BodyTooLarge) && !hint.contains(&UnsupportedMediaType), "its form is not ours");
    }
}
