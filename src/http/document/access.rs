//! Who may use which route? The authorisation of the product on one screen, as the document tells it.
//!
//! The gates in the handlers decide; tests hold them against this table, line by line and role by role.

use super::Operation;
use crate::auth::Role;

/// The principals of the table, in its order.
pub const ROLES: [(Role, char); 6] = [
    (Role::Member, 'm'),
    (Role::Seller, 's'),
    (Role::Counsellor, 'c'),
    (Role::Admin, 'a'),
    (Role::Pos, 'p'),
    (Role::Display, 'd'),
];

/// Route, and who gets past the gate: `*` everybody without a token, else letters of [`ROLES`].
pub const WHO_MAY: &[(&str, &str, &str)] = &[
    ("POST", "/v1/venues", "sa"),
    ("GET", "/v1/venues", "*"),
    ("GET", "/v1/shows", "*"),
    ("GET", "/v1/performances", "*"),
    ("GET", "/v1/performances/{id}/sales", "sa"),
    ("GET", "/v1/rankings/sold-out", "*"),
    ("GET", "/v1/rankings/sold-out/events", "*"),
    ("GET", "/v1/rankings/shows", "*"),
    ("GET", "/v1/rankings/shows/events", "*"),
    ("GET", "/v1/venues/{id}", "*"),
    ("GET", "/v1/venues/{id}/sections", "*"),
    ("GET", "/v1/venues/{id}/seats", "*"),
    ("POST", "/v1/shows", "sa"),
    ("GET", "/v1/shows/{id}", "*"),
    ("POST", "/v1/performances", "sa"),
    ("GET", "/v1/performances/{id}", "*"),
    ("PATCH", "/v1/performances/{id}", "sa"),
    ("POST", "/v1/performances/{id}/cancel", "sa"),
    ("GET", "/v1/performances/{id}/cancellation", "sa"),
    ("POST", "/v1/performances/{id}/pause", "sa"),
    ("POST", "/v1/performances/{id}/resume", "sa"),
    ("POST", "/v1/performances/{id}/seats/block", "sa"),
    ("POST", "/v1/performances/{id}/seats/unblock", "sa"),
    ("GET", "/v1/performances/{id}/seats", "*"),
    ("GET", "/v1/performances/{id}/seats/events", "*"),
    ("POST", "/v1/performances/{id}/orders", "m"),
    ("GET", "/v1/performances/{id}/orders", "sa"),
    ("GET", "/v1/orders", "msa"),
    ("GET", "/v1/tickets", "m"),
    ("GET", "/v1/orders/{id}", "mscapd"),
    ("GET", "/v1/orders/{id}/events", "mscapd"),
    ("POST", "/v1/orders/{id}/cancel", "msa"),
    ("POST", "/v1/orders/{id}/payment", "m"),
    ("GET", "/v1/orders/{id}/payments", "mscapd"),
    ("GET", "/v1/tickets/{id}", "msa"),
    ("GET", "/v1/tickets/{id}/qr.svg", "msa"),
    ("POST", "/v1/tickets/{id}/check-in", "sa"),
    ("POST", "/v1/psp/toss/webhook", "*"),
    ("GET", "/v1/admin/review", "a"),
    ("POST", "/v1/admin/review/{id}/settle", "a"),
    ("POST", "/v1/coupons", "sa"),
    ("GET", "/v1/coupons", "*"),
    ("GET", "/v1/coupons/{id}", "*"),
    ("GET", "/v1/coupons/{id}/statistics", "sa"),
    ("GET", "/v1/coupons/{id}/issues", "sa"),
    ("GET", "/v1/accounts/me/coupons", "m"),
    ("GET", "/v1/accounts/me/notifications", "m"),
    ("POST", "/v1/coupons/{id}/issue", "m"),
    ("GET", "/v1/coupon-tasks/{id}", "mscapd"),
    ("GET", "/v1/coupon-tasks/{id}/events", "mscapd"),
    ("POST", "/v1/stores", "sa"),
    ("GET", "/v1/stores", "sa"),
    ("GET", "/v1/admin/projections", "a"),
    ("GET", "/v1/admin/parked", "a"),
    ("POST", "/v1/admin/parked/{id}/retry", "a"),
    ("POST", "/v1/admin/parked/{id}/skip", "a"),
    ("GET", "/v1/admin/streams/{*stream}", "a"),
    ("POST", "/v1/stores/{id}/payments", "p"),
    ("GET", "/v1/stores/{id}/payments", "sapd"),
    ("POST", "/v1/stores/{id}/payments/{payment_id}/cancel", "p"),
    ("GET", "/v1/stores/{id}/payments/events", "sad"),
    ("GET", "/v1/stores/{id}/displays", "sa"),
    ("POST", "/v1/stores/{id}/tokens", "sa"),
    ("GET", "/v1/stores/{id}/tokens", "sa"),
    ("DELETE", "/v1/stores/{id}/tokens/{token_id}", "sa"),
    ("GET", "/v1/ticket-keys", "*"),
    ("POST", "/v1/stream-tickets", "mscapd"),
    ("GET", "/v1/accounts/me", "mscapd"),
    ("PATCH", "/v1/accounts/me", "msca"),
    ("DELETE", "/v1/accounts/me", "msca"),
    ("POST", "/v1/accounts", "*"),
    ("POST", "/v1/accounts/verify", "*"),
    ("POST", "/v1/auth/login", "*"),
    ("POST", "/v1/auth/refresh", "*"),
    ("POST", "/v1/auth/logout", "msca"),
    ("POST", "/v1/auth/logout-all", "msca"),
    ("POST", "/v1/auth/password/forgot", "*"),
    ("POST", "/v1/auth/password/reset", "*"),
    ("POST", "/v1/auth/password/change", "msca"),
    ("POST", "/v1/auth/totp/enrol", "msca"),
    ("POST", "/v1/auth/totp/confirm", "msca"),
    ("POST", "/v1/auth/totp/disable", "msca"),
    ("POST", "/v1/auth/unlock", "*"),
    ("POST", "/v1/sellers/apply", "m"),
    ("GET", "/v1/admin/sellers", "a"),
    ("POST", "/v1/admin/sellers/{id}/approve", "a"),
    ("GET", "/v1/admin/security", "a"),
    ("GET", "/livez", "*"),
    ("GET", "/readyz", "*"),
    ("GET", "/metrics", "*"),
    ("GET", "/openapi.json", "*"),
    ("GET", "/problems/{code}", "*"),
    ("GET", "/onsale.js", "*"),
];

