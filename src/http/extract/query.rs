//! Which query parameters does a route take? One table, so that no route forgets to refuse the others.

use axum::extract::{FromRequestParts, Query};
use http::Uri;
use http::request::Parts;

use super::listing::LISTING;
use crate::http::error::{Code, Problem};
use crate::ids::LogPosition;
use crate::limits;

const STREAM: &[&str] = &["last_event_id", "heartbeat", "ticket"];
const STORE_STREAM: &[&str] = &["last_event_id", "heartbeat", "ticket", "resume"];

/// The filters of each list; `limit` and `cursor` come by themselves.
const LISTS: &[(&str, &[&str])] = &[
    ("/v1/stores", &[]),
    ("/v1/orders", &["status", "performance_id", "reference", "account_id", "from", "to"]),
    ("/v1/performances/{id}/orders", &["status", "reference", "account_id", "from", "to"]),
    ("/v1/tickets", &["performance_id", "order_id"]),
    ("/v1/coupons", &["name", "status", "owner"]),
    ("/v1/accounts/me/coupons", &[]),
    ("/v1/accounts/me/notifications", &[]),
    ("/v1/admin/review", &[]),
    ("/v1/coupons/{id}/issues", &["account_id"]),
    ("/v1/stores/{id}/payments", &["from", "to", "terminal_id", "status"]),
    ("/v1/venues", &["name"]),
    ("/v1/shows", &["category", "from", "to", "name"]),
    ("/v1/performances", &["show_id", "venue_id", "status", "from", "to"]),
    ("/v1/admin/sellers", &[]),
    ("/v1/admin/security", &["account_id"]),
    ("/v1/stores/{id}/tokens", &[]),
    ("/v1/admin/projections", &[]),
    ("/v1/admin/parked", &["projection"]),
    ("/v1/admin/streams/{*stream}", &[]),
];

/// Does this reading of a list take this parameter? `None`: it is no list.
fn list_takes(template: &str, name: &str) -> Option<bool> {
    let (_, filters) = LISTS.iter().find(|(list, _)| *list == template)?;
    Some(filters.contains(&name) || LISTING.contains(&name))
}

/// By the route's template; what is not here takes none.
#[must_use]
fn allowed(template: &str) -> &'static [&'static str] {
    match template {
        "/v1/venues/{id}/seats" => &["section"],
        "/v1/performances/{id}/seats" => &["section", "status"],
        "/v1/stores/{id}/payments/events" => STORE_STREAM,
        "/v1/rankings/sold-out" => &["date", "limit"],
        "/v1/rankings/shows" => &["window", "limit"],
        "/v1/rankings/sold-out/events" => &["date", "heartbeat", "last_event_id", "ticket"],
        "/v1/rankings/shows/events" => &["window", "heartbeat", "last_event_id", "ticket"],
        streams if streams.ends_with("/events") => STREAM,
        _ => &[],
    }
}

/// All that a reading of this route takes, but for `min_position`.
#[must_use]
pub fn taken(template: &str) -> Vec<&'static str> {
    let list = LISTS.iter().find(|(list, _)| *list == template);
    let listing = list.map_or(&[][..], |_| LISTING);
    [list.map_or(allowed(template), |(_, filters)| filters), listing].concat()
}

/// Every reading of the API may say how far the log must have come; a stream says so with its last event id.
pub const MIN_POSITION: &str = "min_position";

#[must_use]
pub fn takes_min_position(template: &str) -> bool {
    template.starts_with("/v1/") && !template.ends_with("/events")
}

/// Refuses parameters that the route does not take, and repeated ones.
pub fn check(reading: bool, template: &str, uri: &Uri) -> Result<(), Problem> {
    let params = Params::of_uri(uri)?;
    let allowed = allowed(template);
    for (i, (name, _)) in params.0.iter().enumerate() {
        if reading && name == MIN_POSITION && takes_min_position(template) {
            continue;
        }
        let named = || name.chars().filter(|c| !c.is_control()).take(50).collect::<String>();
        if !list_takes(template, name).map_or(allowed.contains(&name.as_str()), |takes| takes && reading) {
            return Err(Problem::new(Code::UnknownParameter, format!("unknown parameter {}", named())));
        }
        if params.0[..i].iter().any(|(earlier, _)| earlier == name) {
            return Err(Problem::new(Code::InvalidParameter, format!("{} is given twice", named())));
        }
    }
    Ok(())
}

