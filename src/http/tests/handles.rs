//! What is an edge tested on? All its handles, over memory and files of the test's own.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::edge;
use crate::accounts::store::{Place, SharedCabinet};
use crate::accounts::{self, Accounts, DeviceParts, Devices, Parts};
use crate::actors::{Engine, Setup};
use crate::auth::{DeviceSigner, Keys, Passwords, Revoked, Seal, Signer};
use crate::clock::{Clock, Entropy, SystemClock};
use crate::fault::Fault;
use crate::gateways::mail::{Nobody, Post};
use crate::http::Handles;
use crate::http::ops::{Check, Readiness};
use crate::ids::{NodeId, TaskId, Version};
use crate::journal::SharedJournal;
use crate::journal::memory::MemoryJournal;
use crate::journal::open::Target;
use crate::live::{Hub, HubParts, TaskLookup};
use crate::projections::ROSTER;
use crate::projections::runner::{self, Runner};
use crate::projections::store;
use crate::sagas::{self, Processes};

struct Nowhere;

#[async_trait::async_trait]
impl TaskLookup for Nowhere {
    async fn version_of(&self, _task: &TaskId) -> Result<Option<Version>, Fault> {
        Ok(None)
    }
}

struct Half;

impl Readiness for Half {
    fn checks(&self) -> Vec<Check> {
        let check = |name, ok| Check { name, ok, detail: String::new() };
        vec![check("log", true), check("partitions", false)]
    }
}

pub fn keys() -> Keys {
    Keys::random(&Entropy::seeded(11))
}

fn accounts(cabinet: SharedCabinet, revoked: &Revoked, clock: &Arc<dyn Clock>, entropy: &Entropy) -> Accounts {
    let (keys, tracker) = (keys(), TaskTracker::new());
    Accounts::new(Parts {
        cabinet,
        passwords: Passwords::new(entropy.clone()),
        seal: Seal::new(&keys.seal.current().sealing(), &[]),
        signer: Signer::new(&keys.access),
        revoked: revoked.clone(),
        post: Post::start(Arc::new(Nobody), CancellationToken::new(), &tracker),
        clock: clock.clone(),
        entropy: entropy.clone(),
        tracker,
    })
}

pub async fn handles() -> Handles {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let entropy = Entropy::seeded(12);
    let journal: SharedJournal = Arc::new(MemoryJournal::new(4, clock.clone()));
    let node = NodeId::new("test");
    let claim = journal.claim(&node).await.expect("nobody else is here");
    let setup = Setup {
        journal: journal.clone(),
        claim,
        claimed_at: clock.elapsed(),
        node,
        clock: clock.clone(),
        entropy: entropy.clone(),
        sabotage: None,
    };
    let engine = Engine::start(setup).await.expect("an empty log");
    let hub = Hub::new(HubParts {
        follow: engine.follow(),
        journal: journal.clone(),
        lookup: Arc::new(Nowhere),
        clock: clock.clone(),
        entropy: entropy.clone(),
        stop: CancellationToken::new(),
        tracker: TaskTracker::new(),
    });
    let metrics = metrics_exporter_prometheus::PrometheusBuilder::new().build_recorder().handle();
    let (readiness, stopping) = (Arc::new(Half), CancellationToken::new());
    // Kept by the process: the files are in use as long as the tasks of the runner are.
    let dir = tempfile::tempdir().expect("a directory").keep();
    let runner = Runner::start(runner::Parts {
        store: store::open(&Target::Sqlite { dir }).await.expect("a store"),
        journal: journal.clone(),
        follow: engine.follow(),
        clock: clock.clone(),
        stop: stopping.clone(),
        tracker: TaskTracker::new(),
        roster: ROSTER,
        keeping: runner::Keeping::Ours,
    });
    let processes = Processes::start(sagas::Parts {
        dispatch: engine.dispatch(),
        journal: journal.clone(),
        payments: None,
        entropy: entropy.clone(),
        patience: std::time::Duration::from_secs(60),
        stop: stopping.clone(),
        tracker: TaskTracker::new(),
    });
    let revoked = Revoked::default();
    let dir = tempfile::tempdir().expect("a directory").keep();
    let cabinet = accounts::store::open(Place::File(dir)).await.expect("a cabinet");
    let accounts = accounts(cabinet.clone(), &revoked, &clock, &entropy);
    let devices = Devices::new(DeviceParts {
        cabinet,
        signer: DeviceSigner::new(&keys().device),
        revoked: revoked.clone(),
        clock: clock.clone(),
        tracker: TaskTracker::new(),
    });
    Handles {
        accounts,
        devices,
        dispatch: engine.dispatch(),
        hub,
        runner,
        processes,
        journal,
        keys: keys(),
        revoked,
        clock,
        entropy,
        readiness,
        metrics: Some(metrics),
        stopping,
        guard: Arc::new(edge::open()),
        follows: false,
    }
}
