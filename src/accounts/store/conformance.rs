//! Does a backend keep the contract of accounts? One suite, which each backend adopts in a line.

use futures::future::BoxFuture;

use super::{Document, Kind, Put, Revocation, SharedCabinet, TrailEntry};
use crate::timestamp::Timestamp;

/// The whole contract, each part on an empty cabinet. `again` opens the last one anew.
pub async fn all(new: impl Fn() -> BoxFuture<'static, SharedCabinet>) {
    a_change_names_the_version_it_was_decided_upon(&new().await).await;
    of_two_writers_one_is_told(&new().await).await;
    an_alias_is_unique_within_its_kind(&new().await).await;
    a_family_is_read_in_pages(&new().await).await;
    a_kind_is_read_in_pages(&new().await).await;
    what_is_written_comes_back(&new().await).await;
    revocations_are_noted_and_told_again(&new().await).await;
    the_trail_is_read_newest_first(&new().await).await;
    what_expired_is_swept(&new().await).await;
}

fn document(kind: Kind, key: &str) -> Document {
    Document::new(kind, key, format!("{{\"of\":\"{key}\"}}"))
}

async fn put(cabinet: &SharedCabinet, document: Document, expected: Option<u64>) -> Put {
    cabinet.put(document, expected).await.expect("the cabinet answers")
}

pub async fn a_change_names_the_version_it_was_decided_upon(cabinet: &SharedCabinet) {
    let first = document(Kind::Account, "ac_1");
    assert_eq!(put(cabinet, first.clone(), Some(1)).await, Put::Conflict, "there is nothing to change");
    assert_eq!(put(cabinet, first.clone(), None).await, Put::Done);
    assert_eq!(put(cabinet, first.clone(), None).await, Put::Conflict, "it is there already");
    let changed = Document { record: "{}".into(), ..first.clone() };
    assert_eq!(put(cabinet, changed.clone(), Some(1)).await, Put::Done);
    assert_eq!(put(cabinet, first, Some(1)).await, Put::Conflict);
    let found = cabinet.get(Kind::Account, "ac_1").await.expect("an answer").expect("it is there");
    assert_eq!((found.version, found.document), (2, changed));
    assert_eq!(cabinet.get(Kind::Session, "ac_1").await.expect("an answer"), None, "kinds are apart");
    cabinet.remove(Kind::Account, "ac_1").await.expect("removed");
    cabinet.remove(Kind::Account, "ac_1").await.expect("nothing is left to remove");
    assert_eq!(cabinet.get(Kind::Account, "ac_1").await.expect("an answer"), None);
}

pub async fn of_two_writers_one_is_told(cabinet: &SharedCabinet) {
    assert_eq!(put(cabinet, document(Kind::Session, "se_1"), None).await, Put::Done);
    let tries = (0..8).map(|number| {
        let changed = Document { record: format!("{number}"), ..document(Kind::Session, "se_1") };
        put(cabinet, changed, Some(1))
    });
    let outcomes = futures::future::join_all(tries).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Put::Done).count(), 1, "{outcomes:?}");
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Put::Conflict).count(), 7, "{outcomes:?}");
    let new = (0..8).map(|_| put(cabinet, document(Kind::Session, "se_2"), None));
    let outcomes = futures::future::join_all(new).await;
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == Put::Done).count(), 1, "{outcomes:?}");
}

pub async fn an_alias_is_unique_within_its_kind(cabinet: &SharedCabinet) {
    let named = |kind, key: &str, alias: &str| Document { alias: Some(alias.into()), ..document(kind, key) };
    assert_eq!(put(cabinet, named(Kind::Account, "ac_1", "kim"), None).await, Put::Done);
    assert_eq!(put(cabinet, named(Kind::Account, "ac_2", "kim"), None).await, Put::AliasTaken);
    assert_eq!(put(cabinet, named(Kind::SignUp, "ac_2", "kim"), None).await, Put::Done, "another kind");
    assert_eq!(put(cabinet, named(Kind::Account, "ac_2", "lee"), None).await, Put::Done);
    assert_eq!(put(cabinet, named(Kind::Account, "ac_2", "kim"), Some(1)).await, Put::AliasTaken);
    let found = cabinet.by_alias(Kind::Account, "lee").await.expect("an answer").expect("it is there");
    assert_eq!(found.document.key, "ac_2");
    // Whoever is erased gives the alias back.
    assert_eq!(put(cabinet, document(Kind::Account, "ac_1"), Some(1)).await, Put::Done);
    assert_eq!(cabinet.by_alias(Kind::Account, "kim").await.expect("an answer"), None);
    assert_eq!(put(cabinet, named(Kind::Account, "ac_3", "kim"), None).await, Put::Done);
}

pub async fn a_family_is_read_in_pages(cabinet: &SharedCabinet) {
    for (key, family) in [("se_3", "ac_1"), ("se_1", "ac_1"), ("se_2", "ac_1"), ("se_0", "ac_2")] {
        let document = Document { family: Some(family.into()), ..document(Kind::Session, key) };
        assert_eq!(put(cabinet, document, None).await, Put::Done);
    }
    let keys = async |family: &str, after: &str, most: usize| -> Vec<String> {
        let found = cabinet.family(Kind::Session, family, after, most).await.expect("an answer");
        found.into_iter().map(|stored| stored.document.key).collect()
    };
    assert_eq!(keys("ac_1", "", 2).await, ["se_1", "se_2"]);
    assert_eq!(keys("ac_1", "se_2", 2).await, ["se_3"]);
    assert!(keys("ac_9", "", 9).await.is_empty());
}

