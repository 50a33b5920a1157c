//! Who wakes a stream whose deadline has come? One task that looks at every partition's deadlines.
//!
//! It only says "look": whether something is due is decided by the stream's own state, at the log's time. So a wake-up
//! too many does nothing, and one that failed is repeated by the next look.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::dispatch::Owned;
use crate::domain::{Aggregate, EachAggregate, each_aggregate};
use crate::ids::{Partition, StreamId};
use crate::{limits, telemetry};

/// How often deadlines are looked at; a hold may end that much late.
const LOOK: Duration = Duration::from_millis(50);

type Due = fn(Owned, Partition, StreamId) -> BoxFuture<'static, ()>;

/// The way to each noun's actors, by the first part of the stream's name.
#[derive(Default)]
struct Nouns(HashMap<&'static str, Due>);

impl EachAggregate for Nouns {
    fn visit<A: Aggregate>(&mut self) {
        let due: Due =
            |dispatch, partition, stream| Box::pin(async move { dispatch.due::<A>(partition, stream).await });
        self.0.insert(A::NOUN, due);
    }
}

pub async fn run(dispatch: Owned, stop: CancellationToken) {
    let mut nouns = Nouns::default();
    each_aggregate(&mut nouns);
    let room = Arc::new(Semaphore::new(limits::DEADLINES_IN_FLIGHT));
    let mut look = tokio::time::interval(LOOK);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            () = stop.cancelled() => return,
            _ = look.tick() => {}
        }
        for sequencer in &dispatch.node.sequencers {
            for stream in sequencer.take_due(room.available_permits()) {
                let Some(due) = nouns.0.get(stream.noun()) else { continue };
                let Ok(permit) = room.clone().acquire_owned().await else { return };
                metrics::counter!(telemetry::TIMERS_DUE).increment(1);
                let work = due(dispatch.clone(), sequencer.partition, stream.clone());
                let (node, partition) = (dispatch.node.clone(), sequencer.partition);
                dispatch.node.tasks.spawn(async move {
                    work.await;
                    node.sequencer(partition).due_done(&stream);
                    drop(permit);
                });
            }
        }
    }
}
