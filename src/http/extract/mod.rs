//! What did the client send? Extractors for the caller, the body, ids, query and preferences, each with its exact rules.
//!
//! They turn bytes into values or into a problem, and decide nothing about the business. `ask.rs` is the whole command.

mod ask;
mod asking;
mod body;
mod checks;
mod filters;
mod gate;
mod listing;
mod mine;
mod object;
mod path;
mod prefer;
mod query;
mod visit;

pub use ask::Ask;
pub use asking::Asking;
pub use body::{Body, Input, Raw};
pub use checks::{Checks, Whole};
pub use gate::{
    Admins, Anyone, Buyers, By, Cancellers, Counters, Creators, Gate, Members, Oneself, OrderReaders, Payers, People,
    Sellers, StoreReaders, StoreWatchers, Watcher, require_role,
};
pub use listing::{ListOf, Listing};
pub use mine::Mine;
pub use object::Object;
pub use path::{At, At2, PathId};
pub use prefer::Prefer;
pub use query::{MIN_POSITION, Params, check as check_query, taken as taken_params, takes_min_position};
pub use visit::{ClientAddress, OriginCheck};

use uuid::Uuid;

/// Put into every request by `edge.rs`: what the request is called in the log and in traces.
#[derive(Clone, Copy, Debug)]
pub struct Correlation(pub Uuid);
