//! What does the caller get to hear? The answer that is true, or what was planned instead of it.

use std::time::Duration;

use axum::Json;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::desk::{Answer, problem_with};
use super::mischief::Reply;
use super::server::Line;
use crate::limits;

/// What stands in the list of calls.
#[must_use]
pub fn said(reply: &Reply, answer: &Answer) -> String {
    match reply {
        Reply::Silence => "silence".to_owned(),
        Reply::Reset => "reset".to_owned(),
        Reply::Problem(status, _) => status.to_string(),
        Reply::Malformed | Reply::Oversized => "200".to_owned(),
        Reply::Redirect => "307".to_owned(),
        _ => answer.status.to_string(),
    }
}

/// Answers, or does not.
pub async fn give(reply: &Reply, mut answer: Answer, line: &Line) -> Response {
    match reply {
        Reply::Delayed(time) => tokio::time::sleep(*time).await,
        Reply::Silence => return cut_after(limits::SIMULATOR_SILENCE, line).await,
        Reply::Reset => return cut_after(Duration::ZERO, line).await,
        Reply::Malformed => return (StatusCode::OK, JSON, "{\"paymentKey\": ").into_response(),
        Reply::Oversized => {
            answer.body["padding"] = json!("x".repeat(2 * limits::PSP_ANSWER_BYTES));
        }
        Reply::Redirect => {
            return (StatusCode::TEMPORARY_REDIRECT, [(header::LOCATION, "/v1/payments/elsewhere")]).into_response();
        }
        _ => {}
    }
    respond(altered(reply, answer))
}

/// The answer with what was planned to be wrong in it.
#[must_use]
pub fn altered(reply: &Reply, mut answer: Answer) -> Answer {
    match reply {
        Reply::Problem(status, code) => return problem_with(*status, code),
        Reply::WrongAmount => {
            for member in ["totalAmount", "balanceAmount"] {
                alter(&mut answer, member, |amount| json!(amount.as_u64().unwrap_or_default() + 1));
            }
        }
        Reply::WrongOrder => alter(&mut answer, "orderId", |_| json!("somebody-elses-order")),
        Reply::WrongKey => alter(&mut answer, "paymentKey", |_| json!("somebody_elses_payment")),
        Reply::WrongCurrency => alter(&mut answer, "currency", |_| json!("USD")),
        _ => {}
    }
    answer
}

const JSON: [(header::HeaderName, &str); 1] = [(header::CONTENT_TYPE, "application/json")];

#[must_use]
pub fn respond(answer: Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, Json(answer.body)).into_response()
}

/// Only a good answer can be about something else.
fn alter(answer: &mut Answer, member: &str, change: impl Fn(&Value) -> Value) {
    if answer.status == 200 {
        answer.body[member] = change(&answer.body[member]);
    }
}

async fn cut_after(time: Duration, line: &Line) -> Response {
    tokio::time::sleep(time).await;
    line.reset();
    // The connection ends under this request.
    std::future::pending().await
}
