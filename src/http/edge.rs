//! What happens to every request, whatever its route? It gets a name, a place of origin and the limits that go with it
//! (`guard`), what browsers are told (`cors`, `safety`), a time limit, a guard against panics, the body of problems, and a count.
//!
//! One function instead of a tower of layers: this is on the way of every hot request. It knows no route.

use std::collections::HashSet;
use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::body::Body;
use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use futures::future::BoxFuture;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use metrics::{Counter, Histogram};
use tower::Service;
use utoipa::openapi::OpenApi;
use uuid::Uuid;

use self::safety::Kind;
use super::Handles;
use super::error::{Code, Problem};
use super::extract::{Correlation, Params, check_query};
use crate::clock::{Clock, Entropy};
use crate::live::Hub;
use crate::{limits, telemetry};

mod address;
mod cors;
mod guard;
mod safety;

pub use address::Forwarding;
pub use cors::Cors;
pub use guard::{Choices, Guard, Visit};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const STREAM_TICKETS: &str = "/v1/stream-tickets";
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What is done around every request needs this. The counters are looked up once: a registry look-up per request would
/// cost more than the count.
pub struct Edge {
    clock: Arc<dyn Clock>,
    entropy: Entropy,
    guard: Arc<Guard>,
    answered: Arc<[Counter; 5]>,
    took: Histogram,
    /// Another node takes the commands.
    follows: bool,
}

impl Edge {
    #[must_use]
    pub fn new(handles: &Handles) -> Self {
        let (clock, entropy, guard) = (handles.clock.clone(), handles.entropy.clone(), handles.guard.clone());
        Self { follows: handles.follows, ..Self::alone(clock, entropy, guard) }
    }

    /// Of a server that is no node.
    #[must_use]
    pub fn alone(clock: Arc<dyn Clock>, entropy: Entropy, guard: Arc<Guard>) -> Self {
        let class = |class| metrics::counter!(telemetry::HTTP_REQUESTS, "class" => class);
        let answered = Arc::new(["1xx", "2xx", "3xx", "4xx", "5xx"].map(class));
        Self { clock, entropy, guard, answered, took: metrics::histogram!(telemetry::HTTP_SECONDS), follows: false }
    }

    fn count(&self, status: StatusCode) {
        if let Some(counter) = self.answered.get(usize::from(status.as_u16() / 100).saturating_sub(1)) {
            counter.increment(1);
        }
    }
}

/// The whole edge: every route, and what happens around all of them. Not a layer of the router, which would be copied and
/// boxed anew for each request.
#[derive(Clone)]
pub struct Front(Arc<Inner>);

struct Inner {
    edge: Edge,
    /// For requests without query parameters, of which there is nothing to be asked.
    plain: Router,
    /// For those with some: every route looks at them first (`asked`).
    asking: Router,
}

impl Front {
    #[must_use]
    pub fn new(edge: Edge, plain: Router, asking: Router) -> Self {
        Self(Arc::new(Inner { edge, plain, asking }))
    }
}

impl Service<Request<Body>> for Front {
    type Response = Response;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response, Infallible>>;

    fn poll_ready(&mut self, _context: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let front = self.0.clone();
        Box::pin(async move { Ok(around(&front, request).await) })
    }
}

