//! How does a node see the log that only follows it? The real poller, with hints that get lost, come twice, late or lie.

use std::sync::Arc;
use std::time::Duration;

use onsale::actors::Dispatch;
use onsale::clock::{Clock, Entropy};
use onsale::ids::{LogPosition, Partition, Position};
use onsale::journal::SharedJournal;
use onsale::journal::follow::Follow;
use onsale::journal::poll::Poll;
use onsale::live::Hub;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::door::Gate;
use crate::simulated::pass;
use crate::watchers;
use crate::world::Tally;

type Hear = Box<dyn Fn(LogPosition) -> bool + Send + Sync>;

/// What stands in for Redis.
pub struct Rumours {
    entropy: Entropy,
    tally: Arc<Tally>,
    hear: Mutex<Option<Hear>>,
}

impl Rumours {
    pub fn new(seed: u64, tally: Arc<Tally>) -> Arc<Self> {
        Arc::new(Self { entropy: Entropy::seeded(seed ^ 0x4ed15), tally, hear: Mutex::new(None) })
    }

    /// Carries a node's hints away, some of them.
    pub fn follow(self: &Arc<Self>, follow: Follow, gate: Arc<Gate>) {
        let own = self.clone();
        tokio::spawn(async move {
            let mut risen = follow.risen();
            while let Some(hints) = gate.visit(risen.next()).await {
                hints.into_iter().for_each(|hint| own.carry(hint));
            }
        });
    }

    fn carry(self: &Arc<Self>, hint: LogPosition) {
        let what = match self.entropy.below(8) {
            0 => return self.tally.count("hint lost"),
            1 => vec![hint, hint],
            2 => vec![hint, LogPosition { position: Position(hint.position.0 + 1_000), ..hint }],
            3 => vec![LogPosition { partition: Partition(self.entropy.below(70) as u16), ..hint }],
            _ => vec![hint],
        };
        for hint in what {
            let (own, late) = (self.clone(), Duration::from_millis(self.entropy.below(200)));
            tokio::spawn(async move {
                pass(late).await;
                if let Some(hear) = &*own.hear.lock()
                    && !hear(hint)
                {
                    own.tally.count("hint was no news");
                }
            });
        }
    }
}

/// A node that owns nothing.
pub struct Follower {
    pub dispatch: Dispatch,
    pub hub: Hub,
    stop: CancellationToken,
}

impl Follower {
    pub async fn start(journal: SharedJournal, clock: &Arc<dyn Clock>, seed: u64, rumours: &Rumours) -> Self {
        let poll = Poll::open(journal.clone(), clock.clone()).await.expect("the memory journal has heads");
        let (follow, stop) = (poll.follow(), CancellationToken::new());
        *rumours.hear.lock() = Some(Box::new(poll.hinting()));
        tokio::spawn(poll.run(stop.clone()));
        let dispatch = Dispatch::elsewhere(journal.clone(), clock.clone(), Entropy::seeded(seed ^ 0xf011));
        let hub = watchers::hub(journal, follow, clock, seed ^ 0x1f1f);
        Self { dispatch, hub, stop }
    }

    pub fn end(&self) {
        self.hub.shutdown();
        self.stop.cancel();
    }
}
