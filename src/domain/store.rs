//! Stub: the rules of the store are being written.

use super::{Aggregate, Asked, Decision, Fact, Nobody, Refusal};
use crate::events::StoreEvent;

#[derive(Debug)]
pub enum Store {}

#[derive(Clone, Debug)]
pub enum Command {}

impl Aggregate for Store {
    const NOUN: &'static str = "store";
    type State = ();
    type Event = StoreEvent;
    type Command = Command;
    type Part = Nobody;
    type Context = Nobody;
    type Notice = ();

    fn decide((): &(), command: &Command, _: Option<&()>, _: &Asked) -> Result<Decision<StoreEvent>, Refusal> {
        match *command {}
    }

    fn evolve((): &mut (), _: Fact<'_, StoreEvent>) {}
}
