//! What must follow, outside of the one partition? Processes ask the world for what streams wait for, and tell the streams.
//!
//! A stream says by itself what it waits for (`Aggregate::waits_since`); that stands among the log's timers, in the same
//! transaction as the facts, so a restart finds every open process with one query and needs no cursor. A process reads the
//! stream, does the one thing that is next, tells the stream what came of it with a command that may be repeated, and looks
//! again. Nothing here decides: the rules do, and an answer that comes too late changes nothing.

mod backoff;
mod call_off;
mod coupon;
mod order;
mod payment;
mod processes;
mod refund;
mod runner;
mod watch;

pub use coupon::Placing;
pub use processes::{Parts, Processes};
pub use watch::Watch;

use processes::Inner;
