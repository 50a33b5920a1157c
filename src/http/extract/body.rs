//! Is this body what the route takes? JSON with closed types, bounded in size and in the time it may take to arrive.
//!
//! What cannot be read is 400; what can be read but means nothing is 422 and is found later (`checks.rs` and the rules).

use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;

use crate::http::error::{Code, Problem};
use crate::ids::Hash16;
use crate::limits;

/// A route's body.
pub trait Input: DeserializeOwned + Send {
    /// In bytes.
    const LIMIT: usize = limits::BODY_BYTES;

    /// What a missing body means; `None` when there must be one.
    fn absent() -> Option<Self> {
        None
    }
}

/// A body that was read, and the hash of its bytes, by which a repetition is told from another wish under the same key.
#[derive(Clone, Debug)]
pub struct Body<T> {
    pub value: T,
    pub hash: Hash16,
}

impl<T: Input, S: Send + Sync> FromRequest<S> for Body<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        let (headers, bytes) = collect(request, T::LIMIT).await?;
        let value = read(&headers, &bytes)?;
        Ok(Self { value, hash: Hash16::of("body", &[&bytes]) })
    }
}

/// A body whose form is somebody else's business, bounded all the same.
#[derive(Clone, Debug)]
pub struct Raw(pub Bytes);

impl<S: Send + Sync> FromRequest<S> for Raw {
    type Rejection = Problem;

    async fn from_request(request: Request, _state: &S) -> Result<Self, Problem> {
        collect(request, limits::BODY_BYTES).await.map(|(_, bytes)| Self(bytes))
    }
}

