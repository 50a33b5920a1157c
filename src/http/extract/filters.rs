//! What do the filters of a list mean? Moments, ids and texts as they stand in a query, or a refusal that names them.

use super::path::PathId;
use super::query::Params;
use crate::http::error::{Code, Problem};
use crate::limits;
use crate::timestamp::Timestamp;

impl Params {
    /// A moment. A `+` that was not escaped arrives as a space, and means the `+` of an offset all the same.
    pub fn time(&self, name: &str) -> Result<Option<Timestamp>, Problem> {
        self.parsed(name, "an RFC 3339 time", |text| Timestamp::parse(&text.replace(' ', "+")))
    }

    pub fn id<T: PathId>(&self, name: &str) -> Result<Option<T>, Problem> {
        self.parsed(name, "an id of this kind", T::parse)
    }

    /// A text to search for.
    pub fn text(&self, name: &str) -> Result<Option<String>, Problem> {
        let sane = |text: &str| {
            (1..=limits::FILTER_CHARS).contains(&text.chars().count()) && !text.chars().any(char::is_control)
        };
        self.parsed(name, "a short text without control characters", |text| sane(text).then(|| text.to_owned()))
    }

    fn parsed<T>(&self, name: &str, what: &str, parse: impl FnOnce(&str) -> Option<T>) -> Result<Option<T>, Problem> {
        let Some(text) = self.get(name) else { return Ok(None) };
        let junk = || Problem::new(Code::InvalidParameter, format!("{name} must be {what}"));
        parse(text).map(Some).ok_or_else(junk)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ids::OrderId;
    use axum::extract::FromRequestParts;

    async fn params(query: &str) -> Params {
        let (mut parts, ()) = http::Request::get(format!("/x?{query}")).body(()).expect("a request").into_parts();
        Params::from_request_parts(&mut parts, &()).await.expect("a query")
    }

    #[tokio::test]
    async fn filters_mean_something_or_are_refused() {
        let hour = Timestamp::parse("2026-11-21T01:00:00Z");
        for spelling in ["2026-11-21T01:00:00Z", "2026-11-21T10:00:00%2B09:00", "2026-11-21T10:00:00+09:00"] {
            assert_eq!(params(&format!("from={spelling}")).await.time("from").ok().flatten(), hour, "{spelling}");
        }
        let none = params("a=b").await;
        assert!(none.time("from").is_ok_and(|time| time.is_none()));
        assert!(none.id::<OrderId>("order_id").is_ok_and(|id| id.is_none()));
        assert!(params("name=%EC%9E%A0%EC%8B%A4").await.text("name").is_ok_and(|name| name.as_deref() == Some("잠실")));
        let refused = |result: Result<(), Problem>| result.is_err_and(|problem| problem.code == Code::InvalidParameter);
        for junk in ["yesterday", "", "2026-11-21"] {
            assert!(refused(params(&format!("from={junk}")).await.time("from").map(drop)), "{junk}");
        }
        for junk in ["7", "", "o1_x"] {
            assert!(refused(params(&format!("id={junk}")).await.id::<OrderId>("id").map(drop)), "{junk}");
        }
        for junk in [String::new(), "%00".to_owned(), "x".repeat(limits::FILTER_CHARS + 1)] {
            assert!(refused(params(&format!("name={junk}")).await.text("name").map(drop)), "{junk}");
        }
    }
}
