//! How is a node put together? Build, start order, shutdown order; the only place that sees all of it.
//!
//! Log first, then the claim, the actors, the hub, and last the listener: whoever can connect can be answered. Shutdown is
//! the other way round. What a part does is not known here.

mod accounts;
mod behind_edge;
mod devices;
mod guard;
mod health;
mod keys;
mod mail;
mod payments;
mod production;
mod watchers;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::actors::{CommandError, Dispatch, Engine, Setup};
use crate::auth::{KeyError, Keys, Revoked};
use crate::clock::{Clock, Entropy, SystemClock};
use crate::config::{Config, ConfigError};
use crate::domain::coupon::Coupon;
use crate::fault::Fault;
use crate::gateways::hints::Channel;
use crate::gateways::mail::{Nobody, SharedMailer};
use crate::http::Handles;
use crate::ids::{NodeId, StreamId, TaskId, Version};
use crate::journal::follow::{Follow, Risen};
use crate::journal::open::{self, Migration, OpenError, Options, Role, ServerRole, Target};
use crate::journal::poll::Poll;
use crate::journal::{ClaimError, SharedJournal};
use crate::limits;
use crate::live::Hub;
use crate::live::hub::{HubParts, TaskLookup};
use crate::projections::ROSTER;
use crate::projections::rebuild::Pace;
use crate::projections::runner::{self, Keeping, Runner};
use crate::projections::store::{self, Store, StoreError};
use crate::sagas::{self, Processes};
use crate::{http, telemetry};

pub use accounts::{AccountParts, accounts, accounts_beside, cabinet, require_our_seal};
pub use behind_edge::serve_behind_edge;
use health::{Gauges, Health};
pub use keys::{chosen_keys, keys, make_data_directory};
pub use mail::mailer;
pub use payments::payments;
use watchers::Streams;

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
    #[error(
        "the accounts of this log were made with another seal key: the last of auth.seal_key_previous (or auth.seal_key, \
         when there is none before it) must be the key they were made with, since they are found by it"
    )]
    OtherSeal,
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
    #[error("no threads to work with: {0}")]
    Threads(std::io::Error),
    #[error("{0}")]
    Metrics(String),
    #[error("--follow reads the log of a Postgres that another node writes; name it with ONSALE_DATABASE_URL")]
    NobodyToFollow,
    #[error("stepped down: another node serves this log")]
    Lost,
}

/// A running node.
pub struct Running {
    pub address: SocketAddr,
    pub keys: Keys,
    /// `None`: it follows.
    engine: Option<Engine>,
    /// Cancelled when another node has taken over what this one owned.
    lost: CancellationToken,
    hub: Hub,
    watching: TaskTracker,
    stop: CancellationToken,
    listeners: Vec<JoinHandle<()>>,
    _streams: Streams,
}

/// Runs a node until the process is asked to end; `ready` hears where it listens.
pub async fn run(config: &Config, ready: impl FnOnce(SocketAddr)) -> Result<(), StartError> {
    let mut signals = StopSignals::listen()?;
    let running = start(config).await?;
    ready(running.address);
    let lost = running.lost.clone();
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
    let revoked = Revoked::default();
    // Ports first: a second server on this machine is told so before it touches the log.
    let listener = listen(&config.server.listen).await?;
    let admin = match config.server.admin_listen.as_str() {
        "" => None,
        address => Some(listen(address).await?),
    };
    let hints = hints(config)?;
    let shared = guard::shared(config)?;
    let node = node_id(config, &entropy);
    production::check(config).await?;
    let (stop, watching) = (CancellationToken::new(), TaskTracker::new());
    let (journal, log) = match config.server.follow {
        true => follow(config, hints, &clock, &entropy, &stop, &watching).await?,
        false => own(config, hints, &node, &clock, &entropy, &stop, &watching).await?,
    };
    let Log { dispatch, follow, engine } = log;
    let lost = engine.as_ref().map_or_else(CancellationToken::new, Engine::lost);
    let parts = HubParts {
        journal: journal.clone(),
        follow: follow.clone(),
        lookup: Arc::new(CouponTasks(dispatch.clone())),
        clock: clock.clone(),
        entropy: entropy.clone(),
        stop: stop.clone(),
        tracker: watching.clone(),
    };
    let cabinet = cabinet(config).await?;
    require_our_seal(&cabinet, &keys).await?;
    let devices = devices::devices(devices::Around {
        cabinet: cabinet.clone(),
        keys: &keys,
        revoked: revoked.clone(),
        clock: clock.clone(),
        stop: &stop,
        tracker: &watching,
    });
    let devices = devices.await?;
    let hub = Hub::with(parts, watchers::options(config, &node, payments.as_ref()).await?);
    let runner = Runner::start(runner::Parts {
        store: open_store(config).await?,
        journal: journal.clone(),
        follow: follow.clone(),
        clock: clock.clone(),
        stop: stop.clone(),
        tracker: watching.clone(),
        roster: if config.projections.run { ROSTER } else { &[] },
        keeping: if config.server.follow { Keeping::Theirs } else { Keeping::Ours },
    });
    runner.shown().await;
    let processes = Processes::start(sagas::Parts {
        dispatch: dispatch.clone(),
        journal: journal.clone(),
        payments,
        entropy: entropy.clone(),
        patience: Duration::from_secs(config.psp.review_after_seconds),
        stop: stop.clone(),
        tracker: watching.clone(),
    });
    if let Some(shared) = shared.clone() {
        watching.spawn(shared.keep(stop.clone()));
    }
    let guard = guard::guard(config, shared)?;
    let mailer: SharedMailer = match config.server.follow {
        true => Arc::new(Nobody),
        false => mailer(config, clock.clone(), entropy.clone())?,
    };
    let accounts = accounts(AccountParts {
        cabinet,
        mailer,
        keys: &keys,
        revoked: revoked.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        stop: &stop,
        tracker: &watching,
    });
    watching.spawn(accounts.clone().keep_tidy(stop.clone()));
    let health = Arc::new(Health::new(lost.clone(), runner.clone()));
    watching.spawn(health.clone().look(journal.clone(), stop.clone()));
    let gauges = Gauges {
        dispatch: dispatch.clone(),
        hub: hub.clone(),
        runner: runner.clone(),
        processes: processes.clone(),
        metrics: metrics.clone(),
    };
    watching.spawn(gauges.look(stop.clone()));
    let router = http::router(Handles {
        accounts,
        devices,
        dispatch: dispatch.clone(),
        hub: hub.clone(),
        runner: runner.clone(),
        processes,
        journal: journal.clone(),
        keys: keys.clone(),
        revoked,
        clock,
        entropy,
        readiness: health,
        metrics: admin.is_none().then(|| metrics.clone()),
        stopping: stop.clone(),
        guard: Arc::new(guard),
        follows: config.server.follow,
    });
    let address = listener.local_addr().map_err(|source| listen_error(&config.server.listen, source))?;
    let streams = Streams::start().map_err(StartError::Threads)?;
    let mut listeners = Vec::new();
    if let Some(admin) = admin {
        let text = get(move || async move { metrics.render() });
        listeners.push(tokio::spawn(http::serve(
            admin,
            Router::new().route("/metrics", text),
            watchers::terms(config, limits::ADMIN_CONNECTIONS, http::Crowd::default()),
            streams.handle(),
            stop.clone(),
        )));
    }
    listeners.push(tokio::spawn(http::serve(
        listener,
        router,
        watchers::terms(config, config.sse.connections(), guard::crowd(config)?),
        streams.handle(),
        stop.clone(),
    )));
    tracing::info!(%node, %address, "ready");
    Ok(Running { address, keys, engine, lost, hub, watching, stop, listeners, _streams: streams })
}

