//! Who serves, and for how long? Nodes one after the other, each with its own gate; some are killed, some only sleep.
//!
//! The successor of a killed node claims the log at once (its connection is gone) or when the lease has run out. A frozen
//! or cut-off node comes back and still believes that it owns the log: it must write nothing, refuse what it remembers,
//! and step down.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use onsale::actors::{Dispatch, Engine, Setup};
use onsale::clock::{Clock, Entropy};
use onsale::ids::NodeId;
use onsale::journal::memory::MemoryJournal;
use onsale::journal::{ClaimError, Journal, SharedJournal};
use onsale::live::Hub;
use onsale::sagas::{Parts, Processes};
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::door::{Door, Gate, Trap};
use crate::follower::Rumours;
use crate::plan::Plan;
use crate::psp::{Line, Provider};
use crate::simulated::{pass, pass_millis};
use crate::trouble::Trouble;
use crate::watchers;
use crate::world::Tally;

/// After that long without a yes or a no from the provider, people have to look.
pub const PATIENCE: Duration = Duration::from_secs(8);
/// What a process has to end well.
const GRACE: Duration = Duration::from_secs(10);

pub struct Node {
    pub gate: Arc<Gate>,
    pub dispatch: Dispatch,
    pub processes: Processes,
    pub hub: Hub,
    id: NodeId,
    cut: Arc<AtomicBool>,
    engine: Mutex<Option<Engine>>,
    lost: CancellationToken,
    stop: CancellationToken,
    tracker: TaskTracker,
}

/// What all nodes have in common.
pub struct Around {
    pub plan: Plan,
    pub clock: Arc<dyn Clock>,
    pub log: MemoryJournal,
    pub trouble: Arc<Trouble>,
    pub provider: Arc<Provider>,
    pub rumours: Arc<Rumours>,
    pub tally: Arc<Tally>,
}

pub struct Fleet {
    around: Around,
    started: AtomicU64,
    /// The newest last.
    nodes: Mutex<Vec<Arc<Node>>>,
    violations: Mutex<Vec<String>>,
    peace: CancellationToken,
}

impl Node {
    /// SIGKILL.
    fn kill(&self) {
        self.gate.kill();
        // Nothing of it gets out any more; this only spares the work.
        self.stop.cancel();
        self.hub.shutdown();
    }

    /// SIGTERM, and what follows in `app`.
    async fn end(&self) {
        self.stop.cancel();
        self.hub.shutdown();
        self.tracker.close();
        let _late = tokio::time::timeout(GRACE, self.tracker.wait()).await;
        let engine = self.engine.lock().take();
        if let Some(engine) = engine {
            let _late = tokio::time::timeout(GRACE, engine.shutdown()).await;
        }
        self.gate.kill();
    }

    pub fn ask_all_to_leave(&self) {
        if let Some(engine) = &*self.engine.lock() {
            engine.ask_all_to_leave();
        }
    }
}

impl Fleet {
    pub fn new(around: Around) -> Arc<Self> {
        let (started, nodes, violations) = (AtomicU64::new(0), Mutex::default(), Mutex::default());
        Arc::new(Self { around, started, nodes, violations, peace: CancellationToken::new() })
    }

    /// The node that serves, or served last.
    pub fn newest(&self) -> Arc<Node> {
        self.nodes.lock().last().expect("the first node is started before anybody asks").clone()
    }

    /// Where a request goes: mostly to the newest, now and then to one that may be gone.
    pub fn somewhere(&self, dice: u64) -> Arc<Node> {
        let nodes = self.nodes.lock();
        let stale = nodes.len() > 1 && dice.is_multiple_of(6);
        nodes[nodes.len() - if stale { 2 } else { 1 }].clone()
    }

    pub fn violations(&self) -> Vec<String> {
        self.violations.lock().clone()
    }

    /// No node is troubled from now on.
    pub fn heal(&self) {
        self.peace.cancel();
    }

