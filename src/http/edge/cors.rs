//! May a page of another origin read this answer, and send what it wants to send? What `[cors]` says, as headers.
//!
//! The answers to questions of browsers (preflights) are made here, before any route, token or limit is looked at. That a page
//! may read an answer gives it no right to anything: that is what tokens are for.

use axum::response::{IntoResponse, Response};
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ACCESS_CONTROL_REQUEST_METHOD,
    ORIGIN, VARY,
};
use http::{HeaderMap, HeaderValue, Method, StatusCode};

const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PATCH, DELETE");
/// What clients of this API send beside what every page may.
const SENT: HeaderValue = HeaderValue::from_static(
    "authorization, content-type, idempotency-key, if-none-match, last-event-id, prefer, traceparent, tracestate, x-request-id",
);
/// What they want to read.
const READ: HeaderValue = HeaderValue::from_static(
    "etag, idempotent-replayed, location, preference-applied, ratelimit, ratelimit-policy, retry-after, www-authenticate, \
     x-request-id",
);
const ANY: HeaderValue = HeaderValue::from_static("*");

/// Which origins, and how.
#[derive(Clone, Debug)]
pub struct Cors {
    origins: Origins,
    credentials: bool,
    max_age: HeaderValue,
}

#[derive(Clone, Debug)]
enum Origins {
    Any,
    Named(Vec<HeaderValue>),
}

impl Cors {
    /// `None`: no page of another origin.
    pub fn new<'a>(origins: impl Iterator<Item = &'a str>, credentials: bool, max_age_seconds: u64) -> Option<Self> {
        let named: Vec<HeaderValue> = origins.filter_map(|origin| HeaderValue::from_str(origin).ok()).collect();
        let origins = match named.as_slice() {
            [] => return None,
            [any] if any == ANY => Origins::Any,
            _ => Origins::Named(named),
        };
        Some(Self { origins, credentials, max_age: HeaderValue::from(max_age_seconds) })
    }

    /// Is this origin named? "Any" names nobody.
    pub fn names(&self, origin: &HeaderValue) -> bool {
        matches!(&self.origins, Origins::Named(named) if named.contains(origin))
    }

    /// The origin of a page that asks, if it may read the answer.
    pub fn allowed(&self, request: &HeaderMap) -> Option<HeaderValue> {
        let origin = request.get(ORIGIN)?;
        match &self.origins {
            Origins::Any => Some(ANY),
            Origins::Named(_) => self.names(origin).then(|| origin.clone()),
        }
    }

    /// The answer to a browser that asks before it sends the page's request.
    pub fn preflight(&self, method: &Method, headers: &HeaderMap) -> Option<Response> {
        let asks = method == Method::OPTIONS
            && headers.contains_key(ORIGIN)
            && headers.contains_key(ACCESS_CONTROL_REQUEST_METHOD);
        if !asks {
            return None;
        }
        let mut response = StatusCode::NO_CONTENT.into_response();
        let allowed = self.allowed(headers);
        if allowed.is_some() {
            let answer = response.headers_mut();
            answer.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
            answer.insert(ACCESS_CONTROL_ALLOW_HEADERS, SENT);
            answer.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());
        }
        Some(response)
    }

    /// Says on an answer who may read it.
    pub fn put(&self, allowed: Option<HeaderValue>, answer: &mut HeaderMap) {
        if matches!(self.origins, Origins::Named(_)) {
            // Whoever keeps the answer must not give it to a page of another origin.
            answer.append(VARY, HeaderValue::from_static("origin"));
        }
        // What is the same for everybody says so itself.
        let Some(origin) = allowed.filter(|_| !answer.contains_key(ACCESS_CONTROL_ALLOW_ORIGIN)) else { return };
        answer.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        answer.insert(ACCESS_CONTROL_EXPOSE_HEADERS, READ);
        if self.credentials {
            answer.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
        }
    }
}

/// Does a request with cookies come from a page that may send it? `own` is our own origin; `None`: what `Host` says.
pub fn same_origin(headers: &HeaderMap, own: Option<&str>, cors: Option<&Cors>) -> bool {
    let mut origins = headers.get_all(ORIGIN).iter();
    match (origins.next(), origins.next()) {
        (Some(_), Some(_)) => false,
        (Some(origin), None) => {
            cors.is_some_and(|cors| cors.names(origin))
                || match own {
                    Some(own) => origin == own,
                    None => headers.get(http::header::HOST).is_some_and(|host| is_host(origin, host)),
                }
        }
        // Browsers leave it out where a page reads from its own origin, and say so in another way.
        (None, _) => headers.get("sec-fetch-site").is_some_and(|site| site == "same-origin" || site == "none"),
    }
}

