//! How are connections served, and cut? A small accept loop that can break one connection in the middle of a request.
//!
//! What is answered is `routes.rs`'s business. A reset is a real one: the caller's system reports it as such.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::{Extension, Router};
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::limits;

/// The connection on which a request came.
#[derive(Clone, Debug, Default)]
pub struct Line(CancellationToken);

impl Line {
    /// Breaks the connection; whoever calls this answers nothing any more.
    pub fn reset(&self) {
        self.0.cancel();
    }
}

/// Serves until `stop`, which cuts whatever is open.
pub async fn serve(listener: TcpListener, router: Router, stop: CancellationToken) {
    let places = Arc::new(Semaphore::new(limits::SIMULATOR_CONNECTIONS));
    let tasks = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, peer, place)) = accepted else {
            // No descriptors left, or the caller is gone already: let others run.
            tokio::task::yield_now().await;
            continue;
        };
        let connection = connection(stream, router.clone(), stop.clone());
        tasks.spawn(async move {
            connection.await;
            tracing::trace!(%peer, "a connection ended");
            drop(place);
        });
    }
    drop(listener);
    tasks.close();
    tasks.wait().await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit)> {
    let place = places.clone().acquire_owned().await.ok()?;
    let (stream, peer) = listener.accept().await.ok()?;
    stream.set_nodelay(true).ok()?;
    Some((stream, peer, place))
}

async fn connection(stream: TcpStream, router: Router, stop: CancellationToken) {
    let line = Line::default();
    let service = TowerToHyperService::new(router.layer(Extension(line.clone())));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(limits::HEADER_TIME);
    let mut served = builder.serve_connection(TokioIo::new(stream), service);
    tokio::select! {
        ended = &mut served => {
            if let Err(error) = ended {
                tracing::debug!(%error, "a connection ended early");
            }
        }
        () = stop.cancelled() => {}
        () = line.0.cancelled() => {
            let stream = served.into_parts().io.into_inner();
            // Without lingering, closing sends a reset instead of an orderly end.
            if let Err(error) = stream.set_zero_linger() {
                tracing::debug!(%error, "a connection could not be reset, it is closed");
            }
        }
    }
}
