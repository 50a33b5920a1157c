//! The seat map: what a page draws, and what it watches. Public; who holds a seat is nobody's business.

// Routes: GET /v1/performances/{id}/seats · GET /v1/performances/{id}/seats/events

use std::fmt::Write;

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH};
use http::{HeaderMap, HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::answer::{Answered, ProblemBody};
use super::error::Problem;
use super::extract::{At, Params};
use super::performances;
use super::streams::{self, Entrance, Wish};
use crate::actors::Dispatch;
use crate::domain::performance::Terms;
use crate::fault::Fault;
use crate::ids::PerformanceId;
use crate::live::{Hub, SeatMap, SeatStatus, Topic};

// Responses

/// For the document; the body itself is written seat by seat.
#[derive(Serialize, ToSchema)]
#[allow(dead_code, reason = "describes what `write` writes")]
pub struct SeatsView {
    performance_id: String,
    position: String,
    at: String,
    seats: Vec<SeatView<'static>>,
}

#[derive(Serialize, ToSchema)]
pub struct SeatView<'a> {
    seat_id: &'a str,
    section: &'a str,
    row: &'a str,
    number: &'a str,
    grade: &'a str,
    price: u64,
    /// `available`, `held`, `sold`, `blocked`.
    status: &'static str,
}

pub(super) const STATUSES: &[(&str, Option<SeatStatus>)] = &[
    ("available", None),
    ("held", Some(SeatStatus::Held)),
    ("sold", Some(SeatStatus::Sold)),
    ("blocked", Some(SeatStatus::Blocked)),
];

/// Writes straight into one buffer: a house of 50,000 seats must not become 50,000 small values first.
fn write(
    terms: &Terms,
    map: &SeatMap,
    section: Option<&str>,
    only: Option<Option<SeatStatus>>,
) -> Result<Vec<u8>, Fault> {
    let broken = |e: serde_json::Error| Fault::internal(e.to_string());
    let mut head = String::with_capacity(128);
    let _ = write!(
        head,
        "{{\"performance_id\":\"{}\",\"position\":\"{}\",\"at\":\"{}\",\"seats\":[",
        terms.performance_id, map.position, map.at
    );
    let mut body = Vec::with_capacity(head.len() + 110 * terms.seat_count());
    body.extend_from_slice(head.as_bytes());
    let mut first = true;
    for (id, seat) in terms.seats() {
        let status = map.taken.get(&id).copied();
        if section.is_some_and(|name| name != seat.section) || only.is_some_and(|only| only != status) {
            continue;
        }
        if !std::mem::take(&mut first) {
            body.push(b',');
        }
        let view = SeatView {
            seat_id: id.as_str(),
            section: seat.section,
            row: seat.row,
            number: &seat.number,
            grade: seat.grade,
            price: seat.price.minor(),
            status: status.map_or("available", SeatStatus::as_str),
        };
        serde_json::to_writer(&mut body, &view).map_err(broken)?;
    }
    body.extend_from_slice(b"]}");
    Ok(body)
}

// Handlers

#[utoipa::path(get, path = "/v1/performances/{id}/seats", tag = "seats",
    params(("id" = String, Path,), ("section" = Option<String>, Query,), ("status" = Option<String>, Query,)),
    responses((status = 200, body = SeatsView), (status = 304), (status = "4XX", body = ProblemBody)))]
pub async fn get(
    At(id): At<PerformanceId>,
    params: Params,
    headers: HeaderMap,
    State(dispatch): State<Dispatch>,
    State(hub): State<Hub>,
) -> Answered {
    let only = params.word("status", STATUSES)?;
    let (terms, told, _) = performances::load(&dispatch, &id).await?.ok_or_else(Problem::not_found)?;
    let map = hub.seat_map(&id).await?;
    // Prices are of the performance's own stream, which stands on its own in the same partition.
    let told = told.map_or(0, |told| told.position.0);
    let tag = format!("\"{}-{told}\"", map.position);
    let tag = HeaderValue::from_str(&tag).map_err(|e| Fault::internal(e.to_string()))?;
    if matches(&headers, &tag) {
        return Ok((StatusCode::NOT_MODIFIED, [(ETAG, tag)]).into_response());
    }
    let body = write(&terms, &map, params.get("section"), only)?;
    let mut response = Response::new(body.into());
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(ETAG, tag);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    Ok(response)
}

/// Does the client have it already, by this tag?
pub(super) fn matches(headers: &HeaderMap, tag: &HeaderValue) -> bool {
    let given = headers.get_all(IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    given
        .flat_map(|value| value.split(','))
        .map(str::trim)
        .any(|one| one == "*" || one.strip_prefix("W/").unwrap_or(one).as_bytes() == tag.as_bytes())
}

#[utoipa::path(get, path = "/v1/performances/{id}/seats/events", tag = "seats",
    params(("id" = String, Path,), ("last_event_id" = Option<String>, Query,), ("heartbeat" = Option<String>, Query,)),
    responses((status = 200, content_type = "text/event-stream", body = String), (status = "4XX", body = ProblemBody)))]
pub async fn events(
    At(id): At<PerformanceId>,
    params: Params,
    headers: HeaderMap,
    State(dispatch): State<Dispatch>,
    State(hub): State<Hub>,
    entrance: Entrance,
) -> Answered {
    let wish = Wish::of(&headers, &params)?;
    performances::load(&dispatch, &id).await?.ok_or_else(Problem::not_found)?;
    streams::open(&hub, entrance, Topic::Seats(id), wish.resume(), wish.heartbeat).await
}
