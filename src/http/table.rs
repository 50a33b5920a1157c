//! Which routes are there? Every one of them, and nothing else; the document is made from the same list.

use axum::middleware;
use utoipa::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

use super::state::Shared;
use super::{
    accounts, admin, auth, coupons, edge, gate, lists, ops, orders, payments, performance_terms, performances,
    rankings, reviews, seats, sellers, shows, store_tokens, stores, streams, tickets, venues,
};

#[derive(OpenApi)]
#[openapi(info(
    title = "onsale",
    description = "A server for on-sales: seats, first-come coupons and store payment feeds"
))]
struct Api;

/// Every route.
pub fn table() -> OpenApiRouter<Shared> {
    OpenApiRouter::with_openapi(Api::openapi())
        .routes(routes!(venues::create, lists::venues::list))
        .routes(routes!(venues::get))
        .routes(routes!(venues::sections))
        .routes(routes!(venues::seats))
        .routes(routes!(shows::create, lists::shows::list))
        .routes(routes!(shows::get))
        .routes(routes!(performances::create, lists::performances::list))
        .routes(routes!(performances::get, performance_terms::change))
        .routes(routes!(performance_terms::cancel))
        .routes(routes!(performance_terms::cancellation))
        .routes(routes!(lists::performances::sales))
        .routes(routes!(performances::pause))
        .routes(routes!(performances::resume))
        .routes(routes!(performances::block))
        .routes(routes!(performances::unblock))
        .routes(routes!(seats::get))
        .routes(routes!(seats::events))
        .routes(routes!(orders::place, lists::orders::of_performance))
        .routes(routes!(lists::orders::list))
        .routes(routes!(lists::orders::tickets))
        .routes(routes!(lists::notifications::mine))
        .routes(routes!(orders::get))
        .routes(routes!(orders::events))
        .routes(routes!(orders::cancel))
        .routes(routes!(payments::pay))
        .routes(routes!(payments::list))
        .routes(routes!(payments::webhook))
        .routes(routes!(tickets::get))
        .routes(routes!(tickets::qr))
        .routes(routes!(tickets::check_in))
        .routes(routes!(reviews::list))
        .routes(routes!(reviews::settle))
        .routes(routes!(coupons::create, lists::coupons::list))
        .routes(routes!(lists::coupons::statistics))
        .routes(routes!(lists::coupon_issues::of_coupon))
        .routes(routes!(lists::coupon_issues::mine))
        .routes(routes!(coupons::get))
        .routes(routes!(coupons::issue))
        .routes(routes!(coupons::task))
        .routes(routes!(coupons::task_events))
        .routes(routes!(stores::create, stores::list))
        .routes(routes!(stores::record, lists::store_payments::list))
        .routes(routes!(stores::cancel))
        .routes(routes!(stores::events))
        .routes(routes!(lists::displays::list))
        .routes(routes!(store_tokens::give, store_tokens::list))
        .routes(routes!(store_tokens::delete))
        .routes(routes!(streams::issue_ticket))
        .routes(routes!(accounts::create))
        .routes(routes!(accounts::verify))
        .routes(routes!(accounts::me, accounts::change, accounts::erase))
        .routes(routes!(auth::login))
        .routes(routes!(auth::refresh))
        .routes(routes!(auth::logout))
        .routes(routes!(auth::logout_all))
        .routes(routes!(auth::forgot))
        .routes(routes!(auth::reset))
        .routes(routes!(auth::change_password))
        .routes(routes!(auth::enrol))
        .routes(routes!(auth::confirm))
        .routes(routes!(auth::disable))
        .routes(routes!(auth::unlock))
        .routes(routes!(sellers::apply))
        .routes(routes!(sellers::applications))
        .routes(routes!(sellers::approve))
        .routes(routes!(sellers::security))
        .routes(routes!(gate::keys))
        .routes(routes!(rankings::sold_out))
        .routes(routes!(rankings::sold_out_events))
        .routes(routes!(rankings::shows))
        .routes(routes!(rankings::shows_events))
        .routes(routes!(admin::projections))
        .routes(routes!(admin::parked))
        .routes(routes!(admin::retry))
        .routes(routes!(admin::skip))
        .routes(routes!(admin::stream))
        .merge(ops::table())
        .route_layer(middleware::from_fn(edge::known_parameters))
}
