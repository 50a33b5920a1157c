//! How do bytes become requests? The accept loop: bounded connections, bounded headers, and an orderly end.
//! `line` is one connection.
//!
//! axum's own loop sets no timer for headers, so a client could hold a connection for ever by sending one byte a minute.

mod line;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::TcpListener;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use self::line::Line;
pub use self::line::Peer;
use crate::{limits, telemetry};

/// How many clients, and how patient with them?
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub connections: usize,
    /// A client that takes no byte of its answer for so long is cut.
    pub stalled: Duration,
}

/// Serves until `shutdown`, then stops accepting, lets requests that run finish, and cuts what is left.
pub async fn serve(listener: TcpListener, router: Router, terms: Terms, shutdown: CancellationToken) {
    let places = Arc::new(Semaphore::new(terms.connections));
    let tasks = TaskTracker::new();
    let cut = CancellationToken::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = shutdown.cancelled() => break,
            accepted = accept(&listener, &places, terms) => accepted,
        };
        match accepted {
            Ok((line, place)) => {
                let connection = connection(line, router.clone(), shutdown.clone(), cut.clone());
                let open = metrics::gauge!(telemetry::HTTP_CONNECTIONS);
                tasks.spawn(async move {
                    open.increment(1.0);
                    connection.await;
                    open.decrement(1.0);
                    drop(place);
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

/// Takes a place before it takes a connection: beyond the limit, clients wait in the kernel's queue.
async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
    terms: Terms,
) -> io::Result<((Line, Arc<Peer>), OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.map_err(io::Error::other)?;
    let (socket, from) = listener.accept().await?;
    line::watch_over(&socket)?;
    let peer = Arc::new(Peer::new(from.ip().to_canonical()));
    Ok(((Line::new(socket, peer.clone(), terms.stalled), peer), place))
}

/// A client that is gone already costs nothing; no descriptors left means that others must go first.
async fn pause_after(error: &io::Error) {
    let theirs = [io::ErrorKind::ConnectionAborted, io::ErrorKind::ConnectionReset, io::ErrorKind::InvalidInput];
    if !theirs.contains(&error.kind()) {
        tracing::warn!(%error, "a connection could not be accepted");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

async fn connection(
    (line, peer): (Line, Arc<Peer>),
    router: Router,
    shutdown: CancellationToken,
    cut: CancellationToken,
) {
    let router = router.map_request(move |mut request: http::Request<Incoming>| {
        request.extensions_mut().insert(peer.clone());
        request
    });
    let mut builder = http1::Builder::new();
    builder
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_TIME)
        .max_headers(limits::HEADERS)
        .max_buf_size(limits::HEADER_BYTES)
        .keep_alive(true);
    let served = builder.serve_connection(TokioIo::new(line), TowerToHyperService::new(router));
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = shutdown.cancelled() => {
            // The request that runs is finished; an idle connection ends at once.
            served.as_mut().graceful_shutdown();
            tokio::select! {
                ended = served.as_mut() => ended,
                () = cut.cancelled() => return,
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::routing::get;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpStream;

    const TERMS: Terms = Terms { connections: 100, stalled: Duration::from_secs(30) };

    struct Running {
        address: std::net::SocketAddr,
        shutdown: CancellationToken,
        task: tokio::task::JoinHandle<()>,
    }

    async fn start() -> Running {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let shutdown = CancellationToken::new();
        let slow = || async {
            tokio::task::yield_now().await;
            "slow but finished"
        };
        let router = Router::new().route("/", get(|| async { "hello" })).route("/slow", get(slow));
        let task = tokio::spawn(serve(listener, router, TERMS, shutdown.clone()));
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
