//! How do bytes become requests? The accept loop: bounded connections, bounded headers, and an orderly end.
//! `line` is one connection.
//!
//! axum's own loop sets no timer for headers, so a client could hold a connection for ever by sending one byte a minute.

mod crowd;
mod endless;
mod line;

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use axum::response::Response;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics::Gauge;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::Service;

pub use self::crowd::Crowd;
use self::crowd::Entry;
use self::endless::{Endless, Handover};
use self::line::Line;
pub use self::line::Peer;
use crate::{limits, telemetry};

/// How many clients, and how patient with them?
#[derive(Clone)]
pub struct Terms {
    pub connections: usize,
    /// And how many from one address?
    pub crowd: Crowd,
    /// A client that takes no byte of its answer for so long is cut.
    pub stalled: Duration,
}

/// Whoever answers requests, and always does.
pub trait Answers:
    Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

impl<S> Answers for S where
    S: Service<Request<Body>, Response = Response, Error = Infallible, Future: Send> + Clone + Send + Sync + 'static
{
}

/// Serves until `shutdown`, endless answers on `streams`: a frame for thousands of watchers wakes thousands of tasks, and a
/// command must not wait behind them in one queue. Then stops accepting, lets requests that run finish, and cuts what is left.
pub async fn serve<S: Answers>(
    listener: TcpListener,
    service: S,
    terms: Terms,
    streams: Handle,
    shutdown: CancellationToken,
) {
    let places = Arc::new(Semaphore::new(terms.connections));
    let tasks = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places, &terms) => accepted,
        };
        match accepted {
            // Who has too many hears nothing: saying it would cost more than what is refused.
            Ok(None) => {}
            Ok(Some((line, place, entry))) => {
                let counted = Counted::new(place, entry);
                let connection = connection(line, service.clone(), shutdown.clone(), cut.clone());
                let (more, streams, cut) = (tasks.clone(), streams.clone(), cut.clone());
                tasks.spawn(async move {
                    if let Some((endless, line)) = Box::pin(connection).await {
                        // A task of its own: this one keeps the size of its largest moment.
                        let writing = async move {
                            if let Err(error) = endless.write(line, cut).await {
                                tracing::debug!(%error, "a stream ended early");
                            }
                            drop(counted);
                        };
                        more.spawn_on(writing, &streams);
                    }
                });
            }
            Err(error) => pause_after(&error).await,
        }
    }
    drop(listener);
    tasks.close();
    if tokio::time::timeout(limits::SHUTDOWN_TIME, tasks.wait()).await.is_err() {
        tracing::warn!(connections = tasks.len(), "connections are cut at the end of the grace");
        cut.cancel();
        tasks.wait().await;
    }
}

/// A connection's place, and its part of the count.
struct Counted {
    open: Gauge,
    _place: OwnedSemaphorePermit,
    _entry: Entry,
}

impl Counted {
    fn new(place: OwnedSemaphorePermit, entry: Entry) -> Self {
        let open = metrics::gauge!(telemetry::HTTP_CONNECTIONS);
        open.increment(1.0);
        Self { open, _place: place, _entry: entry }
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.open.decrement(1.0);
    }
}

/// Takes a place before it takes a connection: beyond the limit, clients wait in the kernel's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    terms: &Terms,
) -> io::Result<Option<((Line, Arc<Peer>), OwnedSemaphorePermit, Entry)>> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (socket, from) = listener.accept().await?;
    let Some(entry) = terms.crowd.enter(from.ip()) else { return Ok(None) };
    line::watch_over(&socket)?;
    let peer = Arc::new(Peer::new(from.ip().to_canonical()));
    Ok(Some(((Line::new(socket, peer.clone(), terms.stalled), peer), place, entry)))
}

