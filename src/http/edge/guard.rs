//! Who asks from where, and may they ask yet? What the edge knows of a request beside the request itself.
//!
//! An address is counted before anything of a request is read, an account as soon as its token has been checked
//! (`extract/gate.rs`). What a limit is, `throttle` knows; whether the rest is allowed, the rules.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{HeaderMap, HeaderName, HeaderValue, Method};
use parking_lot::Mutex;

use super::address::{self, Forwarding};
use super::cors::{self, Cors};
use super::safety;
use crate::addresses::{Networks, neighbourhood};
use crate::http::error::Problem;
use crate::http::server::Peer;
use crate::throttle::{Class, Standing, Throttle, TooSoon};

const LIMIT: HeaderName = HeaderName::from_static("ratelimit");
const POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// What an operator chose.
pub struct Choices {
    pub throttle: Throttle,
    /// Our own proxies, and the header in which they say where a request came from.
    pub proxies: Networks,
    pub forwarding: Forwarding,
    /// Whose requests are not counted by address.
    pub uncounted: Networks,
    pub cors: Option<Cors>,
    /// Of our own pages; `None`: whatever `Host` says.
    pub origin: Option<String>,
    pub hsts_seconds: u64,
}

/// All that stands between the world and the routes. One for a node.
pub struct Guard {
    choices: Choices,
    hsts: Option<HeaderValue>,
    policies: [Option<HeaderValue>; Class::ALL.len()],
}

impl Guard {
    #[must_use]
    pub fn new(choices: Choices) -> Self {
        let policies = Class::ALL.map(|class| {
            let quota = choices.throttle.quota(class)?;
            let (burst, seconds) = (quota.burst(), quota.span().as_millis().div_ceil(1_000));
            HeaderValue::try_from(format!("\"{}\";q={burst};w={seconds}", class.name())).ok()
        });
        Self { hsts: safety::hsts(choices.hsts_seconds), choices, policies }
    }

    pub(super) fn cors(&self) -> Option<&Cors> {
        self.choices.cors.as_ref()
    }

    pub(super) fn hsts(&self) -> Option<&HeaderValue> {
        self.hsts.as_ref()
    }

    /// Counts a request of that address. Requests that no limit is about are not counted.
    pub(super) async fn admit(&self, visit: &Visit, method: &Method, path: &str) -> Result<(), TooSoon> {
        let (Some(address), Some(class)) = (visit.address, class(method, path)) else { return Ok(()) };
        // A proxy that names nobody stands for many.
        if self.choices.uncounted.contains(address) || self.choices.proxies.contains(address) {
            return Ok(());
        }
        let (throttle, who) = (&self.choices.throttle, neighbourhood(address));
        let judged = match class.shared() {
            true => throttle.charge_everywhere(class, who, visit.at).await,
            false => throttle.charge(class, who, visit.at),
        };
        visit.note(judged)
    }

    /// Says on an answer what is left of the tightest limit that the request kept.
    pub(super) fn tell(&self, visit: &Visit, answer: &mut HeaderMap) {
        let Some(Standing { class, left }) = *visit.standing.lock() else { return };
        let Some(policy) = &self.policies[class as usize] else { return };
        let seconds = u64::try_from(left.full_in.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX);
        let mut text = Text::default();
        text.push(b"\"").push(class.name().as_bytes()).push(b"\";r=").number(left.requests.into());
        text.push(b";t=").number(seconds);
        if let Ok(value) = HeaderValue::from_bytes(text.bytes()) {
            answer.insert(LIMIT, value);
            answer.insert(POLICY, policy.clone());
        }
    }
}

/// A request's way in. Put into every request by `edge.rs`.
pub struct Visit {
    guard: Arc<Guard>,
    /// `None`: it did not come over a connection.
    pub address: Option<IpAddr>,
    /// When it came, by the node's clock.
    at: Duration,
    /// The tightest limit that it has kept so far.
    standing: Mutex<Option<Standing>>,
}

impl Visit {
    pub(super) fn new(guard: &Arc<Guard>, request: &http::Request<axum::body::Body>, at: Duration) -> Arc<Self> {
        let peer = request.extensions().get::<Arc<Peer>>();
        let Choices { proxies, forwarding, .. } = &guard.choices;
        let address = peer.map(|peer| address::client(peer.address, request.headers(), proxies, *forwarding));
        Arc::new(Self { guard: guard.clone(), address, at, standing: Mutex::new(None) })
    }

    /// The caller's address, unless it stands for many people or for none.
    #[must_use]
    pub fn one_client(&self) -> Option<IpAddr> {
        let Choices { proxies, uncounted, .. } = &self.guard.choices;
        self.address.filter(|address| !uncounted.contains(*address) && !proxies.contains(*address))
    }

    /// Counts a request of that account.
    pub fn charge(&self, class: Class, account: &str) -> Result<(), Problem> {
        let judged = self.guard.choices.throttle.charge(class, account, self.at);
        self.note(judged).map_err(Problem::rate_limited)
    }

