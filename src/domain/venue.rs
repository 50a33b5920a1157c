//! Stub: the rules of the venue are being written.

use super::{Aggregate, Asked, Decision, Fact, Nobody, Refusal};
use crate::events::VenueEvent;

#[derive(Debug)]
pub enum Venue {}

#[derive(Clone, Debug)]
pub enum Command {}

impl Aggregate for Venue {
    const NOUN: &'static str = "venue";
    type State = ();
    type Event = VenueEvent;
    type Command = Command;
    type Part = Nobody;
    type Context = Nobody;
    type Notice = ();

    fn decide((): &(), command: &Command, _: Option<&()>, _: &Asked) -> Result<Decision<VenueEvent>, Refusal> {
        match *command {}
    }

    fn evolve((): &mut (), _: Fact<'_, VenueEvent>) {}
}
