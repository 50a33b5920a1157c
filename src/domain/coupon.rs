//! Stub: the rules of the coupon are being written.

use super::{Aggregate, Asked, Decision, Fact, Nobody, Refusal};
use crate::events::CouponEvent;

#[derive(Debug)]
pub enum Coupon {}

#[derive(Clone, Debug)]
pub enum Command {}

impl Aggregate for Coupon {
    const NOUN: &'static str = "coupon";
    type State = ();
    type Event = CouponEvent;
    type Command = Command;
    type Part = Nobody;
    type Context = Nobody;
    type Notice = ();

    fn decide((): &(), command: &Command, _: Option<&()>, _: &Asked) -> Result<Decision<CouponEvent>, Refusal> {
        match *command {}
    }

    fn evolve((): &mut (), _: Fact<'_, CouponEvent>) {}
}
