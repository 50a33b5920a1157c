//! What is asked of the other streams of a unit? A noun's command, or one of several nouns' commands.
//!
//! An aggregate whose units concern one other noun names that noun's command as its `Part`; one that concerns several
//! names an enum of theirs. Whoever runs the rules hears of each ask under its noun, and needs no list of the nouns.

use super::Aggregate;
use crate::ids::StreamId;

/// A command to another stream of the unit.
pub trait Ask: Clone + Send + Sync + std::fmt::Debug + 'static {
    /// Names the noun whose command this is.
    fn put(self, stream: StreamId, to: &mut impl Asks);
}

/// Takes asks in, each under its noun.
pub trait Asks {
    fn take<P: Aggregate>(&mut self, stream: StreamId, command: P::Command);
}
