//! Stub: the rules of the show are being written.

use super::{Aggregate, Asked, Decision, Fact, Nobody, Refusal};
use crate::events::ShowEvent;

#[derive(Debug)]
pub enum Show {}

#[derive(Clone, Debug)]
pub enum Command {}

impl Aggregate for Show {
    const NOUN: &'static str = "show";
    type State = ();
    type Event = ShowEvent;
    type Command = Command;
    type Part = Nobody;
    type Context = Nobody;
    type Notice = ();

    fn decide((): &(), command: &Command, _: Option<&()>, _: &Asked) -> Result<Decision<ShowEvent>, Refusal> {
        match *command {}
    }

    fn evolve((): &mut (), _: Fact<'_, ShowEvent>) {}
}