    /// Starts a node, as soon as the log can be claimed; `None` if `needed` says that it is not wanted any more.
    async fn start(&self, needed: impl Fn() -> bool) -> Option<Arc<Node>> {
        let number = self.started.fetch_add(1, Ordering::SeqCst);
        let Around { plan, clock, log, trouble, provider, rumours, tally } = &self.around;
        let seed = plan.seed.wrapping_mul(1_000).wrapping_add(number);
        let connection = log.clone().with_mischief(trouble.clone());
        let door = Arc::new(Door::new(connection, seed ^ 0xd00d, plan, tally.clone()));
        let (gate, cut) = (door.gate.clone(), door.cut.clone());
        let (journal, id): (SharedJournal, _) = (door, NodeId::new(format!("node-{number}")));
        let entropy = Entropy::seeded(seed ^ 0x6e6f);
        let engine = loop {
            if !needed() {
                return None;
            }
            let claimed_at = clock.elapsed();
            match journal.claim(&id).await {
                Ok(claim) => {
                    let setup = Setup {
                        journal: journal.clone(),
                        claim,
                        claimed_at,
                        node: id.clone(),
                        clock: clock.clone(),
                        entropy: entropy.clone(),
                        sabotage: Some(trouble.clone()),
                    };
                    break Engine::start(setup).await.expect("the memory journal tells its timers");
                }
                Err(ClaimError::Held { .. } | ClaimError::Unavailable(_)) => pass_millis(250).await,
            }
        };
        let (stop, tracker) = (CancellationToken::new(), TaskTracker::new());
        let processes = Processes::start(Parts {
            dispatch: engine.dispatch(),
            journal,
            payments: Some(Arc::new(Line { provider: provider.clone(), gate: gate.clone() })),
            entropy,
            patience: PATIENCE,
            stop: stop.clone(),
            tracker: tracker.clone(),
        });
        // Watchers wake in no certain order: they have a door to the log of their own, whose troubles do not move the node's.
        let aside = Arc::new(Trouble::new(&Plan { seed: seed ^ 0x77, ..plan.clone() }, tally.clone()));
        let watched =
            Door { gate: gate.clone(), ..Door::new(log.clone().with_mischief(aside), seed, plan, tally.clone()) };
        let hub = watchers::hub(Arc::new(watched), engine.follow(), clock, seed);
        rumours.follow(engine.follow(), gate.clone());
        let (dispatch, lost) = (engine.dispatch(), engine.lost());
        let engine = Mutex::new(Some(engine));
        let node = Arc::new(Node { gate, dispatch, processes, hub, id, cut, engine, lost, stop, tracker });
        self.nodes.lock().push(node.clone());
        if number > 0 {
            self.around.tally.count("takeover");
        }
        Some(node)
    }

    pub async fn start_first(&self) {
        self.start(|| true).await.expect("it is always wanted");
    }

    /// Troubles one node after the other, until peace. Afterwards one node serves, and is well.
    pub async fn reign(self: Arc<Self>) {
        let entropy = Entropy::seeded(self.around.plan.seed ^ 0x0dd);
        while !self.peace.is_cancelled() {
            let node = self.newest();
            let quiet = Duration::from_millis(if self.around.plan.crash { entropy.below(6_000) } else { 600_000 });
            let troubled = tokio::select! {
                biased;
                () = self.peace.cancelled() => false,
                () = node.lost.cancelled() => false,
                () = pass(quiet) => true,
            };
            if troubled {
                self.trouble(&node, &entropy).await;
            } else if node.lost.is_cancelled() {
                self.around.tally.count("node gave up by itself");
                node.end().await;
                self.start(|| true).await;
            }
        }
        // Whoever lost the log in the last moment is followed as well.
        loop {
            let node = self.newest();
            pass(Duration::from_secs(8)).await;
            if !node.lost.is_cancelled() {
                return;
            }
            node.end().await;
            self.start(|| true).await;
        }
    }

    async fn trouble(self: &Arc<Self>, node: &Arc<Node>, entropy: &Entropy) {
        let tally = &self.around.tally;
        match entropy.below(8) {
            0..=3 => {
                tally.count("node killed");
                match entropy.below(3) {
                    0 => _ = node.gate.trapped(Trap::Kill).await,
                    1 => _ = node.gate.trapped(Trap::KillAfter).await,
                    _ => {}
                }
                node.kill();
                if entropy.below(2) == 0 {
                    // Its connection is gone, and with it the lease.
                    pass_millis(entropy.below(50)).await;
                    self.around.log.release(&node.id).await.expect("the memory journal is here");
                }
                self.start(|| true).await;
            }
            4 | 5 => {
                tally.count("node frozen");
                if entropy.below(3) == 0 || !node.gate.trapped(Trap::Freeze).await {
                    node.gate.freeze();
                }
                let (sleeper, time) = (node.gate.clone(), Duration::from_millis(500 + entropy.below(8_000)));
                tokio::spawn(async move {
                    pass(time).await;
                    sleeper.thaw();
                });
                self.succeed(node).await;
            }
            6 => {
                tally.count("node cut off");
                node.cut.store(true, Ordering::SeqCst);
                let (cut, time) = (node.cut.clone(), Duration::from_millis(500 + entropy.below(6_000)));
                tokio::spawn(async move {
                    pass(time).await;
                    cut.store(false, Ordering::SeqCst);
                });
                self.succeed(node).await;
            }
            _ => {
                tally.count("node handed over");
                node.end().await;
                self.start(|| true).await;
            }
        }
    }

    /// Another node takes over, unless this one is well again before its lease has run out.
    async fn succeed(self: &Arc<Self>, node: &Arc<Node>) {
        let well = || node.gate.is_open() && !node.cut.load(Ordering::SeqCst);
        if self.start(|| !well()).await.is_some() {
            tokio::spawn(self.clone().watch_old(node.clone()));
        }
    }

    /// A node that was replaced finds out and ends.
    async fn watch_old(self: Arc<Self>, node: Arc<Node>) {
        node.gate.pass().await;
        // Its heartbeats may be lost for a while, one after the other.
        if tokio::time::timeout(Duration::from_secs(30), node.lost.cancelled()).await.is_err() {
            self.violations.lock().push(format!("{} was replaced and did not step down", node.id));
        } else {
            self.around.tally.count("woken node stepped down");
        }
        node.end().await;
    }
}
