//! What has happened to these streams so far? Loads streams from the log, many callers with one query.
//!
//! Works as the lane does: whatever waits goes into one query, and while those run the next one gathers. It knows rows
//! and snapshots, not rules.

use std::sync::Arc;

use futures::future::join_all;
use tokio::sync::{Mutex, mpsc, oneshot};

use crate::clock::Clock;
use crate::fault::Fault;
use crate::ids::StreamId;
use crate::journal::{Loaded, SharedJournal};
use crate::limits;
use crate::telemetry;

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
    pub fn new(journal: SharedJournal, clock: Arc<dyn Clock>) -> (Self, impl Future<Output = ()>) {
        let (queue, wanted) = mpsc::channel(limits::LOAD_QUEUE);
        let wanted = Arc::new(Mutex::new(wanted));
        let readers = (0..limits::LOADERS).map(move |_| run(journal.clone(), clock.clone(), wanted.clone()));
        (Self { queue }, async { drop(join_all(readers).await) })
    }

    /// What the log has about the streams, in their order.
    pub async fn load(&self, streams: Vec<StreamId>) -> Result<Vec<Loaded>, Fault> {
        let (reply, told) = oneshot::channel();
        let gone = || Fault::unavailable("the node is shutting down");
        self.queue.send(Wanted { streams, reply }).await.map_err(|_| gone())?;
        told.await.unwrap_or_else(|_| Err(gone()))
    }
}

/// One of those who load: whoever is free takes all that waits.
async fn run(journal: SharedJournal, clock: Arc<dyn Clock>, wanted: Arc<Mutex<mpsc::Receiver<Wanted>>>) {
    let mut batch = Vec::new();
    while take(&wanted, &mut batch).await > 0 {
        let streams: Vec<StreamId> = batch.iter().flat_map(|wanted| wanted.streams.iter().cloned()).collect();
        let started = clock.elapsed();
        let result = journal.load(&streams).await;
        let seconds = clock.elapsed().saturating_sub(started).as_secs_f64();
        metrics::histogram!(telemetry::LOAD_SECONDS).record(seconds);
        metrics::counter!(telemetry::LOADED_STREAMS).increment(streams.len() as u64);
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

async fn take(wanted: &Mutex<mpsc::Receiver<Wanted>>, batch: &mut Vec<Wanted>) -> usize {
    wanted.lock().await.recv_many(batch, limits::LOAD_BATCH).await
}
