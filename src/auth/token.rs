//! Is this token ours, still good, and whose is it? Access tokens and the tokens of a store's devices, judged as RFC 8725 asks.
//!
//! One algorithm, one issuer; each type has an audience and keys of its own, and none works in another's place. Every time
//! claim is required and judged by the clock that is handed in, so that a simulated run repeats. What was taken back is
//! refused here, so that no route can forget to ask. Where a token travels is `http`'s business.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde::{Deserialize, Serialize};
use std::time::Duration;

use super::check::{Check, Claimed, ISSUER, header, moment, sane_subject, seconds, within};
use super::device;
use super::keys::{Keys, Ring, Secret};
use super::principal::{Principal, Role};
use super::revoked::Revoked;
use crate::ids::{AccountId, CredentialId, StoreId};
use crate::timestamp::Timestamp;

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
    #[error("the token was revoked")]
    Revoked,
}

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: AccountId,
    iat: f64,
    nbf: i64,
    exp: i64,
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    store: Option<StoreId>,
    /// The session that it belongs to; nothing in tokens of operators.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<CredentialId>,
    /// Was a second factor shown in that session?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    mfa: bool,
}

impl Claimed for Claims {
    fn issuer(&self) -> &str {
        &self.iss
    }

    fn audience(&self) -> &str {
        &self.aud
    }
}

/// Signs access tokens.
#[derive(Clone)]
pub struct Signer {
    header: Header,
    key: EncodingKey,
}

impl Signer {
    #[must_use]
    pub fn new(keys: &Ring<Secret>) -> Self {
        let secret = keys.current();
        Self { header: header(TYPE, secret), key: EncodingKey::from_secret(secret.bytes()) }
    }

    /// A token of an operator for `principal`, good from `now` for `ttl`. It belongs to no session.
    pub fn sign(&self, principal: &Principal, ttl: Duration, now: Timestamp) -> Result<String, TokenError> {
        self.write(principal, None, ttl, now)
    }

    /// A token of the principal's session, which must have one.
    pub fn for_session(&self, principal: &Principal, ttl: Duration, now: Timestamp) -> Result<String, TokenError> {
        let session = principal.session.clone().ok_or(TokenError::Invalid)?;
        self.write(principal, Some(session), ttl, now)
    }

    fn write(
        &self,
        principal: &Principal,
        session: Option<CredentialId>,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<String, TokenError> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: principal.account.clone(),
            iat: seconds(now),
            nbf: now.0.div_euclid(1_000),
            exp: now.plus(ttl).0.div_euclid(1_000),
            role: principal.role,
            store: principal.store.clone(),
            mfa: session.is_some() && principal.proven,
            sid: session,
        };
        encode(&self.header, &claims, &self.key).map_err(|_| TokenError::Invalid)
    }
}

/// Judges access tokens and those of devices.
#[derive(Clone)]
pub struct Verifier {
    access: Check,
    device: Check,
    revoked: Revoked,
}

impl Verifier {
    #[must_use]
    pub fn new(keys: &Keys, revoked: Revoked) -> Self {
        Self { access: Check::new(&keys.access, AUDIENCE, TYPE), device: device::check(&keys.device), revoked }
    }

    /// Whose token is it?
    pub fn verify(&self, token: &str, now: Timestamp) -> Result<Principal, TokenError> {
        // Nearly all that come are access tokens as we write them; only other headers are worth reading twice.
        let principal = if !self.access.knows(token) && self.device.is_for(token) {
            device::principal(self.device.claims(token)?, now)?
        } else {
            principal(self.access.claims(token)?, now)?
        };
        if self.revoked.covers(&principal) { Err(TokenError::Revoked) } else { Ok(principal) }
    }
}

