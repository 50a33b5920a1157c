//! What does a page need to follow a sale? The module `/onsale.js`, as it stands beside this file.
//!
//! It is public and the same for everybody, so pages of any origin may import it. What it follows, the streams decide.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use http::header::{ACCESS_CONTROL_ALLOW_ORIGIN, CACHE_CONTROL, CONTENT_TYPE, ETAG};
use http::{HeaderMap, HeaderValue, StatusCode};

use super::seats::matches;

const MODULE: &str = include_str!("onsale.js");

/// A name of these very bytes: a page may keep them, but asks each time whether a newer node has others.
static TAG: LazyLock<HeaderValue> = LazyLock::new(|| {
    let hash = blake3::hash(MODULE.as_bytes()).to_hex();
    HeaderValue::from_str(&format!("\"{}\"", &hash[..32])).unwrap_or(HeaderValue::from_static("\"\""))
});

#[utoipa::path(get, path = "/onsale.js", tag = "streams",
    responses((status = 200, content_type = "text/javascript", body = String, description = "follows streams from a page"),
        (status = 304)))]
pub async fn module(headers: HeaderMap) -> Response {
    let always = [
        (ETAG, TAG.clone()),
        (CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue::from_static("*")),
    ];
    if matches(&headers, &TAG) {
        return (StatusCode::NOT_MODIFIED, always).into_response();
    }
    (always, [(CONTENT_TYPE, "text/javascript; charset=utf-8")], MODULE).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_module_is_short_and_sent_again_only_when_it_has_changed() {
        assert!(MODULE.lines().count() < 200, "a page's author shall be able to read it");
        let given = module(HeaderMap::new()).await;
        assert_eq!(
            (given.status(), &given.headers()[CONTENT_TYPE]),
            (StatusCode::OK, &HeaderValue::from_static("text/javascript; charset=utf-8"))
        );
        assert_eq!(given.headers()[ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        let ask = |tag: &HeaderValue| HeaderMap::from_iter([(http::header::IF_NONE_MATCH, tag.clone())]);
        let again = module(ask(&given.headers()[ETAG])).await;
        assert_eq!((again.status(), &again.headers()[ETAG]), (StatusCode::NOT_MODIFIED, &given.headers()[ETAG]));
        assert_eq!(module(ask(&HeaderValue::from_static("\"another\""))).await.status(), StatusCode::OK);
    }
}