/// All bytes of a body, if they are not too many and come in time.
async fn collect(request: Request, limit: usize) -> Result<(HeaderMap, Bytes), Problem> {
    let (parts, mut body) = request.into_parts();
    let too_large = || Problem::new(Code::BodyTooLarge, format!("the body may have {limit} bytes"));
    if declared_length(&parts.headers).is_some_and(|length| length > limit) {
        discard(&mut body).await;
        return Err(too_large());
    }
    match tokio::time::timeout(limits::BODY_TIME, Limited::new(&mut body, limit).collect()).await {
        Ok(Ok(collected)) => Ok((parts.headers, collected.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            discard(&mut body).await;
            Err(too_large())
        }
        Ok(Err(_)) => Err(Problem::new(Code::MalformedBody, "the body broke off")),
        Err(_) => Err(Problem::new(Code::RequestTimeout, "the body did not arrive in time")),
    }
}

/// Reads some of a refused body and forgets it: a connection that is closed with unread bytes takes the answer with it.
async fn discard(body: &mut axum::body::Body) {
    let reading = async {
        let mut left = limits::DISCARDED_BYTES;
        while left > 0
            && let Some(Ok(frame)) = body.frame().await
        {
            left = left.saturating_sub(frame.data_ref().map_or(1, Bytes::len));
        }
    };
    // Whoever sends slowly loses the answer.
    let _ = tokio::time::timeout(limits::DISCARDING_TIME, reading).await;
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn read<T: Input>(headers: &HeaderMap, bytes: &Bytes) -> Result<T, Problem> {
    if bytes.is_empty() {
        return T::absent().ok_or_else(|| Problem::new(Code::MalformedBody, "a JSON body is required"));
    }
    if !is_json(headers) {
        return Err(Problem::new(Code::UnsupportedMediaType, "the body must be application/json"));
    }
    // The parser takes a list for an object whose members are in order; members have names.
    if bytes.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'[') {
        return Err(Problem::new(Code::MalformedBody, "the body must be an object"));
    }
    serde_json::from_slice(bytes).map_err(|error| Problem::new(Code::MalformedBody, excerpt(&error.to_string())))
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else { return false };
    let mut parts = value.split(';').map(str::trim);
    let essence = parts.next().is_some_and(|essence| essence.eq_ignore_ascii_case("application/json"));
    let foreign_charset = parts.any(|parameter| {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        name.trim().eq_ignore_ascii_case("charset") && !value.trim().trim_matches('"').eq_ignore_ascii_case("utf-8")
    });
    essence && !foreign_charset
}

/// The parser's own words name the member and the place; what it quotes of the body is cut short.
fn excerpt(message: &str) -> String {
    message.chars().filter(|c| !c.is_control()).take(200).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::extract::Whole;
    use serde::Deserialize;

    #[derive(Debug, Deserialize)]
    #[serde(deny_unknown_fields)]
    #[allow(dead_code, reason = "only whether it can be read matters here")]
    struct Sample {
        name: String,
        amount: Whole,
        nested: Option<Box<Sample>>,
    }

    impl Input for Sample {
        const LIMIT: usize = 1_000;
    }

    async fn send(content_type: &str, body: impl Into<axum::body::Body>) -> Result<Body<Sample>, Problem> {
        let request = Request::post("/").header(CONTENT_TYPE, content_type).body(body.into()).expect("a request");
        Body::from_request(request, &()).await
    }

    #[tokio::test]
    async fn only_json_that_fits_exactly_is_read() {
        let deep = "{\"nested\":".repeat(90);
        let table: &[(&str, &[u8])] = &[
            ("syntax", b"{\"name\":"),
            ("nothing", b""),
            ("null", b"null"),
            ("a list", b" [\"a\", 1, null]"),
            ("trailing data", b"{\"name\":\"a\",\"amount\":1} {}"),
            ("unknown member", b"{\"name\":\"a\",\"amount\":1,\"price\":2}"),
            ("repeated member", b"{\"name\":\"a\",\"amount\":1,\"amount\":1}"),
            ("missing member", b"{\"name\":\"a\"}"),
            ("money as text", b"{\"name\":\"a\",\"amount\":\"100\"}"),
            ("not a number", b"{\"name\":\"a\",\"amount\":NaN}"),
            ("number as text", b"{\"name\":7,\"amount\":1}"),
            ("lone surrogate", b"{\"name\":\"\\ud800\",\"amount\":1}"),
            ("invalid UTF-8", b"{\"name\":\"\xff\",\"amount\":1}"),
            ("depth", deep.as_bytes()),
        ];
        for (what, body) in table {
            let code = send("application/json", body.to_vec()).await.map(|_| ()).map_err(|problem| problem.code);
            assert_eq!(code, Err(Code::MalformedBody), "{what}");
        }
        let good = send("Application/JSON; charset=UTF-8", "{\"name\":\"a\",\"amount\":1}").await;
        assert!(good.is_ok_and(|body| body.value.name == "a"));
    }

    #[tokio::test]
    async fn a_body_of_a_foreign_form_has_an_end_too() {
        let send = |bytes: usize| {
            let request = Request::new(axum::body::Body::from("x".repeat(bytes)));
            async move { Raw::from_request(request, &()).await.map(|raw| raw.0.len()).map_err(|problem| problem.code) }
        };
        assert_eq!(send(limits::BODY_BYTES).await, Ok(limits::BODY_BYTES));
        assert_eq!(send(limits::BODY_BYTES + 1).await, Err(Code::BodyTooLarge));
    }

    #[tokio::test]
    async fn meaningless_numbers_can_be_read() {
        for number in ["-1", "0.1", "1e3", "9223372036854775808", "-9223372036854775809"] {
            let body = format!("{{\"name\":\"a\",\"amount\":{number}}}");
            assert!(send("application/json", body).await.is_ok(), "{number} is for the checks to refuse");
        }
    }

    #[tokio::test]
    async fn other_types_and_sizes_have_their_own_codes() {
        for content_type in ["text/plain", "application/jsonp", "application/json; charset=euc-kr", ""] {
            let code = send(content_type, "{}").await.map(|_| ()).map_err(|problem| problem.code);
            assert_eq!(code, Err(Code::UnsupportedMediaType), "{content_type}");
        }
        let code = send("application/json", "x".repeat(1_001)).await.map(|_| ()).map_err(|problem| problem.code);
        assert_eq!(code, Err(Code::BodyTooLarge));
        let chunks = futures::stream::iter((0..3).map(|_| Ok::<_, std::io::Error>("x".repeat(400))));
        let code = send("application/json", axum::body::Body::from_stream(chunks)).await.map(|_| ());
        assert_eq!(code.map_err(|problem| problem.code), Err(Code::BodyTooLarge));
    }
}
