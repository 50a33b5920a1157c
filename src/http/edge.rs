//! What happens to every request, whatever its route? One small layer: a name, a time limit, a guard against panics, the
//! body of problems, and a count.
//!
//! One layer instead of a tower of them: this is on the way of every hot request. It knows no route.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use axum::extract::{MatchedPath, Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use futures::FutureExt;
use http::header::{AUTHORIZATION, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use metrics::Counter;
use uuid::Uuid;

use super::error::{Code, Problem};
use super::extract::{Correlation, check_query};
use crate::clock::{Clock, Entropy};
use crate::limits;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// What the layer needs. The counters are looked up once: a registry look-up per request would cost more than the count.
#[derive(Clone)]
pub struct Edge {
    clock: Arc<dyn Clock>,
    entropy: Entropy,
    answered: Arc<[Counter; 5]>,
}

impl Edge {
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, entropy: Entropy) -> Self {
        let class = |class| metrics::counter!("onsale_http_requests_total", "class" => class);
        Self { clock, entropy, answered: Arc::new(["1xx", "2xx", "3xx", "4xx", "5xx"].map(class)) }
    }

    fn count(&self, status: StatusCode) {
        if let Some(counter) = self.answered.get(usize::from(status.as_u16() / 100).saturating_sub(1)) {
            counter.increment(1);
        }
    }
}

/// Around the whole router.
pub async fn around(State(edge): State<Edge>, mut request: Request, next: Next) -> Response {
    let correlation = edge.entropy.uuid(edge.clock.wall());
    let (id, correlation) = name(request.headers(), correlation);
    request.extensions_mut().insert(Correlation(correlation));
    let private = request.headers().contains_key(AUTHORIZATION);
    let command = !matches!(*request.method(), Method::GET | Method::HEAD | Method::OPTIONS);
    tracing::debug!(method = %request.method(), path = request.uri().path(), "request");

    let guarded = AssertUnwindSafe(next.run(request)).catch_unwind();
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
    if let Some(problem) = response.extensions_mut().remove::<Problem>() {
        write_problem(&mut response, &problem, &id);
    }
    let headers = response.headers_mut();
    if private && !headers.contains_key(CACHE_CONTROL) {
        headers.insert(CACHE_CONTROL, NO_STORE);
    }
    headers.insert(REQUEST_ID, id);
    edge.count(response.status());
    response
}

/// Around each route: refuses query parameters that it does not take.
pub async fn known_parameters(request: Request, next: Next) -> Response {
    if request.uri().query().is_some() {
        let template = request.extensions().get::<MatchedPath>().map_or("", MatchedPath::as_str);
        if let Err(problem) = check_query(template, request.uri()) {
            return problem.into_response();
        }
    }
    next.run(request).await
}

/// The client's own name for the request where it is sane, else ours.
fn name(headers: &HeaderMap, fresh: Uuid) -> (HeaderValue, Uuid) {
    let given = headers.get(&REQUEST_ID).filter(|value| {
        let bytes = value.as_bytes();
        let sane = |b: &u8| b.is_ascii_alphanumeric() || b"-_.:/+=".contains(b);
        (1..=limits::REQUEST_ID_BYTES).contains(&bytes.len()) && bytes.iter().all(sane)
    });
    match given {
        Some(value) => {
            (value.clone(), value.to_str().ok().and_then(|text| Uuid::parse_str(text).ok()).unwrap_or(fresh))
        }
        None => {
            let mut buffer = Uuid::encode_buffer();
            let text = fresh.simple().encode_lower(&mut buffer);
            (HeaderValue::from_str(text).unwrap_or(HeaderValue::from_static("none")), fresh)
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
