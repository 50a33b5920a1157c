//! What is the same for every kind of token: signature, algorithm, type, key, issuer, audience, and how times are judged.
//!
//! A token says in its header which key signed it. The headers that we write are known beforehand, so finding the key is a
//! comparison of texts; whatever else comes is read by the library, since a header of other spelling may be ours, too. With
//! the key at hand, signature and claims are looked at once each: the library reads header and claims twice and prepares the
//! key anew, which was a tenth of what a hot request cost.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::{Algorithm, Header, decode_header, encode};
use serde::de::DeserializeOwned;
use serde_json::json;

use super::keys::{Ring, Secret};
use super::token::TokenError;
use crate::limits;
use crate::timestamp::Timestamp;

pub const ISSUER: &str = "onsale";

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

/// The moment of issue as RFC 7519 has numbers of seconds, with its milliseconds: a sign-in right after everything was
/// revoked must be told from one right before.
pub(super) fn seconds(at: Timestamp) -> f64 {
    at.0 as f64 / 1_000.0
}

pub(super) fn moment(seconds: f64) -> Timestamp {
    Timestamp((seconds * 1_000.0).round() as i64)
}

/// An account's name goes into the log and into header-like places: short, visible ASCII.
pub(super) fn sane_subject(sub: &str) -> bool {
    (1..=limits::SUBJECT_BYTES).contains(&sub.len()) && sub.bytes().all(|b| b.is_ascii_graphic())
}

/// What every token says of itself. Times are judged in `within`.
pub(super) trait Claimed: DeserializeOwned {
    fn issuer(&self) -> &str;
    fn audience(&self) -> &str;
}

/// A key that may have signed.
#[derive(Clone)]
struct Known {
    kid: String,
    /// The first part of every token that we sign with it.
    head: String,
    key: hmac::Key,
}

/// Judges tokens of one type.
#[derive(Clone)]
pub(super) struct Check {
    /// The current key first.
    keys: Vec<Known>,
    audience: &'static str,
    typ: &'static str,
}

impl Check {
    pub fn new(keys: &Ring<Secret>, audience: &'static str, typ: &'static str) -> Self {
        Self { keys: keys.all().map(|secret| known(typ, secret)).collect(), audience, typ }
    }

    /// Does the token begin with a header that we write for this type?
    pub fn knows(&self, token: &str) -> bool {
        self.known(token).is_some()
    }

    /// Does the token say that it is of this type? What it says is not believed, only looked at.
    pub fn is_for(&self, token: &str) -> bool {
        self.knows(token)
            || (token.len() <= limits::TOKEN_BYTES && decode_header(token).is_ok_and(|header| self.fits(&header)))
    }

    /// The claims of a token that is ours, whatever its times say.
    pub fn claims<C: Claimed>(&self, token: &str) -> Result<C, TokenError> {
        if token.len() > limits::TOKEN_BYTES {
            return Err(TokenError::Invalid);
        }
        let known = match self.known(token) {
            Some(known) => known,
            None => self.named(token).ok_or(TokenError::Invalid)?,
        };
        let claims: C = signed(token, &known.key).ok_or(TokenError::Invalid)?;
        let meant = claims.issuer() == ISSUER && claims.audience() == self.audience;
        if meant { Ok(claims) } else { Err(TokenError::Invalid) }
    }

    fn known(&self, token: &str) -> Option<&Known> {
        let (head, _) = token.split_once('.')?;
        self.keys.iter().find(|known| known.head == head)
    }

    /// The key that a header of other spelling names; one that names none means the current key.
    fn named(&self, token: &str) -> Option<&Known> {
        let header = decode_header(token).ok().filter(|header| self.fits(header))?;
        match header.kid {
            Some(kid) => self.keys.iter().find(|known| known.kid == kid),
            None => self.keys.first(),
        }
    }

    fn fits(&self, header: &Header) -> bool {
        header.alg == Algorithm::HS256 && header.typ.as_deref().is_some_and(|typ| typ.eq_ignore_ascii_case(self.typ))
    }
}

/// What stands in a token whose signature is by this key. The signature comes first: nothing else of it is looked at before.
fn signed<C: DeserializeOwned>(token: &str, key: &hmac::Key) -> Option<C> {
    let (message, signature) = token.rsplit_once('.')?;
    let (_, claims) = message.split_once('.')?;
    hmac::verify(key, message.as_bytes(), &URL_SAFE_NO_PAD.decode(signature).ok()?).ok()?;
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

fn known(typ: &str, secret: &Secret) -> Known {
    let signing = jsonwebtoken::EncodingKey::from_secret(secret.bytes());
    let sample = encode(&header(typ, secret), &json!({}), &signing).unwrap_or_default();
    let head = sample.split('.').next().unwrap_or_default().to_owned();
    Known { kid: secret.id().to_owned(), head, key: hmac::Key::new(hmac::HMAC_SHA256, secret.bytes()) }
}
