//! Is the node well, and what does it offer? What operators and readers of the contract ask for, without a token.

use std::sync::Arc;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use http::header::CONTENT_TYPE;
use metrics_exporter_prometheus::PrometheusHandle;
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{Answer, Answered, ProblemBody};
use super::client;
use super::error::{Code, Problem};
use super::extract::At;
use super::state::Shared;

/// What the node offers beside the API itself.
pub(super) fn table() -> OpenApiRouter<Shared> {
    OpenApiRouter::new()
        .routes(routes!(livez))
        .routes(routes!(readyz))
        .routes(routes!(metrics))
        .routes(routes!(openapi))
        .routes(routes!(problem))
        .routes(routes!(client::module))
}

/// One thing that must be well before a node takes requests.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Check {
    pub name: &'static str,
    pub ok: bool,
    /// For operators; never a secret.
    pub detail: String,
}

/// What `readyz` asks. Must answer at once, from what is known.
pub trait Readiness: Send + Sync + 'static {
    fn checks(&self) -> Vec<Check>;
}

#[derive(Serialize, ToSchema)]
pub struct Ready {
    pub ready: bool,
    pub checks: Vec<Check>,
}

/// The contract as it stands in this build, written once.
#[derive(Clone)]
pub struct Document(pub Arc<str>);

#[utoipa::path(get, path = "/livez", tag = "operators", responses((status = 200, content_type = "text/plain", body = String, description = "the process runs")))]
pub async fn livez() -> &'static str {
    "ok\n"
}

#[utoipa::path(get, path = "/readyz", tag = "operators",
    responses((status = 200, body = Ready), (status = 503, body = Ready)))]
pub async fn readyz(State(readiness): State<Arc<dyn Readiness>>) -> Answered {
    let checks = readiness.checks();
    let ready = checks.iter().all(|check| check.ok);
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok(Answer::json(status, &Ready { ready, checks })?.no_store().done())
}

#[utoipa::path(get, path = "/metrics", tag = "operators", responses((status = 200, content_type = "text/plain", body = String, description = "Prometheus text"),
        (status = 404, body = ProblemBody, description = "the numbers have an address of their own")))]
pub async fn metrics(State(handle): State<Option<PrometheusHandle>>) -> Answered {
    let handle = handle.ok_or_else(Problem::not_found)?;
    Ok(([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], handle.render()).into_response())
}

#[utoipa::path(get, path = "/openapi.json", tag = "operators", responses((status = 200, body = serde_json::Value, description = "this document")))]
pub async fn openapi(State(document): State<Document>) -> Response {
    ([(CONTENT_TYPE, "application/json")], document.0.to_string()).into_response()
}

#[utoipa::path(get, path = "/problems/{code}", tag = "operators", params(("code" = String, Path,)),
    responses((status = 200, content_type = "text/plain", body = String, description = "what the code means"), (status = 404, body = ProblemBody)))]
pub async fn problem(At(code): At<String>) -> Answered {
    let code = Code::ALL.iter().find(|known| known.name() == code).ok_or_else(Problem::not_found)?;
    let text = format!("{}\n\n{} (HTTP {})\n\n{}\n", code.name(), code.title(), code.status(), code.help());
    Ok(([(CONTENT_TYPE, "text/plain; charset=utf-8")], text).into_response())
}
