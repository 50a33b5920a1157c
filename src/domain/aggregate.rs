//! What shape do every noun's rules have? One trait, and what its functions are told and answer.
//!
//! Who runs it stands in `actors`; the ways of saying no stand in `refusal.rs`.

use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{Ask, Refusal};
use crate::events::NounEvent;
use crate::ids::{AccountId, CommandId, Hash16, StreamId, Version};
use crate::timestamp::Timestamp;

/// Whose things may the asker touch? The edge turns roles into this.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Authority {
    /// Their own only; somebody else's thing looks like a missing one.
    Own,
    /// Everybody's.
    Any,
}

/// Everything a rule may know about a command besides the command.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The log's time at which the command is decided.
    pub at: Timestamp,
    /// Identity of the command: the same for every repetition of one idempotency key.
    pub command: CommandId,
    /// Hash of what was asked: tells a repetition from another request under the same key.
    pub body: Hash16,
    pub by: AccountId,
    pub authority: Authority,
}

impl Asked {
    #[must_use]
    pub fn may_act_for(&self, owner: &AccountId) -> bool {
        self.authority == Authority::Any || &self.by == owner
    }
}

/// A fact with the parts of its envelope that states may remember.
#[derive(Clone, Copy, Debug)]
pub struct Fact<'a, E> {
    pub event: &'a E,
    pub at: Timestamp,
    pub version: Version,
    pub command: CommandId,
}

/// What follows from a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision<E> {
    /// These facts, in this order. Never empty.
    Append(Vec<E>),
    /// The same command was accepted before; its last fact stands at this version of the stream.
    Replay(Version),
    /// Things are already as asked; the answer is the current state.
    Unchanged,
}

/// One noun's rules. One generic actor (`actors/shell.rs`) runs them all.
pub trait Aggregate: Sized + Send + Sync + 'static {
    /// First part of the stream's name.
    const NOUN: &'static str;
    /// Raised when the shape of `State` changes, so that older snapshots are ignored.
    const SNAPSHOT_VERSION: u16 = 1;

    /// Are there tens of thousands of streams, each asked now and then? Then a state stays in memory without an actor of its
    /// own as long as nobody asks for it. One that shows a notice does not rest.
    const RESTS: bool = false;

    /// Does the state only ever grow? Then it is kept in segments alone, and never saved as a whole.
    const GROWS: bool = false;

    /// Holds only what some rule reads.
    type State: Default + Clone + Send + Sync + Serialize + DeserializeOwned + 'static;
    type Event: NounEvent + std::fmt::Debug;
    type Command: Clone + Send + Sync + std::fmt::Debug + 'static;
    /// What other streams are asked for in this one's units ([`super::Never`] anything, if none takes part).
    type Part: Ask;
    /// The aggregate whose notice this one's rules read ([`super::Nobody`] if none).
    type Context: Aggregate;
    /// What neighbours in the partition may read of this aggregate (`()` if nothing).
    type Notice: Send + Sync + 'static;

    /// The neighbour in the partition whose notice the rules read for this command.
    fn context(_state: &Self::State, _command: &Self::Command) -> Option<StreamId> {
        None
    }

    /// The other streams of the partition that get facts in the same unit, and what each of them is asked: all say yes or
    /// nothing happens. No stream twice. `context` as in [`Aggregate::decide`]: when the neighbour says something else by
    /// then, this is asked again.
    fn parts(
        _state: &Self::State,
        _command: &Self::Command,
        _by: &AccountId,
        _context: Option<&<Self::Context as Aggregate>::Notice>,
    ) -> Vec<(StreamId, Self::Part)> {
        Vec::new()
    }

    /// `context` is `None` when the neighbour does not exist or none was asked for.
    fn decide(
        state: &Self::State,
        command: &Self::Command,
        context: Option<&<Self::Context as Aggregate>::Notice>,
        asked: &Asked,
    ) -> Result<Decision<Self::Event>, Refusal>;

    fn evolve(state: &mut Self::State, fact: Fact<'_, Self::Event>);

    /// The refusal of the whole when parts refused; `refused` is not empty and in stream order.
    fn parts_refused(_command: &Self::Command, mut refused: Vec<(StreamId, Refusal)>) -> Refusal {
        refused.remove(0).1
    }

    /// When must something happen by itself?
    fn deadline(_state: &Self::State) -> Option<Timestamp> {
        None
    }

    /// What must happen at the deadline.
    fn due(_state: &Self::State) -> Option<Self::Command> {
        None
    }

    /// Since when has the world outside been waited for, if it is? A process is told of the stream from that moment on,
    /// again after each restart, until this says that there is nothing left to do.
    fn waits_since(_state: &Self::State) -> Option<Timestamp> {
        None
    }

    fn notice(_state: &Self::State) -> Option<Arc<Self::Notice>> {
        None
    }

    /// The seller to whom the events belong.
    fn owner(_state: &Self::State) -> Option<AccountId> {
        None
    }

    /// Entries of the state: saving it as a whole is worth it when that many facts have come since.
    fn entries(_state: &Self::State) -> usize {
        1
    }

    /// Facts that follow each other, in the fewest bytes from which [`Aggregate::absorb`] makes the same state as `evolve`
    /// does from them. `None`: they are kept as they are.
    fn digest(_facts: &[Fact<'_, Self::Event>]) -> Option<Vec<u8>> {
        None
    }

    /// Folds what `digest` made. `None`: it cannot be read.
    fn absorb(_state: &mut Self::State, _digest: &[u8]) -> Option<()> {
        None
    }
}
