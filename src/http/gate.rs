//! With which public key does a gate check ticket codes? Answers anyone; knows no ticket.

use std::sync::Arc;

use axum::extract::State;
use http::HeaderValue;
use http::header::CACHE_CONTROL;

use super::answer::{Answer, Answered};
use crate::auth::TicketCode;

#[utoipa::path(get, path = "/v1/ticket-keys", tag = "tickets",
    responses((status = 200, body = serde_json::Value, description = "a JSON Web Key Set with the public keys of ticket codes")))]
pub async fn keys(State(codes): State<Arc<TicketCode>>) -> Answered {
    Ok(Answer::ok(&codes.jwks())?.with(CACHE_CONTROL, HeaderValue::from_static("public, max-age=300")).done())
}
