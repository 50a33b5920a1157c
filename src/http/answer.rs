//! How do answers to successful commands look? Created things with their place, repetitions marked, nothing cached.

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, CONTENT_TYPE, LOCATION};
use http::{HeaderName, HeaderValue, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use super::error::Problem;
use super::extract::Prefer;
use crate::fault::Fault;

pub const REPLAYED: HeaderName = HeaderName::from_static("idempotent-replayed");
const APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// What a handler gives back.
pub type Answered = Result<Response, Problem>;

/// An answer in the making.
pub struct Answer(Response);

impl Answer {
    pub fn json<T: Serialize>(status: StatusCode, body: &T) -> Result<Self, Problem> {
        let bytes = serde_json::to_vec(body).map_err(|e| Fault::internal(e.to_string()))?;
        let mut response = Response::new(bytes.into());
        *response.status_mut() = status;
        response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        Ok(Self(response))
    }

    pub fn ok<T: Serialize>(body: &T) -> Result<Self, Problem> {
        Self::json(StatusCode::OK, body)
    }

    pub fn created<T: Serialize>(location: &str, body: &T) -> Result<Self, Problem> {
        Ok(Self::json(StatusCode::CREATED, body)?.at(location))
    }

    /// Done, and there is nothing to say about it.
    #[must_use]
    pub fn empty() -> Self {
        let mut response = Response::new(axum::body::Body::empty());
        *response.status_mut() = StatusCode::NO_CONTENT;
        Self(response)
    }

    #[must_use]
    pub fn at(self, location: &str) -> Self {
        match HeaderValue::from_str(location) {
            Ok(value) => self.with(LOCATION, value),
            Err(_) => self,
        }
    }

    /// Marks the answer to a command that was accepted before.
    #[must_use]
    pub fn replayed(self, replayed: bool) -> Self {
        if replayed { self.with(REPLAYED, HeaderValue::from_static("true")) } else { self }
    }

    /// Says which preference of the client had an effect.
    #[must_use]
    pub fn preferred(self, prefer: Prefer, at_once: bool) -> Self {
        if at_once {
            self.with(APPLIED, HeaderValue::from_static("respond-async"))
        } else if let Some(seconds) = prefer.bound() {
            match HeaderValue::from_str(&format!("wait={seconds}")) {
                Ok(value) => self.with(APPLIED, value),
                Err(_) => self,
            }
        } else {
            self
        }
    }

    #[must_use]
    pub fn with(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.0.headers_mut().insert(name, value);
        self
    }

    #[must_use]
    pub fn no_store(self) -> Self {
        self.with(CACHE_CONTROL, HeaderValue::from_static("no-store"))
    }

    #[must_use]
    pub fn done(self) -> Response {
        self.0
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        self.0
    }
}

/// RFC 9457. Some codes bring further members, which `/problems/{code}` names; clients ignore those that they do not know.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
#[allow(dead_code, reason = "describes what `error::Problem` writes")]
pub struct ProblemBody {
    #[serde(rename = "type")]
    #[schema(pattern = "^urn:onsale:problem:[a-z-]+$")]
    pub kind: String,
    pub title: String,
    pub status: u16,
    /// For people; its wording may change.
    pub detail: String,
    /// For programs; stable.
    #[schema(pattern = "^[a-z-]+$")]
    pub code: String,
    /// The same as in `X-Request-Id`.
    pub request_id: String,
}
