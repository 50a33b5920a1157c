//! What has happened to these streams so far? Loads streams from the log, many callers with one query.
//!
//! Works as the lane does: whatever waits goes into one query, and while that runs the next one gathers. It knows rows
//! and snapshots, not rules.

use tokio::sync::{mpsc, oneshot};

use crate::fault::Fault;
use crate::ids::StreamId;
use crate::journal::{Loaded, SharedJournal};
use crate::limits;

struct Wanted {
    streams: Vec<StreamId>,
    reply: oneshot::Sender<Result<Vec<Loaded>, Fault>>,
}

/// Cheap to clone.
#[derive(Clone)]
pub struct Loader {
    queue: mpsc::Sender<Wanted>,
}

impl Loader {
    /// The handle, and the task that must run for it.
    pub fn new(journal: SharedJournal) -> (Self, impl Future<Output = ()>) {
        let (queue, wanted) = mpsc::channel(limits::LOAD_QUEUE);
        (Self { queue }, run(journal, wanted))
    }

    /// What the log has about the streams, in their order.
    pub async fn load(&self, streams: Vec<StreamId>) -> Result<Vec<Loaded>, Fault> {
        let (reply, told) = oneshot::channel();
        let gone = || Fault::unavailable("the node is shutting down");
        self.queue.send(Wanted { streams, reply }).await.map_err(|_| gone())?;
        told.await.unwrap_or_else(|_| Err(gone()))
    }
}

async fn run(journal: SharedJournal, mut wanted: mpsc::Receiver<Wanted>) {
    let mut batch = Vec::new();
    while wanted.recv_many(&mut batch, limits::LOAD_BATCH).await > 0 {
        let streams: Vec<StreamId> = batch.iter().flat_map(|wanted| wanted.streams.iter().cloned()).collect();
        let result = journal.load(&streams).await;
        match result {
            Ok(loaded) => {
                let mut loaded = loaded.into_iter();
                for wanted in batch.drain(..) {
                    let own = loaded.by_ref().take(wanted.streams.len()).collect();
                    // A caller that went away does not need it any more.
                    let _ = wanted.reply.send(Ok(own));
                }
            }
            Err(fault) => batch.drain(..).for_each(|wanted| drop(wanted.reply.send(Err(fault.clone())))),
        }
    }
}
