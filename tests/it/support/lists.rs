//! Lists as a client reads them: not before what it knows of, and page by page to the end.

use serde_json::Value;

use super::http::Answer;
use super::{Client, wait};

/// Reads once the list has come as far as all these answers; a slow machine may take more than one try.
pub async fn read_after(client: &Client, path: &str, known: &[&Answer]) -> Answer {
    let sign = if path.contains('?') { '&' } else { '?' };
    let positions: Vec<String> =
        known.iter().map(|answer| format!("min_position={}", answer.str("position"))).collect();
    let path = if known.is_empty() { path.to_owned() } else { format!("{path}{sign}{}", positions.join("&")) };
    wait::until(&path, || client.get(&path), |answer| answer.status != 503).await
}

/// One member of each item of a page.
#[track_caller]
pub fn column(page: &Answer, member: &str) -> Vec<Value> {
    let items = page.body["items"].as_array().unwrap_or_else(|| panic!("no list: {}", page.text));
    items.iter().map(|item| item[member].clone()).collect()
}

/// The same, of all pages from `first` on.
pub async fn rest(client: &Client, path: &str, first: Answer, member: &str) -> Vec<Value> {
    let mut found = column(&first, member);
    let mut next = first.body["next_cursor"].as_str().map(str::to_owned);
    let sign = if path.contains('?') { '&' } else { '?' };
    while let Some(cursor) = next {
        let page = client.get(&format!("{path}{sign}cursor={cursor}")).await.expect(200);
        let items = column(&page, member);
        assert!(!items.is_empty(), "a cursor leads to something");
        found.extend(items);
        next = page.body["next_cursor"].as_str().map(str::to_owned);
    }
    found
}
