//! When is a long stream shortened? Folds a snapshot in the background, from the previous one and the committed tail.
//!
//! It never takes the actor's state, which runs ahead of the disk. One that cannot be kept is only a slower next load.

use std::sync::Arc;

use super::cell::{Cell, fold_whole};
use super::node::Node;
use crate::domain::Aggregate;
use crate::fault::Fault;
use crate::ids::{Partition, StreamId};
use crate::telemetry;

pub fn spawn<A: Aggregate>(node: &Arc<Node>, partition: Partition, stream: StreamId) {
    let node = node.clone();
    node.tasks.clone().spawn(async move {
        if let Err(fault) = take::<A>(&node, partition, &stream).await {
            tracing::warn!(%fault, %stream, "no snapshot was taken");
        }
    });
}

async fn take<A: Aggregate>(node: &Arc<Node>, partition: Partition, stream: &StreamId) -> Result<(), Fault> {
    let loaded = node.journal.load(std::slice::from_ref(stream)).await?.pop().unwrap_or_default();
    let cell = match Cell::<A>::fold(stream.clone(), loaded, 0).await {
        Ok(cell) => cell,
        Err(_) => fold_whole::<A>(&node.journal, stream.clone(), 0).await?,
    };
    match cell.snapshot() {
        Some(snapshot) => {
            node.journal.save_snapshot(partition, snapshot).await?;
            metrics::counter!(telemetry::SNAPSHOTS_SAVED).increment(1);
            Ok(())
        }
        None => Ok(()),
    }
}
