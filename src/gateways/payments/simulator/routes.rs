//! Which requests are understood? The real provider's routes, and four of our own to look behind the counter.
//!
//! `GET /ledger` are the books as JSON, `GET /calls` every request that was seen, `GET /times` how long each payment's
//! confirmation took here, `GET /healthz` says that it runs.

use std::collections::HashSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Uri, header};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Json, Router};
use base64::Engine;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::calls::{Call, Calls};
use super::desk::{Answer, CancelBody, ConfirmBody, Desk, Done, problem};
use super::mischief::{self, Plan};
use super::reply;
use super::script::{News, On, Script};
use super::server::Line;
use super::times::Times;
use super::webhook::Webhooks;
use crate::clock::Clock;
use crate::ids::{Hash16, OrderId, PaymentKey};
use crate::limits;

/// What all requests share.
pub struct Shared {
    pub desk: Desk,
    pub script: Script,
    pub calls: Calls,
    pub times: Times,
    pub webhooks: Webhooks,
    pub clock: Arc<dyn Clock>,
    /// Idempotency keys whose first request is not answered yet.
    pub busy: Mutex<HashSet<Hash16>>,
}

pub fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/v1/payments/confirm", post(confirm))
        .route("/v1/payments/{key}/cancel", post(cancel))
        .route("/v1/payments/orders/{order}", get(by_order))
        .route("/v1/payments/{key}", get(by_key))
        .route("/ledger", get(|State(shared): State<Arc<Shared>>| async move { Json(shared.desk.ledger()) }))
        .route("/calls", get(|State(shared): State<Arc<Shared>>| async move { Json(shared.calls.json()) }))
        .route("/times", get(|State(shared): State<Arc<Shared>>| async move { Json(shared.times.json()) }))
        .route("/healthz", get(|| async { Json(json!({ "ok": true })) }))
        .fallback(|| async { reply::respond(Answer { status: 404, body: json!({ "code": "NOT_FOUND" }) }) })
        .with_state(shared)
}

/// A request of the provider's API, as far as all of them are alike.
struct Asked {
    method: &'static str,
    path: String,
    idempotency_key: Option<String>,
    /// `None`: without an idempotency key every request is a new one.
    scope: Option<Hash16>,
    body: Value,
}

impl Asked {
    fn read(method: &'static str, uri: &Uri, headers: &HeaderMap, body: &[u8]) -> (Self, Result<(), Answer>) {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let idempotency_key = text(header::HeaderName::from_static("idempotency-key")).map(str::to_owned);
        let mut asked = Self {
            method,
            path: uri.path().to_owned(),
            idempotency_key,
            scope: None,
            body: serde_json::from_slice(body).unwrap_or_default(),
        };
        let secret = match secret(text(header::AUTHORIZATION)) {
            Ok(secret) => secret,
            Err(code) => return (asked, Err(problem(code))),
        };
        if let Some(key) = &asked.idempotency_key {
            if key.is_empty() || key.chars().count() > limits::SIMULATOR_KEY_CHARS {
                return (asked, Err(problem("INVALID_IDEMPOTENCY_KEY")));
            }
            let parts = [secret.as_bytes(), method.as_bytes(), asked.path.as_bytes(), key.as_bytes()];
            asked.scope = Some(Hash16::of("psp simulator idempotency", &parts));
        }
        (asked, Ok(()))
    }
}

/// The key of `Basic base64("<key>:")`. Only test keys: nobody's money is here.
fn secret(header: Option<&str>) -> Result<String, &'static str> {
    let encoded = header.and_then(|value| value.strip_prefix("Basic ")).ok_or("UNAUTHORIZED_KEY")?;
    let decoded = base64::engine::general_purpose::STANDARD.decode(encoded).ok();
    let decoded = decoded.and_then(|bytes| String::from_utf8(bytes).ok()).ok_or("INCORRECT_BASIC_AUTH_FORMAT")?;
    let key = decoded.strip_suffix(':').ok_or("INCORRECT_BASIC_AUTH_FORMAT")?;
    let test = ["test_sk_", "test_gsk_"].iter().any(|beginning| key.starts_with(beginning));
    if test { Ok(key.to_owned()) } else { Err("UNAUTHORIZED_KEY") }
}

type Desktop = State<Arc<Shared>>;

async fn confirm(
    State(shared): Desktop,
    Extension(line): Extension<Line>,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    // The request is read whole by now.
    let began = shared.clock.elapsed();
    let (asked, fine) = Asked::read("POST", &uri, &headers, &bytes);
    if let Err(answer) = fine {
        return shared.refuse(asked, answer);
    }
    let Ok(body) = serde_json::from_value::<ConfirmBody>(asked.body.clone()) else {
        return shared.refuse(asked, problem("INVALID_REQUEST"));
    };
    let (key, scope) = (body.payment_key.clone(), asked.scope);
    let exists = mischief::exists(&shared.script, key.as_str());
    let response = shared
        .clone()
        .handle(&line, asked, &key, On::Confirm, |plan| shared.desk.confirm(&body, exists, scope, &plan.act))
        .await;
    shared.times.note(key, shared.clock.elapsed().saturating_sub(began));
    response
}

