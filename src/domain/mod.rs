//! What are the rules? The shape that every noun's rules have, and all the ways in which they say no.
//!
//! Rules are synchronous and get no services: what a rule needs rides in the command, in the state, or in the notice of a
//! neighbour. They know no time but the one they are given, no randomness, no storage and no HTTP.

mod aggregate;
pub mod ask;
mod checks;
pub mod coupon;
pub mod member;
pub mod nobody;
pub mod order;
pub mod performance;
pub mod refusal;
mod roster;
pub mod seat;
pub mod show;
pub mod store;
#[cfg(test)]
pub mod testing;
pub mod venue;

pub use aggregate::{Aggregate, Asked, Authority, Decision, Fact};
pub use ask::{Ask, Asks};
pub use nobody::{Never, Nobody};
pub use refusal::Refusal;
pub use roster::{EachAggregate, each_aggregate};
