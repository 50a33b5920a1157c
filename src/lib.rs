//! `onsale`: a server for on-sales, the minutes in which far more people want a thing than there are things.
//!
//! The modules in reading order: facts (`events`) → rules (`domain`) → where they are kept (`journal`) → who runs them
//! (`actors`) → what is derived (`projections`, `live`, `audit`) → how the world talks to it (`http`, `cli`).
//! `ARCHITECTURE.md` has the map with its invariants.

#![forbid(unsafe_code)]

pub mod addresses;
pub mod clock;
pub mod fault;
pub mod ids;
pub mod limits;
pub mod money;
pub mod planted;
pub mod timestamp;

pub mod accounts;
pub mod actors;
pub mod audit;
pub mod auth;
pub mod domain;
pub mod events;
pub mod gateways;
pub mod http;
pub mod journal;
pub mod live;
pub mod projections;
pub mod sagas;
pub mod throttle;

pub mod app;
pub mod cli;
pub mod config;
pub mod telemetry;