async fn cancel(
    State(shared): Desktop,
    Extension(line): Extension<Line>,
    Path(key): Path<PaymentKey>,
    uri: Uri,
    headers: HeaderMap,
    bytes: Bytes,
) -> Response {
    let (asked, fine) = Asked::read("POST", &uri, &headers, &bytes);
    if let Err(answer) = fine {
        return shared.refuse(asked, answer);
    }
    let Ok(body) = serde_json::from_value::<CancelBody>(asked.body.clone()) else {
        return shared.refuse(asked, problem("INVALID_REQUEST"));
    };
    let scope = asked.scope;
    shared
        .clone()
        .handle(&line, asked, &key, On::Cancel, |plan| shared.desk.cancel(&key, &body, scope, &plan.act))
        .await
}

async fn by_key(
    State(shared): Desktop,
    Extension(line): Extension<Line>,
    Path(key): Path<PaymentKey>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let (asked, fine) = Asked::read("GET", &uri, &headers, &[]);
    if let Err(answer) = fine {
        return shared.refuse(asked, answer);
    }
    shared.look(&line, asked, &key).await
}

async fn by_order(
    State(shared): Desktop,
    Extension(line): Extension<Line>,
    Path(order): Path<OrderId>,
    uri: Uri,
    headers: HeaderMap,
) -> Response {
    let (asked, fine) = Asked::read("GET", &uri, &headers, &[]);
    if let Err(answer) = fine {
        return shared.refuse(asked, answer);
    }
    match shared.desk.key_of_order(&order) {
        Some(key) => shared.look(&line, asked, &key).await,
        None => shared.refuse(asked, problem("NOT_FOUND_PAYMENT")),
    }
}

impl Shared {
    /// An answer that nothing was planned for.
    fn refuse(&self, asked: Asked, answer: Answer) -> Response {
        self.note(asked, None, answer.status.to_string());
        reply::respond(answer)
    }

    async fn look(self: Arc<Self>, line: &Line, asked: Asked, key: &PaymentKey) -> Response {
        let shared = self.clone();
        self.handle(line, asked, key, On::Query, |_| shared.desk.query(key)).await
    }

    async fn handle(
        self: Arc<Self>,
        line: &Line,
        asked: Asked,
        key: &PaymentKey,
        on: On,
        act: impl FnOnce(&Plan) -> std::io::Result<Done>,
    ) -> Response {
        let Some(_until_answered) = Busy::enter(&self, asked.scope) else {
            return self.refuse(asked, problem("IDEMPOTENT_REQUEST_PROCESSING"));
        };
        let count = self.desk.count(key, on);
        let plan = mischief::plan(&self.script, key.as_str(), on, count);
        let (news, after) = mischief::news(&self.script, key.as_str(), on, count.calls);
        if news == News::Early && on != On::Query {
            self.webhooks.early(&expected(&asked, key), &*self.clock).await;
        }
        let noted = plan.fault.map_or(Ok(()), |fault| self.desk.note_fault(key, on, fault));
        let done = match noted.and_then(|()| act(&plan)) {
            Ok(done) => done,
            Err(error) => {
                // Books that cannot be written: nobody may be told anything.
                tracing::error!(%error, "the ledger cannot be written");
                self.note(asked, plan.fault, "reset".to_owned());
                return reply::give(&mischief::Reply::Reset, problem("FAILED_INTERNAL_SYSTEM_PROCESSING"), line).await;
            }
        };
        if done.news
            && let Some(record) = self.desk.payment(key)
        {
            self.webhooks.tell(news, after, &record.object(), &*self.clock);
        }
        self.note(asked, plan.fault, reply::said(&plan.reply, &done.answer));
        reply::give(&plan.reply, done.answer, line).await
    }

    fn note(&self, asked: Asked, fault: Option<super::script::Fault>, answered: String) {
        self.calls.note(Call {
            at: self.clock.wall(),
            method: asked.method.to_owned(),
            path: asked.path,
            idempotency_key: asked.idempotency_key,
            body: asked.body,
            fault,
            answered,
        });
    }
}

/// The payment as it will be, for news that come too early.
fn expected(asked: &Asked, key: &PaymentKey) -> Value {
    json!({
        "paymentKey": key, "orderId": asked.body["orderId"], "totalAmount": asked.body["amount"], "currency": "KRW",
    })
}

/// Held while a request with an idempotency key is not answered; a second one is sent away meanwhile.
struct Busy(Arc<Shared>, Option<Hash16>);

impl Busy {
    fn enter(shared: &Arc<Shared>, scope: Option<Hash16>) -> Option<Self> {
        let entered = scope.is_none_or(|scope| shared.busy.lock().insert(scope));
        entered.then(|| Self(shared.clone(), scope))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        if let Some(scope) = &self.1 {
            self.0.busy.lock().remove(scope);
        }
    }
}
