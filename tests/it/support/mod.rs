//! What tests stand on: servers, people with tokens, streams, and waiting for conditions.

pub mod browser;
pub mod front;
pub mod http;
pub mod lists;
pub mod markers;
pub mod people;
pub mod raw;
pub mod redis;
pub mod server;
pub mod shop;
pub mod sse;
pub mod stage;
pub mod town;
pub mod wait;
pub mod watcher;

pub use http::Client;
pub use server::{Kind, Server};
