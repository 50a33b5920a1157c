//! Stub: the rules of the performance are being written.

use super::{Aggregate, Asked, Decision, Fact, Nobody, Refusal};
use crate::events::PerformanceEvent;

#[derive(Debug)]
pub enum Performance {}

#[derive(Clone, Debug)]
pub enum Command {}

impl Aggregate for Performance {
    const NOUN: &'static str = "performance";
    type State = ();
    type Event = PerformanceEvent;
    type Command = Command;
    type Part = Nobody;
    type Context = Nobody;
    type Notice = ();

    fn decide((): &(), command: &Command, _: Option<&()>, _: &Asked) -> Result<Decision<PerformanceEvent>, Refusal> {
        match *command {}
    }

    fn evolve((): &mut (), _: Fact<'_, PerformanceEvent>) {}
}
