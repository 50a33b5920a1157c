//! How is a node put together? Build, start order, shutdown order; the only place that sees all of it.
//!
//! Log first, then the claim, the actors, the hub, and last the listener: whoever can connect can be answered. Shutdown is
//! the other way round. What a part does is not known here.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::actors::{Engine, Setup};
use crate::auth::keys::{KeyError, Keys};
use crate::clock::{Clock, Entropy, SystemClock};
use crate::config::{Config, ConfigError};
use crate::fault::Fault;
use crate::ids::NodeId;
use crate::journal::open::{self, OpenError, Options, Role, Target};
use crate::journal::{ClaimError, SharedJournal};
use crate::limits;
use crate::live::{Hub, hub::HubParts};
use crate::{http, telemetry};

/// The part of the grace after SIGTERM that is kept for the end of the actors and the lease.
const HANDING_OVER: Duration = Duration::from_secs(3);

/// Why a node does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Open(#[from] OpenError),
    #[error("{0}")]
    Keys(#[from] KeyError),
    #[error("{0}")]
    Claim(#[from] ClaimError),
    #[error("cannot listen on {address}: {source}; stop the other program or choose another address with --listen")]
    Listen { address: String, source: std::io::Error },
    #[error("{path}: {source}")]
    Directory { path: String, source: std::io::Error },
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("{0}")]
    Metrics(String),
    #[error("stepped down: another node serves this log")]
    Lost,
}

/// A running node.
pub struct Running {
    pub address: SocketAddr,
    pub keys: Keys,
    engine: Engine,
    hub: Hub,
    watching: TaskTracker,
    stop: CancellationToken,
    listeners: Vec<JoinHandle<()>>,
}

/// Runs a node until the process is asked to end; `ready` hears where it listens.
pub async fn run(config: &Config, ready: impl FnOnce(SocketAddr)) -> Result<(), StartError> {
    let running = start(config).await?;
    ready(running.address);
    let lost = running.engine.lost();
    let stepped_down = tokio::select! {
        () = asked_to_stop() => false,
        () = lost.cancelled() => true,
    };
    running.shutdown().await;
    if stepped_down { Err(StartError::Lost) } else { Ok(()) }
}

/// Builds and starts everything; when this returns, requests are answered.
pub async fn start(config: &Config) -> Result<Running, StartError> {
    let entropy = Entropy::from_system();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    make_data_directory(config)?;
    let keys = keys(config, &entropy)?;
    // Ports first: a second server on this machine is told so before it touches the log.
    let listener = listen(&config.server.listen).await?;
    let admin = match config.server.admin_listen.as_str() {
        "" => None,
        address => Some(listen(address).await?),
    };
    let journal = open_journal(config, Role::Serve).await?;
    let node = node_id(config, &entropy);
    let claimed_at = clock.elapsed();
    let claim = journal.claim(&node).await?;
    let setup = Setup {
        journal: journal.clone(),
        claim,
        claimed_at,
        node: node.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        sabotage: None,
    };
    let engine = Engine::start(setup).await?;
    let (stop, watching) = (CancellationToken::new(), TaskTracker::new());
    let hub = Hub::new(HubParts {
        journal: journal.clone(),
        follow: engine.follow(),
        lookup: Arc::new(http::lookup(engine.dispatch())),
        clock: clock.clone(),
        entropy: entropy.clone(),
        stop: stop.clone(),
        tracker: watching.clone(),
    });
    let metrics = telemetry::metrics().map_err(StartError::Metrics)?;
    let parts = http::Parts {
        dispatch: engine.dispatch(),
        hub: hub.clone(),
        journal,
        keys: keys.clone(),
        clock,
        entropy,
        metrics: admin.is_none().then(|| metrics.clone()),
    };
    let address = listener.local_addr().map_err(|source| listen_error(&config.server.listen, source))?;
    let mut listeners = vec![tokio::spawn(http::server::serve(listener, http::router(parts), stop.clone()))];
    if let Some(admin) = admin {
        listeners.push(tokio::spawn(http::server::serve(admin, http::metrics_router(metrics), stop.clone())));
    }
    tracing::info!(node = %node, %address, engine = config.database.url.is_set().then_some("configured"), "ready");
    Ok(Running { address, keys, engine, hub, watching, stop, listeners })
}

impl Running {
    /// Stops accepting, lets requests finish within their grace, hands the lease back.
    pub async fn shutdown(self) {
        self.stop.cancel();
        self.hub.shutdown();
        self.watching.close();
        let requests = async {
            for listener in self.listeners {
                // A listener that panicked has nothing left to finish.
                let _ended = listener.await;
            }
            self.watching.wait().await;
        };
        if tokio::time::timeout(limits::SHUTDOWN_TIME - HANDING_OVER, requests).await.is_err() {
            tracing::warn!("not every request ended in time; each is in the log or never started");
        }
        if tokio::time::timeout(HANDING_OVER, self.engine.shutdown()).await.is_err() {
            tracing::warn!("the lease was not handed over in time; it runs out by itself");
        }
    }
}

/// SIGTERM or Ctrl-C.
async fn asked_to_stop() {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
        }
        Err(error) => {
            tracing::warn!(%error, "SIGTERM is not heard, only Ctrl-C");
            let _heard = tokio::signal::ctrl_c().await;
        }
    }
}

/// Where the configured log is.
#[must_use]
pub fn target(config: &Config) -> Target {
    match config.database.url.expose() {
        "" => Target::Sqlite { dir: config.data.dir.clone() },
        url => match url.strip_prefix("sqlite:") {
            Some(dir) => Target::Sqlite { dir: dir.into() },
            None => Target::Postgres { url: url.to_owned() },
        },
    }
}

/// The number of partitions, if somebody chose one: the default must not contradict a log that was made with another.
#[must_use]
pub fn chosen_partitions(config: &Config) -> Option<u16> {
    (config.database.partitions != limits::DEFAULT_PARTITIONS).then_some(config.database.partitions)
}

pub async fn open_journal(config: &Config, role: Role) -> Result<SharedJournal, OpenError> {
    let options = Options { partitions: chosen_partitions(config), ..Options::new(role) };
    open::open(&target(config), options).await
}

/// The node's keys: configured ones, else those of the data directory.
pub fn keys(config: &Config, entropy: &Entropy) -> Result<Keys, StartError> {
    let auth = &config.auth;
    if auth.access_key.is_set() {
        return Ok(Keys::configured(auth.access_key.expose(), auth.ticket_key.expose())?);
    }
    make_data_directory(config)?;
    Ok(Keys::load_or_create(&config.data.dir, entropy)?)
}

pub fn make_data_directory(config: &Config) -> Result<(), StartError> {
    let needed = !config.auth.access_key.is_set() || matches!(target(config), Target::Sqlite { .. });
    if !needed {
        return Ok(());
    }
    let directory = &config.data.dir;
    let failed = |source| StartError::Directory { path: directory.display().to_string(), source };
    std::fs::create_dir_all(directory).map_err(failed)
}

fn node_id(config: &Config, entropy: &Entropy) -> NodeId {
    match config.server.node.as_str() {
        "" => NodeId::new(format!("node-{}", &entropy.hash16().to_string()[..8])),
        name => NodeId::new(name),
    }
}

async fn listen(address: &str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| listen_error(address, source))
}

fn listen_error(address: &str, source: std::io::Error) -> StartError {
    StartError::Listen { address: address.to_owned(), source }
}
