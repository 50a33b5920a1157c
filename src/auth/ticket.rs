//! May this page open that stream? Stream tickets: short-lived tokens for browsers, whose `EventSource` cannot send one.
//!
//! A ticket opens one path as one principal. A page that reconnects shows the last id it saw and is honoured for longer
//! than one that opens the stream for the first time. A ticket is no access token: key, audience and type differ.

use std::time::Duration;

use jsonwebtoken::{EncodingKey, Header, encode};
use serde::{Deserialize, Serialize};

use super::keys::Secret;
use super::principal::{Principal, Role};
use super::token::{Check, ISSUER, TokenError, header, within};
use crate::ids::{AccountId, StoreId};
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
}

/// Signs and judges stream tickets.
#[derive(Clone)]
pub struct Tickets {
    header: Header,
    key: EncodingKey,
    check: Check,
}

impl Tickets {
    #[must_use]
    pub fn new(secret: &Secret) -> Self {
        Self {
            header: header(TYPE, secret),
            key: EncodingKey::from_secret(secret.bytes()),
            check: Check::new(secret, AUDIENCE, TYPE),
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
        Ok(Principal { account: claims.sub, role: claims.role, store: claims.store })
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
        let tickets = Tickets::new(&keys.tickets);
        let who = Principal { account: AccountId::new("m"), role: Role::Member, store: None };
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
    fn tickets_and_access_tokens_do_not_work_in_each_others_place() {
        let keys = Keys::random(&Entropy::seeded(3));
        let who = Principal { account: AccountId::new("m"), role: Role::Member, store: None };
        // Even under one key the audience and the type keep them apart.
        for secret in [&keys.tickets, &keys.access] {
            let ticket = Tickets::new(secret).issue(&who, PATH, NOW).expect("signs");
            assert_eq!(Verifier::new(&keys.access).verify(&ticket, NOW), Err(TokenError::Invalid));
            let token = Signer::new(secret).sign(&who, Duration::from_secs(60), NOW).expect("signs");
            assert_eq!(Tickets::new(&keys.tickets).verify(&token, PATH, false, NOW), Err(TokenError::Invalid));
        }
    }
}
