//! Who are the people? Accounts: beside the log, erasable, sealed.
//!
//! The log knows people by an opaque id and nothing else. Who they are, how they prove it and what happened to their
//! accounts is here. How a request carries a token is `http`'s business, what a token is that of `auth`.

pub mod devices;
pub mod revocations;
pub mod store;

pub use devices::{DeviceError, DeviceParts, Devices, NewDevice};
pub use revocations::Revocations;
