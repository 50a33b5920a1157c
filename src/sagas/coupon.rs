//! How does a coupon, which lives in another partition, take part in an order?
//!
//! It is reserved for the order's id first, then the order is placed with a claim that is good for a short time only. Once
//! the order has ended, its own process tells the coupon how. A reservation whose order was never placed is found by the
//! coupon's process, which asks the order's stream when the claim has run out by that partition's time: from then on no
//! order can be placed with it.

use std::sync::Arc;

use super::runner::Turn;
use super::{Inner, Processes};
use crate::actors::{CommandError, Outcome, Request};
use crate::domain::Refusal;
use crate::domain::coupon::{self, Coupon};
use crate::domain::order::{self, Order, Place};
use crate::events::OrderEvent;
use crate::fault::Fault;
use crate::ids::{Hash16, OrderId, StreamId, TaskId};
use crate::limits;
use crate::timestamp::Timestamp;

/// Tells the coupon how its order ended, and the order that the coupon knows.
pub async fn settle(inner: &Arc<Inner>, stream: &StreamId, task_id: &TaskId, used: bool) -> Result<Turn, Fault> {
    let order_id = OrderId::new(stream.id());
    let name: &[u8] = if used { b"coupon-used" } else { b"coupon-returned" };
    if let Some(coupon) = task_id.coupon() {
        let (task_id, order_id) = (task_id.clone(), order_id.clone());
        let command = match used {
            true => coupon::Command::Use { task_id, order_id },
            false => coupon::Command::Return { task_id, order_id },
        };
        let to = StreamId::coupon(&coupon);
        match inner.command::<Coupon>(&to, &[name, stream.as_str().as_bytes()], command).await {
            Ok(_) => {}
            Err(CommandError::Failed(fault)) => return Err(fault),
            Err(CommandError::Refused(refusal)) => {
                tracing::error!(%stream, %refusal, "a coupon does not take the end of its order");
            }
        }
    }
    inner.insist::<Order>(stream, &[name], order::Command::CouponSettled { used }).await?;
    Ok(Turn::Again)
}

/// Looks after reservations until none is open. An order that was placed settles its own.
pub async fn turn(inner: &Arc<Inner>, stream: &StreamId) -> Result<Turn, Fault> {
    let dispatch = &inner.parts.dispatch;
    let mut seen = Timestamp(i64::MIN);
    loop {
        let partition = dispatch.partition_of(stream).map_err(|refusal| Fault::internal(refusal.to_string()))?;
        let now = dispatch.at(partition);
        let look =
            move |state: &coupon::State| (state.overdue(seen, now), state.next_until(now.max(seen)), state.has_open());
        let (overdue, next, open) = match dispatch.read::<Coupon, _>(stream.clone(), look).await {
            Ok(read) => read.value,
            Err(CommandError::Refused(_)) => return Ok(Turn::Over),
            Err(CommandError::Failed(fault)) => return Err(fault),
        };
        if !open {
            return Ok(Turn::Over);
        }
        for (task_id, order_id, _) in overdue {
            // Asked after the claim ran out there: what is not placed by now will not be.
            if !is_placed(inner, &order_id, now).await? {
                let name: [&[u8]; 2] = [b"unplaced", order_id.as_str().as_bytes()];
                let command = coupon::Command::Return { task_id, order_id: order_id.clone() };
                inner.insist::<Coupon>(stream, &name, command).await?;
            }
        }
        seen = now;
        let pause = next.map_or(limits::PROCESS_BACKOFF_MAX, |next| next.since(now));
        tokio::time::sleep(pause.clamp(limits::PROCESS_BACKOFF, limits::PROCESS_BACKOFF_MAX)).await;
    }
}

