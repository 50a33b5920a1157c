//! Where does the caller come from, and from which page? What the edge knows of a request, for the handlers that ask.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::FromRequestParts;
use http::request::Parts;

use crate::http::edge::Visit;
use crate::http::error::{Code, Problem};

/// The caller's address, behind our own proxies. `None`: the request did not come over a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientAddress(pub Option<IpAddr>);

impl<S: Send + Sync> FromRequestParts<S> for ClientAddress {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.extensions.get::<Arc<Visit>>().and_then(|visit| visit.address)))
    }
}

/// A request that carries its proof in a cookie comes from a page of ours, or of an origin that the operator named. Browsers
/// send cookies along whoever asks, so routes that take them must ask for this first.
#[derive(Clone, Copy, Debug)]
pub struct OriginCheck;

impl<S: Send + Sync> FromRequestParts<S> for OriginCheck {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let visit = parts.extensions.get::<Arc<Visit>>();
        if visit.is_some_and(|visit| visit.same_origin(&parts.headers)) {
            Ok(Self)
        } else {
            Err(Problem::new(Code::OriginNotAllowed, "a request with cookies must come from our own pages"))
        }
    }
}
