//! How does a cancelled performance come to its end? Every hold ends, every paid order is refunded in full.
//!
//! The performance waits until all of its orders have ended. They are found in the log itself: they share its partition,
//! and none was placed after the cancellation. An order whose money is just being asked for is told again later.

use std::sync::Arc;

use futures::StreamExt;

use super::Inner;
use super::runner::Turn;
use crate::actors::CommandError;
use crate::domain::order::{Command, Order, Status};
use crate::domain::performance::{self, Performance};
use crate::events::{Event, OrderEvent};
use crate::fault::Fault;
use crate::ids::{OrderId, PerformanceId, Position, StreamId};
use crate::limits;

pub async fn turn(inner: &Arc<Inner>, stream: &StreamId) -> Result<Turn, Fault> {
    let asked = inner.parts.dispatch.read::<Performance, _>(stream.clone(), performance::State::calling_off).await;
    match asked {
        Ok(read) if read.value => {}
        Ok(_) | Err(CommandError::Refused(_)) => return Ok(Turn::Over),
        Err(CommandError::Failed(fault)) => return Err(fault),
    }
    let mut open = orders_of(inner, stream).await?;
    let orders = open.len() as u64;
    let mut backoff = super::backoff::Backoff::default();
    loop {
        open = end_all(inner, open).await;
        if open.is_empty() {
            break;
        }
        let pause = backoff.next(&inner.parts.entropy, limits::PROCESS_BACKOFF_MAX);
        tokio::time::sleep(pause).await;
    }
    inner.insist::<Performance>(stream, &[b"called-off"], performance::Command::CallOff { orders }).await?;
    tracing::info!(%stream, orders, "every order of a cancelled performance has ended");
    Ok(Turn::Again)
}

/// Every order that was placed for the performance.
async fn orders_of(inner: &Arc<Inner>, stream: &StreamId) -> Result<Vec<OrderId>, Fault> {
    let (dispatch, journal) = (&inner.parts.dispatch, &inner.parts.journal);
    let partition = dispatch.partition_of(stream).map_err(|refusal| Fault::internal(refusal.to_string()))?;
    let performance = PerformanceId::new(stream.id());
    let (mut found, mut after) = (Vec::new(), Position(0));
    loop {
        let records = journal.read_partition(partition, after, limits::READ_BATCH).await?;
        let Some(last) = records.last() else { return Ok(found) };
        after = last.position;
        for record in records.iter().filter(|record| &*record.kind == "order.placed") {
            if let Ok(Event::Order(OrderEvent::Placed(placed))) = record.event()
                && placed.performance_id == performance
            {
                found.push(placed.order_id);
            }
        }
    }
}

/// Tells each to end, a few at once; those that have not ended yet come back.
async fn end_all(inner: &Arc<Inner>, orders: Vec<OrderId>) -> Vec<OrderId> {
    let told = futures::stream::iter(orders).map(|order| async move {
        match end(inner, &order).await {
            Ok(true) => None,
            Ok(false) => Some(order),
            Err(error) => {
                tracing::warn!(%order, %error, "an order could not be ended and is asked again");
                Some(order)
            }
        }
    });
    told.buffer_unordered(limits::CALL_OFF_AT_ONCE).filter_map(|left| async move { left }).collect().await
}

async fn end(inner: &Arc<Inner>, order: &OrderId) -> Result<bool, Fault> {
    let stream = StreamId::order(order);
    // The same command could be one that came too early; each is named by when it was said.
    let said = inner.parts.dispatch.fresh_command().0;
    let call_off = Command::CallOff { patience: inner.parts.patience };
    inner.insist::<Order>(&stream, &[b"call-off", &said], call_off).await?;
    let status = inner.parts.dispatch.read::<Order, _>(stream, crate::domain::order::State::status).await;
    match status {
        Ok(read) => Ok(match read.value {
            Status::Expired | Status::Failed | Status::Cancelled | Status::Refunded => true,
            Status::AwaitingPayment | Status::Paying | Status::Completed | Status::Refunding | Status::Review => false,
        }),
        Err(CommandError::Refused(_)) => Ok(true),
        Err(CommandError::Failed(fault)) => Err(fault),
    }
}
