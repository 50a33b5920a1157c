//! `onsale token`: signs access tokens with the node's key, for tests, machines and the first admin.
//!
//! Whoever can read the key file can be anybody; that is why only its owner can.

use std::io::Write;
use std::time::Duration;

use super::Global;
use super::failure::Failure;
use super::roles::roles;
use crate::app;
use crate::auth::keys::Keys;
use crate::auth::principal::{Principal, Role};
use crate::auth::token::Tokens;
use crate::clock::{Clock, Entropy, SystemClock};
use crate::ids::{AccountId, StoreId};
use crate::limits;

/// How long those are good for whom a verb signs itself.
const DAY: Duration = Duration::from_secs(86_400);

#[derive(clap::Args, Debug)]
pub struct Token {
    /// The account that the token is for: an opaque id, no name and no mail address.
    #[arg(long, value_name = "ID")]
    sub: String,
    #[arg(long, value_parser = roles(Role::ALL))]
    role: Role,
    /// The store that a pos or display token is good for.
    #[arg(long, value_name = "ID", required_if_eq_any([("role", "pos"), ("role", "display")]))]
    store: Option<String>,
    /// How long it is good for: 90s, 15m, 1h, 30d.
    #[arg(long, default_value = "1h", value_parser = duration)]
    ttl: Duration,
    /// One token a line for ID-1 … ID-N.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    count: Option<u32>,
}

impl Token {
    pub fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load(Vec::new())?;
        let keys = app::keys(&config, &Entropy::from_system())?;
        let tokens = Tokens::new(&keys);
        let now = SystemClock.wall();
        let subjects: Box<dyn Iterator<Item = String>> = match self.count {
            None => Box::new(std::iter::once(self.sub)),
            Some(count) => Box::new((1..=count).map(move |n| format!("{}-{n}", self.sub))),
        };
        let mut out = std::io::BufWriter::new(std::io::stdout().lock());
        for subject in subjects {
            let store = self.store.clone().map(StoreId::new);
            let principal = Principal::operator(AccountId::new(subject), self.role, store, now);
            let token = tokens.signer.sign(&principal, self.ttl, now).map_err(|e| Failure::of(e.to_string()))?;
            writeln!(out, "{token}")?;
        }
        Ok(out.flush()?)
    }
}

/// A token for verbs that play all parts themselves.
pub fn sign(keys: &Keys, account: &str, role: Role, store: Option<&str>) -> Result<String, Failure> {
    let now = SystemClock.wall();
    let principal = Principal::operator(AccountId::new(account), role, store.map(StoreId::new), now);
    let signed = Tokens::new(keys).signer.sign(&principal, DAY, now);
    signed.map_err(|e| Failure::of(format!("no token: {e}")))
}

/// `90s`, `15m`, `1h`, `30d`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("a number and s, m, h or d, at most {} days", limits::TOKEN_TTL_MAX.as_secs() / 86_400);
    let unit = match text.chars().last() {
        Some('s') => 1,
        Some('m') => 60,
        Some('h') => 3_600,
        Some('d') => 86_400,
        _ => return Err(wrong()),
    };
    let number: u64 = text[..text.len() - 1].parse().map_err(|_| wrong())?;
    let length =
        number.checked_mul(unit).map(Duration::from_secs).filter(|d| !d.is_zero() && *d <= limits::TOKEN_TTL_MAX);
    length.ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_unit_and_an_end() {
        for (text, seconds) in [("90s", 90), ("15m", 900), ("1h", 3_600), ("30d", 2_592_000)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        for junk in ["", "1", "h", "-1h", "0s", "1w", "999999d", "99999999999999999999s", "1ü"] {
            assert!(duration(junk).is_err(), "{junk}");
        }
    }
}
