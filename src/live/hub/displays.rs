//! Which displays follow a store, since when, and what was the last thing they were sent? The list of this node, which it
//! tells the others.
//!
//! What is sent is read off the bytes on their way out, so that it holds for missed and for new frames alike. Whether a
//! screen has shown it, nobody here can know.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use crate::ids::{LogPosition, NodeId, StoreId};
pub use crate::journal::presence::Display;
use crate::journal::presence::Presence;
use crate::limits;

/// A display, and to which node it is connected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Connected {
    pub node: NodeId,
    pub display: Display,
}

/// By store, in the order in which they came.
#[derive(Default)]
struct Here {
    number: u64,
    stores: HashMap<StoreId, BTreeMap<u64, Arc<Mutex<Display>>>>,
}

/// The displays of a node. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Displays(Arc<Mutex<Here>>);

impl Displays {
    pub fn connect(&self, display: Display) -> Connection {
        let mut connected = self.0.lock();
        connected.number += 1;
        let (number, store) = (connected.number, display.store.clone());
        let display = Arc::new(Mutex::new(display));
        connected.stores.entry(store.clone()).or_default().insert(number, display.clone());
        Connection { displays: self.clone(), store, number, display }
    }

    pub fn of(&self, store: &StoreId) -> Vec<Display> {
        let connected = self.0.lock();
        connected.stores.get(store).into_iter().flat_map(BTreeMap::values).map(|one| one.lock().clone()).collect()
    }

    fn all(&self) -> Vec<Display> {
        let connected = self.0.lock();
        connected.stores.values().flat_map(BTreeMap::values).map(|one| one.lock().clone()).collect()
    }
}

/// Tells the other nodes of this node's displays until `stop`, and then that there are none any more.
pub(super) async fn tell(displays: Displays, node: NodeId, presence: Arc<dyn Presence>, stop: CancellationToken) {
    let mut round = interval(limits::PRESENCE_ROUND);
    round.set_missed_tick_behavior(MissedTickBehavior::Delay);
    // A node of this name that ran before may have left something.
    let mut said = true;
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => break,
            _ = round.tick() => {}
        }
        let mut all = displays.all();
        all.truncate(limits::DISPLAYS_SHARED);
        if all.is_empty() && !said {
            continue;
        }
        match presence.say(&node, &all).await {
            Ok(()) => said = !all.is_empty(),
            Err(fault) => tracing::debug!(%fault, "other nodes do not hear of our displays just now"),
        }
    }
    if said && let Err(fault) = presence.say(&node, &[]).await {
        tracing::debug!(%fault, "other nodes find out by themselves that our displays are gone");
    }
}

/// A display that is connected; dropping this takes it off the list.
pub(super) struct Connection {
    displays: Displays,
    store: StoreId,
    number: u64,
    display: Arc<Mutex<Display>>,
}

impl Connection {
    /// These bytes of the stream go out now.
    pub fn sent(&self, bytes: &[u8]) {
        if let Some(position) = last_id(bytes) {
            self.display.lock().position = Some(position);
        }
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        let mut connected = self.displays.0.lock();
        if let Some(store) = connected.stores.get_mut(&self.store) {
            store.remove(&self.number);
            if store.is_empty() {
                connected.stores.remove(&self.store);
            }
        }
    }
}

