//! Stub: the rules of the order are being written.

use super::{Aggregate, Asked, Decision, Fact, Nobody, Refusal};
use crate::events::OrderEvent;

#[derive(Debug)]
pub enum Order {}

#[derive(Clone, Debug)]
pub enum Command {}

impl Aggregate for Order {
    const NOUN: &'static str = "order";
    type State = ();
    type Event = OrderEvent;
    type Command = Command;
    type Part = Nobody;
    type Context = Nobody;
    type Notice = ();

    fn decide((): &(), command: &Command, _: Option<&()>, _: &Asked) -> Result<Decision<OrderEvent>, Refusal> {
        match *command {}
    }

    fn evolve((): &mut (), _: Fact<'_, OrderEvent>) {}
}
