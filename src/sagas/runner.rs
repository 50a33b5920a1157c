//! Who works on what waits? Takes waiting streams from the log's timers, one process each, until they wait no more.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit};
use tokio::time::timeout;

use super::backoff::Backoff;
use super::{Inner, call_off, coupon, order};
use crate::actors::{CommandError, Request};
use crate::domain::{Aggregate, Authority};
use crate::fault::Fault;
use crate::ids::{AccountId, Hash16, StreamId};
use crate::{limits, telemetry};

/// Streams taken at once.
const TAKE: usize = 256;

/// What came of one look at a stream.
pub enum Turn {
    /// Nothing is waited for any more.
    Over,
    /// One thing was done; look again.
    Again,
    /// Nothing is known yet; look again after a pause of at most this.
    Later(Duration),
}

pub async fn run(inner: Arc<Inner>) {
    let stop = inner.parts.stop.clone();
    loop {
        let room = inner.room.available_permits().clamp(1, TAKE);
        let streams = tokio::select! {
            biased;
            () = stop.cancelled() => return,
            streams = inner.parts.dispatch.waiting(room) => streams,
        };
        for stream in streams {
            let permit = tokio::select! {
                biased;
                () = stop.cancelled() => return,
                permit = inner.room.clone().acquire_owned() => permit,
            };
            // Never closed; if it were, nothing could be done any more.
            let Ok(permit) = permit else { return };
            inner.parts.tracker.spawn(work(inner.clone(), stream, permit));
        }
    }
}

async fn work(inner: Arc<Inner>, stream: StreamId, permit: OwnedSemaphorePermit) {
    let nudge = Arc::new(Notify::new());
    inner.running.lock().insert(stream.clone(), nudge.clone());
    let stop = inner.parts.stop.clone();
    // A step that is cut off here is done again by the next node: each may be repeated.
    let ended = tokio::select! {
        biased;
        () = stop.cancelled() => false,
        () = until_over(&inner, &stream, &nudge) => true,
    };
    inner.running.lock().remove(&stream);
    inner.reviewed.lock().remove(&stream);
    drop(permit);
    if ended {
        inner.parts.dispatch.wait_done(&stream);
    }
}

async fn until_over(inner: &Arc<Inner>, stream: &StreamId, nudge: &Notify) {
    let mut backoff = Backoff::default();
    loop {
        let turn = match stream.noun() {
            "order" => order::turn(inner, stream).await,
            "performance" => call_off::turn(inner, stream).await,
            "coupon" => coupon::turn(inner, stream).await,
            _ => Ok(Turn::Over),
        };
        let most = match turn {
            Ok(Turn::Over) => return,
            Ok(Turn::Again) => {
                backoff = Backoff::default();
                inner.tell(stream);
                continue;
            }
            Ok(Turn::Later(most)) => most,
            Err(error) => {
                tracing::warn!(%stream, %error, "a process could not take its step and tries again");
                limits::PROCESS_BACKOFF_MAX
            }
        };
        let pause = backoff.next(&inner.parts.entropy, most);
        // A nudge is a reason to look at once; the end of the pause is another.
        let _ = timeout(pause, nudge.notified()).await;
    }
}

impl Inner {
    /// Those who watch the stream may look.
    pub fn tell(&self, stream: &StreamId) {
        if let Some(sender) = self.watched.lock().get(stream) {
            sender.send_modify(|()| {});
        }
    }

    /// People have to look at this stream: the alarm, once.
    pub fn under_review(&self, stream: &StreamId) {
        if self.reviewed.lock().insert(stream.clone()) {
            metrics::counter!(telemetry::REVIEWS).increment(1);
            tracing::error!(%stream, "nobody knows in time what became of its money: people have to look");
        }
    }

    /// A command of a process: named by what it says, so that it has one effect however often it is said.
    pub async fn command<A: Aggregate>(
        &self,
        stream: &StreamId,
        name: &[&[u8]],
        command: A::Command,
    ) -> Result<bool, CommandError> {
        let parts: Vec<&[u8]> = std::iter::once(stream.as_str().as_bytes()).chain(name.iter().copied()).collect();
        let request = Request {
            command: Hash16::of("process", &parts),
            body: Hash16::default(),
            by: AccountId::new("system"),
            authority: Authority::Any,
            correlation: self.parts.dispatch.fresh_correlation(),
            causation: None,
            note: None,
        };
        let outcome = self.parts.dispatch.execute::<A>(stream.clone(), command, request).await?;
        Ok(!outcome.events.is_empty())
    }

    /// As [`Self::command`], where a refusal is a fault of ours.
    pub async fn insist<A: Aggregate>(
        &self,
        stream: &StreamId,
        name: &[&[u8]],
        command: A::Command,
    ) -> Result<bool, Fault> {
        self.command::<A>(stream, name, command).await.map_err(|error| match error {
            CommandError::Failed(fault) => fault,
            CommandError::Refused(refusal) => Fault::internal(format!("a process was refused: {refusal}")),
        })
    }
}