/// Was the order placed? The answer is final, since it is given after `until` by the time of the order's own partition.
async fn is_placed(inner: &Arc<Inner>, order: &OrderId, until: Timestamp) -> Result<bool, Fault> {
    loop {
        let stream = StreamId::order(order);
        let read = inner.parts.dispatch.read::<Order, _>(stream, |state| state.placed.is_some()).await;
        match read {
            Ok(read) if read.value => return Ok(true),
            Ok(read) if read.at >= until => return Ok(false),
            // Its partition's time is a little behind.
            Ok(_) => tokio::time::sleep(limits::PROCESS_BACKOFF).await,
            Err(CommandError::Refused(_)) => return Ok(false),
            Err(CommandError::Failed(fault)) => return Err(fault),
        }
    }
}

/// What came of placing an order with a coupon.
pub enum Placing {
    /// The same request is being worked on just now.
    Twin,
    Done(Result<Outcome<OrderEvent>, CommandError>),
}

impl Processes {
    /// Reserves the coupon, then places the order. A caller who goes away cancels nothing that was begun.
    pub async fn place_with_coupon(&self, place: Place, task_id: TaskId, request: Request) -> Placing {
        let inner = self.0.clone();
        if !inner.placing.lock().insert(place.order_id.clone()) {
            return Placing::Twin;
        }
        let work = self.0.parts.tracker.spawn(async move {
            let mine = Mine { inner: inner.clone(), order: place.order_id.clone() };
            let done = reserve_and_place(&inner, place, &task_id, request).await;
            drop(mine);
            done
        });
        Placing::Done(work.await.unwrap_or(Err(Fault::UnknownOutcome.into())))
    }
}

/// One request at a time works on an order that is being placed with a coupon: so a coupon that is given back because the
/// order was refused cannot be claimed by its twin.
struct Mine {
    inner: Arc<Inner>,
    order: OrderId,
}

impl Drop for Mine {
    fn drop(&mut self) {
        self.inner.placing.lock().remove(&self.order);
    }
}

async fn reserve_and_place(
    inner: &Arc<Inner>,
    place: Place,
    task_id: &TaskId,
    request: Request,
) -> Result<Outcome<OrderEvent>, CommandError> {
    let dispatch = &inner.parts.dispatch;
    let (order_id, stream) = (place.order_id.clone(), StreamId::order(&place.order_id));
    let placed = dispatch.read::<Order, _>(stream.clone(), |state| state.placed.is_some()).await?.value;
    if placed {
        // A repetition: the order remembers what it was asked.
        return dispatch.execute::<Order>(stream, order::Command::Place(place), request).await;
    }
    let unknown = || Refusal::CouponNotUsable { reason: "unknown" };
    let coupon = StreamId::coupon(&task_id.coupon().ok_or_else(unknown)?);
    let reserve = coupon::Command::Reserve { task_id: task_id.clone(), order_id: order_id.clone() };
    // A reservation that ran out may be followed by another one for the same order.
    let own = Request { command: dispatch.fresh_command(), note: None, body: Hash16::default(), ..request.clone() };
    dispatch.execute::<Coupon>(coupon.clone(), reserve, own).await.map_err(|error| match error {
        CommandError::Refused(Refusal::NotFound) => CommandError::Refused(unknown()),
        other => other,
    })?;
    let (task, order) = (task_id.clone(), order_id.clone());
    let claim = dispatch.read::<Coupon, _>(coupon.clone(), move |state| state.claim(&task, &order)).await?.value;
    let claim = claim.ok_or_else(unknown)?;
    let placed =
        dispatch.execute::<Order>(stream, order::Command::Place(Place { coupon: Some(claim), ..place }), request).await;
    if let Err(CommandError::Refused(_)) = &placed {
        let give_back = coupon::Command::Return { task_id: task_id.clone(), order_id: order_id.clone() };
        let said = dispatch.fresh_command().0;
        // If this fails, the coupon's own process gives it back a little later.
        if let Err(error) = inner.command::<Coupon>(&coupon, &[b"refused", &said], give_back).await {
            tracing::debug!(%error, order = %order_id, "a coupon is given back later");
        }
    }
    placed
}
