//! How does the world talk to it? The edge: routes, and the handles that they use. Nobody imports this folder.
//!
//! Handlers extract, authorise, dispatch and map; whether something may happen is decided by the rules. Each takes only
//! the handles it needs. `error.rs` alone knows the status codes of errors.

pub mod answer;
pub mod edge;
pub mod error;
pub mod extract;
pub mod ops;
pub mod server;
pub mod streams;

mod accounts;
mod admin;
mod auth;
mod client;
mod coupons;
mod document;
mod gate;
mod lists;
mod orders;
mod payments;
mod performance_terms;
mod performances;
pub mod qr;
mod rankings;
mod reviews;
mod seats;
mod sellers;
mod shows;
mod state;
mod store_tokens;
mod stores;
mod table;
#[cfg(test)]
mod tests;
mod tickets;
mod venues;

use axum::{Router, middleware};
use utoipa_swagger_ui::{Config, SwaggerUi};

pub use edge::{Choices, Cors, Edge, Forwarding, Front, Guard};
pub use ops::{Check, Readiness};
pub use server::{Crowd, Terms, serve};
pub use state::Handles;

use {error::Problem, state::Shared, table::table};

/// The whole edge, ready to be served.
pub fn router(handles: Handles) -> Front {
    let (routes, document) = table().split_for_parts();
    let asked = edge::Asked::new(&document, handles.hub.clone());
    let document = document::written(document).to_string();
    let edge = Edge::new(&handles);
    let asking = routes.clone().route_layer(middleware::from_fn_with_state(asked, edge::asked));
    let shared = Shared::new(handles, document);
    let whole = |routes: Router<Shared>| {
        let pages = SwaggerUi::new("/docs").config(Config::from("/openapi.json"));
        routes.with_state(shared.clone()).merge(pages).fallback(|| async { Problem::not_found() })
    };
    Front::new(edge, whole(routes), whole(asking))
}

/// Routes of any kind, with around them what happens to every request to a node.
pub fn behind(around: Edge, routes: Router) -> Front {
    let routes = routes.fallback(|| async { Problem::not_found() });
    Front::new(around, routes.clone(), routes)
}
