//! How does a store's device prove itself? Tokens of payment sources and screens: good for one store, until they are deleted.
//!
//! A device's token has a key, an audience and a type of its own. The same token comes out each time it is signed, so that
//! nobody needs to keep one. Which tokens a store has given out, this file does not know.

use jsonwebtoken::{EncodingKey, Header, encode};
use serde::{Deserialize, Serialize};

use super::check::{Check, Claimed, ISSUER, header, moment, seconds, within};
use super::keys::{Ring, Secret};
use super::principal::{Principal, Role};
use super::token::TokenError;
use crate::ids::{AccountId, CredentialId, StoreId};
use crate::limits;
use crate::timestamp::Timestamp;

const AUDIENCE: &str = "onsale-device";
const TYPE: &str = "dt+jwt";
/// How the names of device tokens begin.
pub const PREFIX: &str = "dt_";

#[derive(Serialize, Deserialize)]
pub(super) struct Claims {
    iss: String,
    aud: String,
    jti: CredentialId,
    sub: AccountId,
    iat: f64,
    nbf: i64,
    exp: i64,
    role: Role,
    store: StoreId,
}

impl Claimed for Claims {
    fn issuer(&self) -> &str {
        &self.iss
    }

    fn audience(&self) -> &str {
        &self.aud
    }
}

/// What is signed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Device {
    pub id: CredentialId,
    pub role: Role,
    pub store: StoreId,
    pub created_at: Timestamp,
}

/// Signs device tokens. The keys of before are kept for the repetition of an answer that was given with them.
#[derive(Clone)]
pub struct DeviceSigner(Vec<(String, Header, EncodingKey)>);

impl DeviceSigner {
    #[must_use]
    pub fn new(keys: &Ring<Secret>) -> Self {
        let pen =
            |secret: &Secret| (secret.id().to_owned(), header(TYPE, secret), EncodingKey::from_secret(secret.bytes()));
        Self(keys.all().map(pen).collect())
    }

    /// The id of the key that signs what is new.
    #[must_use]
    pub fn key(&self) -> &str {
        self.0.first().map_or("", |(id, ..)| id)
    }

    /// The device's token by the key of that id, or by the current one when that is gone; the same each time.
    pub fn sign(&self, device: &Device, key: &str) -> Result<String, TokenError> {
        let (_, header, key) =
            self.0.iter().find(|(id, ..)| id == key).or(self.0.first()).ok_or(TokenError::Invalid)?;
        let claims = Claims {
            iss: ISSUER.to_owned(),
            aud: AUDIENCE.to_owned(),
            jti: device.id.clone(),
            sub: AccountId::new(device.id.as_str()),
            iat: seconds(device.created_at),
            nbf: device.created_at.0.div_euclid(1_000),
            exp: device.created_at.plus(limits::STORE_TOKEN_TTL).0.div_euclid(1_000),
            role: device.role,
            store: device.store.clone(),
        };
        encode(header, &claims, key).map_err(|_| TokenError::Invalid)
    }
}

pub(super) fn check(keys: &Ring<Secret>) -> Check {
    Check::new(keys, AUDIENCE, TYPE)
}

