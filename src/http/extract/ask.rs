//! Which command is this, and who asks for it? Everything that the actors want to know besides the command itself.
//!
//! A command's identity is the hash of subject, method, path with its ids, and idempotency key; without a key it is
//! random, so that nothing is taken for a repetition.

use std::sync::Arc;

use axum::extract::{FromRef, FromRequestParts};
use http::HeaderMap;
use http::request::Parts;
use uuid::Uuid;

use super::gate::{By, Gate};
use super::{Body, Correlation};
use crate::actors::{Dispatch, Request};
use crate::auth::{Principal, Role, Verifier};
use crate::clock::Clock;
use crate::domain::Authority;
use crate::http::error::{Code, Problem};
use crate::ids::{CommandId, Hash16};
use crate::limits;

/// A command's caller, past the gate.
#[derive(Clone, Debug)]
pub struct Ask<G: Gate> {
    by: By<G>,
    pub command: CommandId,
    /// Did the client name the command?
    pub keyed: bool,
    correlation: Uuid,
}

impl<G: Gate> Ask<G> {
    #[must_use]
    pub fn principal(&self) -> &Principal {
        &self.by.principal
    }

    /// What goes to the actors with the command that `body` described.
    #[must_use]
    pub fn request<T>(&self, body: &Body<T>, note: Option<String>) -> Request {
        Request {
            command: self.command,
            body: body.hash,
            by: self.principal().account.clone(),
            authority: if self.principal().role == Role::Admin { Authority::Any } else { Authority::Own },
            correlation: self.correlation,
            causation: None,
            note,
        }
    }
}

impl<G, S> FromRequestParts<S> for Ask<G>
where
    G: Gate,
    S: Send + Sync,
    Arc<Verifier>: FromRef<S>,
    Arc<dyn Clock>: FromRef<S>,
    Dispatch: FromRef<S>,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let by = <By<G> as FromRequestParts<S>>::from_request_parts(parts, state).await?;
        let key = idempotency_key(&parts.headers)?;
        if G::KEYED && key.is_none() {
            return Err(Problem::new(Code::KeyRequired, "this route needs an Idempotency-Key"));
        }
        let command = match key {
            Some(key) => named(by.principal.account.as_str(), parts.method.as_str(), parts.uri.path(), key),
            None => Dispatch::from_ref(state).fresh_command(),
        };
        let correlation = parts.extensions.get::<Correlation>().map_or_else(Uuid::nil, |c| c.0);
        Ok(Self { by, command, keyed: key.is_some(), correlation })
    }
}

pub(super) fn named(subject: &str, method: &str, path: &str, key: &str) -> CommandId {
    Hash16::of("command", &[subject.as_bytes(), method.as_bytes(), path.as_bytes(), key.as_bytes()])
}

/// 1 to 255 visible ASCII characters; one pair of quotes around them is dropped, since RFC-minded clients send a string.
pub(super) fn idempotency_key(headers: &HeaderMap) -> Result<Option<&str>, Problem> {
    let junk = || Problem::new(Code::KeyInvalid, "an Idempotency-Key is 1 to 255 visible ASCII characters");
    let mut values = headers.get_all("idempotency-key").iter();
    let Some(value) = values.next() else { return Ok(None) };
    if values.next().is_some() {
        return Err(junk());
    }
    let text = value.to_str().map_err(|_| junk())?;
    let bare = text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text);
    let sane = (1..=limits::KEY_BYTES).contains(&bare.len()) && bare.bytes().all(|b| b.is_ascii_graphic());
    if sane { Ok(Some(bare)) } else { Err(junk()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn keys_are_visible_ascii_with_optional_quotes() {
        let long = "x".repeat(256);
        let table: [(&str, Option<&str>); 9] = [
            ("abc", Some("abc")),
            ("\"abc\"", Some("abc")),
            ("\"\"abc\"\"", Some("\"abc\"")),
            (&long[..255], Some(&long[..255])),
            (&long, None),
            ("", None),
            ("\"\"", None),
            ("a b", None),
            ("\"", Some("\"")),
        ];
        for (given, expected) in table {
            let headers: HeaderMap =
                [(http::HeaderName::from_static("idempotency-key"), HeaderValue::from_str(given).expect("ASCII"))]
                    .into_iter()
                    .collect();
            let got = idempotency_key(&headers);
            assert_eq!(got.as_ref().ok().copied().flatten(), expected, "{given}");
            assert!(expected.is_some() || got.is_err_and(|p| p.code == Code::KeyInvalid), "{given}");
        }
        assert!(idempotency_key(&HeaderMap::new()).is_ok_and(|key| key.is_none()));
    }

    #[test]
    fn every_part_of_the_scope_counts() {
        let base = named("a", "POST", "/p", "k");
        assert_eq!(base, named("a", "POST", "/p", "k"));
        for other in [named("b", "POST", "/p", "k"), named("a", "PUT", "/p", "k"), named("a", "POST", "/q", "k")] {
            assert_ne!(base, other);
        }
        assert_ne!(base, named("a", "POST", "/p", "l"));
    }
}
