//! Does the edge as a whole keep its promises? Who may use which route, what the document says, and how errors look.
//!
//! The table below is the authorisation of the product: a route without a line in it fails here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::response::Response;
use http::{Method, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use super::error::Code;
use super::ops::{Check, Readiness};
use super::{Handles, router, table};
use crate::accounts::store::{Place, SharedCabinet};
use crate::accounts::{self, Accounts, DeviceParts, Devices, Parts};
use crate::actors::{Engine, Setup};
use crate::auth::{DeviceSigner, Keys, Passwords, Principal, Revoked, Role, Seal, Signer, Tickets};
use crate::clock::{Clock, Entropy, SystemClock};
use crate::fault::Fault;
use crate::gateways::mail::{Nobody, Post};
use crate::ids::{AccountId, NodeId, StoreId, TaskId, Version};
use crate::journal::SharedJournal;
use crate::journal::memory::MemoryJournal;
use crate::journal::open::Target;
use crate::live::{CouponTaskView, Hub, HubParts, OrderView, TaskLookup};
use crate::projections::ROSTER;
use crate::projections::runner::{self, Runner};
use crate::projections::store;
use crate::sagas::{self, Processes};

mod credentials;
mod edge;
pub use edge::open;

struct Nowhere;

#[async_trait::async_trait]
impl TaskLookup for Nowhere {
    async fn version_of(&self, _task: &TaskId) -> Result<Option<Version>, Fault> {
        Ok(None)
    }
}

struct Half;

impl Readiness for Half {
    fn checks(&self) -> Vec<Check> {
        let check = |name, ok| Check { name, ok, detail: String::new() };
        vec![check("log", true), check("partitions", false)]
    }
}

fn keys() -> Keys {
    Keys::random(&Entropy::seeded(11))
}

fn accounts(cabinet: SharedCabinet, revoked: &Revoked, clock: &Arc<dyn Clock>, entropy: &Entropy) -> Accounts {
    let (keys, tracker) = (keys(), TaskTracker::new());
    Accounts::new(Parts {
        cabinet,
        passwords: Passwords::new(entropy.clone()),
        seal: Seal::new(&keys.seal.current().sealing(), &[]),
        signer: Signer::new(&keys.access),
        revoked: revoked.clone(),
        post: Post::start(Arc::new(Nobody), CancellationToken::new(), &tracker),
        clock: clock.clone(),
        entropy: entropy.clone(),
        tracker,
    })
}

async fn handles() -> Handles {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy = Entropy::seeded(12);
    let journal: SharedJournal = Arc::new(MemoryJournal::new(4, clock.clone()));
    let node = NodeId::new("test");
    let claim = journal.claim(&node).await.expect("nobody else is here");
    let setup = Setup {
        journal: journal.clone(),
        claim,
        claimed_at: clock.elapsed(),
        node,
        clock: clock.clone(),
        entropy: entropy.clone(),
        sabotage: None,
    };
    let engine = Engine::start(setup).await.expect("an empty log");
    let hub = Hub::new(HubParts {
        follow: engine.follow(),
        journal: journal.clone(),
        lookup: Arc::new(Nowhere),
        clock: clock.clone(),
        entropy: entropy.clone(),
        stop: CancellationToken::new(),
        tracker: TaskTracker::new(),
    });
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle();
    let (readiness, stopping) = (Arc::new(Half), CancellationToken::new());
    // Kept by the process: the files are in use as long as the tasks of the runner are.
    let dir = tempfile::tempdir().expect("a directory").keep();
    let runner = Runner::start(runner::Parts {
        store: store::open(&Target::Sqlite { dir }).await.expect("a store"),
        journal: journal.clone(),
        follow: engine.follow(),
        clock: clock.clone(),
        stop: stopping.clone(),
        tracker: TaskTracker::new(),
        roster: ROSTER,
        keeping: runner::Keeping::Ours,
    });
    let processes = Processes::start(sagas::Parts {
        dispatch: engine.dispatch(),
        journal: journal.clone(),
        payments: None,
        entropy: entropy.clone(),
        patience: std::time::Duration::from_secs(60),
        stop: stopping.clone(),
        tracker: TaskTracker::new(),
    });
    let revoked = Revoked::default();
    let dir = tempfile::tempdir().expect("a directory").keep();
    let cabinet = accounts::store::open(Place::File(dir)).await.expect("a cabinet");
    let accounts = accounts(cabinet.clone(), &revoked, &clock, &entropy);
    let devices = Devices::new(DeviceParts {
        cabinet,
        signer: DeviceSigner::new(&keys().device),
        revoked: revoked.clone(),
        clock: clock.clone(),
        tracker: TaskTracker::new(),
    });
    Handles {
        accounts,
        devices,
        dispatch: engine.dispatch(),
        hub,
        runner,
        processes,
        journal,
        keys: keys(),
        revoked,
        clock,
        entropy,
        readiness,
        metrics: Some(metrics),
        stopping,
        guard: Arc::new(open()),
        follows: false,
    }
}

const STORE: &str = "st_0123456789abcdef0123456789abcdef";
const HASH: &str = "0123456789abcdef0123456789abcdef";

/// The principals of the table, in its order.
const ROLES: [(Role, char); 6] = [
    (Role::Member, 'm'),
    (Role::Seller, 's'),
    (Role::Counsellor, 'c'),
    (Role::Admin, 'a'),
    (Role::Pos, 'p'),
    (Role::Display, 'd'),
];

/// Route, and who gets past the gate: `*` everybody without a token, else letters of [`ROLES`].
const WHO_MAY: &[(&str, &str, &str)] = &[
    ("POST", "/v1/venues", "sa"),
    ("GET", "/v1/venues", "*"),
    ("GET", "/v1/shows", "*"),
    ("GET", "/v1/performances", "*"),
    ("GET", "/v1/performances/{id}/sales", "sa"),
    ("GET", "/v1/rankings/sold-out", "*"),
    ("GET", "/v1/rankings/sold-out/events", "*"),
    ("GET", "/v1/rankings/shows", "*"),
    ("GET", "/v1/rankings/shows/events", "*"),
    ("GET", "/v1/venues/{id}", "*"),
    ("GET", "/v1/venues/{id}/sections", "*"),
    ("GET", "/v1/venues/{id}/seats", "*"),
    ("POST", "/v1/shows", "sa"),
    ("GET", "/v1/shows/{id}", "*"),
    ("POST", "/v1/performances", "sa"),
    ("GET", "/v1/performances/{id}", "*"),
    ("PATCH", "/v1/performances/{id}", "sa"),
    ("POST", "/v1/performances/{id}/cancel", "sa"),
    ("GET", "/v1/performances/{id}/cancellation", "sa"),
    ("POST", "/v1/performances/{id}/pause", "sa"),
    ("POST", "/v1/performances/{id}/resume", "sa"),
    ("POST", "/v1/performances/{id}/seats/block", "sa"),
    ("POST", "/v1/performances/{id}/seats/unblock", "sa"),
    ("GET", "/v1/performances/{id}/seats", "*"),
    ("GET", "/v1/performances/{id}/seats/events", "*"),
    ("POST", "/v1/performances/{id}/orders", "m"),
    ("GET", "/v1/performances/{id}/orders", "sa"),
    ("GET", "/v1/orders", "msa"),
    ("GET", "/v1/tickets", "m"),
    ("GET", "/v1/orders/{id}", "mscapd"),
    ("GET", "/v1/orders/{id}/events", "mscapd"),
    ("POST", "/v1/orders/{id}/cancel", "msa"),
    ("POST", "/v1/orders/{id}/payment", "m"),
    ("GET", "/v1/orders/{id}/payments", "mscapd"),
    ("GET", "/v1/tickets/{id}", "msa"),
    ("GET", "/v1/tickets/{id}/qr.svg", "msa"),
    ("POST", "/v1/tickets/{id}/check-in", "sa"),
    ("POST", "/v1/psp/toss/webhook", "*"),
    ("GET", "/v1/admin/review", "a"),
    ("POST", "/v1/admin/review/{id}/settle", "a"),
    ("POST", "/v1/coupons", "sa"),
    ("GET", "/v1/coupons", "*"),
    ("GET", "/v1/coupons/{id}", "*"),
    ("GET", "/v1/coupons/{id}/statistics", "sa"),
    ("GET", "/v1/coupons/{id}/issues", "sa"),
    ("GET", "/v1/accounts/me/coupons", "m"),
    ("GET", "/v1/accounts/me/notifications", "m"),
    ("POST", "/v1/coupons/{id}/issue", "m"),
    ("GET", "/v1/coupon-tasks/{id}", "mscapd"),
    ("GET", "/v1/coupon-tasks/{id}/events", "mscapd"),
    ("POST", "/v1/stores", "sa"),
    ("GET", "/v1/stores", "sa"),
    ("GET", "/v1/admin/projections", "a"),
    ("GET", "/v1/admin/parked", "a"),
    ("POST", "/v1/admin/parked/{id}/retry", "a"),
    ("POST", "/v1/admin/parked/{id}/skip", "a"),
    ("GET", "/v1/admin/streams/{*stream}", "a"),
    ("POST", "/v1/stores/{id}/payments", "p"),
    ("GET", "/v1/stores/{id}/payments", "sapd"),
    ("POST", "/v1/stores/{id}/payments/{payment_id}/cancel", "p"),
    ("GET", "/v1/stores/{id}/payments/events", "sad"),
    ("GET", "/v1/stores/{id}/displays", "sa"),
    ("POST", "/v1/stores/{id}/tokens", "sa"),
    ("GET", "/v1/stores/{id}/tokens", "sa"),
    ("DELETE", "/v1/stores/{id}/tokens/{token_id}", "sa"),
    ("GET", "/v1/ticket-keys", "*"),
    ("POST", "/v1/stream-tickets", "mscapd"),
    ("GET", "/v1/accounts/me", "mscapd"),
    ("PATCH", "/v1/accounts/me", "msca"),
    ("DELETE", "/v1/accounts/me", "msca"),
    ("POST", "/v1/accounts", "*"),
    ("POST", "/v1/accounts/verify", "*"),
    ("POST", "/v1/auth/login", "*"),
    ("POST", "/v1/auth/refresh", "*"),
    ("POST", "/v1/auth/logout", "msca"),
    ("POST", "/v1/auth/logout-all", "msca"),
    ("POST", "/v1/auth/password/forgot", "*"),
    ("POST", "/v1/auth/password/reset", "*"),
    ("POST", "/v1/auth/password/change", "msca"),
    ("POST", "/v1/auth/totp/enrol", "msca"),
    ("POST", "/v1/auth/totp/confirm", "msca"),
    ("POST", "/v1/auth/totp/disable", "msca"),
    ("POST", "/v1/auth/unlock", "*"),
    ("POST", "/v1/sellers/apply", "m"),
    ("GET", "/v1/admin/sellers", "a"),
    ("POST", "/v1/admin/sellers/{id}/approve", "a"),
    ("GET", "/v1/admin/security", "a"),
    ("GET", "/livez", "*"),
    ("GET", "/readyz", "*"),
    ("GET", "/metrics", "*"),
    ("GET", "/openapi.json", "*"),
    ("GET", "/problems/{code}", "*"),
    ("GET", "/onsale.js", "*"),
];

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

async fn send(app: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
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

    let unknown = send(&app, "GET", &format!("/v1/shows/sh_{HASH}?x=1"), &[]).await;
    assert_eq!(json_of(unknown).await["code"], json!("unknown-parameter"));
    let junk = send(&app, "GET", "/v1/shows/%ff", &[]).await;
    assert_eq!(junk.status(), StatusCode::NOT_FOUND);
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
    use crate::ids::{Hash16, LogPosition, OrderId, Partition, PerformanceId, Position};
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
