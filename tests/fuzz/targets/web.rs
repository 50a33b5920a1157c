//! Everything that a client can send: every route with its path, query, headers, key, token and body; and bytes that are no
//! request at all.
//!
//! Whatever comes, the answer is no error of ours: a 4xx is a problem with a code that the contract knows, and says nothing of
//! what is inside.

mod node;
mod stage;

use std::sync::{LazyLock, Mutex, MutexGuard, PoisonError};

use axum::body::Body;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Uri};
use http_body_util::{BodyExt, Limited};
use onsale::http::error::Code;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::runtime::Runtime;
use tower::ServiceExt;

use self::node::Node;
use self::stage::Stage;
use super::Target;

pub const REQUEST: Target = Target { name: "request", seeds: requests, run: request };
pub const WIRE: Target = Target { name: "wire", seeds: lines, run: wire };

/// An answer of more than that is none of ours.
const ANSWER_BYTES: usize = 4 << 20;
/// What never belongs into an answer.
const INSIDE: [&str; 6] = ["panicked", ".rs:", "sqlx", "SELECT ", "/src/", "RUST_BACKTRACE"];

/// A node with a sale on it, on a thread of whoever asks.
struct House {
    runtime: Runtime,
    node: Node,
    stage: Stage,
}

static HOUSE: LazyLock<Mutex<House>> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (node, stage) = runtime.block_on(async {
        let node = Node::start().await;
        let stage = Stage::set(&node).await;
        (node, stage)
    });
    Mutex::new(House { runtime, node, stage })
});

fn house() -> MutexGuard<'static, House> {
    HOUSE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What would reach the routes, if it is a request at all.
struct Asked {
    method: Method,
    target: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Vec<u8>,
}

impl Asked {
    /// As one writes requests: a line with method and target, headers, an empty line, the body.
    fn read(data: &[u8]) -> Option<Self> {
        let (head, body) = split(data, b"\n\n")?;
        let mut lines = head.split(|byte| *byte == b'\n');
        let (method, target) = split(lines.next()?, b" ")?;
        let header = |line: &[u8]| {
            let (name, value) = split(line, b": ")?;
            Some((HeaderName::from_bytes(name).ok()?, HeaderValue::from_bytes(value).ok()?))
        };
        Some(Self {
            method: Method::from_bytes(method).ok()?,
            target: Uri::try_from(target).ok()?,
            headers: lines.filter_map(header).collect(),
            body: body.to_vec(),
        })
    }

    fn request(self, stage: &Stage) -> Request<Body> {
        let mut request = Request::new(Body::from(self.body));
        (*request.method_mut(), *request.uri_mut()) = (self.method, self.target);
        for (name, value) in self.headers {
            // `@seller` stands for a token that the node takes.
            let value = stage.token(&value).unwrap_or(value);
            request.headers_mut().append(name, value);
        }
        request
    }

    /// Does it say that it will wait for what has not happened? Nobody wants to wait here.
    fn waits(&self) -> bool {
        self.target.query().is_some_and(|query| query.contains("min_position"))
    }
}

fn split<'a>(data: &'a [u8], by: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = data.windows(by.len()).position(|window| window == by)?;
    Some((&data[..at], &data[at + by.len()..]))
}

fn request(data: &[u8]) {
    let Some(asked) = Asked::read(data).filter(|asked| !asked.waits()) else { return };
    let house = house();
    let bodiless = asked.method == Method::HEAD;
    let request = asked.request(&house.stage);
    house.runtime.block_on(async {
        let answer = house.node.front.clone().oneshot(request).await.expect("the edge always answers");
        let status = answer.status().as_u16();
        let kind =
            answer.headers().get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default().to_owned();
        if kind.starts_with("text/event-stream") {
            return;
        }
        let body = Limited::new(answer.into_body(), ANSWER_BYTES).collect().await.expect("an answer of some size");
        // Who asks for the head only gets no more.
        if !bodiless {
            judge(status, &kind, &body.to_bytes(), data);
        }
        assert!(status < 500 || status == 503, "an error of ours: {status}");
    });
}

fn judge(status: u16, kind: &str, body: &[u8], asked: &[u8]) {
    let text = String::from_utf8_lossy(body);
    if status < 400 {
        let json = kind.starts_with("application/json");
        assert!(!json || serde_json::from_slice::<Value>(body).is_ok(), "{status}: {text}");
        return;
    }
    assert_eq!(kind, "application/problem+json", "{status}: {text}");
    let problem: Value = serde_json::from_slice(body).unwrap_or_else(|error| panic!("{error}: {text}"));
    let code = Code::ALL.iter().find(|code| problem["code"] == code.name());
    let code = code.unwrap_or_else(|| panic!("a code that the contract knows: {text}"));
    assert_eq!((status, problem["status"].as_u64()), (code.status(), Some(u64::from(status))), "{text}");
    // Nobody takes money here.
    assert!(status < 500 || *code == Code::PaymentsUnavailable, "an error of ours: {text}");
    // The name of a member that nobody knows is said back to whoever sent it.
    let sent = |word: &str| asked.windows(word.len()).any(|window| window == word.as_bytes());
    let detail = problem["detail"].as_str().unwrap_or_default();
    let inside = INSIDE.iter().find(|word| detail.contains(**word) && !sent(word));
    assert_eq!(inside, None, "{text}");
}

fn requests() -> Vec<Vec<u8>> {
    house().stage.requests.clone()
}

/// Bytes on a connection: whatever they are, the answer is none that begins with a 5, and the connection comes to its end.
fn wire(data: &[u8]) {
    let house = house();
    house.runtime.block_on(async {
        let mut line = tokio::net::TcpStream::connect(house.node.address).await.expect("the node listens");
        // It may hang up in the middle of what it does not like.
        let _ = line.write_all(data).await;
        let _ = line.shutdown().await;
        let mut answer = Vec::new();
        let whole = tokio::time::timeout(node::PATIENCE, line.take(ANSWER_BYTES as u64).read_to_end(&mut answer)).await;
        let text = String::from_utf8_lossy(&answer);
        assert!(whole.is_ok(), "it neither answers nor hangs up; so far: {text}");
        let errors: Vec<&str> = text.lines().filter(|line| line.starts_with("HTTP/1.1 5")).collect();
        assert!(errors.is_empty(), "an error of ours: {text}");
    });
}

fn lines() -> Vec<Vec<u8>> {
    let texts = [
        "GET /livez HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /v1/shows?limit=1 HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n",
        "GET /livez HTTP/1.0\r\n\r\n",
        "POST /v1/auth/refresh HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}",
        "POST /v1/auth/refresh HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\n{}",
        "POST /v1/auth/refresh HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "POST /v1/auth/refresh HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ncontent-length: 9\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: a\r\n\r\nGET /readyz HTTP/1.1\r\nhost: a\r\n\r\n",
        "GET /livez HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n",
        "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\nhost: a\r\n\r\n",
        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        "GET http://a/livez HTTP/1.1\r\nhost: b\r\n folded: x\r\n\r\n",
        "\r\n\r\n",
    ];
    let flood = format!("GET /livez HTTP/1.1\r\nhost: a\r\n{}\r\n", "x: y\r\n".repeat(200));
    let long = format!("GET /{} HTTP/1.1\r\nhost: a\r\n\r\n", "a".repeat(20_000));
    texts.iter().map(|text| (*text).to_owned()).chain([flood, long]).map(String::into_bytes).collect()
}
