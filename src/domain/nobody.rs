//! What stands where no neighbour is? The aggregate that cannot be asked for anything and never has a fact.

use super::{Aggregate, Ask, Asked, Asks, Decision, Fact, Refusal};
use crate::events::codec::CodecError;
use crate::events::{Event, Kind, NounEvent};
use crate::ids::StreamId;

/// Nobody is read: fills `Context` of aggregates that stand alone.
#[derive(Debug)]
pub enum Nobody {}

/// The command and event that cannot be; as `Part`, nobody else takes part.
#[derive(Clone, Debug)]
pub enum Never {}

impl NounEvent for Never {
    fn into_event(self) -> Event {
        match self {}
    }

    fn from_event(_event: Event) -> Option<Self> {
        None
    }

    fn kind(&self) -> Kind {
        match *self {}
    }

    fn payload(&self) -> Result<Vec<u8>, CodecError> {
        match *self {}
    }
}

impl Ask for Never {
    fn put(self, _stream: StreamId, _to: &mut impl Asks) {
        match self {}
    }
}

impl Aggregate for Nobody {
    const NOUN: &'static str = "nobody";
    type State = ();
    type Event = Never;
    type Command = Never;
    type Part = Never;
    type Context = Self;
    type Notice = ();

    fn decide((): &(), command: &Never, _context: Option<&()>, _asked: &Asked) -> Result<Decision<Never>, Refusal> {
        match *command {}
    }

    fn evolve((): &mut (), fact: Fact<'_, Never>) {
        match *fact.event {}
    }
}
