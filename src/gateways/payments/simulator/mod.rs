//! What stands in for the payment provider? The same routes and codes as the real one, books of its own, and whatever can go
//! wrong with payments, on request: by test keys, by a script, or by dice.
//!
//! It knows nothing of orders and seats, and shares no state with a node: what both say afterwards can be compared. A payment
//! exists once it is confirmed with a key that the script or the test keys know; the provider's page is not simulated.

mod books;
mod calls;
mod desk;
mod direct;
pub mod ledger;
mod mischief;
mod reply;
mod routes;
mod running;
pub mod script;
mod server;
mod times;
mod webhook;

#[cfg(test)]
mod tests;

pub use books::{Books, Entry, What};
pub use direct::DirectPayments;
pub use running::{Simulator, SimulatorError, SimulatorOptions};
