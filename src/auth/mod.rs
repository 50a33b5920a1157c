//! Who is asking? Principals, the tokens that prove them, and the keys that sign those.
//!
//! This folder knows nothing of HTTP: `http/extract` takes a token out of a request and brings it here.

pub mod code;
pub mod keys;
pub mod principal;
pub mod ticket;
pub mod token;

pub use code::TicketCode;
pub use keys::{GateKey, KeyError, Keys, Secret};
pub use principal::{Principal, Role};
pub use ticket::Tickets;
pub use token::{Signer, TokenError, Tokens, Verifier};