/// The way to the log, and to what is decided about it.
struct Log {
    dispatch: Dispatch,
    follow: Follow,
    engine: Option<Engine>,
}

/// Takes the log over, and tells those who follow it where to look.
async fn own(
    config: &Config,
    hints: Option<Channel>,
    node: &NodeId,
    clock: &Arc<dyn Clock>,
    entropy: &Entropy,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<(SharedJournal, Log), StartError> {
    let journal = open_journal(config, Role::Serve).await?;
    let claim = journal.claim(node).await?;
    // The claim may have waited for a dead node's lease; ours counts from a heartbeat of our own.
    let claimed_at = clock.elapsed();
    journal.heartbeat(node).await?;
    let engine = Engine::start(Setup {
        journal: journal.clone(),
        claim,
        claimed_at,
        node: node.clone(),
        clock: clock.clone(),
        entropy: entropy.clone(),
        sabotage: None,
    });
    let engine = engine.await?;
    let follow = engine.follow();
    if let Some(channel) = hints {
        let risen = |mut risen: Risen| async move { Some((risen.next().await, risen)) };
        tasks.spawn(channel.tell(futures::stream::unfold(follow.risen(), risen), stop.clone()));
    }
    Ok((journal, Log { dispatch: engine.dispatch(), follow, engine: Some(engine) }))
}

/// Follows a log that another node writes.
async fn follow(
    config: &Config,
    hints: Option<Channel>,
    clock: &Arc<dyn Clock>,
    entropy: &Entropy,
    stop: &CancellationToken,
    tasks: &TaskTracker,
) -> Result<(SharedJournal, Log), StartError> {
    if matches!(target(config), Target::Sqlite { .. }) {
        return Err(StartError::NobodyToFollow);
    }
    let journal = open_journal(config, Role::Read).await?;
    let poll = Poll::open(journal.clone(), clock.clone()).await?;
    let (follow, hear) = (poll.follow(), poll.hinting());
    tasks.spawn(poll.run(stop.clone()));
    if let Some(channel) = hints {
        tasks.spawn(channel.listen(hear, stop.clone()));
    }
    let dispatch = Dispatch::elsewhere(journal.clone(), clock.clone(), entropy.clone());
    Ok((journal, Log { dispatch, follow, engine: None }))
}

fn hints(config: &Config) -> Result<Option<Channel>, StartError> {
    let url = &config.redis.url;
    let channel = url.is_set().then(|| Channel::new(url.expose(), &config.redis.prefix)).transpose();
    channel.map_err(|wrong| ConfigError::new("redis.url", wrong.to_string()).into())
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
        let Some(engine) = self.engine else { return };
        if tokio::time::timeout(HANDING_OVER, engine.shutdown()).await.is_err() {
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

/// What a migration has to do, as configured.
#[must_use]
pub fn migration(config: &Config) -> Migration {
    let database = &config.database;
    let password = database.server_password.is_set().then(|| database.server_password.expose().to_owned());
    let server =
        (!database.server_role.is_empty()).then(|| ServerRole { name: database.server_role.clone(), password });
    Migration { partitions: chosen_partitions(config), server }
}

pub async fn open_journal(config: &Config, role: Role) -> Result<SharedJournal, OpenError> {
    let data = Some(config.data.dir.clone());
    let options = Options { partitions: chosen_partitions(config), data, ..Options::new(role) };
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