fn principal(claims: Claims, now: Timestamp) -> Result<Principal, TokenError> {
    within(claims.nbf, claims.exp, now)?;
    // A device's token names its store and nobody else's does: otherwise the role would mean something else.
    if claims.role.is_device() != claims.store.is_some() || !sane_subject(claims.sub.as_str()) {
        return Err(TokenError::Invalid);
    }
    Ok(Principal {
        account: claims.sub,
        role: claims.role,
        store: claims.store,
        proven: claims.sid.is_none() || claims.mfa,
        session: claims.sid,
        issued: moment(claims.iat),
    })
}

/// Signing and judging together, for verbs that play all parts.
#[derive(Clone)]
pub struct Tokens {
    pub signer: Signer,
    pub verifier: Verifier,
}

impl Tokens {
    #[must_use]
    pub fn new(keys: &Keys) -> Self {
        Self { signer: Signer::new(&keys.access), verifier: Verifier::new(keys, Revoked::default()) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::Keys;
    use super::*;
    use crate::clock::Entropy;
    use jsonwebtoken::Algorithm;
    use serde_json::{Value, json};

    const NOW: Timestamp = Timestamp(1_800_000_000_000);

    fn keys() -> Keys {
        Keys::random(&Entropy::seeded(1))
    }

    fn member() -> Principal {
        Principal::operator(AccountId::new("m-1"), Role::Member, None, NOW)
    }

    fn verifier(keys: &Keys) -> Verifier {
        Verifier::new(keys, Revoked::default())
    }

    fn head(secret: &Ring<Secret>) -> Header {
        header(TYPE, secret.current())
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
        let tokens = Tokens::new(&keys());
        let pos = Principal::operator(AccountId::new("p"), Role::Pos, Some(StoreId::new("st_1")), NOW);
        for principal in [member(), pos] {
            let token = tokens.signer.sign(&principal, Duration::from_secs(600), NOW).expect("signs");
            assert_eq!(tokens.verifier.verify(&token, NOW), Ok(principal));
        }
    }

    #[test]
    fn times_are_judged_with_at_most_five_seconds_of_leeway() {
        let tokens = Tokens::new(&keys());
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
        let token = forge(&head(&keys.access), &claims(), keys.access.current().bytes());
        assert_eq!(verifier(&keys).verify(&token, NOW), Ok(member()));
    }

    #[test]
    fn every_missing_or_wrong_claim_is_refused() {
        let keys = keys();
        let verifier = verifier(&keys);
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
        let missing = ["iss", "aud", "sub", "iat", "exp", "nbf", "role"].map(|name| (name, Value::Null));
        for (name, value) in missing.into_iter().chain(wrong) {
            let mut forged = claims();
            match value {
                Value::Null => drop(forged.as_object_mut().and_then(|map| map.remove(name))),
                value => forged[name] = value,
            }
            let token = forge(&head(&keys.access), &forged, keys.access.current().bytes());
            assert_eq!(verifier.verify(&token, NOW), Err(TokenError::Invalid), "{name}: {forged}");
        }
    }

    #[test]
    fn other_algorithms_types_and_keys_are_refused() {
        let keys = keys();
        let verifier = verifier(&keys);
        let ours = || head(&keys.access);
        let unsigned = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0.eyJzdWIiOiJtLTEifQ.".to_owned();
        let forged = [
            forge(&Header { alg: Algorithm::HS512, ..ours() }, &claims(), keys.access.current().bytes()),
            forge(&Header { typ: Some("JWT".into()), ..ours() }, &claims(), keys.access.current().bytes()),
            forge(&Header { typ: None, ..ours() }, &claims(), keys.access.current().bytes()),
            forge(&Header { kid: Some("other".into()), ..ours() }, &claims(), keys.access.current().bytes()),
            forge(&ours(), &claims(), keys.tickets.current().bytes()),
            forge(&ours(), &claims(), keys.device.current().bytes()),
            forge(&Header { typ: Some("dt+jwt".into()), ..ours() }, &claims(), keys.access.current().bytes()),
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
        let verifier = verifier(&keys);
        for at in (0..token.len() - 1).step_by(7) {
            let mut bytes = token.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).expect("ASCII");
            assert_eq!(verifier.verify(&changed, NOW), Err(TokenError::Invalid), "byte {at}");
        }
    }

    #[test]
    fn a_session_shows_in_its_token_and_a_second_factor_only_where_it_was_shown() {
        let tokens = Tokens::new(&keys());
        let session = |proven| Principal { session: Some(CredentialId::new("se_1")), proven, ..member() };
        for principal in [session(false), session(true)] {
            let token = tokens.signer.for_session(&principal, Duration::from_secs(600), NOW).expect("signs");
            assert_eq!(tokens.verifier.verify(&token, NOW), Ok(principal));
        }
        // An operator's token belongs to no session, and an operator's account cannot have one signed.
        let token = tokens.signer.sign(&session(false), Duration::from_secs(600), NOW).expect("signs");
        assert_eq!(tokens.verifier.verify(&token, NOW), Ok(member()));
        let refused = tokens.signer.for_session(&member(), Duration::from_secs(600), NOW);
        assert_eq!(refused, Err(TokenError::Invalid));
    }

    #[test]
    fn the_moment_of_issue_is_kept_to_the_millisecond() {
        let tokens = Tokens::new(&keys());
        for millis in [0, 1, 499, 999] {
            let now = Timestamp(NOW.0 + millis);
            let token = tokens.signer.sign(&member(), Duration::from_secs(600), now).expect("signs");
            assert_eq!(tokens.verifier.verify(&token, now).map(|who| who.issued), Ok(now));
        }
    }

    #[test]
    fn a_token_of_before_a_rotation_is_good_until_its_key_is_retired() {
        let (old, new) = (keys(), Keys::random(&Entropy::seeded(2)));
        let token = Signer::new(&old.access).sign(&member(), Duration::from_secs(600), NOW).expect("signs");
        let both = Ring::with(new.access.current().clone(), vec![old.access.current().clone()], "x").expect("one more");
        let rotated = Keys { access: both, ..new.clone() };
        assert_eq!(verifier(&rotated).verify(&token, NOW), Ok(member()));
        assert_eq!(verifier(&new).verify(&token, NOW), Err(TokenError::Invalid));
        let fresh = Signer::new(&rotated.access).sign(&member(), Duration::from_secs(600), NOW).expect("signs");
        assert_eq!(verifier(&new).verify(&fresh, NOW), Ok(member()), "the current key signs");
        // Without a `kid` there is one key that it can be: the current one.
        for (secret, expected) in [(&new.access, Ok(member())), (&old.access, Err(TokenError::Invalid))] {
            let bare = Header { kid: None, ..head(secret) };
            let token = forge(&bare, &claims(), secret.current().bytes());
            assert_eq!(verifier(&rotated).verify(&token, NOW), expected);
        }
    }

    #[test]
    fn a_revoked_session_and_an_older_token_of_an_account_are_refused() {
        let (keys, revoked) = (keys(), Revoked::default());
        let verifier = Verifier::new(&keys, revoked.clone());
        let signer = Signer::new(&keys.access);
        let session = Principal { session: Some(CredentialId::new("se_1")), ..member() };
        let of_session = signer.for_session(&session, Duration::from_secs(600), NOW).expect("signs");
        let of_operator = signer.sign(&member(), Duration::from_secs(600), NOW).expect("signs");
        revoked.note("se_1", NOW, None);
        assert_eq!(verifier.verify(&of_session, NOW), Err(TokenError::Revoked));
        assert_eq!(verifier.verify(&of_operator, NOW), Ok(member()));
        revoked.note("m-1", NOW, None);
        assert_eq!(verifier.verify(&of_operator, NOW), Err(TokenError::Revoked));
        let later = Timestamp(NOW.0 + 1);
        let fresh = signer.sign(&member(), Duration::from_secs(600), later).expect("signs");
        assert!(verifier.verify(&fresh, later).is_ok(), "who signs in again goes on");
    }
}
