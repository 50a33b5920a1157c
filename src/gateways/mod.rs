//! How do we reach what is not ours? One trait per need, one file per vendor.
//!
//! A gateway asks, and says exactly what is known of the answer. When to ask, and what follows, is not known here.

pub mod hints;
pub mod mail;
pub mod payments;
pub mod quotas;
