//! What stands between a page and the server? A front that serves the page, keeps what it reports, forwards all else, and
//! does to streams what networks do: cuts them after some bytes, refuses them, swallows them, loses a frame.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use futures::StreamExt;
use reqwest::header::{CONTENT_TYPE, HOST, RETRY_AFTER};
use serde_json::Value;
use tokio::sync::watch;

/// What becomes of one stream.
#[derive(Clone, Debug)]
pub enum Act {
    /// The connection breaks after so many bytes.
    Cut(usize),
    /// No stream, but this status with `Retry-After` and this code.
    Refuse { status: u16, code: &'static str, retry_after: Option<u32> },
    /// Headers, and then nothing.
    Swallow,
    /// The frame with an id that would come after so many of them gets lost.
    Lose(usize),
}

struct Shared {
    server: String,
    http: reqwest::Client,
    script: String,
    reports: Mutex<Vec<Value>>,
    /// One for each stream that is asked for; when there is none, it passes.
    acts: Mutex<VecDeque<Act>>,
    /// Streams that were asked for, with their queries.
    asked: Mutex<Vec<String>>,
    /// While it is down, streams are refused; those that were open break.
    down: watch::Sender<bool>,
}

pub struct Front {
    pub base: String,
    shared: Arc<Shared>,
    task: tokio::task::JoinHandle<()>,
}

impl Drop for Front {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// In every page: `report(name, value)` arrives in the order of the calls.
const PRELUDE: &str = r#"
import { follow, parser } from "/onsale.js";
let chain = Promise.resolve();
const report = (name, value) => {
  const body = JSON.stringify({ name, value });
  chain = chain.then(() => fetch("/report", { method: "POST", body }));
};
addEventListener("error", (event) => report("uncaught", event.message));
addEventListener("unhandledrejection", (event) => report("uncaught", String(event.reason)));
"#;

impl Front {
    /// The page is at `/page` and runs `script`.
    pub async fn start(server: &str, script: &str) -> Self {
        let shared = Arc::new(Shared {
            server: server.to_owned(),
            http: reqwest::Client::builder().no_proxy().tls_certs_only([]).build().expect("a client"),
            script: format!("{PRELUDE}{script}"),
            reports: Mutex::default(),
            acts: Mutex::default(),
            asked: Mutex::default(),
            down: watch::Sender::new(false),
        });
        let router = Router::new()
            .route("/page", get(|| async { Html("<!doctype html><script type=module src=/page.js></script>") }))
            .route("/page.js", get(script_of))
            .route("/report", post(keep))
            .fallback(forward)
            .with_state(shared.clone());
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let task = tokio::spawn(async move { axum::serve(listener, router).await.expect("the front serves") });
        Self { base, shared, task }
    }

    pub fn plan(&self, acts: impl IntoIterator<Item = Act>) {
        self.shared.acts.lock().expect("unpoisoned").extend(acts);
    }

    pub fn down(&self, down: bool) {
        self.shared.down.send_replace(down);
    }

    pub fn asked(&self) -> Vec<String> {
        self.shared.asked.lock().expect("unpoisoned").clone()
    }

    /// What the page reported under this name, in its order.
    pub fn told(&self, name: &str) -> Vec<Value> {
        let reports = self.shared.reports.lock().expect("unpoisoned");
        reports.iter().filter(|one| one["name"] == name).map(|one| one["value"].clone()).collect()
    }

