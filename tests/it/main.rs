//! Does the whole program keep its promise? The real binary, real Postgres, real signals, over HTTP and SSE.
//!
//! Each test has a server and a log of its own. Nothing here knows the code behind the public contract.

#[path = "../support/mod.rs"]
mod base;

mod accounts;
mod bad_input;
mod before_commit;
mod bench;
mod bench_replay;
mod browser;
mod commands;
mod coupons;
mod crash;
mod follow;
mod keys;
mod limits;
mod list_catalogue;
mod list_coupons;
mod list_orders;
mod list_payments;
mod member_limit;
mod operators;
mod order_coupons;
mod payments;
mod payments_crowd;
mod payments_lost;
mod performances;
mod production;
mod projections;
mod psp;
mod purchase_crash;
mod rivals;
mod sale;
mod seal_keys;
mod secrets;
mod siege;
mod store_tokens;
mod stores;
mod storm;
mod streams;
mod streams_cut;
mod support;
mod watchers;
mod watchers_gone;
mod who_may;
mod wires;
mod zombie;
