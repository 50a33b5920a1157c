//! Whose things of a public list? `owner=me` asks for one's own, and is the only part of such a list that needs a token.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use http::request::Parts;

use super::gate::{By, Sellers};
use super::query::Params;
use crate::auth::Verifier;
use crate::clock::Clock;
use crate::http::error::Problem;
use crate::ids::AccountId;

/// The owner whose things are wanted; `None`: everybody's.
#[derive(Clone, Debug)]
pub struct Mine(pub Option<AccountId>);

impl<S> FromRequestParts<S> for Mine
where
    S: Send + Sync,
    Arc<Verifier>: FromRef<S>,
    Arc<dyn Clock>: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match Params::of(parts)?.word("owner", &[("me", ())])? {
            None => Ok(Self(None)),
            Some(()) => <By<Sellers> as FromRequestParts<S>>::from_request_parts(parts, state)
                .await
                .map(|by| Self(Some(by.principal.account))),
        }
    }
}
