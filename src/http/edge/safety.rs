//! What are browsers told not to do with an answer? Headers that cost nothing and close whole kinds of holes.
//!
//! They are the same for all answers of a kind, and are put there by value. Which kind an answer is of, its path says.

use http::header::{
    CONTENT_SECURITY_POLICY, REFERRER_POLICY, STRICT_TRANSPORT_SECURITY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use http::{HeaderMap, HeaderName, HeaderValue};

const RESOURCE_POLICY: HeaderName = HeaderName::from_static("cross-origin-resource-policy");
const NOSNIFF: HeaderValue = HeaderValue::from_static("nosniff");
const NO_REFERRER: HeaderValue = HeaderValue::from_static("no-referrer");
const DENY: HeaderValue = HeaderValue::from_static("DENY");
const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
const CROSS_ORIGIN: HeaderValue = HeaderValue::from_static("cross-origin");
/// Data: nothing in it is ever run, loaded or framed.
const DATA: HeaderValue = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
/// The pages of the document: their own scripts, and the styles and pictures that those make.
const PAGES: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self'; \
     connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

/// Headers that the edge puts on most answers, so that their map grows once, and not too far.
const ROOM: usize = 8;

/// A kind of answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Data,
    /// The pages of `/docs`.
    Pages,
    /// What pages of any origin may load: `/onsale.js`.
    Module,
}

impl Kind {
    pub fn of(path: &str) -> Self {
        match path {
            "/onsale.js" => Self::Module,
            _ if path.starts_with("/v1/") => Self::Data,
            _ if path == "/docs" || path.starts_with("/docs/") => Self::Pages,
            _ => Self::Data,
        }
    }
}

/// `hsts`: what browsers are told about TLS, if anything.
pub fn put(kind: Kind, hsts: Option<&HeaderValue>, answer: &mut HeaderMap) {
    answer.reserve(ROOM);
    answer.insert(X_CONTENT_TYPE_OPTIONS, NOSNIFF);
    answer.insert(REFERRER_POLICY, NO_REFERRER);
    answer.insert(X_FRAME_OPTIONS, DENY);
    answer.insert(CONTENT_SECURITY_POLICY, if kind == Kind::Pages { PAGES } else { DATA });
    answer.insert(RESOURCE_POLICY, if kind == Kind::Module { CROSS_ORIGIN } else { SAME_ORIGIN });
    if let Some(hsts) = hsts {
        answer.insert(STRICT_TRANSPORT_SECURITY, hsts.clone());
    }
}

/// `None` for no time at all: then browsers are told nothing.
pub fn hsts(seconds: u64) -> Option<HeaderValue> {
    (seconds > 0).then(|| HeaderValue::try_from(format!("max-age={seconds}")).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_says_what_fits_it() {
        let table = [
            ("/v1/orders/o1_x", Kind::Data),
            ("/v1/docs/", Kind::Data),
            ("/", Kind::Data),
            ("/docs", Kind::Pages),
            ("/docs/swagger-ui.css", Kind::Pages),
            ("/docs2", Kind::Data),
            ("/onsale.js", Kind::Module),
        ];
        for (path, expected) in table {
            assert_eq!(Kind::of(path), expected, "{path}");
        }
        for kind in [Kind::Data, Kind::Pages, Kind::Module] {
            let mut answer = HeaderMap::new();
            put(kind, hsts(60).as_ref(), &mut answer);
            for name in ["x-content-type-options", "referrer-policy", "x-frame-options", "cross-origin-resource-policy"]
            {
                assert!(answer.contains_key(name), "{kind:?} {name}");
            }
            let policy = answer["content-security-policy"].to_str().expect("text");
            assert!(policy.starts_with("default-src 'none';") && policy.contains("frame-ancestors 'none'"));
            assert!(!policy.contains("script-src 'unsafe"), "{policy}");
            assert_eq!(answer["strict-transport-security"], "max-age=60");
        }
        let mut answer = HeaderMap::new();
        put(Kind::Data, hsts(0).as_ref(), &mut answer);
        assert!(!answer.contains_key("strict-transport-security"));
    }
}
