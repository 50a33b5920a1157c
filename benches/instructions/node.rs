//! What is counted? A node as `src/app.rs` puts it together, with its log in memory: no disk, and no other thread, is in it.
//!
//! Its read models are in SQLite, whose work is on threads of its own, which are not counted; what they are told is.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use onsale::accounts::store::{self as cabinets, Place};
use onsale::accounts::{DeviceParts, Devices};
use onsale::actors::{Engine, Setup};
use onsale::app::{self, AccountParts};
use onsale::auth::{DeviceSigner, Keys, Principal, Revoked, Role, Signer};
use onsale::clock::{Clock, Entropy, SimulatedClock};
use onsale::config::Config;
use onsale::fault::Fault;
use onsale::gateways::mail::Nobody;
use onsale::http::{self, Check, Choices, Crowd, Forwarding, Guard, Handles, Readiness, Terms};
use onsale::ids::{AccountId, NodeId, TaskId, Version};
use onsale::journal::memory::MemoryJournal;
use onsale::journal::open::Target;
use onsale::journal::{Journal, SharedJournal};
use onsale::limits;
use onsale::live::{Hub, HubParts, TaskLookup};
use onsale::projections::ROSTER;
use onsale::projections::runner::{self, Keeping, Runner, State};
use onsale::projections::store;
use onsale::sagas::{self, Processes};
use onsale::telemetry;
use onsale::throttle::{Class, Quota, Throttle};
use onsale::timestamp::Timestamp;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const START: Timestamp = Timestamp(1_800_000_000_000);
/// Moments in which SQLite has done what it was told, on most machines.
const PATIENCE: u32 = 100;
const DAY: Duration = Duration::from_secs(86_400);

pub struct Node {
    pub address: SocketAddr,
    journal: Arc<MemoryJournal>,
    runner: Runner,
    signer: Signer,
    clock: Arc<dyn Clock>,
    _engine: Engine,
    _files: tempfile::TempDir,
}

