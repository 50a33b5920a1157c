//! Is this token ours, still good, and whose is it? Access tokens: JWT with HMAC-SHA-256, judged as RFC 8725 asks.
//!
//! One algorithm, one issuer, one audience, one type; every time claim is required and judged by the clock that is
//! handed in, so that a simulated run repeats. Where a token travels is `http`'s business.

use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::keys::Secret;
use super::principal::{Principal, Role};
use crate::ids::{AccountId, StoreId};
use crate::limits;
use crate::timestamp::Timestamp;

pub const ISSUER: &str = "onsale";
const AUDIENCE: &str = "onsale-api";
const TYPE: &str = "at+jwt";

/// Why a token is not accepted. The bearer learns no more than that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    #[error("not a token of ours")]
    Invalid,
    #[error("the token has expired")]
    Expired,
    #[error("the token is not valid yet")]
    NotYet,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: AccountId,
    iat: i64,
    nbf: i64,
    exp: i64,
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    store: Option<StoreId>,
}

/// Signs access tokens.
#[derive(Clone)]
pub struct Signer {
    header: Header,
    key: EncodingKey,
}

impl Signer {
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self { header: header(TYPE, secret), key: EncodingKey::from_secret(secret.bytes()) }
    }

    /// A token for `principal`, good from `now` for `ttl`.
    pub fn sign(&self, principal: &Principal, ttl: Duration, now: Timestamp) -> Result<String, TokenError> {
        let issued = now.0.div_euclid(1_000);
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: principal.account.clone(),
            iat: issued,
            nbf: issued,
            exp: now.plus(ttl).0.div_euclid(1_000),
            role: principal.role,
            store: principal.store.clone(),
        };
        encode(&self.header, &claims, &self.key).map_err(|_| TokenError::Invalid)
    }
}

/// Judges access tokens.
#[derive(Clone)]
pub struct Verifier {
    check: Check,
}

impl Verifier {
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self { check: Check::new(secret, AUDIENCE, TYPE) }
    }

    /// Whose token is it?
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        let claims: Claims = self.check.claims(token)?;
        within(claims.nbf, claims.exp, now)?;
        // A device's token names its store and nobody else's does: otherwise the role would mean something else.
        let device = matches!(claims.role, Role::Pos | Role::Display);
        if device != claims.store.is_some() || !sane_subject(claims.sub.as_str()) {
            return Err(TokenError::Invalid);
        }
        Ok(Principal { account: claims.sub, role: claims.role, store: claims.store })
    }
}

/// Signing and judging together, as the server needs them.
#[derive(Clone)]
pub struct Tokens {
    pub signer: Signer,
    pub verifier: Verifier,
}

impl Tokens {
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self { signer: Signer::new(secret), verifier: Verifier::new(secret) }
    }
}

/// An account's name goes into the log and into header-like places: short, visible ASCII.
fn sane_subject(sub: &str) -> bool {
    (1..=limits::SUBJECT_BYTES).contains(&sub.len()) && sub.bytes().all(|b| b.is_ascii_graphic())
}

pub(super) fn header(typ: &str, secret: &Secret) -> Header {
    Header { typ: Some(typ.to_owned()), kid: Some(secret.id().to_owned()), ..Header::new(Algorithm::HS256) }
}

pub(super) fn within(not_before: i64, expires: i64, now: Timestamp) -> Result<(), TokenError> {
    let (seconds, leeway) = (now.0.div_euclid(1_000), limits::TOKEN_LEEWAY_SECONDS);
    if seconds >= expires.saturating_add(leeway) {
        Err(TokenError::Expired)
    } else if seconds < not_before.saturating_sub(leeway) {
        Err(TokenError::NotYet)
    } else {
        Ok(())
    }
}

/// What is the same for every kind of token: signature, algorithm, type, key, issuer and audience.
#[derive(Clone)]
pub(super) struct Check {
    key: DecodingKey,
    validation: Validation,
    typ: &'static str,
    kid: String,
}

