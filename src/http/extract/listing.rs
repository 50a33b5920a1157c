//! Which part of a list is asked for, and how new must it be? `limit`, `cursor` and `min_position`, alike for every list.
//!
//! A cursor is opaque to clients: the place of the last row, tied to the list and its filters, so that it cannot be taken
//! to another one by mistake. It is no secret and proves nothing; what a caller may see is decided without it.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::request::Parts;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;

use super::query::Params;
use crate::http::answer::{Answer, Answered};
use crate::http::error::{Code, Problem};
use crate::ids::{Hash16, LogPosition};
use crate::limits;
use crate::projections::reads::Reads;
use crate::projections::select::{Listed, Page};
use crate::projections::store::Build;
use crate::projections::table::Value;

/// Parameters that every list takes besides its filters.
pub const LISTING: &[&str] = &["limit", "cursor"];

/// What a request for a list says besides its filters.
#[derive(Clone, Debug)]
pub struct Listing {
    page: Page,
    not_before: Vec<LogPosition>,
    scope: String,
}

/// As lists are answered.
#[derive(Debug, Serialize)]
struct Items<T> {
    items: Vec<T>,
    next_cursor: Option<String>,
}

/// For the document: the shape of a list's answer.
#[derive(Debug, Deserialize, Serialize, utoipa::ToSchema)]
pub struct ListOf<T> {
    pub items: Vec<T>,
    /// Null at the end of the list.
    pub next_cursor: Option<String>,
}

impl Listing {
    #[must_use]
    pub fn page(&self) -> &Page {
        &self.page
    }

    /// The read model, once it has come as far as the request wants.
    pub async fn of(&self, reads: &Reads, projection: &'static str) -> Result<Arc<dyn Build>, Problem> {
        let all = async {
            for position in &self.not_before {
                reads.reached(projection, *position).await;
            }
        };
        if tokio::time::timeout(limits::READ_WAIT, all).await.is_err() {
            return Err(Problem::read_behind());
        }
        Ok(reads.of(projection)?)
    }

    /// The answer: the rows as `view` shows them, and where to go on.
    pub fn answer<R, T: Serialize>(&self, listed: Listed<R>, view: impl FnMut(R) -> T) -> Answered {
        let items: Vec<T> = listed.rows.into_iter().map(view).collect();
        self.items(items, listed.next.as_deref())
    }

    /// As [`Listing::answer`], where the views are made already.
    pub fn items<T: Serialize>(&self, items: Vec<T>, next: Option<&[Value]>) -> Answered {
        let next_cursor = next.map(|place| write(&self.scope, place));
        Ok(Answer::ok(&Items { items, next_cursor })?.done())
    }

    /// As [`Listing::answer`], of rows of which one more was read than wanted: it shows that there is more.
    pub fn cut<R, T: Serialize>(
        &self,
        mut rows: Vec<R>,
        place: impl Fn(&R) -> Value,
        view: impl FnMut(R) -> T,
    ) -> Answered {
        let more = rows.len() > self.page.limit;
        rows.truncate(self.page.limit);
        let next = rows.last().filter(|_| more).map(|row| vec![place(row)]);
        self.items(rows.into_iter().map(view).collect(), next.as_deref())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Listing {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, Problem> {
        let params = Params::of(parts)?;
        let scope = scope(parts.uri.path(), &params);
        let limit = match params.get("limit") {
            None => limits::LIST_DEFAULT,
            Some(text) => text.parse().ok().filter(|n| (1..=limits::LIST_MAX).contains(n)).ok_or_else(|| {
                Problem::new(Code::InvalidParameter, format!("limit is a number from 1 to {}", limits::LIST_MAX))
            })?,
        };
        let junk = || Problem::new(Code::InvalidParameter, "cursor must be a next_cursor of this very list");
        let after = params.get("cursor").map(|text| read(&scope, text).ok_or_else(junk)).transpose()?;
        let not_before = Params::min_positions(&parts.uri)?;
        Ok(Self { page: Page { limit, after }, not_before, scope })
    }
}

/// Path and filters: what a cursor belongs to.
fn scope(path: &str, params: &Params) -> String {
    let mut filters: Vec<String> = params
        .pairs()
        .filter(|(name, _)| !LISTING.contains(name) && *name != super::query::MIN_POSITION)
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    filters.sort_unstable();
    let hash = Hash16::of("cursor", &[path.as_bytes(), filters.join("&").as_bytes()]);
    hash.to_string()[..8].to_owned()
}

fn write(scope: &str, place: &[Value]) -> String {
    let cells = place.iter().map(|value| match value {
        Value::Null => Json::Null,
        Value::Int(number) => Json::from(*number),
        Value::Text(text) => Json::from(text.as_ref()),
    });
    let all: Vec<Json> = std::iter::once(Json::from(scope)).chain(cells).collect();
    URL_SAFE_NO_PAD.encode(Json::from(all).to_string())
}

fn read(scope: &str, text: &str) -> Option<Vec<Value>> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let all: Vec<Json> = serde_json::from_slice(&bytes).ok()?;
    let (of, cells) = all.split_first()?;
    if of.as_str() != Some(scope) {
        return None;
    }
    cells
        .iter()
        .map(|cell| match cell {
            Json::Number(number) => number.as_i64().map(Value::Int),
            // The engines know no text with NUL in it.
            Json::String(text) if !text.contains('\0') => Some(Value::Text(text.as_str().into())),
            _ => None,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_goes_on_with_its_own_list_only() {
        let place = vec![Value::Int(-5), Value::Text("한국".into())];
        let text = write("abc", &place);
        assert!(text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)), "safe in a URL: {text}");
        assert_eq!(read("abc", &text), Some(place));
        assert_eq!(read("abd", &text), None);
        for junk in ["", "x", "é", "W10", "WyJhYmMiLG51bGxd", "WyJhYmMiLDEuNV0"] {
            assert_eq!(read("abc", junk), None, "{junk}");
        }
    }
}
