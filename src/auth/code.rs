//! Is this ticket code ours? Codes that a gate checks offline: compact JWS with Ed25519, one per seat.
//!
//! A code never expires by itself and is the same each time it is made, until the key changes; codes of the keys before
//! the current one still verify. Whether its ticket still stands is not known
//! here. Codes are no stream tickets: those are secret and short-lived, and their key stays with the server.

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::check::ISSUER;
use super::keys::{GateKey, Ring};

const TYPE: &str = "onsale-ticket+jwt";

/// What a code says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Claims {
    /// The ticket.
    pub tid: String,
    /// The performance.
    pub pf: String,
    pub seat: String,
}

#[derive(Serialize, Deserialize)]
struct Signed {
    iss: String,
    tid: String,
    pf: String,
    seat: String,
}

/// One key, with the only header that it writes.
struct Pen {
    pair: Ed25519KeyPair,
    id: String,
    header: String,
}

impl Pen {
    fn new(key: &GateKey) -> Self {
        let pair = pair(key);
        let id = id_of(&pair);
        let header = json!({"alg": "EdDSA", "kid": id, "typ": TYPE}).to_string();
        Self { pair, id, header: URL_SAFE_NO_PAD.encode(header) }
    }

    fn public(&self) -> Value {
        let x = URL_SAFE_NO_PAD.encode(self.pair.public_key().as_ref());
        json!({"kty": "OKP", "crv": "Ed25519", "x": x, "kid": self.id, "use": "sig", "alg": "EdDSA"})
    }
}

fn pair(key: &GateKey) -> Ed25519KeyPair {
    Ed25519KeyPair::from_seed_unchecked(key.seed()).expect("any 32 bytes are an Ed25519 seed")
}

fn id_of(pair: &Ed25519KeyPair) -> String {
    let mut id = crate::ids::Hash16::of("ticket code key id", &[pair.public_key().as_ref()]).to_string();
    id.truncate(16);
    id
}

/// The `kid` of codes signed with that key.
pub(super) fn key_id(key: &GateKey) -> String {
    id_of(&pair(key))
}

/// Signs and judges ticket codes.
pub struct TicketCode {
    current: Pen,
    previous: Vec<Pen>,
}

impl TicketCode {
    #[must_use]
    pub fn new(keys: &Ring<GateKey>) -> Self {
        Self { current: Pen::new(keys.current()), previous: keys.previous().iter().map(Pen::new).collect() }
    }

    /// The code of a ticket, the same each time until the key changes.
    #[must_use]
    pub fn sign(&self, claims: &Claims) -> String {
        let body = json!({"iss": ISSUER, "pf": claims.pf, "seat": claims.seat, "tid": claims.tid}).to_string();
        let message = format!("{}.{}", self.current.header, URL_SAFE_NO_PAD.encode(body));
        let signature = URL_SAFE_NO_PAD.encode(self.current.pair.sign(message.as_bytes()));
        format!("{message}.{signature}")
    }

    /// What the code says, when one of these keys signed it.
    #[must_use]
    pub fn verify(&self, code: &str) -> Option<Claims> {
        let (message, signature) = code.rsplit_once('.')?;
        let (header, body) = message.split_once('.')?;
        // Only the headers that we write: no other algorithm, type or key can be asked for.
        let pen = self.all().find(|pen| pen.header == header)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        let public = UnparsedPublicKey::new(&ED25519, pen.pair.public_key().as_ref());
        public.verify(message.as_bytes(), &signature).ok()?;
        let signed: Signed = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        (signed.iss == ISSUER).then_some(Claims { tid: signed.tid, pf: signed.pf, seat: signed.seat })
    }

    /// The public halves, as gates load them: also of keys before the current one, since their codes are still shown.
    #[must_use]
    pub fn jwks(&self) -> Value {
        json!({"keys": self.all().map(Pen::public).collect::<Vec<_>>()})
    }

    fn all(&self) -> impl Iterator<Item = &Pen> {
        std::iter::once(&self.current).chain(&self.previous)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::keys::Material;
    use crate::clock::Entropy;

    fn key(seed: u64) -> GateKey {
        GateKey::random(&Entropy::seeded(seed))
    }

    fn codes(seed: u64) -> TicketCode {
        TicketCode::new(&Ring::of(key(seed)))
    }

    fn claims() -> Claims {
        Claims { tid: "t1".into(), pf: "p1".into(), seat: "A-1".into() }
    }

    #[test]
    fn a_code_is_the_same_each_time_and_says_what_was_signed() {
        let code = codes(1).sign(&claims());
        assert_eq!(code, codes(1).sign(&claims()));
        assert_eq!(codes(1).verify(&code), Some(claims()));
        assert_eq!(codes(2).verify(&code), None);
        assert!(!codes(1).jwks().to_string().contains("\"d\""));
    }

    #[test]
    fn codes_of_before_a_rotation_still_verify_and_gates_get_both_keys() {
        let old = codes(1).sign(&claims());
        let rotated = TicketCode::new(&Ring::with(key(2), vec![key(1)], "x").expect("one before"));
        assert_eq!(rotated.verify(&old), Some(claims()));
        let new = rotated.sign(&claims());
        assert_ne!(new, old);
        assert_eq!((rotated.verify(&new), codes(1).verify(&new)), (Some(claims()), None));
        let listed = rotated.jwks()["keys"].as_array().cloned().expect("a list");
        let ids: Vec<&str> = listed.iter().filter_map(|key| key["kid"].as_str()).collect();
        assert_eq!(ids, [codes(2).current.id.as_str(), codes(1).current.id.as_str()], "the current one first");
        assert_eq!(key_id(&key(1)), ids[1]);
    }

    #[test]
    fn changed_codes_and_other_algorithms_are_refused() {
        let codes = codes(3);
        let code = codes.sign(&claims());
        let parts: Vec<&str> = code.split('.').collect();
        for i in 0..code.len() {
            let mut bytes = code.clone().into_bytes();
            bytes[i] = if bytes[i] == b'A' { b'B' } else { b'A' };
            assert_eq!(codes.verify(&String::from_utf8(bytes).expect("ASCII")), None, "{i}");
        }
        for alg in ["none", "HS256"] {
            let header = URL_SAFE_NO_PAD.encode(json!({"alg": alg, "kid": codes.current.id, "typ": TYPE}).to_string());
            let message = format!("{header}.{}", parts[1]);
            // Signed by the right key even so: the header alone is reason enough.
            let signature = URL_SAFE_NO_PAD.encode(codes.current.pair.sign(message.as_bytes()));
            for code in [format!("{message}."), format!("{message}.{signature}"), format!("{message}.{}", parts[2])] {
                assert_eq!(codes.verify(&code), None, "{alg}");
            }
        }
    }
}