pub async fn a_kind_is_read_in_pages(cabinet: &SharedCabinet) {
    for (kind, key) in [(Kind::Account, "b"), (Kind::Account, "C"), (Kind::Session, "a"), (Kind::Account, "a")] {
        let family = Some(key.to_owned());
        assert_eq!(put(cabinet, Document { family, ..document(kind, key) }, None).await, Put::Done);
    }
    let page = async |after: &str, most| -> Vec<String> {
        let found = cabinet.page(Kind::Account, after, most).await.expect("an answer");
        found.into_iter().map(|stored| stored.document.key).collect()
    };
    let all = page("", 9).await;
    assert_eq!(all.len(), 3, "{all:?}");
    // In whatever order, the pages are the whole.
    let mut pages = Vec::new();
    while let [key] = page(pages.last().map_or("", String::as_str), 1).await.as_slice() {
        pages.push(key.clone());
    }
    assert_eq!(pages, all);
}

pub async fn what_is_written_comes_back(cabinet: &SharedCabinet) {
    let whole = Document {
        alias: Some("a".into()),
        family: Some("f".into()),
        record: "{\"이름\":\"김\"}".into(),
        sealed: Some((0..=255).collect()),
        expires_at: Some(Timestamp(1_800_000_000_123)),
        ..document(Kind::Device, "dt_1")
    };
    assert_eq!(put(cabinet, whole.clone(), None).await, Put::Done);
    let found = cabinet.get(Kind::Device, "dt_1").await.expect("an answer").expect("it is there");
    assert_eq!(found.document, whole);
}

pub async fn revocations_are_noted_and_told_again(cabinet: &SharedCabinet) {
    let revocation = |credential: &str, at, until: Option<i64>| Revocation {
        credential: credential.into(),
        at: Timestamp(at),
        until: until.map(Timestamp),
    };
    cabinet.revoke(revocation("se_1", 10, Some(1_000))).await.expect("noted");
    cabinet.revoke(revocation("dt_1", 11, None)).await.expect("noted");
    let (mut all, moment) = cabinet.revoked(None).await.expect("an answer");
    all.sort_by(|a, b| a.credential.cmp(&b.credential));
    assert_eq!(all, [revocation("dt_1", 11, None), revocation("se_1", 10, Some(1_000))]);
    cabinet.revoke(revocation("se_1", 20, Some(2_000))).await.expect("noted");
    cabinet.revoke(revocation("se_1", 5, Some(3_000))).await.expect("the later one stays");
    let (since, later) = cabinet.revoked(Some(moment)).await.expect("an answer");
    assert!(later >= moment);
    assert!(since.contains(&revocation("se_1", 20, Some(2_000))), "{since:?}");
}

pub async fn the_trail_is_read_newest_first(cabinet: &SharedCabinet) {
    for (number, account) in [(1, Some("ac_1")), (2, Some("ac_2")), (3, Some("ac_1")), (4, None)] {
        let entry = TrailEntry {
            at: Timestamp(number),
            kind: format!("kind-{number}"),
            account: account.map(str::to_owned),
            actor: None,
            origin: Some("o".into()),
            detail: None,
        };
        cabinet.note(entry).await.expect("noted");
    }
    let kinds = async |account: Option<&str>, before: Option<i64>, most: usize| -> Vec<String> {
        let found = cabinet.trail(account, before, most).await.expect("an answer");
        found.into_iter().map(|trailed| trailed.entry.kind).collect()
    };
    assert_eq!(kinds(None, None, 9).await, ["kind-4", "kind-3", "kind-2", "kind-1"]);
    assert_eq!(kinds(Some("ac_1"), None, 9).await, ["kind-3", "kind-1"]);
    let first = cabinet.trail(None, None, 2).await.expect("an answer");
    assert_eq!(kinds(None, first.last().map(|trailed| trailed.seq), 9).await, ["kind-2", "kind-1"]);
}

pub async fn what_expired_is_swept(cabinet: &SharedCabinet) {
    for (key, expires_at) in [("old", Some(10)), ("new", Some(1_000)), ("ever", None)] {
        let expires_at = expires_at.map(Timestamp);
        assert_eq!(put(cabinet, Document { expires_at, ..document(Kind::Throttle, key) }, None).await, Put::Done);
    }
    let until = Some(Timestamp(10));
    cabinet.revoke(Revocation { credential: "se_1".into(), at: Timestamp(1), until }).await.expect("noted");
    cabinet.revoke(Revocation { credential: "dt_1".into(), at: Timestamp(1), until: None }).await.expect("noted");
    let entry =
        TrailEntry { at: Timestamp(5), kind: "k".into(), account: None, actor: None, origin: None, detail: None };
    cabinet.note(entry).await.expect("noted");
    assert_eq!(cabinet.sweep(Timestamp(500), Timestamp(5)).await.expect("swept"), 2, "a document and a revocation");
    assert_eq!(cabinet.sweep(Timestamp(500), Timestamp(6)).await.expect("swept"), 1, "the trail's turn");
    let left = cabinet.get(Kind::Throttle, "new").await.expect("an answer");
    assert!(left.is_some() && cabinet.get(Kind::Throttle, "ever").await.expect("an answer").is_some());
    let (revoked, _) = cabinet.revoked(None).await.expect("an answer");
    assert_eq!(revoked.len(), 1);
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::super::{Place, open};

    #[tokio::test]
    async fn a_file_keeps_the_contract() {
        let new = || {
            async {
                // Kept by the process: connections outlive the test's last look.
                let dir = tempfile::tempdir().expect("a directory").keep();
                open(Place::File(dir)).await.expect("a cabinet")
            }
            .boxed()
        };
        super::all(new).await;
    }
}