/// The query, decoded.
#[derive(Clone, Debug, Default)]
pub struct Params(Vec<(String, String)>);

impl Params {
    pub fn of(parts: &Parts) -> Result<Self, Problem> {
        Self::of_uri(&parts.uri)
    }

    fn of_uri(uri: &Uri) -> Result<Self, Problem> {
        if uri.query().is_none() {
            return Ok(Self::default());
        }
        let Ok(Query(pairs)) = Query::<Vec<(String, String)>>::try_from_uri(uri) else {
            return Err(Problem::new(Code::InvalidParameter, "the query cannot be read"));
        };
        Ok(Self(pairs))
    }

    /// May repeat: a page that shows several things has several positions.
    pub fn min_positions(uri: &Uri) -> Result<Vec<LogPosition>, Problem> {
        let params = Self::of_uri(uri)?;
        let given: Vec<&str> = params.0.iter().filter(|(n, _)| n == MIN_POSITION).map(|(_, v)| v.as_str()).collect();
        let junk = || Problem::new(Code::InvalidParameter, "min_position is a position of an answer: <partition>:<n>");
        if given.len() > limits::MIN_POSITIONS {
            return Err(junk());
        }
        given.into_iter().map(|text| LogPosition::parse(text).ok_or_else(junk)).collect()
    }

    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }

    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is one of a few words.
    pub fn word<T: Copy>(&self, name: &str, words: &[(&str, T)]) -> Result<Option<T>, Problem> {
        let Some(given) = self.get(name) else { return Ok(None) };
        let found = words.iter().find(|(word, _)| *word == given).map(|(_, value)| *value);
        found.map(Some).ok_or_else(|| {
            let words: Vec<&str> = words.iter().map(|(word, _)| *word).collect();
            Problem::new(Code::InvalidParameter, format!("{name} must be one of: {}", words.join(", ")))
        })
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Params {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        Self::of(parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_and_repeated_parameters_are_refused() {
        let judge = |template: &str, uri: &'static str| {
            check(true, template, &Uri::from_static(uri)).map_err(|problem| problem.code)
        };
        let seats = "/v1/performances/{id}/seats";
        assert_eq!(judge(seats, "/x?section=A&status=held"), Ok(()));
        assert_eq!(judge(seats, "/x?Section=A"), Err(Code::UnknownParameter));
        assert_eq!(judge(seats, "/x?section=A&section=B"), Err(Code::InvalidParameter));
        assert_eq!(judge("/v1/orders/{id}", "/x?limit=1"), Err(Code::UnknownParameter));
        assert_eq!(judge("/v1/orders/{id}", "/x?"), Ok(()));
        assert_eq!(judge("/v1/orders/{id}/events", "/x?last_event_id=1:2&ticket=t"), Ok(()));
        assert_eq!(judge("/v1/orders/{id}/events", "/x?resume=all"), Err(Code::UnknownParameter));
        assert_eq!(judge("/v1/orders/{id}", "/x?min_position=1:2&min_position=3:4"), Ok(()));
        assert_eq!(judge("/v1/orders/{id}/events", "/x?min_position=1:2"), Err(Code::UnknownParameter));
        assert_eq!(judge("/livez", "/x?min_position=1:2"), Err(Code::UnknownParameter));
        assert_eq!(judge("/v1/stores", "/x?limit=1&cursor=a&min_position=1:2"), Ok(()));
        assert_eq!(judge("/v1/stores", "/x?name=a"), Err(Code::UnknownParameter));
        assert!(check(false, "/v1/stores", &Uri::from_static("/x?limit=1")).is_err(), "a command takes none");
        let command = check(false, "/v1/stores", &Uri::from_static("/x?min_position=1:2"));
        assert_eq!(command.map_err(|problem| problem.code), Err(Code::UnknownParameter));
        let positions = Params::min_positions(&Uri::from_static("/x?min_position=1:2&a=b&min_position=3:4"));
        assert_eq!(positions.map(|all| all.len()).map_err(|problem| problem.code), Ok(2));
        let junk = Params::min_positions(&Uri::from_static("/x?min_position=1:2&min_position=junk"));
        assert_eq!(junk.map_err(|problem| problem.code), Err(Code::InvalidParameter));
    }
}