    /// Does a request with cookies come from a page that may send it?
    #[must_use]
    pub fn same_origin(&self, headers: &HeaderMap) -> bool {
        let Choices { origin, cors, .. } = &self.guard.choices;
        cors::same_origin(headers, origin.as_deref(), cors.as_ref())
    }

    fn note(&self, judged: Option<Result<Standing, TooSoon>>) -> Result<(), TooSoon> {
        let Some(judged) = judged else { return Ok(()) };
        let standing = judged.inspect_err(|_| *self.standing.lock() = None)?;
        let mut tightest = self.standing.lock();
        if tightest.is_none_or(|other| standing.left.requests < other.left.requests) {
            *tightest = Some(standing);
        }
        Ok(())
    }
}

/// Which limit of its address is a request about?
fn class(method: &Method, path: &str) -> Option<Class> {
    let v1 = path.strip_prefix("/v1/");
    let reads = matches!(*method, Method::GET | Method::HEAD);
    match v1 {
        // What watches over the node must always get its answer.
        None if matches!(path, "/livez" | "/readyz" | "/metrics" | "/openapi.json") => None,
        Some(rest) if reads && rest.ends_with("/events") => Some(Class::StreamPerAddress),
        _ if reads => Some(Class::ReadPerAddress),
        Some("auth/refresh" | "auth/logout" | "auth/logout-all") => Some(Class::SessionPerAddress),
        Some(rest) if rest.starts_with("auth/") => Some(Class::AuthPerAddress),
        Some("accounts" | "accounts/verify") => Some(Class::AuthPerAddress),
        _ => Some(Class::CommandPerAddress),
    }
}

/// A short text, put together without asking for memory.
struct Text {
    bytes: [u8; 96],
    used: usize,
}

impl Default for Text {
    fn default() -> Self {
        Self { bytes: [0; 96], used: 0 }
    }
}

impl Text {
    /// What does not fit is left out, and with it the sense; the longest name and two numbers do fit.
    fn push(&mut self, more: &[u8]) -> &mut Self {
        if let Some(free) = self.bytes.get_mut(self.used..self.used + more.len()) {
            free.copy_from_slice(more);
            self.used += more.len();
        }
        self
    }

    fn number(&mut self, mut number: u64) -> &mut Self {
        let mut digits = [0; 20];
        let mut at = digits.len();
        loop {
            at -= 1;
            digits[at] = b'0' + u8::try_from(number % 10).unwrap_or_default();
            number /= 10;
            if number == 0 {
                return self.push(&digits[at..]);
            }
        }
    }

    fn bytes(&self) -> &[u8] {
        &self.bytes[..self.used]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_is_about_one_limit_or_none() {
        let table = [
            ("GET", "/livez", None),
            ("GET", "/metrics", None),
            ("GET", "/readyz", None),
            ("GET", "/openapi.json", None),
            ("GET", "/docs/", Some(Class::ReadPerAddress)),
            ("GET", "/v1/orders/o1_x", Some(Class::ReadPerAddress)),
            ("HEAD", "/v1/orders/o1_x", Some(Class::ReadPerAddress)),
            ("GET", "/v1/orders/o1_x/events", Some(Class::StreamPerAddress)),
            ("POST", "/v1/orders/o1_x/payment", Some(Class::CommandPerAddress)),
            ("PATCH", "/v1/accounts/me", Some(Class::CommandPerAddress)),
            ("POST", "/v1/accounts", Some(Class::AuthPerAddress)),
            ("POST", "/v1/accounts/verify", Some(Class::AuthPerAddress)),
            ("POST", "/v1/auth/login", Some(Class::AuthPerAddress)),
            ("POST", "/v1/auth/totp/confirm", Some(Class::AuthPerAddress)),
            ("POST", "/v1/auth/unlock", Some(Class::AuthPerAddress)),
            ("POST", "/v1/auth/refresh", Some(Class::SessionPerAddress)),
            ("POST", "/v1/auth/logout", Some(Class::SessionPerAddress)),
            ("BREW", "/v1/pots", Some(Class::CommandPerAddress)),
        ];
        for (method, path, expected) in table {
            assert_eq!(
                class(&Method::from_bytes(method.as_bytes()).expect("a method"), path),
                expected,
                "{method} {path}"
            );
        }
    }

    #[test]
    fn the_longest_header_fits() {
        for class in Class::ALL {
            let mut text = Text::default();
            text.push(b"\"")
                .push(class.name().as_bytes())
                .push(b"\";r=")
                .number(u64::MAX)
                .push(b";t=")
                .number(u64::MAX);
            let expected = format!("\"{}\";r={};t={}", class.name(), u64::MAX, u64::MAX);
            assert_eq!(text.bytes(), expected.as_bytes());
        }
        assert_eq!(Text::default().number(0).number(10).bytes(), b"010");
    }
}
