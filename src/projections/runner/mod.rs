//! Who keeps the read models up to date? One supervisor and one worker per projection, and one watch over the registry.
//!
//! A supervisor takes the active build over, runs a worker on it, and shows it to readers; when the pointer moves to
//! another build, readers move only when that one has come at least as far as what they saw. The registry is looked at
//! twice a second, and at once after a decision of this process: other processes rebuild, switch and decide there too.

mod handle;
mod registry;
mod status;
mod supervisor;
mod worker;

pub use handle::{Keeping, Orders, Parts, Runner};
pub use status::{Board, State, Status};