/// Routes on which every signed-in person sets up a second factor and goes out: nobody is asked for one yet.
const OWN_BUSINESS: [&str; 2] = ["/v1/auth/", "/v1/accounts/me"];
/// A refresh token stands in for the bearer token; only `owner=me` needs one.
const OPTIONAL: [(&str, &str); 2] = [("POST", "/v1/auth/logout"), ("GET", "/v1/coupons")];

impl Operation {
    fn who(&self) -> &'static str {
        let line = WHO_MAY.iter().find(|(method, path, _)| *method == self.method && *path == self.template);
        line.map_or("*", |(_, _, who)| who)
    }

    /// Must the caller say who they are?
    pub fn asks_who(&self) -> bool {
        self.who() != "*"
    }

    /// May the caller say who they are, without having to?
    pub fn may_be_told(&self) -> bool {
        OPTIONAL.contains(&(self.method.as_str(), self.template.as_str()))
    }

    /// A stream that a ticket opens, too.
    pub fn takes_tickets(&self) -> bool {
        self.asks_who() && self.is_stream()
    }

    pub fn turns_roles_away(&self) -> bool {
        self.asks_who() && self.who().len() < ROLES.len()
    }

    /// Is an admin asked for a second factor?
    pub fn asks_for_proof(&self) -> bool {
        let own = OWN_BUSINESS.iter().any(|own| self.template.starts_with(own)) && !self.template.contains("/me/");
        self.who().contains('a') && !own
    }

    /// The roles that get past the gate, by the names that tokens give them.
    pub fn roles(&self) -> Vec<&'static str> {
        let may = |letter| self.asks_who() && self.who().contains(letter);
        ROLES.into_iter().filter(|(_, letter)| may(*letter)).map(|(role, _)| role.as_str()).collect()
    }
}
