//! Does the edge as a whole keep its promises? Who may use which route, what the document says, and how errors look.
//!
//! `document/access.rs` is the authorisation of the product: a route without a line in it fails here.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use self::handles::{handles, keys};
use super::document::access::{ROLES, WHO_MAY};
use super::error::Code;
use super::{Front, router, table};
use crate::auth::{Principal, Revoked, Role, Signer, Tickets};
use crate::clock::{Clock, SystemClock};
use crate::ids::{AccountId, StoreId};
use crate::live::{CouponTaskView, OrderView};

mod credentials;
mod edge;
mod handles;

pub use edge::open;

const STORE: &str = "st_0123456789abcdef0123456789abcdef";
const HASH: &str = "0123456789abcdef0123456789abcdef";

fn concrete(template: &str) -> String {
    let nouns = [
        ("venues", "vn_"),
        ("shows", "sh_"),
        ("performances", "pf_"),
        ("orders", "o1_"),
        ("admin", "o1_"),
        ("coupons", "cp_"),
        ("stores", "st_"),
    ];
    let noun = template.split('/').nth(2).unwrap_or_default();
    let id = match nouns.iter().find(|(name, _)| *name == noun) {
        Some((_, prefix)) => format!("{prefix}{HASH}"),
        None => format!("ct_{HASH}_{HASH}"),
    };
    template
        .replace("{id}", &id)
        .replace("{payment_id}", "p-1")
        .replace("{token_id}", &format!("dt_{HASH}"))
        .replace("{code}", "not-found")
        .replace("{*stream}", "order/x")
}

fn operator(role: Role) -> Principal {
    let store = role.is_device().then(|| StoreId::new(STORE));
    Principal::operator(AccountId::new("someone"), role, store, SystemClock.wall())
}

fn token(role: Role) -> String {
    Signer::new(&keys().access).sign(&operator(role), Duration::from_secs(60), SystemClock.wall()).expect("signs")
}

async fn send(app: &Front, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    app.clone().oneshot(request.body(Body::empty()).expect("a request")).await.expect("the router always answers")
}

async fn json_of(response: Response) -> Value {
    let bytes = response.into_body().collect().await.expect("a whole body").to_bytes();
    serde_json::from_slice(&bytes).unwrap_or(Value::Null)
}

/// Route and operation, as the document lists them.
fn operations() -> BTreeMap<(String, String), Value> {
    let document = serde_json::to_value(table().into_openapi()).expect("a document");
    let mut found = BTreeMap::new();
    for (path, item) in document["paths"].as_object().expect("paths") {
        for (method, operation) in item.as_object().expect("operations") {
            if Method::from_bytes(method.to_uppercase().as_bytes()).is_ok() && operation.get("responses").is_some() {
                found.insert((method.to_uppercase(), path.clone()), operation.clone());
            }
        }
    }
    found
}

#[test]
fn every_route_has_a_line_in_the_table() {
    let documented: BTreeSet<_> = operations().into_keys().collect();
    let judged: BTreeSet<_> = WHO_MAY.iter().map(|(m, p, _)| ((*m).to_owned(), (*p).to_owned())).collect();
    assert_eq!(documented, judged);
}

#[tokio::test]
async fn every_route_lets_in_exactly_whom_the_table_says() {
    let app = router(handles().await);
    for (method, template, who) in WHO_MAY {
        let path = concrete(template);
        let bare = send(&app, method, &path, &[("idempotency-key", "k")]).await.status();
        assert_eq!(bare != StatusCode::UNAUTHORIZED, *who == "*", "{method} {template} without a token: {bare}");
        let broken = send(&app, method, &path, &[("authorization", "Bearer x.y.z")]).await.status();
        assert_eq!(broken != StatusCode::UNAUTHORIZED, *who == "*", "{method} {template} with a bad token: {broken}");
        for (role, letter) in ROLES {
            let bearer = format!("Bearer {}", token(role));
            let headers = [("authorization", bearer.as_str()), ("idempotency-key", "k")];
            let status = send(&app, method, &path, &headers).await.status();
            assert_ne!(status, StatusCode::UNAUTHORIZED, "{method} {template} {role:?}");
            let expected = *who == "*" || who.contains(letter);
            assert_eq!(status != StatusCode::FORBIDDEN, expected, "{method} {template} {role:?}: {status}");
        }
    }
}