pub(super) fn principal(claims: Claims, now: Timestamp) -> Result<Principal, TokenError> {
    within(claims.nbf, claims.exp, now)?;
    if !claims.role.is_device()
        || !claims.jti.as_str().starts_with(PREFIX)
        || claims.sub.as_str() != claims.jti.as_str()
    {
        return Err(TokenError::Invalid);
    }
    Ok(Principal {
        account: claims.sub,
        role: claims.role,
        store: Some(claims.store),
        session: Some(claims.jti),
        proven: false,
        issued: moment(claims.iat),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keys::{Keys, Kind};
    use crate::auth::{Revoked, Signer, Tickets, Verifier};
    use crate::clock::Entropy;
    use serde_json::{Value, json};
    use std::time::Duration;

    const NOW: Timestamp = Timestamp(1_800_000_000_123);

    fn device(role: Role) -> Device {
        let id = CredentialId::new("dt_1");
        Device { id, role, store: StoreId::new("st_1"), created_at: NOW }
    }

    fn keys(seed: u64) -> Keys {
        Keys::random(&Entropy::seeded(seed))
    }

    fn verify(keys: &Keys, token: &str) -> Result<Principal, TokenError> {
        Verifier::new(keys, Revoked::default()).verify(token, NOW)
    }

    #[test]
    fn a_device_proves_its_store_for_as_long_as_a_shop_lives() {
        let keys = keys(1);
        let signer = DeviceSigner::new(&keys.device);
        for role in [Role::Pos, Role::Display] {
            let token = signer.sign(&device(role), signer.key()).expect("signs");
            assert_eq!(token, signer.sign(&device(role), signer.key()).expect("signs"), "the same each time");
            let verifier = Verifier::new(&keys, Revoked::default());
            for years in [0, 1, 99] {
                let who = verifier.verify(&token, NOW.plus(Duration::from_secs(years * 365 * 86_400)));
                let who = who.expect("good for a century");
                let got = (who.account.as_str(), who.role, who.store, who.session, who.proven, who.issued);
                let (store, session) = (Some(StoreId::new("st_1")), Some(CredentialId::new("dt_1")));
                assert_eq!(got, ("dt_1", role, store, session, false, NOW));
            }
        }
        for role in [Role::Admin, Role::Member] {
            let token = signer.sign(&device(role), signer.key()).expect("signs");
            assert_eq!(verify(&keys, &token), Err(TokenError::Invalid), "no device is an {role:?}");
        }
    }

    #[test]
    fn access_tokens_tickets_and_device_tokens_do_not_work_in_each_others_place() {
        let keys = keys(2);
        let who = Principal::operator(AccountId::new("m"), Role::Member, None, NOW);
        let path = "/v1/stores/st_1/payments/events";
        // Even under one key the audience and the type keep them apart.
        for ring in [&keys.access, &keys.tickets, &keys.device] {
            let signer = DeviceSigner::new(ring);
            let token = signer.sign(&device(Role::Pos), signer.key()).expect("signs");
            let own = ring.current() == keys.device.current();
            assert_eq!(verify(&keys, &token).is_ok(), own);
            let tickets = Tickets::new(&keys.tickets, Revoked::default());
            assert_eq!(tickets.verify(&token, path, false, NOW), Err(TokenError::Invalid));
            let access = Signer::new(ring).sign(&who, Duration::from_secs(60), NOW).expect("signs");
            assert_eq!(verify(&keys, &access).is_ok(), ring.current() == keys.access.current());
        }
    }

    #[test]
    fn every_missing_or_wrong_claim_is_refused() {
        let keys = keys(3);
        let whole = json!({"iss": ISSUER, "aud": AUDIENCE, "jti": "dt_1", "sub": "dt_1", "iat": 1_800_000_000,
            "nbf": 1_800_000_000, "exp": 1_800_000_600, "role": "pos", "store": "st_1"});
        let secret = keys.device.current();
        let forge = |claims: &Value| {
            let key = EncodingKey::from_secret(secret.bytes());
            encode(&header(TYPE, secret), claims, &key).expect("plain JSON")
        };
        assert!(verify(&keys, &forge(&whole)).is_ok(), "the control");
        let missing =
            ["iss", "aud", "jti", "sub", "iat", "nbf", "exp", "role", "store"].map(|name| (name, Value::Null));
        let wrong = [
            ("aud", json!("onsale-api")),
            ("jti", json!("se_1")),
            ("jti", json!("dt_2")),
            ("sub", json!("admin-1")),
            ("role", json!("admin")),
        ];
        for (name, value) in missing.into_iter().chain(wrong) {
            let mut claims = whole.clone();
            match value {
                Value::Null => drop(claims.as_object_mut().and_then(|map| map.remove(name))),
                value => claims[name] = value,
            }
            assert_eq!(verify(&keys, &forge(&claims)), Err(TokenError::Invalid), "{name}: {claims}");
        }
    }

    #[test]
    fn rotation_keeps_old_tokens_alive_and_retiring_ends_them() {
        let (old, new) = (keys(4), keys(5));
        let signer = DeviceSigner::new(&old.device);
        let token = signer.sign(&device(Role::Pos), signer.key()).expect("signs");
        let ring = Ring::with(new.device.current().clone(), vec![old.device.current().clone()], "x").expect("one more");
        let rotated = Keys { device: ring, ..new.clone() };
        assert!(verify(&rotated, &token).is_ok());
        assert_eq!(verify(&new, &token), Err(TokenError::Invalid));
        let after = DeviceSigner::new(&rotated.device);
        assert_eq!(after.sign(&device(Role::Pos), &old.ids(Kind::Device)[0]), Ok(token.clone()), "an answer again");
        assert_ne!(after.sign(&device(Role::Pos), after.key()), Ok(token));
        assert!(after.sign(&device(Role::Pos), "gone").is_ok());
    }
}
