//! Who runs the rules? The way in for every command and every read of an aggregate: [`Dispatch`].
//!
//! A command names a stream; the stream's actor (one generic shell for all nouns) decides it, the partition's sequencer
//! gives out positions, a lane makes it durable, and only then the answer leaves. This folder knows nothing of HTTP and
//! nothing of any particular noun.

mod admission;
mod cell;
mod crew;
mod deadlines;
mod decision;
mod dispatch;
mod door;
mod engine;
mod idle;
mod loader;
mod logtime;
mod newcomers;
mod node;
mod part;
mod piece;
mod registry;
mod sequencer;
mod shadow;
mod shell;
mod snapshot;
mod tally;
mod timers;

use std::sync::Arc;

use uuid::Uuid;

pub use engine::{Engine, Setup};
pub use node::{Moment, Sabotage, Shortening};
pub use tally::Refusals;

use crate::domain::{Authority, Refusal};
use crate::fault::Fault;
use crate::ids::{AccountId, CommandId, Hash16, LogPosition, Version};
use crate::timestamp::Timestamp;

/// Who asks for a command, and how it is recognised again.
#[derive(Clone, Debug)]
pub struct Request {
    pub command: CommandId,
    pub body: Hash16,
    pub by: AccountId,
    pub authority: Authority,
    pub correlation: Uuid,
    pub causation: Option<Uuid>,
    /// Free text to keep beside the log (a reason), erasable.
    pub note: Option<String>,
}

/// A command that was accepted, durable by the time the caller sees this.
#[derive(Clone, Debug)]
pub struct Outcome<E> {
    /// The lead stream's facts of this command; those of the first time if it is a repetition, none if nothing changed.
    pub events: Vec<E>,
    /// Of the unit's last event; of the stream's last event if nothing changed.
    pub position: LogPosition,
    /// The lead stream's version after the command.
    pub version: Version,
    /// The log's time of the decision.
    pub at: Timestamp,
    /// The same command was accepted before; this is its answer again.
    pub replayed: bool,
}

/// A value read from an aggregate's state, durable by the time the caller sees it.
#[derive(Clone, Debug)]
pub struct Snapshotted<R> {
    pub value: R,
    /// Of the stream's last event; `None` when the stream does not exist.
    pub position: Option<LogPosition>,
    pub version: Version,
    /// The log's time of the reading.
    pub at: Timestamp,
}

/// Why a command did not go through.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    #[error(transparent)]
    Refused(#[from] Refusal),
    #[error(transparent)]
    Failed(#[from] Fault),
}

/// What an actor answers, before the answer of a repetition is looked up in the log.
#[derive(Debug)]
pub(crate) enum Accepted<E> {
    Done(Outcome<E>),
    Replay { version: Version },
}

/// The handle through which everything reaches the aggregates. Cheap to clone.
#[derive(Clone)]
pub struct Dispatch {
    way: Way,
}

#[derive(Clone)]
enum Way {
    /// To the actors of this node.
    Own(dispatch::Owned),
    /// Another node takes the commands; here states are folded from the log.
    Elsewhere(Arc<shadow::Shadows>),
}
