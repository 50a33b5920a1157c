//! What is the log when nothing is kept? A journal in memory, for tests and for the simulator.
//!
//! `journal.rs` fulfils the contract, `shelf.rs` is one partition with the checks that a database would make, and
//! `mischief.rs` is the hook by which a simulation loses answers and delays writes. Nothing in here survives the process.

mod journal;
mod mischief;
mod shelf;
#[cfg(test)]
mod tests;

pub use journal::MemoryJournal;
pub use mischief::{Fate, Hiccup, Mischief};
