//! How is a node put together? Build, start order, shutdown order; the only place that sees all of it.
//!
//! Log first, then the claim, the actors, the hub, and last the listener: whoever can connect can be answered. Shutdown is
//! the other way round. What a part does is not known here.

mod payments;
mod watchers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::{any, get};
use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::Mutex;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::actors::{CommandError, Dispatch, Engine, Setup};
use crate::auth::{GateKey, KeyError, Keys};
use crate::clock::{Clock, Entropy, SystemClock};
use crate::config::{Config, ConfigError};
use crate::domain::coupon::Coupon;
use crate::fault::Fault;
use crate::http::{Check, Handles, Readiness};
use crate::ids::{NodeId, StreamId, TaskId, Version};
use crate::journal::open::{self, OpenError, Options, Role, Target};
use crate::journal::{ClaimError, SharedJournal};
use crate::limits;
use crate::live::Hub;
use crate::live::hub::{HubParts, TaskLookup};
use crate::projections::ROSTER;
use crate::projections::rebuild::Pace;
use crate::projections::runner::{self, Runner, State};
use crate::projections::store::{self, Store, StoreError};
use crate::sagas::{self, Processes};
use crate::{http, telemetry};

pub use payments::payments;

/// The part of the grace after SIGTERM that is kept for the end of the actors and the lease.
const HANDING_OVER: Duration = Duration::from_secs(3);
const _: () = assert!(
    limits::GOODBYE_TIME.as_secs() + HANDING_OVER.as_secs() < limits::SHUTDOWN_TIME.as_secs(),
    "every watcher is told"
);

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
    #[error("the data directory {path} cannot be made: {source}")]
    Directory { path: String, source: std::io::Error },
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("the read models: {0}")]
    Store(#[from] StoreError),
    #[error("signals cannot be heard: {0}")]
    Signals(std::io::Error),
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
    let mut signals = StopSignals::listen()?;
    let running = start(config).await?;
    ready(running.address);
    let lost = running.engine.lost();
    let stepped_down = tokio::select! {
        () = signals.heard() => false,
        () = lost.cancelled() => true,
    };
    running.shutdown().await;
    if stepped_down { Err(StartError::Lost) } else { Ok(()) }
}

