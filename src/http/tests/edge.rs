//! Does the edge keep off who asks too often, tell browsers what they must know, and let nobody choose an address?

use std::sync::Arc;

use axum::Router;
use axum::routing::post;

use super::*;
use crate::addresses::Networks;
use crate::http::Handles;
use crate::http::edge::{Choices, Cors, Edge, Forwarding, Guard};
use crate::http::extract::{ClientAddress, OriginCheck};
use crate::http::server::Peer;
use crate::throttle::{Class, Quota, Throttle};

fn choices(quota: impl Fn(Class) -> Option<Quota>) -> Choices {
    Choices {
        throttle: Throttle::new(quota, None),
        proxies: Networks::parse("10.0.0.0/8").expect("networks"),
        forwarding: Forwarding::XForwardedFor,
        uncounted: Networks::parse("127.0.0.0/8").expect("networks"),
        cors: None,
        origin: None,
        hsts_seconds: 0,
    }
}

/// A guard that lets everybody in.
pub fn open() -> Guard {
    Guard::new(choices(|_| None))
}

/// Two at once of everything, and then one an hour.
async fn strict() -> Front {
    let guard = Guard::new(choices(|_| Quota::new(2, 1, Duration::from_secs(3_600))));
    router(Handles { guard: Arc::new(guard), ..handles().await })
}

async fn send_from(app: &Front, from: &str, method: &str, path: &str, headers: &[(&str, &str)]) -> Response {
    let mut request = Request::builder().method(method).uri(path);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut request = request.body(Body::empty()).expect("a request");
    request.extensions_mut().insert(Arc::new(Peer::new(from.parse().expect("an address"))));
    app.clone().oneshot(request).await.expect("the router always answers")
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name).and_then(|value| value.to_str().ok())
}

#[tokio::test]
async fn an_address_that_asks_too_often_hears_when_to_come_back() {
    let app = strict().await;
    let show = format!("/v1/shows/sh_{HASH}");
    for left in ["\"read-per-address\";r=1;t=3600", "\"read-per-address\";r=0;t=7200"] {
        let answer = send_from(&app, "198.51.100.1", "GET", &show, &[]).await;
        assert_eq!((answer.status(), header(&answer, "ratelimit")), (StatusCode::NOT_FOUND, Some(left)));
        assert_eq!(header(&answer, "ratelimit-policy"), Some("\"read-per-address\";q=2;w=7200"));
    }
    let refused = send_from(&app, "198.51.100.1", "GET", &show, &[]).await;
    assert_eq!(refused.status(), StatusCode::TOO_MANY_REQUESTS);
    let wait: u64 = header(&refused, "retry-after").expect("a time").parse().expect("seconds");
    assert!((3_590..=3_600).contains(&wait), "{wait}");
    assert_eq!(header(&refused, "x-content-type-options"), Some("nosniff"));
    let body = json_of(refused).await;
    assert_eq!(
        (&body["code"], &body["per"], &body["limit"]),
        (&json!("rate-limited"), &json!("address"), &json!("read-per-address"))
    );
    // Another kind of request, another address, nobody who counts, and what watches over the node.
    let table = [
        ("198.51.100.1", "GET", "/v1/rankings/nothing/events", StatusCode::NOT_FOUND),
        ("198.51.100.2", "GET", show.as_str(), StatusCode::NOT_FOUND),
        ("127.0.0.1", "GET", show.as_str(), StatusCode::NOT_FOUND),
        ("198.51.100.1", "GET", "/livez", StatusCode::OK),
        ("198.51.100.1", "GET", "/metrics", StatusCode::OK),
    ];
    for (from, method, path, expected) in table {
        for _ in 0..2 {
            assert_eq!(send_from(&app, from, method, path, &[]).await.status(), expected, "{from} {path}");
        }
    }
    for _ in 0..5 {
        assert_eq!(send_from(&app, "198.51.100.1", "GET", "/livez", &[]).await.status(), StatusCode::OK);
        let uncounted = send_from(&app, "127.0.0.1", "GET", &show, &[]).await;
        assert_eq!((uncounted.status(), header(&uncounted, "ratelimit")), (StatusCode::NOT_FOUND, None));
    }
}

#[tokio::test]
async fn logins_are_counted_before_anything_of_them_is_read() {
    let app = strict().await;
    let junk = [("content-type", "text/plain")];
    for (path, expected) in
        [("/v1/auth/login", false), ("/v1/accounts", false), ("/v1/auth/login", true), ("/v1/accounts/verify", true)]
    {
        let answer = send_from(&app, "2001:db8::1", "POST", path, &junk).await;
        assert_eq!(answer.status() == StatusCode::TOO_MANY_REQUESTS, expected, "{path}");
    }
    let neighbour = send_from(&app, "2001:db8::2", "POST", "/v1/auth/login", &junk).await;
    assert_eq!(neighbour.status(), StatusCode::TOO_MANY_REQUESTS, "a /64 is one client");
    let refresh = send_from(&app, "2001:db8::1", "POST", "/v1/auth/refresh", &junk).await;
    assert_ne!(refresh.status(), StatusCode::TOO_MANY_REQUESTS, "a stadium refreshes its sessions");
}

