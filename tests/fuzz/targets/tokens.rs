//! What proves who is asking: access tokens, device tokens, stream tickets, ticket codes. Junk, and claims that our own keys
//! signed although we would never write them.
//!
//! Whoever is let in has a name that may stand in the log, and a role that fits.

use std::sync::LazyLock;
use std::time::Duration;

use jsonwebtoken::{Algorithm, EncodingKey, Header, encode};
use onsale::auth::code::Claims;
use onsale::auth::keys::Ring;
use onsale::auth::{Keys, Principal, Revoked, Role, Secret, Signer, TicketCode, Tickets, TokenError, Verifier};
use onsale::clock::Entropy;
use onsale::ids::{AccountId, StoreId};
use onsale::limits;
use onsale::timestamp::Timestamp;
use serde_json::{Value, json};

use super::{Target, deep};

pub const TOKENS: Target = Target { name: "tokens", seeds, run };

const NOW: Timestamp = Timestamp(1_800_000_000_000);
const PATH: &str = "/v1/orders/o1_0123456789abcdef0123456789abcdef/events";

struct Judges {
    keys: Keys,
    verifier: Verifier,
    tickets: Tickets,
    codes: TicketCode,
}

static JUDGES: LazyLock<Judges> = LazyLock::new(|| {
    let keys = Keys::random(&Entropy::seeded(7));
    let verifier = Verifier::new(&keys, Revoked::default());
    let tickets = Tickets::new(&keys.tickets, Revoked::default());
    Judges { verifier, tickets, codes: TicketCode::new(&keys.codes), keys }
});

/// In which way the rest is a token: as it is, or as claims to be signed for one of the three kinds.
fn run(data: &[u8]) {
    let [way, rest @ ..] = data else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let judges = &*JUDGES;
    let (ring, typ) = match way % 4 {
        0 => return judge(text),
        1 => (&judges.keys.access, "at+jwt"),
        2 => (&judges.keys.tickets, "st+jwt"),
        _ => (&judges.keys.device, "dt+jwt"),
    };
    let Ok(claims) = serde_json::from_str::<Value>(text) else { return };
    judge(&signed(ring, typ, &claims));
}

fn signed(ring: &Ring<Secret>, typ: &str, claims: &Value) -> String {
    let header = Header { typ: Some(typ.to_owned()), ..Header::new(Algorithm::HS256) };
    encode(&header, claims, &EncodingKey::from_secret(ring.current().bytes())).expect("JSON can be signed")
}

fn judge(token: &str) {
    let judges = &*JUDGES;
    if let Ok(principal) = judges.verifier.verify(token, NOW) {
        let name = principal.account.as_str();
        assert!(
            (1..=limits::SUBJECT_BYTES).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_graphic()),
            "{name:?}"
        );
        assert_eq!(principal.role.is_device(), principal.store.is_some(), "only devices belong to a store");
        let ticket = judges.tickets.verify(token, PATH, true, NOW);
        assert_eq!(ticket.err(), Some(TokenError::Invalid), "no token works in another's place");
    }
    for reconnect in [false, true] {
        if judges.tickets.verify(token, PATH, reconnect, NOW).is_ok() {
            assert!(judges.verifier.verify(token, NOW).is_err(), "no ticket works in another's place");
        }
    }
    if let Some(claims) = judges.codes.verify(token) {
        assert_eq!(judges.codes.verify(&judges.codes.sign(&claims)), Some(claims));
    }
}

fn seeds() -> Vec<Vec<u8>> {
    let judges = &*JUDGES;
    let signer = Signer::new(&judges.keys.access);
    let store = StoreId::new("st_0123456789abcdef0123456789abcdef");
    let member = Principal::operator(AccountId::new("ac_1"), Role::Member, None, NOW);
    let pos = Principal::operator(AccountId::new("p"), Role::Pos, Some(store.clone()), NOW);
    let good = |principal| signer.sign(principal, Duration::from_secs(600), NOW).expect("it can be signed");
    let ticket = judges.tickets.issue(&member, PATH, NOW).expect("it can be signed");
    let code = judges.codes.sign(&Claims { tid: "t1_x_1".into(), pf: "pf_1".into(), seat: "A-1-1".into() });
    let whole = [good(&member), good(&pos), ticket, code, "eyJhbGciOiJub25lIn0.e30.".to_owned()];
    let access = json!({"iss": "onsale", "aud": "onsale-api", "sub": "m-1", "iat": 1_800_000_000.5, "nbf": 1_800_000_000,
        "exp": 1_800_000_600, "role": "member", "sid": "ses_1", "mfa": true});
    let ticket = json!({"iss": "onsale", "aud": "onsale-stream", "sub": "m-1", "nbf": 1_800_000_000, "exp": 1_800_000_060,
        "role": "display", "store": store, "path": PATH, "iat": 1_800_000_000});
    let device = json!({"iss": "onsale", "aud": "onsale-device", "jti": "dt_1", "sub": "dt_1", "iat": 1_800_000_000,
        "nbf": 1_800_000_000, "exp": 1_900_000_000, "role": "pos", "store": store});
    let claims = [(1, access), (2, ticket), (3, device)];
    let claims = claims.into_iter().map(|(way, claims)| [vec![way], claims.to_string().into_bytes()].concat());
    let whole = whole.into_iter().map(|token| [vec![0], token.into_bytes()].concat());
    whole.chain(claims).chain(deep().into_iter().map(|deep| [vec![0], deep].concat())).collect()
}
