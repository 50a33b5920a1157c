//! What integration tests share: throw-away databases and a wire that can be cut.
//! Each test binary uses its part of it.
#![allow(dead_code, reason = "no test binary uses all of it")]

pub mod cluster;
pub mod postgres;
pub mod proxy;