/// The last id in a piece of a stream, which may hold several frames. Data cannot look like one: JSON has no line breaks.
fn last_id(bytes: &[u8]) -> Option<LogPosition> {
    let lines = bytes.split(|byte| *byte == b'\n');
    let ids = lines.rev().find_map(|line| line.strip_prefix(b"id: "))?;
    LogPosition::parse(std::str::from_utf8(ids).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fault::Fault;
    use crate::ids::{AccountId, Partition, Position};
    use crate::timestamp::Timestamp;

    fn display(store: &str, account: &str) -> Display {
        let (store, account) = (StoreId::new(store), AccountId::new(account));
        Display { store, account, role: "display".into(), connected_at: Timestamp(5), position: None }
    }

    #[test]
    fn a_display_is_listed_while_it_is_connected_with_what_it_was_sent() {
        let displays = Displays::default();
        let (one, two) = (displays.connect(display("a", "x")), displays.connect(display("a", "x")));
        let other = displays.connect(display("b", "y"));
        let at = |n| Some(LogPosition { partition: Partition(3), position: Position(n) });
        let table: [(&[u8], Option<LogPosition>); 6] = [
            (b"retry: 2000\n\n", None),
            (b"id: 3:7\nevent: payment\ndata: {\"payment_id\":\"id: 3:9\"}\n\n", at(7)),
            (b": hb\n\n", at(7)),
            (b"id: 3:8\nevent: payment\ndata: {}\n\nid: 3:11\nevent: payment\ndata: {}\n\n", at(11)),
            (b"event: hb\ndata: {}\n\n", at(11)),
            (b"id: 3:12\n\n", at(12)),
        ];
        for (bytes, expected) in table {
            one.sent(bytes);
            let shown: Vec<_> = displays.of(&StoreId::new("a")).into_iter().map(|one| one.position).collect();
            assert_eq!(shown, [expected, None], "{}", String::from_utf8_lossy(bytes));
        }
        assert_eq!(displays.all().len(), 3);
        drop((one, two));
        assert_eq!((displays.of(&StoreId::new("a")).len(), displays.all().len()), (0, 1));
        drop(other);
        assert_eq!(displays.0.lock().stores.len(), 0, "nothing is remembered");
    }

    /// Remembers what was said last; fails now and then.
    #[derive(Default)]
    struct Board {
        said: Mutex<Vec<(NodeId, Vec<Display>)>>,
        failing: std::sync::atomic::AtomicBool,
    }

    #[async_trait::async_trait]
    impl Presence for Board {
        async fn say(&self, node: &NodeId, displays: &[Display]) -> Result<(), Fault> {
            if self.failing.load(std::sync::atomic::Ordering::SeqCst) {
                return Err(Fault::unavailable("not now"));
            }
            self.said.lock().push((node.clone(), displays.to_vec()));
            Ok(())
        }

        async fn others(&self, _: &NodeId, _: &StoreId, _: usize) -> Result<Vec<(NodeId, Display)>, Fault> {
            Ok(Vec::new())
        }
    }

    #[tokio::test(start_paused = true)]
    async fn others_hear_of_it_in_every_round_and_at_the_end() {
        let (displays, board, stop) = (Displays::default(), Arc::new(Board::default()), CancellationToken::new());
        let telling = tokio::spawn(tell(displays.clone(), NodeId::new("n"), board.clone(), stop.clone()));
        let rounds = async |count: u32| {
            let mut round = interval(limits::PRESENCE_ROUND);
            for _ in 0..=count {
                round.tick().await;
            }
        };
        rounds(3).await;
        let counts = |board: &Board| board.said.lock().iter().map(|(_, all)| all.len()).collect::<Vec<_>>();
        assert_eq!(counts(&board), [0], "once, for what an earlier run may have left");
        let one = displays.connect(display("a", "x"));
        rounds(2).await;
        assert_eq!(counts(&board), [0, 1, 1]);
        board.failing.store(true, std::sync::atomic::Ordering::SeqCst);
        drop(one);
        rounds(2).await;
        board.failing.store(false, std::sync::atomic::Ordering::SeqCst);
        rounds(3).await;
        assert_eq!(counts(&board), [0, 1, 1, 0], "what could not be said is said later, and then no more");
        let _two = displays.connect(display("a", "x"));
        rounds(1).await;
        stop.cancel();
        telling.await.expect("it ends");
        assert_eq!(counts(&board), [0, 1, 1, 0, 1, 0]);
    }
}
