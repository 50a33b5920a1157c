//! What does an order wait for? Money, the way back of money, or its coupon to hear how it ended.

use std::sync::Arc;

use super::runner::Turn;
use super::{Inner, coupon, payment, refund};
use crate::actors::CommandError;
use crate::domain::order::{Order, State, Step};
use crate::fault::Fault;
use crate::ids::StreamId;

/// Reads the stream and takes the step that is next. What is read is durable: nobody is asked for what is not in the log.
pub async fn turn(inner: &Arc<Inner>, stream: &StreamId) -> Result<Turn, Fault> {
    let step = inner.parts.dispatch.read::<Order, _>(stream.clone(), State::step).await;
    let step = match step {
        Ok(read) => read.value,
        Err(CommandError::Refused(_)) => None,
        Err(CommandError::Failed(fault)) => return Err(fault),
    };
    match step {
        None => Ok(Turn::Over),
        Some(Step::Pay(step)) => payment::take(inner, stream, step).await,
        Some(Step::Refund(step)) => refund::take(inner, stream, step).await,
        Some(Step::Coupon { task_id, used, .. }) => coupon::settle(inner, stream, &task_id, used).await,
    }
}