    /// Waits until the page has said enough under this name.
    pub async fn hears(&self, name: &str, enough: impl Fn(&Vec<Value>) -> bool) -> Vec<Value> {
        super::wait::until(&format!("the page's {name}"), async || self.told(name), enough).await
    }
}

async fn script_of(State(shared): State<Arc<Shared>>) -> Response {
    ([(CONTENT_TYPE, "text/javascript; charset=utf-8")], shared.script.clone()).into_response()
}

async fn keep(State(shared): State<Arc<Shared>>, body: Bytes) {
    let report = serde_json::from_slice(&body).expect("a report is JSON");
    shared.reports.lock().expect("unpoisoned").push(report);
}

async fn forward(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let target = parts.uri.path_and_query().map_or("/", |all| all.as_str()).to_owned();
    let stream = parts.uri.path().ends_with("/events");
    let mut act = None;
    if stream {
        shared.asked.lock().expect("unpoisoned").push(target.clone());
        if *shared.down.borrow() {
            return refusal(503, "unavailable", Some(1));
        }
        act = shared.acts.lock().expect("unpoisoned").pop_front();
        if let Some(Act::Refuse { status, code, retry_after }) = act {
            return refusal(status, code, retry_after);
        }
    }
    let body = axum::body::to_bytes(body, 1 << 20).await.expect("a page's request is short");
    let mut headers = parts.headers;
    headers.remove(HOST);
    let asked = shared.http.request(parts.method, format!("{}{target}", shared.server)).headers(headers).body(body);
    let Ok(answer) = asked.send().await else { return refusal(502, "unavailable", None) };
    let mut response = Response::new(Body::empty());
    *response.status_mut() = answer.status();
    for (name, value) in answer.headers().iter().filter(|(name, _)| *name != "transfer-encoding") {
        response.headers_mut().append(name, value.clone());
    }
    *response.body_mut() = if stream && answer.status() == 200 {
        streamed(&shared, answer.bytes_stream().boxed(), act)
    } else {
        Body::from(answer.bytes().await.expect("a whole answer"))
    };
    response
}

fn refusal(status: u16, code: &str, retry_after: Option<u32>) -> Response {
    let body = serde_json::json!({"status": status, "code": code, "detail": "as the test wants it"}).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = axum::http::StatusCode::from_u16(status).expect("a status");
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(RETRY_AFTER, seconds.into());
    }
    response
}

type Chunks = futures::stream::BoxStream<'static, reqwest::Result<Bytes>>;

fn streamed(shared: &Shared, chunks: Chunks, act: Option<Act>) -> Body {
    let cut = || io::Error::new(io::ErrorKind::ConnectionReset, "cut");
    let mut down = shared.down.subscribe();
    let falls = async move {
        let _ = down.wait_for(|down| *down).await;
    };
    let chunks = chunks.map(move |chunk| chunk.map_err(|_| cut())).take_until(falls);
    // However a stream ends here, the page must see a connection that breaks, not an end.
    let broken = futures::stream::once(async move { Err(cut()) });
    match act {
        None | Some(Act::Refuse { .. }) => Body::from_stream(chunks.chain(broken)),
        Some(Act::Swallow) => Body::from_stream(futures::stream::pending::<io::Result<Bytes>>()),
        Some(Act::Cut(bytes)) => {
            let mut left = bytes;
            let some = chunks.scan((), move |(), chunk| {
                let piece = chunk.map(|chunk| chunk.slice(..chunk.len().min(left)));
                let over = left == 0;
                left -= piece.as_ref().map_or(left, Bytes::len);
                futures::future::ready((!over).then_some((piece, left == 0)))
            });
            // The break comes with the last byte, not with the chunk after it.
            let some = some.flat_map(move |(piece, last)| {
                let end = last.then(|| Err(cut()));
                futures::stream::iter(std::iter::once(piece).chain(end))
            });
            Body::from_stream(some)
        }
        Some(Act::Lose(after)) => {
            let (mut text, mut seen) = (String::new(), 0);
            let kept = chunks.map(move |chunk| {
                text.push_str(std::str::from_utf8(&chunk?).expect("the frames of these tests are ASCII"));
                let mut out = String::new();
                while let Some(end) = text.find("\n\n") {
                    let frame: String = text.drain(..end + 2).collect();
                    let lost = frame.starts_with("id: ") && {
                        seen += 1;
                        seen == after + 1
                    };
                    if !lost {
                        out.push_str(&frame);
                    }
                }
                io::Result::Ok(Bytes::from(out))
            });
            Body::from_stream(kept.chain(broken))
        }
    }
}