#[tokio::test]
async fn an_account_has_its_limits_wherever_it_comes_from() {
    let app = strict().await;
    let orders = format!("/v1/performances/pf_{HASH}/orders");
    let ask = async |role: Role, number: u8, method: &str, path: &str| {
        let bearer = format!("Bearer {}", token(role));
        let from = format!("198.51.100.{number}");
        send_from(&app, &from, method, path, &[("authorization", &bearer), ("idempotency-key", "k")]).await
    };
    for (number, expected) in [(1, false), (2, false), (3, true), (4, true)] {
        let answer = ask(Role::Member, number, "POST", &orders).await;
        assert_eq!(answer.status() == StatusCode::TOO_MANY_REQUESTS, expected, "{number}");
        if expected {
            let body = json_of(answer).await;
            assert_eq!((&body["per"], &body["limit"]), (&json!("account"), &json!("place-per-account")));
        }
    }
    // Other commands and readings of the same account have limits of their own.
    let (pay, me) = (format!("/v1/orders/o1_{HASH}/payment"), "/v1/accounts/me");
    for (method, path, limit) in [("POST", pay.as_str(), "command-per-account"), ("GET", me, "read-per-account")] {
        for (number, refused) in [(11, false), (12, false), (13, true)] {
            let answer = ask(Role::Member, number, method, path).await;
            assert_eq!(answer.status() == StatusCode::TOO_MANY_REQUESTS, refused, "{path} {number}");
            let told = header(&answer, "ratelimit").map(str::to_owned);
            // The address has one left, the account has none: the tighter one is told. Who is refused hears Retry-After.
            let expected = (number == 12).then(|| format!("\"{limit}\";r=0;"));
            assert!(
                expected.is_none_or(|start| told.as_ref().is_some_and(|told| told.starts_with(&start))),
                "{told:?}"
            );
            assert_eq!(told.is_none(), refused, "{path} {number}");
        }
    }
    for number in 20..30 {
        let status = ask(Role::Admin, number, "GET", "/v1/admin/review").await.status();
        assert_ne!(status, StatusCode::TOO_MANY_REQUESTS, "an operator at work");
    }
    let nobody = [("authorization", "Bearer x.y.z"), ("idempotency-key", "k")];
    let answer = send_from(&app, "198.51.100.99", "POST", &orders, &nobody).await;
    assert_eq!(answer.status(), StatusCode::UNAUTHORIZED, "a false token uses up nobody's account");
}

#[tokio::test]
async fn nobody_chooses_an_address() {
    let app = strict().await;
    let show = format!("/v1/shows/sh_{HASH}");
    let refused = async |from: &str, forwarded: &str| {
        let answer = send_from(&app, from, "GET", &show, &[("x-forwarded-for", forwarded)]).await;
        answer.status() == StatusCode::TOO_MANY_REQUESTS
    };
    for (number, expected) in [(1, false), (2, false), (3, true)] {
        assert_eq!(refused("198.51.100.1", &format!("192.0.2.{number}")).await, expected, "from the client itself");
        let through = format!("192.0.2.{number}, 203.0.113.7");
        assert_eq!(refused("10.0.0.1", &through).await, expected, "through our proxy");
    }
    assert!(!refused("10.0.0.1", "203.0.113.8").await, "another client of the same proxy");
    for _ in 0..5 {
        assert!(!refused("10.0.0.1", "junk").await, "a proxy that names nobody stands for many");
    }
}

fn small(handles: &Handles) -> Front {
    let address = |ClientAddress(address)| async move { format!("{address:?}") };
    let routes = Router::new()
        .route("/own", post(|_: OriginCheck| async { "taken" }))
        .route("/where", axum::routing::get(address));
    Front::new(Edge::new(handles), routes.clone(), routes)
}

#[tokio::test]
async fn cookies_need_a_page_of_ours_and_handlers_hear_where_from() {
    let app = small(&handles().await);
    let table: [(&[(&str, &str)], bool); 4] = [
        (&[("host", "tickets.example"), ("origin", "https://tickets.example")], true),
        (&[("host", "tickets.example"), ("origin", "https://evil.example")], false),
        (&[("host", "tickets.example"), ("sec-fetch-site", "same-origin")], true),
        (&[("host", "tickets.example")], false),
    ];
    for (headers, taken) in table {
        let answer = send_from(&app, "198.51.100.1", "POST", "/own", headers).await;
        assert_eq!(answer.status() == StatusCode::OK, taken, "{headers:?}");
        if !taken {
            assert_eq!(answer.status(), StatusCode::FORBIDDEN);
            assert_eq!(json_of(answer).await["code"], json!("origin-not-allowed"));
        }
    }
    let answer = send_from(&app, "10.0.0.1", "GET", "/where", &[("x-forwarded-for", "198.51.100.7")]).await;
    let body = answer.into_body().collect().await.expect("a whole body").to_bytes();
    assert_eq!(body, "Some(198.51.100.7)");
}

