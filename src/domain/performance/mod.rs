//! How does a performance go on sale, and who may stop it? Terms, pause, blocked seats, cancellation.
//!
//! `schedule` is what puts it on sale, `change` what alters its terms, `rules` decides, `seats` asks many seats at once,
//! `terms` is what neighbours may read: the order reads [`Terms`]. What is sold or held is not known here: that is the
//! seats' and the orders' business.

mod change;
mod rules;
mod schedule;
mod seats;
mod terms;
#[cfg(test)]
pub(super) mod tests;

pub use change::Change;
pub use rules::{Command, Performance, State};
pub use schedule::Schedule;
pub use terms::{Layout, SeatTerms, Terms};

pub(super) use seats::{each_seat, unavailable};