impl Check {
    pub(super) fn new(secret: &Secret, audience: &str, typ: &'static str) -> Self {
        let mut validation = Validation::new(Algorithm::HS256);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[audience]);
        validation.set_required_spec_claims(&["exp", "nbf", "iss", "aud", "sub"]);
        // The library would ask the machine's clock; the times are judged in `within`.
        validation.validate_exp = false;
        validation.validate_nbf = false;
        Self { key: DecodingKey::from_secret(secret.bytes()), validation, typ, kid: secret.id().to_owned() }
    }

    /// The claims of a token that is ours, whatever its times say.
    pub(super) fn claims<C: DeserializeOwned>(&self, token: &str) -> Result<C, TokenError> {
        if token.len() > limits::TOKEN_BYTES {
            return Err(TokenError::Invalid);
        }
        let data = decode::<C>(token, &self.key, &self.validation).map_err(|_| TokenError::Invalid)?;
        let typ_fits = data.header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case(self.typ));
        let kid_fits = data.header.kid.as_ref().is_none_or(|kid| *kid == self.kid);
        if typ_fits && kid_fits { Ok(data.claims) } else { Err(TokenError::Invalid) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::Keys;
    use super::*;
    use crate::clock::Entropy;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn keys() -> Keys {
        Keys::random(&Entropy::seeded(1))
    }

    fn member() -> Principal {
        Principal { account: AccountId::new("m-1"), role: Role::Member, store: None }
    }

    fn claims() -> Value {
        json!({"iss": ISSUER, "aud": AUDIENCE, "sub": "m-1", "iat": 1_800_000_000, "nbf": 1_800_000_000,
               "exp": 1_800_000_600, "role": "member"})
    }

    fn forge(header: &Header, claims: &Value, key: &[u8]) -> String {
        encode(header, claims, &EncodingKey::from_secret(key)).expect("plain JSON")
    }

    #[test]
    fn a_signed_token_comes_back() {
        let tokens = Tokens::new(&keys().access);
        let pos = Principal { account: AccountId::new("p"), role: Role::Pos, store: Some(StoreId::new("st_1")) };
        for principal in [member(), pos] {
            let token = tokens.signer.sign(&principal, Duration::from_secs(600), NOW).expect("signs");
            assert_eq!(tokens.verifier.verify(&token, NOW), Ok(principal));
        }
    }

    #[test]
    fn times_are_judged_with_at_most_five_seconds_of_leeway() {
        let tokens = Tokens::new(&keys().access);
        let token = tokens.signer.sign(&member(), Duration::from_secs(600), NOW).expect("signs");
        let after = |seconds: i64| tokens.verifier.verify(&token, Timestamp(NOW.0 + seconds * 1_000)).map(|_| ());
        let table = [
            (-6, Err(TokenError::NotYet)),
            (-5, Ok(())),
            (599, Ok(())),
            (604, Ok(())),
            (605, Err(TokenError::Expired)),
        ];
        for (seconds, expected) in table {
            assert_eq!(after(seconds), expected, "{seconds}");
        }
    }

    #[test]
    fn a_complete_forgery_with_the_right_key_is_the_control() {
        let keys = keys();
        let token = forge(&header(TYPE, &keys.access), &claims(), keys.access.bytes());
        assert_eq!(Verifier::new(&keys.access).verify(&token, NOW), Ok(member()));
    }

    #[test]
    fn every_missing_or_wrong_claim_is_refused() {
        let keys = keys();
        let verifier = Verifier::new(&keys.access);
        let wrong = [
            ("iss", json!("other")),
            ("aud", json!("onsale-stream")),
            ("sub", json!("")),
            ("sub", json!("a b")),
            ("sub", json!("x".repeat(200))),
            ("role", json!("root")),
            ("role", json!("pos")),
            ("store", json!("st_1")),
            ("exp", json!("soon")),
        ];
        let missing = ["iss", "aud", "sub", "exp", "nbf", "role"].map(|name| (name, Value::Null));
        for (name, value) in missing.into_iter().chain(wrong) {
            let mut forged = claims();
            match value {
                Value::Null => drop(forged.as_object_mut().and_then(|map| map.remove(name))),
                value => forged[name] = value,
            }
            let token = forge(&header(TYPE, &keys.access), &forged, keys.access.bytes());
            assert_eq!(verifier.verify(&token, NOW), Err(TokenError::Invalid), "{name}: {forged}");
        }
    }

    #[test]
    fn other_algorithms_types_and_keys_are_refused() {
        let keys = keys();
        let verifier = Verifier::new(&keys.access);
        let ours = || header(TYPE, &keys.access);
        let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.eyJzdWIiOiJtLTEifQ.".to_owned();
        let forged = [
            forge(&Header { alg: Algorithm::HS512, ..ours() }, &claims(), keys.access.bytes()),
            forge(&Header { typ: Some("JWT".into()), ..ours() }, &claims(), keys.access.bytes()),
            forge(&Header { typ: None, ..ours() }, &claims(), keys.access.bytes()),
            forge(&Header { kid: Some("other".into()), ..ours() }, &claims(), keys.access.bytes()),
            forge(&ours(), &claims(), keys.tickets.bytes()),
            forge(&ours(), &claims(), b""),
            unsigned,
            String::new(),
            "a.b.c".to_owned(),
            "x".repeat(100_000),
        ];
        for token in forged {
            assert_eq!(verifier.verify(&token, NOW), Err(TokenError::Invalid), "{token:.60}");
        }
    }

    #[test]
    fn a_changed_letter_is_noticed() {
        let keys = keys();
        let token = Signer::new(&keys.access).sign(&member(), Duration::from_secs(60), NOW).expect("signs");
        let verifier = Verifier::new(&keys.access);
        for at in (0..token.len() - 1).step_by(7) {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert_eq!(verifier.verify(&changed, NOW), Err(TokenError::Invalid), "byte {at}");
        }
    }
}