/// Builds and starts everything; when this returns, requests are answered.
pub async fn start(config: &Config) -> Result<Running, StartError> {
    let entropy = Entropy::from_system();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    // Before anything that counts: what is counted without a recorder is lost.
    let metrics = telemetry::metrics().map_err(StartError::Metrics)?;
    make_data_directory(config)?;
    watchers::allow_files(config);
    // Keys of the wrong kind are told before the sale, not during it.
    let payments = payments(config)?;
    let keys = keys(config, &entropy)?;
    // Ports first: a second server on this machine is told so before it touches the log.
    let listener = listen(&config.server.listen).await?;
    let admin = match config.server.admin_listen.as_str() {
        "" => None,
        address => Some(listen(address).await?),
    };
    let journal = open_journal(config, Role::Serve).await?;
    let node = node_id(config, &entropy);
    let claim = journal.claim(&node).await?;
    // The claim may have waited for a dead node's lease; ours counts from a heartbeat of our own.
    let claimed_at = clock.elapsed();
    journal.heartbeat(&node).await?;
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
    let parts = HubParts {
        journal: journal.clone(),
        follow: engine.follow(),
        lookup: Arc::new(CouponTasks(engine.dispatch())),
        clock: clock.clone(),
        entropy: entropy.clone(),
        stop: stop.clone(),
        tracker: watching.clone(),
    };
    let hub = Hub::with(parts, watchers::options(config, &node).await?);
    let runner = Runner::start(runner::Parts {
        store: open_store(config).await?,
        journal: journal.clone(),
        follow: engine.follow(),
        clock: clock.clone(),
        stop: stop.clone(),
        tracker: watching.clone(),
        roster: if config.projections.run { ROSTER } else { &[] },
    });
    runner.shown().await;
    let processes = Processes::start(sagas::Parts {
        dispatch: engine.dispatch(),
        journal: journal.clone(),
        payments,
        entropy: entropy.clone(),
        patience: Duration::from_secs(config.psp.review_after_seconds),
        stop: stop.clone(),
        tracker: watching.clone(),
    });
    let health = Arc::new(Health::new(engine.lost(), runner.clone()));
    watching.spawn(health.clone().look(journal.clone(), stop.clone()));
    let gauges = Gauges {
        dispatch: engine.dispatch(),
        hub: hub.clone(),
        runner: runner.clone(),
        processes: processes.clone(),
        metrics: metrics.clone(),
    };
    watching.spawn(gauges.look(stop.clone()));
    let router = http::router(Handles {
        dispatch: engine.dispatch(),
        hub: hub.clone(),
        runner: runner.clone(),
        processes,
        journal: journal.clone(),
        keys: keys.clone(),
        clock,
        entropy,
        readiness: health,
        metrics: metrics.clone(),
        stopping: stop.clone(),
    });
    let address = listener.local_addr().map_err(|source| listen_error(&config.server.listen, source))?;
    let mut listeners = Vec::new();
    let public = match admin {
        None => router,
        Some(admin) => {
            let text = get(move || async move { metrics.render() });
            let own = Router::new().route("/metrics", text);
            listeners.push(tokio::spawn(http::serve(
                admin,
                own,
                watchers::terms(config, limits::ADMIN_CONNECTIONS),
                stop.clone(),
            )));
            // The numbers have an address of their own now; here they are no longer to be had.
            Router::new().route("/metrics", any(|| async { StatusCode::NOT_FOUND })).fallback_service(router)
        }
    };
    listeners.push(tokio::spawn(http::serve(
        listener,
        public,
        watchers::terms(config, config.sse.connections()),
        stop.clone(),
    )));
    tracing::info!(%node, %address, "ready");
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

/// The wishes of operators and terminals that the process end. Heard from the making on, so that none is missed.
pub struct StopSignals {
    terminate: Signal,
    interrupt: Signal,
}

impl StopSignals {
    pub fn listen() -> Result<Self, StartError> {
        let hear = |kind| signal(kind).map_err(StartError::Signals);
        Ok(Self { terminate: hear(SignalKind::terminate())?, interrupt: hear(SignalKind::interrupt())? })
    }

    pub async fn heard(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
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

/// The store of the read models: beside the log.
pub async fn open_store(config: &Config) -> Result<Arc<dyn Store>, StoreError> {
    store::open(&target(config)).await
}

/// Keeps a rebuild's pace right for what happens to the log beside it, until the handle is aborted.
#[must_use]
pub fn watch_log(journal: SharedJournal, pace: Pace) -> JoinHandle<()> {
    tokio::spawn(async move {
        let sum = async || journal.heads().await.map(|heads| heads.iter().map(|head| head.0).sum::<u64>());
        let mut known = None;
        let mut round = tokio::time::interval(limits::REBUILD_LOOK);
        round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            round.tick().await;
            // A log that cannot be read just now says nothing about its growth.
            let Ok(now) = sum().await else { continue };
            if let Some(before) = known.replace(now) {
                pace.log_grew(now.saturating_sub(before), limits::REBUILD_LOOK);
            }
        }
    })
}

/// As [`open_store`], for who only looks: `None` where nobody has made one yet.
pub async fn look_at_store(config: &Config) -> Result<Option<Arc<dyn Store>>, StoreError> {
    store::look(&target(config)).await
}

/// The node's keys: configured ones, else those of the data directory.
pub fn keys(config: &Config, entropy: &Entropy) -> Result<Keys, StartError> {
    let auth = &config.auth;
    let chosen = auth.ticket_code_key.is_set().then(|| GateKey::chosen(auth.ticket_code_key.expose())).transpose()?;
    make_data_directory(config)?;
    if auth.access_key.is_set() {
        let codes = chosen.map_or_else(|| GateKey::load_or_create(&config.data.dir, entropy), Ok)?;
        return Ok(Keys::configured(auth.access_key.expose(), auth.ticket_key.expose(), codes)?);
    }
    let mut keys = Keys::load_or_create(&config.data.dir, entropy)?;
    if let Some(codes) = chosen {
        keys.codes = codes;
    }
    Ok(keys)
}

pub fn make_data_directory(config: &Config) -> Result<(), StartError> {
    let needed = !config.auth.access_key.is_set()
        || !config.auth.ticket_code_key.is_set()
        || matches!(target(config), Target::Sqlite { .. });
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

/// Lets the hub ask the coupon's actor where a task's fact stands.
struct CouponTasks(Dispatch);

#[async_trait::async_trait]
impl TaskLookup for CouponTasks {
    async fn version_of(&self, task: &TaskId) -> Result<Option<Version>, Fault> {
        let Some(coupon) = task.coupon() else { return Ok(None) };
        let task = task.clone();
        match self.0.read::<Coupon, _>(StreamId::coupon(&coupon), move |state| state.task(&task)).await {
            Ok(read) => Ok(read.value.map(|task| task.version)),
            Err(CommandError::Refused(_)) => Ok(None),
            Err(CommandError::Failed(fault)) => Err(fault),
        }
    }
}

/// What is known of the node's health, looked at once a second so that `/readyz` answers at once.
struct Health {
    lost: CancellationToken,
    /// Why the log cannot be read, as of the last look.
    log: Mutex<Result<(), String>>,
    runner: Runner,
}

impl Health {
    fn new(lost: CancellationToken, runner: Runner) -> Self {
        Self { lost, log: Mutex::new(Ok(())), runner }
    }

    /// What of the read models is not as it should be. Told, but no reason to take no requests: commands, streams and
    /// the other read models go on.
    fn projections(&self) -> String {
        let told = |(name, status): (&str, runner::Status)| {
            let mut parts = Vec::new();
            if status.state != State::Live {
                parts.push(status.state.as_str().to_owned());
            }
            if status.parked_keys > 0 {
                parts.push(format!("{} keys parked", status.parked_keys));
            }
            if let Some((partition, position)) = status.gaps.first_key_value() {
                parts.push(format!("a gap in the log at {partition}:{position}"));
            }
            (!parts.is_empty()).then(|| format!("{name}: {}", parts.join(", ")))
        };
        self.runner.statuses().into_iter().filter_map(told).collect::<Vec<_>>().join("; ")
    }

    async fn look(self: Arc<Self>, journal: SharedJournal, stop: CancellationToken) {
        let mut round = tokio::time::interval(limits::HEARTBEAT);
        round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = round.tick() => {}
            }
            let found = match tokio::time::timeout(limits::LEASE, journal.heads()).await {
                Ok(heads) => heads.map(drop).map_err(|fault| fault.to_string()),
                Err(_) => Err("the log does not answer".to_owned()),
            };
            *self.log.lock() = found;
        }
    }
}

/// What is counted by looking, once a second.
struct Gauges {
    dispatch: Dispatch,
    hub: Hub,
    runner: Runner,
    processes: Processes,
    metrics: PrometheusHandle,
}

impl Gauges {
    async fn look(self, stop: CancellationToken) {
        let mut round = tokio::time::interval(limits::HEARTBEAT);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = round.tick() => {}
            }
            let found = [
                (telemetry::ACTORS_AWAKE, self.dispatch.actors_awake()),
                (telemetry::COMMANDS_IN_FLIGHT, self.dispatch.in_flight()),
                (telemetry::WATCHERS, self.hub.watchers()),
                (telemetry::TOPICS, self.hub.topics()),
                (telemetry::PROCESSES, self.processes.under_way()),
            ];
            for (name, number) in found {
                metrics::gauge!(name).set(f64::from(u32::try_from(number).unwrap_or(u32::MAX)));
            }
            let number = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
            for (name, status) in self.runner.statuses() {
                metrics::gauge!(telemetry::PROJECTION_BEHIND, "projection" => name).set(number(status.behind));
                metrics::gauge!(telemetry::PROJECTION_PARKED, "projection" => name)
                    .set(number(status.parked_keys as u64));
            }
            // Histograms keep what nobody has fetched yet; this makes room.
            self.metrics.run_upkeep();
        }
    }
}

impl Readiness for Health {
    fn checks(&self) -> Vec<Check> {
        let check =
            |name, problem: Option<String>| Check { name, ok: problem.is_none(), detail: problem.unwrap_or_default() };
        vec![
            check("log", self.log.lock().clone().err()),
            Check { name: "projections", ok: true, detail: self.projections() },
            check("owner", self.lost.is_cancelled().then(|| "another node has taken over".to_owned())),
        ]
    }
}