#[tokio::test]
async fn keys_are_required_where_the_contract_says() {
    let app = router(handles().await);
    for (method, template, who) in WHO_MAY.iter().filter(|(method, _, who)| *method == "POST" && *who != "*") {
        let role = ROLES.iter().find(|(_, letter)| who.contains(*letter)).expect("somebody may").0;
        let bearer = format!("Bearer {}", token(role));
        let body = json_of(send(&app, method, &concrete(template), &[("authorization", &bearer)]).await).await;
        let required = template.ends_with("/orders")
            || *template == "/v1/orders/{id}/cancel"
            || *template == "/v1/orders/{id}/payment";
        assert_eq!(body["code"] == json!("idempotency-key-required"), required, "{template}: {body}");
    }
}

#[tokio::test]
async fn unknown_routes_methods_and_parameters_are_problems() {
    let app = router(handles().await);
    let missing = send(&app, "GET", "/v1/nothing", &[("x-request-id", "mine-1")]).await;
    assert_eq!(missing.headers()["content-type"], "application/problem+json");
    assert_eq!(missing.headers()["x-request-id"], "mine-1");
    let body = json_of(missing).await;
    assert_eq!(
        (&body["code"], &body["request_id"], &body["status"]),
        (&json!("not-found"), &json!("mine-1"), &json!(404))
    );

    let wrong = send(&app, "PUT", "/v1/venues", &[("x-request-id", "a b")]).await;
    assert_eq!(wrong.status(), StatusCode::METHOD_NOT_ALLOWED);
    assert!(wrong.headers().get("allow").is_some_and(|allow| allow.to_str().is_ok_and(|text| text.contains("POST"))));
    assert_ne!(wrong.headers()["x-request-id"], "a b");
    assert_eq!(json_of(wrong).await["code"], json!("method-not-allowed"));
    for path in ["/v1/venues?x=1", "/v1/venues?min_position=9:9"] {
        let wrong = send(&app, "PUT", path, &[]).await;
        assert_eq!(
            wrong.status(),
            StatusCode::METHOD_NOT_ALLOWED,
            "the method is judged before its parameters: {path}"
        );
    }

    let unknown = send(&app, "GET", &format!("/v1/shows/sh_{HASH}?x=1"), &[]).await;
    assert_eq!(json_of(unknown).await["code"], json!("unknown-parameter"));
    for path in ["/v1/shows/%ff", "/problems/%ff", "/docs/nothing", "/docs//v1/shows"] {
        assert_eq!(json_of(send(&app, "GET", path, &[]).await).await["code"], json!("not-found"), "{path}");
    }
}

#[tokio::test]
async fn answers_to_tokens_are_not_stored_and_refusals_challenge() {
    let app = router(handles().await);
    let bearer = format!("Bearer {}", token(Role::Display));
    let me = send(&app, "GET", "/v1/accounts/me", &[("authorization", &bearer)]).await;
    assert_eq!(me.headers()["cache-control"], "no-store");
    assert_eq!(json_of(me).await, json!({"sub": "someone", "role": "display", "account": null}));
    let nobody = send(&app, "GET", "/v1/accounts/me", &[]).await;
    assert_eq!(nobody.headers()["www-authenticate"], "Bearer");
    assert_eq!(json_of(nobody).await["code"], json!("unauthorized"));
}

#[tokio::test]
async fn tickets_open_their_own_path_only() {
    let app = router(handles().await);
    let now = SystemClock.wall();
    let who = Principal::operator(AccountId::new("m"), Role::Member, None, now);
    let (path, other) = (format!("/v1/orders/o1_{HASH}/events"), format!("/v1/orders/o2_{HASH}/events"));
    let ticket = Tickets::new(&keys().tickets, Revoked::default()).issue(&who, &path, now).expect("signs");
    let own = send(&app, "GET", &format!("{path}?ticket={ticket}"), &[]).await;
    assert_eq!(own.status(), StatusCode::NOT_FOUND, "let in, and there is no such order");
    for foreign in [format!("{other}?ticket={ticket}"), format!("{path}?ticket={}", token(Role::Member))] {
        let body = json_of(send(&app, "GET", &foreign, &[]).await).await;
        assert_eq!(body["code"], json!("ticket-invalid"));
    }
    let junk = send(&app, "GET", &format!("{path}?ticket={ticket}&last_event_id=x"), &[]).await;
    assert_eq!(json_of(junk).await["code"], json!("invalid-event-id"));
}

