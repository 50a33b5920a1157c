//! On what are requests tried? A node as `src/app.rs` puts it together, with its log in memory, and nobody to pay or to mail.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use onsale::accounts::store::{self as cabinets, Place};
use onsale::accounts::{DeviceParts, Devices};
use onsale::actors::{Engine, Setup};
use onsale::addresses::Networks;
use onsale::app::{self, AccountParts};
use onsale::auth::{DeviceSigner, Keys, Principal, Revoked, Role, Signer};
use onsale::clock::{Clock, Entropy, SystemClock};
use onsale::config::Config;
use onsale::fault::Fault;
use onsale::gateways::mail::Nobody;
use onsale::http::{self, Check, Choices, Crowd, Forwarding, Front, Guard, Handles, Readiness, Terms};
use onsale::ids::{AccountId, NodeId, StoreId, TaskId, Version};
use onsale::journal::SharedJournal;
use onsale::journal::memory::MemoryJournal;
use onsale::journal::open::Target;
use onsale::live::{Hub, HubParts, TaskLookup};
use onsale::projections::ROSTER;
use onsale::projections::runner::{self, Keeping, Runner, State};
use onsale::projections::store;
use onsale::sagas::{self, Processes};
use onsale::throttle::Throttle;
use tokio::net::TcpListener;
use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const PARTITIONS: u16 = 4;
const DAY: Duration = Duration::from_secs(86_400);
/// Longer than any time that the edge gives a client.
pub const PATIENCE: Duration = Duration::from_secs(30);

pub struct Node {
    pub front: Front,
    pub address: SocketAddr,
    signer: Signer,
    _engine: Engine,
    _runner: Runner,
    _files: tempfile::TempDir,
}

impl Node {
    pub async fn start() -> Self {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy = Entropy::seeded(1);
        let keys = Keys::random(&entropy);
        let journal: SharedJournal = Arc::new(MemoryJournal::new(PARTITIONS, clock.clone()));
        let files = tempfile::tempdir().expect("a directory");
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let engine = engine(&journal, &clock, &entropy).await;
        let cabinet = cabinets::open(Place::File(files.path().to_owned())).await.expect("a cabinet");
        let revoked = Revoked::default();
        let runner = Runner::start(runner::Parts {
            store: store::open(&Target::Sqlite { dir: files.path().to_owned() }).await.expect("a store"),
            journal: journal.clone(),
            follow: engine.follow(),
            clock: clock.clone(),
            stop: stop.clone(),
            tracker: tracker.clone(),
            roster: ROSTER,
            keeping: Keeping::Ours,
        });
        ready(&runner).await;
        let front = http::router(Handles {
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
                journal: journal.clone(),
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
                journal: journal.clone(),
                payments: None,
                entropy: entropy.clone(),
                patience: DAY,
                stop: stop.clone(),
                tracker,
            }),
            journal,
            keys: keys.clone(),
            revoked,
            clock: clock.clone(),
            entropy,
            readiness: Arc::new(Nothing),
            metrics: None,
            stopping: stop.clone(),
            guard: Arc::new(guard()),
            follows: false,
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        let config = Config::from_parts(None, Vec::new(), &[]).expect("the defaults are right");
        let terms = Terms { connections: 1_000, crowd: Crowd::default(), stalled: config.sse.stalled() };
        tokio::spawn(http::serve(listener, front.clone(), terms, Handle::current(), stop));
        let signer = Signer::new(&keys.access);
        Self { front, address, signer, _engine: engine, _runner: runner, _files: files }
    }

    pub fn token(&self, account: &str, role: Role, store: Option<&str>) -> String {
        let now = SystemClock.wall();
        let principal = Principal::operator(AccountId::new(account), role, store.map(StoreId::new), now);
        self.signer.sign(&principal, 365 * DAY, now).expect("a token")
    }
}

/// Until its read models are made, a node answers lists by saying so.
async fn ready(runner: &Runner) {
    let mut look = tokio::time::interval(Duration::from_millis(5));
    while runner.statuses().iter().any(|(_, status)| status.state != State::Live) {
        look.tick().await;
    }
}

async fn engine(journal: &SharedJournal, clock: &Arc<dyn Clock>, entropy: &Entropy) -> Engine {
    let node = NodeId::new("fuzzed");
    let claimed_at = clock.elapsed();
    let claim = journal.claim(&node).await.expect("nobody else is here");
    let (journal, clock, entropy) = (journal.clone(), clock.clone(), entropy.clone());
    let setup = Setup { journal, claim, claimed_at, node, clock, entropy, sabotage: None };
    Engine::start(setup).await.expect("the log is empty")
}

/// Nobody is told to come back later: what is asked is to be answered.
fn guard() -> Guard {
    Guard::new(Choices {
        throttle: Throttle::new(|_| None, None),
        proxies: Networks::default(),
        forwarding: Forwarding::XForwardedFor,
        uncounted: Networks::default(),
        cors: None,
        origin: None,
        hsts_seconds: 0,
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