#[tokio::test]
async fn pages_of_named_origins_may_use_the_api() {
    let cors = Cors::new(["https://shop.example"].into_iter(), false, 600);
    let guard = Guard::new(Choices { cors, ..choices(|_| Quota::new(9, 1, Duration::from_secs(1))) });
    let app = router(Handles { guard: Arc::new(guard), ..handles().await });
    let (events, orders) = (format!("/v1/orders/o1_{HASH}/events"), format!("/v1/performances/pf_{HASH}/orders"));
    let asks = [("origin", "https://shop.example"), ("access-control-request-method", "POST")];
    for path in [orders.as_str(), events.as_str(), "/v1/accounts/me", "/v1/nothing"] {
        let answer = send_from(&app, "198.51.100.1", "OPTIONS", path, &asks).await;
        assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{path}");
        assert_eq!(header(&answer, "access-control-allow-origin"), Some("https://shop.example"));
        assert_eq!(header(&answer, "access-control-max-age"), Some("600"));
    }
    // Refusals can be read, too; what a page may read of an answer is told.
    for (origin, path, status, allowed) in [
        ("https://shop.example", "/v1/accounts/me", StatusCode::UNAUTHORIZED, Some("https://shop.example")),
        ("https://shop.example", events.as_str(), StatusCode::UNAUTHORIZED, Some("https://shop.example")),
        ("https://evil.example", "/v1/accounts/me", StatusCode::UNAUTHORIZED, None),
        ("https://evil.example", "/onsale.js", StatusCode::OK, Some("*")),
        ("https://shop.example", "/onsale.js", StatusCode::OK, Some("*")),
    ] {
        let answer = send_from(&app, "198.51.100.1", "GET", path, &[("origin", origin)]).await;
        assert_eq!(answer.status(), status, "{origin} {path}");
        assert_eq!(header(&answer, "access-control-allow-origin"), allowed, "{origin} {path}");
        assert_eq!(header(&answer, "vary"), Some("origin"), "{origin} {path}");
        let exposed = header(&answer, "access-control-expose-headers").unwrap_or_default();
        assert_eq!(exposed.contains("ratelimit") && exposed.contains("retry-after"), allowed == Some(origin));
    }
    let off = router(handles().await);
    let answer = send_from(&off, "198.51.100.1", "OPTIONS", &orders, &asks).await;
    assert_eq!(
        (answer.status(), header(&answer, "access-control-allow-origin")),
        (StatusCode::METHOD_NOT_ALLOWED, None)
    );
}

#[tokio::test]
async fn every_answer_tells_browsers_what_not_to_do() {
    let guard = Guard::new(Choices { hsts_seconds: 60, ..choices(|_| None) });
    let app = router(Handles { guard: Arc::new(guard), ..handles().await });
    let table = [
        ("GET", "/livez", StatusCode::OK),
        ("GET", "/openapi.json", StatusCode::OK),
        ("GET", "/onsale.js", StatusCode::OK),
        ("GET", "/docs/", StatusCode::OK),
        ("GET", "/readyz", StatusCode::SERVICE_UNAVAILABLE),
        ("GET", "/nowhere", StatusCode::NOT_FOUND),
        ("PUT", "/v1/venues", StatusCode::METHOD_NOT_ALLOWED),
        ("GET", "/v1/accounts/me", StatusCode::UNAUTHORIZED),
        ("POST", "/v1/psp/toss/webhook", StatusCode::OK),
    ];
    for (method, path, status) in table {
        let answer = send(&app, method, path, &[]).await;
        assert_eq!(answer.status(), status, "{path}");
        for (name, value) in [
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("x-frame-options", "DENY"),
            ("strict-transport-security", "max-age=60"),
        ] {
            assert_eq!(header(&answer, name), Some(value), "{path} {name}");
        }
        assert!(
            header(&answer, "content-security-policy").is_some_and(|policy| policy.contains("frame-ancestors 'none'"))
        );
        assert!(header(&answer, "cross-origin-resource-policy").is_some(), "{path}");
    }
    // What the policy of the document's pages forbids, they do not need.
    let page = send(&app, "GET", "/docs/", &[]).await.into_body().collect().await.expect("a page").to_bytes();
    let page = String::from_utf8(page.to_vec()).expect("text");
    let scripts: Vec<&str> = page.split("<script").skip(1).collect();
    assert!(!scripts.is_empty() && scripts.iter().all(|script| script.trim_start().starts_with("src=\"./")), "{page}");
}
