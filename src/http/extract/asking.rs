//! Which request is this, before it is known who asks? For routes by which people come in.
//!
//! Its idempotency key is scoped by what the body says of the person, so that two people may use one key.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use super::Body;
use super::ask::{idempotency_key, named};
use crate::accounts::Asked;
use crate::http::edge::Visit;
use crate::http::error::Problem;

#[derive(Clone, Debug)]
pub struct Asking {
    key: Option<String>,
    method: String,
    path: String,
    from: Option<IpAddr>,
}

impl Asking {
    /// What accounts want to know of a request about `subject`.
    #[must_use]
    pub fn about<T>(&self, subject: &str, body: &Body<T>) -> Asked {
        let command = self.key.as_ref().map(|key| named(subject, &self.method, &self.path, key));
        Asked { command, body: body.hash, from: self.from }
    }

    /// The same of a request without a body.
    #[must_use]
    pub fn bare(&self, subject: &str) -> Asked {
        let command = self.key.as_ref().map(|key| named(subject, &self.method, &self.path, key));
        Asked { command, from: self.from, ..Asked::default() }
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Asking {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let key = idempotency_key(&parts.headers)?.map(str::to_owned);
        let from = parts.extensions.get::<Arc<Visit>>().and_then(|visit| visit.one_client());
        Ok(Self { key, method: parts.method.to_string(), path: parts.uri.path().to_owned(), from })
    }
}