/// Under TLS or not, since that ends before us.
fn is_host(origin: &HeaderValue, host: &HeaderValue) -> bool {
    let origin = origin.as_bytes();
    let rest = origin.strip_prefix(b"https://").or_else(|| origin.strip_prefix(b"http://"));
    rest.is_some_and(|rest| !rest.is_empty() && rest.eq_ignore_ascii_case(host.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderName;

    fn headers(given: &[(&'static str, &'static str)]) -> HeaderMap {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        let mut all = HeaderMap::new();
        for (name, value) in given.iter().map(pair) {
            all.append(name, value);
        }
        all
    }

    fn cors(origins: &[&str], credentials: bool) -> Cors {
        Cors::new(origins.iter().copied(), credentials, 600).expect("some")
    }

    #[test]
    fn nobody_is_allowed_unless_named() {
        assert!(Cors::new(std::iter::empty(), false, 600).is_none());
        let shop = cors(&["https://shop.example", "http://localhost:3000"], true);
        let table = [
            ("https://shop.example", true),
            ("http://localhost:3000", true),
            ("http://shop.example", false),
            ("https://shop.example.evil.example", false),
            ("https://shop.example:8443", false),
            ("null", false),
        ];
        for (origin, allowed) in table {
            let asked = headers(&[("origin", origin)]);
            let mut answer = HeaderMap::new();
            shop.put(shop.allowed(&asked), &mut answer);
            assert_eq!(
                answer.get(ACCESS_CONTROL_ALLOW_ORIGIN).is_some_and(|given| given == origin),
                allowed,
                "{origin}"
            );
            assert_eq!(answer.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS), allowed, "{origin}");
            assert_eq!(answer[VARY], "origin", "{origin}");
        }
        let any = cors(&["*"], false);
        let mut answer = HeaderMap::new();
        any.put(any.allowed(&headers(&[("origin", "https://a.example")])), &mut answer);
        assert_eq!(answer[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        assert!(!answer.contains_key(VARY) && !answer.contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS));
    }

    #[test]
    fn a_preflight_is_answered_and_nothing_else() {
        let shop = cors(&["https://shop.example"], false);
        let asks = [("origin", "https://shop.example"), ("access-control-request-method", "POST")];
        let answer = shop.preflight(&Method::OPTIONS, &headers(&asks)).expect("an answer");
        assert_eq!(answer.status(), StatusCode::NO_CONTENT);
        assert_eq!(answer.headers()[ACCESS_CONTROL_MAX_AGE], "600");
        for name in [
            "authorization",
            "idempotency-key",
            "prefer",
            "last-event-id",
            "content-type",
            "x-request-id",
            "traceparent",
        ] {
            let sent = answer.headers()[ACCESS_CONTROL_ALLOW_HEADERS].to_str().expect("text");
            assert!(sent.split(", ").any(|word| word == name), "{name}");
        }
        let stranger = [("origin", "https://evil.example"), ("access-control-request-method", "POST")];
        let answer = shop.preflight(&Method::OPTIONS, &headers(&stranger)).expect("an answer, too");
        assert!(!answer.headers().contains_key(ACCESS_CONTROL_ALLOW_METHODS));
        assert!(shop.preflight(&Method::GET, &headers(&asks)).is_none());
        assert!(shop.preflight(&Method::OPTIONS, &headers(&asks[..1])).is_none());
    }

    #[test]
    fn cookies_are_taken_from_our_own_pages_only() {
        let shop = cors(&["https://shop.example"], true);
        let any = cors(&["*"], false);
        let own = Some("https://tickets.example");
        // The headers; with a configured origin, with Host alone, and with any origin in CORS.
        type Given = &'static [(&'static str, &'static str)];
        let table: [(Given, bool, bool); 13] = [
            (&[("origin", "https://tickets.example"), ("host", "tickets.example")], true, true),
            (&[("origin", "http://tickets.example"), ("host", "tickets.example")], false, true),
            (&[("origin", "https://tickets.example"), ("host", "10.0.0.7:8080")], true, false),
            (&[("origin", "https://shop.example"), ("host", "tickets.example")], true, true),
            (&[("origin", "https://evil.example"), ("host", "tickets.example")], false, false),
            (&[("origin", "https://tickets.example.evil.example"), ("host", "tickets.example")], false, false),
            (&[("origin", "null"), ("host", "tickets.example")], false, false),
            (&[("origin", "https://"), ("host", "")], false, false),
            (&[("origin", "https://tickets.example"), ("origin", "https://evil.example")], false, false),
            (&[("sec-fetch-site", "same-origin")], true, true),
            (&[("sec-fetch-site", "none")], true, true),
            (&[("sec-fetch-site", "same-site")], false, false),
            (&[("host", "tickets.example")], false, false),
        ];
        for (given, configured, by_host) in table {
            let all = headers(given);
            assert_eq!(same_origin(&all, own, Some(&shop)), configured, "{all:?}");
            assert_eq!(same_origin(&all, None, Some(&shop)), by_host, "{all:?} by Host");
        }
        let evil = headers(&[("origin", "https://evil.example"), ("host", "tickets.example")]);
        assert!(!same_origin(&evil, own, Some(&any)), "any origin vouches for nobody");
    }
}