async fn around(Inner { edge, plain, asking }: &Inner, mut request: Request) -> Response {
    let begun = edge.clock.elapsed();
    let correlation = edge.entropy.uuid(edge.clock.wall());
    let (id, correlation) = name(request.headers(), correlation);
    request.extensions_mut().insert(Correlation(correlation));
    let visit = Visit::new(&edge.guard, &request, begun);
    request.extensions_mut().insert(visit.clone());
    let kind = Kind::of(request.uri().path());
    let reader = edge.guard.cors().map(|cors| (cors, cors.allowed(request.headers())));
    let private = request.headers().contains_key(AUTHORIZATION);
    let command = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    tracing::debug!(method = %request.method(), path = request.uri().path(), "request");

    let served = async {
        let (method, path) = (request.method(), request.uri().path());
        if let Some(answer) = edge.guard.cors().and_then(|cors| cors.preflight(method, request.headers())) {
            return answer;
        }
        if let Err(too_soon) = edge.guard.admit(&visit, method, path).await {
            return Problem::rate_limited(too_soon).into_response();
        }
        // A ticket is no fact: every node can sign one.
        if edge.follows && command && path != STREAM_TICKETS {
            return Problem::not_owner().into_response();
        }
        let mut routes = if request.uri().query().is_none() { plain.clone() } else { asking.clone() };
        let Ok(answer) = Service::<Request>::call(&mut routes, request).await;
        answer
    };
    let guarded = AssertUnwindSafe(served).catch_unwind();
    let mut response = match tokio::time::timeout(limits::REQUEST_TIME, guarded).await {
        Ok(Ok(response)) => response,
        Ok(Err(_panic)) => {
            tracing::error!(request_id = ?id, "a handler panicked");
            Problem::new(Code::Internal, "the request could not be served").into_response()
        }
        Err(_) => Problem::timed_out(command).into_response(),
    };
    if response.status() == StatusCode::METHOD_NOT_ALLOWED {
        response = as_problem(response, Problem::new(Code::MethodNotAllowed, "see the Allow header"));
    }
    // The pages of the document look for their files themselves, and have no words for one that is not there.
    if response.status() == StatusCode::NOT_FOUND && response.extensions().get::<Problem>().is_none() {
        response = as_problem(response, Problem::not_found());
    }
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        write_problem(&mut response, &problem, &id);
    }
    let headers = response.headers_mut();
    // A stream says for itself that nobody may keep it.
    if private && headers.get(CONTENT_TYPE).is_none_or(|kind| kind != "text/event-stream") {
        headers.insert(CACHE_CONTROL, NO_STORE);
    }
    safety::put(kind, edge.guard.hsts(), headers);
    edge.guard.tell(&visit, headers);
    if let Some((cors, allowed)) = reader {
        cors.put(allowed, headers);
    }
    headers.insert(REQUEST_ID, id);
    edge.count(response.status());
    edge.took.record(edge.clock.elapsed().saturating_sub(begun).as_secs_f64());
    response
}

/// What may be asked of which route.
#[derive(Clone)]
pub struct Asked {
    hub: Hub,
    served: Arc<HashSet<(Method, String)>>,
}

impl Asked {
    #[must_use]
    pub fn new(document: &OpenApi, hub: Hub) -> Self {
        let mut served = HashSet::new();
        for (template, item) in &document.paths.paths {
            let by_method = [
                (Method::GET, &item.get),
                (Method::HEAD, &item.get),
                (Method::POST, &item.post),
                (Method::PATCH, &item.patch),
                (Method::DELETE, &item.delete),
            ];
            let there = by_method.into_iter().filter(|(_, operation)| operation.is_some());
            served.extend(there.map(|(method, _)| (method, template.clone())));
        }
        Self { hub, served: Arc::new(served) }
    }
}

/// Around each route: refuses query parameters that it does not take, and lets a reading that names positions wait until the
/// log has come that far. What is wrong with a method comes before what is wrong with its parameters.
pub async fn asked(State(asked): State<Asked>, request: Request, next: Next) -> Response {
    let template = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str).to_owned();
    let method = request.method().clone();
    let reading = matches!(method, Method::GET | Method::HEAD);
    if asked.served.contains(&(method, template.clone())) {
        let positions =
            check_query(reading, &template, request.uri()).and_then(|()| Params::min_positions(request.uri()));
        let positions = match positions {
            Ok(positions) => positions,
            Err(problem) => return problem.into_response(),
        };
        let all = async {
            for position in positions {
                asked.hub.reached(position).await;
            }
        };
        if tokio::time::timeout(limits::READ_WAIT, all).await.is_err() {
            return Problem::read_behind().into_response();
        }
    }
    next.run(request).await
}

/// The trace that the request is part of, by the W3C's `traceparent`.
fn trace(headers: &HeaderMap) -> Option<Uuid> {
    let mut parts = headers.get("traceparent")?.to_str().ok()?.split('-');
    let (version, id) = (parts.next()?, parts.next()?);
    let sane =
        version.len() == 2 && version != "ff" && id.len() == 32 && !id.contains(|c: char| c.is_ascii_uppercase());
    Uuid::try_parse(id).ok().filter(|id| sane && !id.is_nil())
}

