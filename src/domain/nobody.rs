//! What stands where no neighbour is? The aggregate that cannot be asked for anything and never has a fact.

use super::{Aggregate, Asked, Decision, Fact, Refusal};
use crate::events::{Event, NounEvent};

/// Nobody takes part, nobody is read: fills `Part` and `Context` of aggregates that stand alone.
#[derive(Debug)]
pub enum Nobody {}

/// The command and event that cannot be.
#[derive(Clone, Debug)]
pub enum Never {}

impl NounEvent for Never {
    fn into_event(self) -> Event {
        match self {}
    }

    fn from_event(_event: Event) -> Option<Self> {
        None
    }
}

impl Aggregate for Nobody {
    const NOUN: &'static str = "nobody";
    type State = ();
    type Event = Never;
    type Command = Never;
    type Part = Self;
    type Context = Self;
    type Notice = ();

    fn decide((): &(), command: &Never, _context: Option<&()>, _asked: &Asked) -> Result<Decision<Never>, Refusal> {
        match *command {}
    }

    fn evolve((): &mut (), fact: Fact<'_, Never>) {
        match *fact.event {}
    }
}
