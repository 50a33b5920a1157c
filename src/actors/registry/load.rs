//! Where do actors come from? Streams that nobody has in memory are read from the log, many at once, and each is given an actor.
//!
//! Does not know who may load what: its caller has marked the streams.

use std::sync::Arc;

use ractor::{Actor, ActorRef};

use super::super::cell::Cell;
use super::super::idle;
use super::super::node::Node;
use super::super::shell::{Message, Shell};
use super::handle::{Lease, handle};
use crate::domain::Aggregate;
use crate::fault::Fault;
use crate::ids::{Partition, StreamId};
use crate::journal::Loaded;

/// Leases on new actors of `wanted`, in their order.
pub(super) async fn load<A: Aggregate>(
    node: &Arc<Node>,
    partition: Partition,
    generation: u64,
    wanted: &[(usize, StreamId)],
) -> Result<Vec<Lease>, Fault> {
    let streams: Vec<StreamId> = wanted.iter().map(|(_, stream)| stream.clone()).collect();
    let loaded = look_up(node, partition, &streams).await?;
    let mut handles = Vec::with_capacity(streams.len());
    for (stream, loaded) in streams.into_iter().zip(loaded) {
        let cell = Cell::<A>::load(&node.journal, stream, loaded, generation).await;
        let cell = cell.inspect_err(|fault| tracing::error!(%fault, "a stream cannot be read"))?;
        handles.push(spawn(node, partition, cell).await?);
    }
    Ok(handles)
}

/// What the log has about the streams, in their order; of those that are surely new, it is not asked.
async fn look_up(node: &Arc<Node>, partition: Partition, streams: &[StreamId]) -> Result<Vec<Loaded>, Fault> {
    let newcomers = node.sequencer(partition).newcomers();
    let mut loaded: Vec<Loaded> = streams.iter().map(|_| Loaded::default()).collect();
    let asked: Vec<usize> = (0..streams.len()).filter(|&index| !newcomers.surely_new(&streams[index])).collect();
    if asked.is_empty() {
        return Ok(loaded);
    }
    let found = node.loader.load(asked.iter().map(|&index| streams[index].clone()).collect()).await?;
    let in_vain = found.iter().filter(|found| found.is_empty()).count();
    if newcomers.looked_in_vain(in_vain) {
        tokio::spawn(look_through(node.clone(), partition));
    }
    for (index, found) in asked.into_iter().zip(found) {
        loaded[index] = found;
    }
    Ok(loaded)
}

/// So that what is new need not be looked for any more.
async fn look_through(node: Arc<Node>, partition: Partition) {
    let sequencer = node.sequencer(partition);
    let noted = async {
        sequencer.note_newcomers().await?;
        sequencer.newcomers().look_through(&node.journal, partition).await
    };
    if let Err(fault) = noted.await {
        tracing::debug!(%partition, %fault, "the names of the streams were not read; looks go on");
        sequencer.newcomers().give_up();
    }
}

async fn spawn<A: Aggregate>(node: &Arc<Node>, partition: Partition, cell: Cell<A>) -> Result<Lease, Fault> {
    let (stream, generation) = (cell.stream.clone(), cell.generation);
    if cell.exists() {
        let mut turn = node.sequencer(partition).turn(generation)?;
        turn.post(&stream, cell.notice(), cell.shown);
    }
    let idle = node.registry.idle.clone();
    let actor = match idle.take(Box::new(cell)) {
        Ok(actor) => actor,
        Err(cell) => {
            let actor = start::<A>(node).await?;
            // It has only just begun; if it has ended nevertheless, nothing was shown by it.
            idle::enter(actor, cell).map_err(|_| Fault::Superseded)?
        }
    };
    Ok(handle(actor, stream, partition, generation, idle, node.clock.elapsed().as_secs()))
}

/// An actor that has nothing to do yet.
pub(super) async fn start<A: Aggregate>(node: &Arc<Node>) -> Result<ActorRef<Message<A>>, Fault> {
    let started = Actor::spawn(None, Shell::<A>::new(node.clone()), ()).await;
    Ok(started.map_err(|error| Fault::internal(format!("an actor did not start: {error}")))?.0)
}