/// The client's own name for the request where it is sane, else ours; and what it belongs to: a trace, or itself.
fn name(headers: &HeaderMap, fresh: Uuid) -> (HeaderValue, Uuid) {
    let trace = trace(headers);
    let given = headers.get(&REQUEST_ID).filter(|value| {
        let bytes = value.as_bytes();
        let sane = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(b);
        (1..=limits::REQUEST_ID_BYTES).contains(&bytes.len()) && bytes.iter().all(sane)
    });
    match given {
        Some(value) => {
            let own = || value.to_str().ok().and_then(|text| Uuid::parse_str(text).ok());
            (value.clone(), trace.or_else(own).unwrap_or(fresh))
        }
        None => {
            let mut buffer = Uuid::encode_buffer();
            let text = fresh.simple().encode_lower(&mut buffer);
            (HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none")), trace.unwrap_or(fresh))
        }
    }
}

/// The problem in place of a bare answer, whose headers stay.
fn as_problem(bare: Response, problem: Problem) -> Response {
    let mut response = problem.into_response();
    for (name, value) in bare.headers() {
        if name != CONTENT_LENGTH {
            response.headers_mut().insert(name.clone(), value.clone());
        }
    }
    response
}

fn write_problem(response: &mut Response, problem: &Problem, id: &HeaderValue) {
    let body = problem.body(id.to_str().unwrap_or_default());
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
    headers.remove(CONTENT_LENGTH);
    *response.body_mut() = body.into();
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::routing::any;
    use http_body_util::BodyExt;
    use metrics::Counter;
    use tower::ServiceExt;

    use super::*;
    use crate::clock::SimulatedClock;
    use crate::timestamp::Timestamp;

    /// A minute of waiting takes no time here, and panics are part of the picture.
    #[tokio::test(start_paused = true)]
    async fn a_request_ends_after_ten_seconds_and_a_panic_is_only_its_own() {
        let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::starting_at(Timestamp(0)));
        let edge = Edge {
            clock: clock.clone(),
            entropy: Entropy::seeded(1),
            guard: Arc::new(super::super::tests::open()),
            answered: Arc::new(["1xx", "2xx", "3xx", "4xx", "5xx"].map(|_| Counter::noop())),
            took: Histogram::noop(),
            follows: false,
        };
        let routes = Router::new()
            .route("/never", any(std::future::pending::<()>))
            .route("/panics", any(async || panic!("a bug") as ()));
        let app = Front::new(edge, routes.clone(), routes);
        let table = [
            ("GET", "/never", "timed-out", limits::REQUEST_TIME),
            ("POST", "/never", "outcome-unknown", limits::REQUEST_TIME),
            ("GET", "/panics", "internal", Duration::ZERO),
        ];
        for (method, path, code, after) in table {
            let begun = clock.elapsed();
            let request = Request::builder().method(method).uri(path).body(Body::empty()).expect("a request");
            let answer = app.clone().oneshot(request).await.expect("an answer");
            assert!(answer.status().is_server_error(), "{path}");
            let body = answer.into_body().collect().await.expect("a body").to_bytes();
            let body: serde_json::Value = serde_json::from_slice(&body).expect("a problem");
            assert_eq!(body["code"], code, "{method} {path}");
            let took = clock.elapsed() - begun;
            assert!(took >= after && took < after + Duration::from_millis(10), "{method} {path}: {took:?}");
        }
    }

    #[test]
    fn a_trace_is_taken_over_and_the_clients_name_kept() {
        let fresh = Uuid::from_u128(7);
        let headers = |given: &[(&'static str, &'static str)]| -> HeaderMap {
            given.iter().map(|(n, v)| (HeaderName::from_static(n), HeaderValue::from_static(v))).collect()
        };
        let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let of = |given: &[(&'static str, &'static str)]| name(&headers(given), fresh);
        let traced = Uuid::parse_str("4bf92f3577b34da6a3ce929d0e0e4736").expect("a trace id");
        assert_eq!(of(&[("traceparent", trace)]).1, traced);
        assert_eq!(of(&[("traceparent", trace), ("x-request-id", "mine")]), (HeaderValue::from_static("mine"), traced));
        let uuid = "01890a5d-ac96-774b-bcce-b302099a8057";
        assert_eq!(of(&[("x-request-id", uuid)]).1, Uuid::parse_str(uuid).expect("a UUID"));
        for junk in [
            "",
            "00",
            "00-0-0-00",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(of(&[("traceparent", junk)]).1, fresh, "{junk}");
        }
        for junk in ["", "two words", "tab\t"] {
            assert_ne!(of(&[("x-request-id", junk)]).0, junk);
        }
    }
}
