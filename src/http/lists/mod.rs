//! Which lists can be read? One file per read model that has more than a line to say about itself.
//!
//! A list shows what its read model knows, which may be a moment behind the log: `min_position` waits for it. What a
//! caller may see is decided here, before any row is read.

pub mod coupon_issues;
pub mod coupons;
pub mod displays;
pub mod notifications;
pub mod orders;
pub mod performances;
pub mod shows;
pub mod store_payments;
pub mod venues;
