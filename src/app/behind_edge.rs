//! How are routes served that are no node's, behind the very edge of one? The same listener, limits, headers and counts, so
//! that what is compared differs only in what is behind it.

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Router;
use tokio_util::sync::CancellationToken;

use super::watchers::{self, Streams};
use super::{StartError, StopSignals, guard, listen, listen_error};
use crate::clock::{Entropy, SystemClock};
use crate::config::Config;
use crate::http::{self, Edge};
use crate::telemetry;

/// Until the process is asked to end; `ready` hears where it listens.
pub async fn serve_behind_edge(
    config: &Config,
    routes: Router,
    ready: impl FnOnce(SocketAddr),
) -> Result<(), StartError> {
    let mut signals = StopSignals::listen()?;
    telemetry::metrics().map_err(StartError::Metrics)?;
    watchers::allow_files(config);
    let address = &config.server.listen;
    let listener = listen(address).await?;
    let listening = listener.local_addr().map_err(|source| listen_error(address, source))?;
    let guard = Arc::new(guard::guard(config, None)?);
    let edge = Edge::alone(Arc::new(SystemClock), Entropy::from_system(), guard);
    let streams = Streams::start().map_err(StartError::Threads)?;
    let stop = CancellationToken::new();
    let terms = watchers::terms(config, config.sse.connections(), guard::crowd(config)?);
    let served = http::serve(listener, http::behind(edge, routes), terms, streams.handle(), stop.clone());
    let served = tokio::spawn(served);
    ready(listening);
    signals.heard().await;
    stop.cancel();
    // A listener that panicked has nothing left to finish.
    let _ended = served.await;
    Ok(())
}
