//! What may become of an order? It holds all its seats or none, becomes tickets when it is paid for, and gives them back.
//!
//! The order is the whole process from hold to refund, and has the deadline; its seats have none. Its own first fact is the
//! promise. `state` is what its facts came to, `pay` and `refund` decide about money, `cast` says who takes part. It knows no payment provider: it says
//! what has to be asked for ([`Step`]), and takes answers.

mod cast;
mod pay;
mod refund;
mod rules;
mod state;
#[cfg(test)]
mod tests;

pub use cast::Part;
pub use pay::{Answer, Late, Pay, Settle};
pub use refund::{Answer as RefundAnswer, Cancel, Returned, Rule};
pub use rules::{Command, Order, Place};
pub use state::{PayStep, RefundStep, State, Status, Step};