#[tokio::test]
async fn operators_get_what_they_ask_for() {
    let app = router(handles().await);
    let ready = send(&app, "GET", "/readyz", &[]).await;
    assert_eq!(ready.status(), StatusCode::SERVICE_UNAVAILABLE);
    let body = json_of(ready).await;
    assert_eq!((&body["ready"], &body["checks"][0]["name"]), (&json!(false), &json!("log")));
    for path in ["/livez", "/metrics", "/openapi.json", "/docs/"] {
        assert_eq!(send(&app, "GET", path, &[]).await.status(), StatusCode::OK, "{path}");
    }
    for code in Code::ALL {
        let page = send(&app, "GET", &format!("/problems/{}", code.name()), &[]).await;
        assert_eq!(page.status(), StatusCode::OK, "{code:?}");
    }
    assert_eq!(send(&app, "GET", "/problems/nothing", &[]).await.status(), StatusCode::NOT_FOUND);
}

fn members(document: &Value, schema: &str) -> BTreeSet<String> {
    let properties = document["components"]["schemas"][schema]["properties"].as_object();
    properties.unwrap_or_else(|| panic!("no schema {schema}")).keys().cloned().collect()
}

#[test]
fn the_document_lists_the_members_of_the_contract() {
    let document = serde_json::to_value(table().into_openapi()).expect("a document");
    let table = [
        ("NewVenue", "name timezone sections"),
        ("NewShow", "title category description place starts_on ends_on"),
        (
            "NewPerformance",
            "show_id venue_id starts_at sale_opens_at sale_closes_at cancel_until currency prices \
            max_seats_per_order max_seats_per_member hold_seconds max_live_orders_per_member \
            max_unpaid_holds_per_member",
        ),
        (
            "ChangedTerms",
            "starts_at sale_opens_at sale_closes_at cancel_until prices max_seats_per_order max_seats_per_member \
            hold_seconds max_live_orders_per_member max_unpaid_holds_per_member",
        ),
        ("Cancellation", "performance_id status orders refunded pending review position"),
        ("NewOrder", "seats coupon_task_id reference"),
        ("NewCoupon", "name stock per_member opens_at closes_at valid_until discount shows"),
        ("NewDiscount", "kind value currency max_amount min_amount"),
        ("NewPayment", "payment_id amount currency method paid_at terminal_id"),
        ("SeatsView", "performance_id position at seats"),
        ("SeatView", "seat_id section row number grade price status"),
        ("CouponTask", "task_id status serial issued_at position"),
        ("Problem", "type title status detail code request_id"),
    ];
    for (schema, expected) in table {
        let expected: BTreeSet<String> = expected.split_whitespace().map(str::to_owned).collect();
        assert_eq!(members(&document, schema), expected, "{schema}");
    }
}

#[test]
fn views_write_what_the_document_says() {
    use crate::events::order::Placed;
    use crate::ids::{Hash16, LogPosition, OrderId, Partition, PerformanceId, Position, TaskId};
    use crate::money::{Amount, Currency};
    use crate::timestamp::Timestamp;

    let document = serde_json::to_value(table().into_openapi()).expect("a document");
    let position = LogPosition { partition: Partition(1), position: Position(2) };
    let placed = Placed {
        order_id: OrderId::derive(Partition(1), &Hash16::default()),
        account_id: AccountId::new("m"),
        performance_id: PerformanceId::derive(&Hash16::default()),
        seats: Vec::new(),
        subtotal: Amount::ZERO,
        discount: Amount::ZERO,
        amount: Amount::ZERO,
        currency: Currency::KRW,
        coupon_task_id: None,
        reference: None,
        hold_until: Timestamp(1),
        owner: AccountId::new("s"),
        body: Hash16::default(),
        counted: false,
    };
    let order = serde_json::to_value(OrderView::placed(&placed, Timestamp(0), position)).expect("JSON");
    let task = CouponTaskView::issued(TaskId::new("ct_x"), 1, Timestamp(0), position);
    let task = serde_json::to_value(task).expect("JSON");
    for (schema, value) in [("Order", order), ("CouponTask", task)] {
        let written: BTreeSet<String> = value.as_object().expect("an object").keys().cloned().collect();
        assert_eq!(written, members(&document, schema), "{schema}");
    }
}
