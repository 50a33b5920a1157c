//! Who is asking? Principals, the tokens that prove them, what was taken back, and the keys that sign all of it.
//!
//! This folder knows nothing of HTTP: `http/extract` takes a token out of a request and brings it here.

mod check;
pub mod code;
pub mod device;
pub mod email;
pub mod keys;
pub mod mailcode;
pub mod password;
pub mod principal;
pub mod revoked;
pub mod sealed;
pub mod ticket;
pub mod token;
pub mod totp;

pub use code::TicketCode;
pub use device::{Device, DeviceSigner};
pub use email::Email;
pub use keys::{GateKey, KeyError, Keys, Secret};
pub use mailcode::MailCode;
pub use password::{Password, Passwords, Weak};
pub use principal::{Principal, Role};
pub use revoked::Revoked;
pub use sealed::Seal;
pub use ticket::Tickets;
pub use token::{Signer, TokenError, Tokens, Verifier};
pub use totp::TotpSeed;
