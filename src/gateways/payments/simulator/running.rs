//! How is one started, asked for its books, and ended?

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use super::ledger::{Ledger, LedgerError};
use super::routes::Shared;
use super::script::Script;
use super::webhook::Webhooks;
use super::{calls, desk, routes, server, times};
use crate::clock::Clock;

/// How one is run.
#[derive(Clone, Debug)]
pub struct SimulatorOptions {
    /// Port 0 takes any free one.
    pub listen: SocketAddr,
    pub script: Script,
    /// `None`: books that go with it.
    pub ledger: Option<PathBuf>,
    /// Where the news go; wins over the script's.
    pub webhook: Option<String>,
}

/// Why it does not start.
#[derive(Debug, thiserror::Error)]
pub enum SimulatorError {
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    #[error("cannot listen on {address}: {source}; stop the other program or choose another address with --listen")]
    Listen { address: SocketAddr, source: std::io::Error },
    #[error("no HTTP client for webhooks: {0}")]
    Client(#[from] reqwest::Error),
}

/// A running one.
pub struct Simulator {
    address: SocketAddr,
    shared: Arc<Shared>,
    stop: CancellationToken,
    serving: JoinHandle<()>,
}

impl Simulator {
    /// When this returns, requests are answered.
    pub async fn start(options: SimulatorOptions, clock: Arc<dyn Clock>) -> Result<Self, SimulatorError> {
        let address = options.listen;
        let failed = |source| SimulatorError::Listen { address, source };
        let listener = TcpListener::bind(address).await.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let ledger = match &options.ledger {
            Some(path) => Ledger::open(path)?,
            None => Ledger::in_memory(),
        };
        let url = options.webhook.unwrap_or_else(|| options.script.webhook.url.clone());
        let stop = CancellationToken::new();
        let webhooks = Webhooks::start(Some(url).filter(|url| !url.is_empty()), stop.clone())?;
        let shared = Arc::new(Shared {
            desk: desk::Desk::new(ledger, clock.clone()),
            script: options.script,
            calls: calls::Calls::default(),
            times: times::Times::default(),
            webhooks,
            clock,
            busy: parking_lot::Mutex::default(),
        });
        let serving = tokio::spawn(server::serve(listener, routes::router(shared.clone()), stop.clone()));
        Ok(Self { address, shared, stop, serving })
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What `psp.url` must be.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The books, as `GET /ledger` shows them.
    #[must_use]
    pub fn ledger(&self) -> Value {
        self.shared.desk.ledger()
    }

    /// Every request that was seen, as `GET /calls` shows them.
    #[must_use]
    pub fn calls(&self) -> Value {
        self.shared.calls.json()
    }

    /// Cuts whatever is open, and ends.
    pub async fn stop(self) {
        self.stop.cancel();
        // A task that panicked has nothing to end any more.
        let _ended = self.serving.await;
    }
}
