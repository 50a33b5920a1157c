//! How do readers get at the read models? One handle: the active build of each, and how far it has come.
//!
//! The runner keeps it up to date; whoever reads gets the build that is active at that moment and stays with it for the
//! whole answer. Which lists there are is not known here.

use std::collections::BTreeMap;
use std::sync::Arc;

use parking_lot::RwLock;
use tokio::sync::watch;

use super::store::Build;
use crate::fault::Fault;
use crate::ids::{LogPosition, Position};

/// Where a projection stands, for readers.
#[derive(Clone)]
struct Shown {
    build: Arc<dyn Build>,
    /// One position per partition. Includes facts that do not concern the projection.
    cursors: watch::Receiver<Arc<[Position]>>,
}

/// The read models of a node. Cheap to clone.
#[derive(Clone, Default)]
pub struct Reads {
    shown: Arc<RwLock<ByName>>,
}

/// `None`: somebody waits for it, and it is not there yet.
type ByName = BTreeMap<&'static str, watch::Sender<Option<Shown>>>;

impl Reads {
    /// The active build of a projection.
    pub fn of(&self, projection: &str) -> Result<Arc<dyn Build>, Fault> {
        let shown = self.shown.read().get(projection).and_then(|shown| shown.borrow().clone());
        shown.map(|shown| shown.build).ok_or_else(|| Fault::unavailable(format!("{projection} is not there yet")))
    }

    /// Waits until there is something to read of a projection.
    pub async fn shown(&self, projection: &'static str) {
        let mut shown = self.watch(projection);
        // The sender lives as long as this handle.
        let _there = shown.wait_for(Option::is_some).await;
    }

    fn watch(&self, projection: &'static str) -> watch::Receiver<Option<Shown>> {
        self.shown.write().entry(projection).or_insert_with(|| watch::Sender::new(None)).subscribe()
    }

    /// Waits until readers of a projection see `wanted`; for ever if it never comes.
    pub async fn reached(&self, projection: &'static str, wanted: LogPosition) {
        let mut shown = self.watch(projection);
        loop {
            let now = shown.borrow_and_update().clone();
            let there = async {
                match now {
                    Some(mut now) => {
                        let come = |cursors: &Arc<[Position]>| {
                            cursors.get(usize::from(wanted.partition.0)).is_some_and(|at| *at >= wanted.position)
                        };
                        if now.cursors.wait_for(come).await.is_err() {
                            std::future::pending::<()>().await;
                        }
                    }
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                () = there => return,
                changed = shown.changed() => if changed.is_err() {
                    return std::future::pending().await;
                },
            }
        }
    }

    /// Readers see this build from now on.
    pub(super) fn show(
        &self,
        projection: &'static str,
        build: Arc<dyn Build>,
        cursors: watch::Receiver<Arc<[Position]>>,
    ) {
        let mut all = self.shown.write();
        all.entry(projection).or_insert_with(|| watch::Sender::new(None)).send_replace(Some(Shown { build, cursors }));
    }
}