impl Node {
    pub async fn start() -> Self {
        let config = Config::from_parts(None, Vec::new(), &[]).expect("the defaults are right");
        let clock: Arc<dyn Clock> = Arc::new(SimulatedClock::starting_at(START));
        let entropy = Entropy::seeded(1);
        let keys = Keys::random(&entropy);
        let metrics = telemetry::metrics().expect("a recorder");
        let journal = Arc::new(MemoryJournal::new(config.database.partitions, clock.clone()));
        let shared: SharedJournal = journal.clone();
        let files = tempfile::tempdir().expect("a directory");
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let engine = engine(&shared, &clock, &entropy).await;
        let cabinet = cabinets::open(Place::File(files.path().to_owned())).await.expect("a cabinet");
        let revoked = Revoked::default();
        let runner = Runner::start(runner::Parts {
            store: store::open(&Target::Sqlite { dir: files.path().to_owned() }).await.expect("a store"),
            journal: shared.clone(),
            follow: engine.follow(),
            clock: clock.clone(),
            stop: stop.clone(),
            tracker: tracker.clone(),
            roster: ROSTER,
            keeping: Keeping::Ours,
        });
        // However long it takes: while time stands still, they would not be made.
        while runner.statuses().iter().any(|(_, status)| status.state != State::Live) {
            a_moment().await;
        }
        let router = http::router(Handles {
            accounts: app::accounts(AccountParts {
                cabinet: cabinet.clone(),
                mailer: Arc::new(Nobody),
                keys: &keys,
                revoked: revoked.clone(),
                clock: clock.clone(),
                entropy: entropy.clone(),
                stop: &stop,
                tracker: &tracker,
            }),
            devices: Devices::new(DeviceParts {
                cabinet,
                signer: DeviceSigner::new(&keys.device),
                revoked: revoked.clone(),
                clock: clock.clone(),
                tracker: tracker.clone(),
            }),
            dispatch: engine.dispatch(),
            hub: Hub::new(HubParts {
                journal: shared.clone(),
                follow: engine.follow(),
                lookup: Arc::new(Nothing),
                clock: clock.clone(),
                entropy: entropy.clone(),
                stop: stop.clone(),
                tracker: tracker.clone(),
            }),
            runner: runner.clone(),
            processes: Processes::start(sagas::Parts {
                dispatch: engine.dispatch(),
                journal: shared.clone(),
                payments: None,
                entropy: entropy.clone(),
                patience: DAY,
                stop: stop.clone(),
                tracker,
            }),
            journal: shared,
            keys: keys.clone(),
            revoked,
            clock: clock.clone(),
            entropy,
            readiness: Arc::new(Nothing),
            metrics: Some(metrics),
            stopping: stop.clone(),
            guard: Arc::new(guard(&config)),
            follows: false,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let terms = Terms { connections: 1_000, crowd: Crowd::default(), stalled: config.sse.stalled() };
        tokio::spawn(http::serve(listener, router, terms, Handle::current(), stop));
        let signer = Signer::new(&keys.access);
        Self { address, journal, runner, signer, clock, _engine: engine, _files: files }
    }

    pub fn token(&self, account: &str, sells: bool) -> String {
        let role = if sells { Role::Seller } else { Role::Member };
        let now = self.clock.wall();
        let principal = Principal::operator(AccountId::new(account), role, None, now);
        self.signer.sign(&principal, DAY, now).expect("a token")
    }

    /// Waits until every read model has taken in the whole log, has saved how far it came, and takes what is new at once.
    pub async fn rest(&self) {
        self.caught_up().await;
        tokio::time::advance(limits::CURSOR_FLUSH).await;
        for _ in 0..PATIENCE {
            a_moment().await;
        }
    }

    /// Waits until every read model has taken in the whole log. One that was not ready when time was moved last would wait
    /// for the next time; that it is moved again adds a little noise.
    pub async fn caught_up(&self) {
        let (mut looked, mut last) = (0, 0);
        loop {
            let (missing, applied) = self.missing().await;
            if !missing {
                return;
            }
            looked = if applied > last { 0 } else { looked + 1 };
            last = applied;
            if looked == PATIENCE {
                looked = 0;
                tokio::time::advance(limits::CURSOR_FLUSH).await;
            }
            a_moment().await;
        }
    }

    /// Long enough for those that gather.
    pub async fn moment_passes(&self) {
        tokio::time::advance(2 * limits::PROJECTION_PACE_HOT).await;
    }

    /// Does a read model miss something, and how much have all of them taken in?
    async fn missing(&self) -> (bool, u64) {
        let heads = self.journal.heads().await.expect("it is in memory");
        let events: u64 = heads.iter().map(|head| head.0).sum();
        let applied: Vec<u64> = self.runner.statuses().iter().map(|(_, status)| status.applied).collect();
        (applied.iter().any(|applied| *applied < events), applied.iter().sum())
    }
}

/// A thread of its own waits, so that this one sleeps until somebody has something for it.
async fn a_moment() {
    let waited = tokio::task::spawn_blocking(|| std::thread::sleep(Duration::from_millis(5)));
    waited.await.expect("a moment passes");
}

async fn engine(journal: &SharedJournal, clock: &Arc<dyn Clock>, entropy: &Entropy) -> Engine {
    let node = NodeId::new("counted");
    let claimed_at = clock.elapsed();
    let claim = journal.claim(&node).await.expect("nobody else is here");
    let setup = Setup {
        journal: journal.clone(),
        claim,
        claimed_at,
        node,
        clock: clock.clone(),
        entropy: entropy.clone(),
        sabotage: None,
    };
    Engine::start(setup).await.expect("the log is empty")
}

/// What an operator has who changes nothing.
fn guard(config: &Config) -> Guard {
    let quota = |class: Class| {
        let rate = config.limits.rate(class.name()).expect("a rate")?;
        Quota::new(rate.burst, rate.number, rate.period)
    };
    Guard::new(Choices {
        throttle: Throttle::new(quota, None),
        proxies: config.server.proxies().expect("networks"),
        forwarding: Forwarding::XForwardedFor,
        uncounted: config.limits.uncounted().expect("networks"),
        cors: None,
        origin: None,
        hsts_seconds: config.server.hsts_seconds,
    })
}

/// Nobody watches a coupon, and nobody asks how the node is.
struct Nothing;

#[async_trait::async_trait]
impl TaskLookup for Nothing {
    async fn version_of(&self, _task: &TaskId) -> Result<Option<Version>, Fault> {
        Ok(None)
    }
}

impl Readiness for Nothing {
    fn checks(&self) -> Vec<Check> {
        Vec::new()
    }
}