/// A client that is gone already costs nothing; no descriptors left means that others must go first.
async fn pause_after(error: &io::Error) {
    let theirs = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::InvalidInput];
    if !theirs.contains(&error.kind()) {
        tracing::warn!(%error, "a connection could not be accepted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// One connection until its last answer; an answer without end goes on alone.
async fn connection<S: Answers>(
    (line, peer): (Line, Arc<Peer>),
    answers: S,
    shutdown: CancellationToken,
    cut: CancellationToken,
) -> Option<(Endless, Line)> {
    let handover = Arc::new(Handover::default());
    let handing = handover.clone();
    let service = service_fn(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        handing.clone().serve(answers.clone(), request)
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_TIME)
        .max_headers(limits::HEADERS)
        .max_buf_size(limits::HEADER_BYTES)
        .keep_alive(true);
    // In memory of its own, which is given back before an endless answer begins.
    let mut served = Box::new(builder.serve_connection(TokioIo::new(line), service));
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        endless = handover.taken() => return Some((endless, served.into_parts().io.into_inner())),
        () = shutdown.cancelled() => {
            // The request that runs is finished; an idle connection ends at once.
            Pin::new(served.as_mut()).graceful_shutdown();
            tokio::select! {
                ended = served.as_mut() => ended,
                endless = handover.taken() => return Some((endless, served.into_parts().io.into_inner())),
                () = cut.cancelled() => return None,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::Router;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    fn terms(crowd: Crowd) -> Terms {
        Terms { connections: 100, crowd, stalled: Duration::from_secs(30) }
    }

    struct Running {
        address: std::net::SocketAddr,
        shutdown: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    }

    async fn start() -> Running {
        let slow = || async {
            tokio::task::yield_now().await;
            "slow but finished"
        };
        let router = Router::new().route("/", get(|| async { "hello" })).route("/slow", get(slow));
        start_with(router).await
    }

    async fn start_with(router: Router) -> Running {
        start_on(router, Crowd::default()).await
    }

    async fn start_on(router: Router, crowd: Crowd) -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(serve(listener, router, terms(crowd), Handle::current(), shutdown.clone()));
        Running { address, shutdown, task }
    }

    async fn exchange(address: std::net::SocketAddr, request: &str) -> String {
        let mut stream = TcpStream::connect(address).await.expect("listening");
        stream.write_all(request.as_bytes()).await.expect("open");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("closed by the server");
        answer
    }

    #[tokio::test]
    async fn malformed_requests_and_header_floods_are_refused() {
        let running = start().await;
        let many: String = (0..100).map(|i| format!("x-{i}: 1\r\n")).collect();
        let long = format!("x: {}\r\n", "a".repeat(limits::HEADER_BYTES * 2));
        let table = [
            ("GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n".to_owned(), "HTTP/1.1 200"),
            ("garbage\r\n\r\n".to_owned(), "HTTP/1.1 400"),
            (format!("GET / HTTP/1.1\r\nhost: x\r\n{many}\r\n"), "HTTP/1.1 431"),
            (format!("GET / HTTP/1.1\r\nhost: x\r\n{long}\r\n"), "HTTP/1.1 431"),
            ("POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n".to_owned(), "HTTP/1.1 400"),
        ];
        for (request, expected) in table {
            let answer = exchange(running.address, &request).await;
            assert!(answer.starts_with(expected), "{request:.40} -> {answer:.60}");
        }
        running.shutdown.cancel();
        running.task.await.expect("ends in order");
    }

    /// A stream of three frames that ends, or one that never does and tells when it was dropped.
    fn streams(dropped: Arc<tokio::sync::Notify>) -> Router {
        struct Told(Arc<tokio::sync::Notify>);
        impl Drop for Told {
            fn drop(&mut self) {
                self.0.notify_one();
            }
        }
        let answer = |body| ([("content-type", "text/event-stream"), ("x-own", "kept")], body);
        let three = move || async move {
            let frames = ["data: 1\n\n", "", "data: 2\n\n"].map(Ok::<_, std::convert::Infallible>);
            answer(axum::body::Body::from_stream(futures::stream::iter(frames)))
        };
        let endless = move || async move {
            let told = Told(dropped);
            let frames = futures::stream::once(async { Ok::<_, std::convert::Infallible>("data: 1\n\n") });
            let silence = futures::stream::once(async move {
                let _told = told;
                std::future::pending().await
            });
            answer(axum::body::Body::from_stream(futures::StreamExt::chain(frames, silence)))
        };
        Router::new().route("/", get(|| async { "hello" })).route("/three", get(three)).route("/endless", get(endless))
    }

    #[tokio::test]
    async fn a_stream_is_the_same_on_a_fresh_and_on_a_used_connection() {
        let running = start_with(streams(Arc::default())).await;
        let stream = |version: &str| format!("GET /three HTTP/{version}\r\nhost: x\r\nconnection: close\r\n\r\n");
        let fresh = exchange(running.address, &stream("1.1")).await;
        let used = format!("GET / HTTP/1.1\r\nhost: x\r\n\r\n{}", stream("1.1"));
        let used = exchange(running.address, &used).await;
        let old = exchange(running.address, &stream("1.0")).await;
        let chunks = "9\r\ndata: 1\n\n\r\n9\r\ndata: 2\n\n\r\n0\r\n\r\n";
        for (answer, body) in [(&fresh, chunks), (&used, chunks), (&old, "data: 1\n\ndata: 2\n\n")] {
            let at = answer.find("text/event-stream").expect("a stream");
            let end = at + answer[at..].find("\r\n\r\n").expect("an end of the head") + 4;
            let (head, found) = answer.split_at(end);
            assert_eq!(found, body, "{answer}");
            for name in ["x-own: kept\r\n", "date: "] {
                assert!(head.contains(name), "{answer}");
            }
            assert_eq!(head.contains("transfer-encoding: chunked"), body == chunks, "{answer}");
        }
        running.shutdown.cancel();
        running.task.await.expect("ends in order");
    }

    #[tokio::test]
    async fn a_stream_ends_with_its_client() {
        let dropped = Arc::new(tokio::sync::Notify::new());
        let running = start_with(streams(dropped.clone())).await;
        for before in ["", "GET / HTTP/1.1\r\nhost: x\r\n\r\n"] {
            let mut client = TcpStream::connect(running.address).await.expect("listening");
            let request = format!("{before}GET /endless HTTP/1.1\r\nhost: x\r\n\r\n");
            client.write_all(request.as_bytes()).await.expect("open");
            let mut seen = Vec::new();
            while !seen.ends_with(b"data: 1\n\n\r\n") {
                assert_ne!(client.read_buf(&mut seen).await.expect("open"), 0);
            }
            if before.is_empty() {
                client.write_all(b"whatever else it says").await.expect("open");
            }
            drop(client);
            dropped.notified().await;
        }
        running.shutdown.cancel();
        running.task.await.expect("ends in order");
    }

    #[tokio::test]
    async fn shutdown_ends_idle_connections_at_once() {
        let running = start().await;
        let mut stream = TcpStream::connect(running.address).await.expect("listening");
        stream.write_all(b"GET /slow HTTP/1.1\r\nhost: x\r\n\r\n").await.expect("open");
        let mut first = [0; 15];
        stream.read_exact(&mut first).await.expect("an answer");
        assert_eq!(&first, b"HTTP/1.1 200 OK");
        running.shutdown.cancel();
        running.task.await.expect("ends in order");
        let mut rest = String::new();
        stream.read_to_string(&mut rest).await.expect("closed by the server");
        assert!(rest.ends_with("slow but finished"));
        assert!(TcpStream::connect(running.address).await.is_err());
    }
}
