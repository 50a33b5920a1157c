//! Stub: the rules of the seat are being written.

use super::{Aggregate, Asked, Decision, Fact, Nobody, Refusal};
use crate::events::SeatEvent;

#[derive(Debug)]
pub enum Seat {}

#[derive(Clone, Debug)]
pub enum Command {}

impl Aggregate for Seat {
    const NOUN: &'static str = "seat";
    type State = ();
    type Event = SeatEvent;
    type Command = Command;
    type Part = Nobody;
    type Context = Nobody;
    type Notice = ();

    fn decide((): &(), command: &Command, _: Option<&()>, _: &Asked) -> Result<Decision<SeatEvent>, Refusal> {
        match *command {}
    }

    fn evolve((): &mut (), _: Fact<'_, SeatEvent>) {}
}
