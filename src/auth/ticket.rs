//! May this page open that stream? Stream tickets: short-lived tokens for browsers, whose `EventSource` cannot send one.
//!
//! A ticket opens one path as one principal. A page that reconnects shows the last id it saw and is honoured for longer
//! than one that opens the stream for the first time. A ticket is no access token: key, audience and type differ.

use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde::{Deserialize, Serialize};

use super::check::{Check, Claimed, ISSUER, header, moment, seconds, within};
use super::keys::{Ring, Secret};
use super::principal::{Principal, Role};
use super::revoked::Revoked;
use super::token::TokenError;
use crate::ids::{AccountId, CredentialId, StoreId};
use crate::limits;
use crate::timestamp::Timestamp;

const AUDIENCE: &str = "onsale-stream";
const TYPE: &str = "st+jwt";

#[derive(Serialize, Deserialize)]
struct Claims {
    iss: String,
    aud: String,
    sub: AccountId,
    nbf: i64,
    exp: i64,
    role: Role,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    store: Option<StoreId>,
    path: String,
    /// Of the credential that asked for the ticket: with it the ticket ends.
    #[serde(default)]
    iat: f64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sid: Option<CredentialId>,
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

/// Signs and judges stream tickets.
#[derive(Clone)]
pub struct Tickets {
    header: Header,
    key: EncodingKey,
    check: Check,
    revoked: Revoked,
}

impl Tickets {
    #[must_use]
    pub fn new(keys: &Ring<Secret>, revoked: Revoked) -> Self {
        let secret = keys.current();
        Self {
            header: header(TYPE, secret),
            key: EncodingKey::from_secret(secret.bytes()),
            check: Check::new(keys, AUDIENCE, TYPE),
            revoked,
        }
    }

    /// A ticket that opens `path` as `principal` within the next minute.
    pub fn issue(&self, principal: &Principal, path: &str, now: Timestamp) -> Result<String, TokenError> {
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            sub: principal.account.clone(),
            nbf: now.0.div_euclid(1_000),
            exp: now.plus(limits::TICKET_TIME).0.div_euclid(1_000),
            role: principal.role,
            store: principal.store.clone(),
            path: path.to_owned(),
            iat: seconds(principal.issued),
            sid: principal.session.clone(),
            mfa: principal.session.is_some() && principal.proven,
        };
        encode(&self.header, &claims, &self.key).map_err(|_| TokenError::Invalid)
    }

    /// As whom does the ticket open `path`? `reconnect`: the page has shown the id of a frame it already got.
    pub fn verify(&self, ticket: &str, path: &str, reconnect: bool, now: Timestamp) -> Result<Principal, TokenError> {
        let claims: Claims = self.check.claims(ticket)?;
        if claims.path != path {
            return Err(TokenError::Invalid);
        }
        let longer = if reconnect { limits::TICKET_RECONNECT - limits::TICKET_TIME } else { Duration::ZERO };
        let extra = i64::try_from(longer.as_secs()).unwrap_or(0);
        within(claims.nbf, claims.exp.saturating_add(extra), now)?;
        let principal = Principal {
            account: claims.sub,
            role: claims.role,
            store: claims.store,
            proven: claims.sid.is_none() || claims.mfa,
            session: claims.sid,
            issued: moment(claims.iat),
        };
        if self.revoked.covers(&principal) { Err(TokenError::Revoked) } else { Ok(principal) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::keys::Keys;
    use super::super::token::{Signer, Verifier};
    use super::*;
    use crate::clock::Entropy;

    const NOW: Timestamp = Timestamp(1_800_000_000_000);
    const PATH: &str = "/v1/orders/o1_00000000000000000000000000000000/events";

    #[test]
    fn a_ticket_opens_one_path_for_a_minute_and_twelve_hours_on_reconnect() {
        let keys = Keys::random(&Entropy::seeded(2));
        let tickets = Tickets::new(&keys.tickets, Revoked::default());
        let who = Principal::operator(AccountId::new("m"), Role::Member, None, Timestamp(NOW.0 - 7));
        let ticket = tickets.issue(&who, PATH, NOW).expect("signs");
        let open = |path: &str, reconnect: bool, seconds: i64| {
            tickets.verify(&ticket, path, reconnect, Timestamp(NOW.0 + seconds * 1_000))
        };
        assert_eq!(open(PATH, false, 59), Ok(who.clone()));
        assert_eq!(open(PATH, false, 66), Err(TokenError::Expired));
        assert_eq!(open(PATH, true, 66), Ok(who));
        assert_eq!(open(PATH, true, 12 * 3_600 + 6), Err(TokenError::Expired));
        assert_eq!(open("/v1/orders/other/events", false, 1), Err(TokenError::Invalid));
    }

    #[test]
    fn a_ticket_acts_for_its_credential_and_ends_with_it() {
        let (keys, revoked) = (Keys::random(&Entropy::seeded(4)), Revoked::default());
        let tickets = Tickets::new(&keys.tickets, revoked.clone());
        let operator = Principal::operator(AccountId::new("ac_1"), Role::Seller, None, NOW);
        let session = |proven| Principal { session: Some(CredentialId::new("se_1")), proven, ..operator.clone() };
        for who in [operator.clone(), session(false), session(true)] {
            let ticket = tickets.issue(&who, PATH, NOW).expect("signs");
            assert_eq!(tickets.verify(&ticket, PATH, false, NOW), Ok(who));
        }
        let of_session = tickets.issue(&session(true), PATH, NOW).expect("signs");
        let of_operator = tickets.issue(&operator, PATH, NOW).expect("signs");
        revoked.note("se_1", NOW, None);
        assert_eq!(tickets.verify(&of_session, PATH, true, NOW), Err(TokenError::Revoked), "also on reconnect");
        assert!(tickets.verify(&of_operator, PATH, true, NOW).is_ok());
        revoked.note("ac_1", NOW, None);
        assert_eq!(tickets.verify(&of_operator, PATH, true, NOW), Err(TokenError::Revoked));
    }

    #[test]
    fn tickets_and_access_tokens_do_not_work_in_each_others_place() {
        let keys = Keys::random(&Entropy::seeded(3));
        let who = Principal::operator(AccountId::new("m"), Role::Member, None, NOW);
        // Even under one key the audience and the type keep them apart.
        for ring in [&keys.tickets, &keys.access, &keys.device] {
            let tickets = Tickets::new(&keys.tickets, Revoked::default());
            let ticket = Tickets::new(ring, Revoked::default()).issue(&who, PATH, NOW).expect("signs");
            let verifier = Verifier::new(&keys, Revoked::default());
            assert_eq!(verifier.verify(&ticket, NOW), Err(TokenError::Invalid));
            let token = Signer::new(ring).sign(&who, Duration::from_secs(60), NOW).expect("signs");
            assert_eq!(tickets.verify(&token, PATH, false, NOW), Err(TokenError::Invalid));
        }
    }
}
