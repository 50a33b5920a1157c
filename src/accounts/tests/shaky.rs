//! A cabinet in memory that a test can look into, and that does something at the n-th call: fail, before or after it has
//! happened, or let somebody else go first.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::future::BoxFuture;
use parking_lot::Mutex;

use crate::accounts::store::{Cabinet, Document, Kind, Moment, Put, Revocation, Stored, TrailEntry, Trailed};
use crate::fault::Fault;
use crate::timestamp::Timestamp;

/// All that is kept.
#[derive(Clone, Default)]
pub struct Content {
    pub documents: BTreeMap<(&'static str, String), Stored>,
    pub revoked: BTreeMap<String, Revocation>,
    pub trail: Vec<TrailEntry>,
}

/// What happens at the n-th call.
pub enum Event {
    /// It fails, and nothing has happened.
    Lost,
    /// It fails, and it has happened.
    AnswerLost,
    /// Somebody else comes first.
    Meanwhile(BoxFuture<'static, ()>),
    /// From then on nothing is answered.
    Down,
}

#[derive(Default)]
pub struct Shaky {
    pub content: Mutex<Content>,
    pub calls: Mutex<Vec<String>>,
    event: Mutex<Option<(usize, Event)>>,
    number: AtomicUsize,
    down: std::sync::atomic::AtomicBool,
}

impl Shaky {
    pub fn with(content: Content) -> Arc<Self> {
        Arc::new(Self { content: Mutex::new(content), ..Self::default() })
    }

    /// Counted from 0, beginning with the next call.
    pub fn at(&self, number: usize, event: Event) {
        self.number.store(0, Ordering::SeqCst);
        *self.event.lock() = Some((number, event));
    }

    /// Has it happened? If not, there were fewer calls.
    pub fn happened(&self) -> bool {
        let left = self.event.lock().take();
        self.down.store(false, Ordering::SeqCst);
        left.is_none()
    }

    async fn step<T>(&self, call: String, work: impl FnOnce(&mut Content) -> T) -> Result<T, Fault> {
        self.calls.lock().push(call);
        let lost = || Err(Fault::unavailable("planned"));
        let number = self.number.fetch_add(1, Ordering::SeqCst);
        let event = self.event.lock().take_if(|(at, _)| *at == number).map(|(_, event)| event);
        if self.down.load(Ordering::SeqCst) {
            return lost();
        }
        match event {
            None => {}
            Some(Event::Lost) => return lost(),
            Some(Event::AnswerLost) => {
                work(&mut self.content.lock());
                return lost();
            }
            Some(Event::Meanwhile(other)) => other.await,
            Some(Event::Down) => {
                self.down.store(true, Ordering::SeqCst);
                return lost();
            }
        }
        Ok(work(&mut self.content.lock()))
    }
}

fn place(kind: Kind, key: &str) -> (&'static str, String) {
    (kind.as_str(), key.to_owned())
}

fn put(content: &mut Content, document: Document, expected: Option<u64>) -> Put {
    let place = place(document.kind, &document.key);
    let version = content.documents.get(&place).map(|stored| stored.version);
    if version != expected {
        return Put::Conflict;
    }
    let taken = document.alias.is_some()
        && content.documents.iter().any(|(other, stored)| {
            *other != place && stored.document.kind == document.kind && stored.document.alias == document.alias
        });
    if taken {
        return Put::AliasTaken;
    }
    content.documents.insert(place, Stored { document, version: version.unwrap_or(0) + 1 });
    Put::Done
}

#[async_trait::async_trait]
impl Cabinet for Shaky {
    async fn get(&self, kind: Kind, key: &str) -> Result<Option<Stored>, Fault> {
        let place = place(kind, key);
        self.step(format!("get {}", kind.as_str()), |content| content.documents.get(&place).cloned()).await
    }

    async fn by_alias(&self, kind: Kind, alias: &str) -> Result<Option<Stored>, Fault> {
        let named = |stored: &&Stored| stored.document.kind == kind && stored.document.alias.as_deref() == Some(alias);
        self.step("by alias".into(), |content| content.documents.values().find(named).cloned()).await
    }

    async fn family(&self, kind: Kind, family: &str, after: &str, most: usize) -> Result<Vec<Stored>, Fault> {
        let member = |stored: &&Stored| {
            let Document { kind: k, family: f, key, .. } = &stored.document;
            *k == kind && f.as_deref() == Some(family) && key.as_str() > after
        };
        self.step("family".into(), |content| content.documents.values().filter(member).take(most).cloned().collect())
            .await
    }

    async fn page(&self, _: Kind, _: &str, _: usize) -> Result<Vec<Stored>, Fault> {
        Err(Fault::internal("nobody asks for that here"))
    }

    async fn put(&self, document: Document, expected: Option<u64>) -> Result<Put, Fault> {
        let call = format!("put {}", document.kind.as_str());
        self.step(call, |content| put(content, document, expected)).await
    }

    async fn remove(&self, kind: Kind, key: &str) -> Result<(), Fault> {
        let place = place(kind, key);
        self.step(format!("remove {}", kind.as_str()), |content| content.documents.remove(&place)).await.map(drop)
    }

    async fn revoke(&self, revocation: Revocation) -> Result<(), Fault> {
        self.step("revoke".into(), |content| content.revoked.insert(revocation.credential.clone(), revocation))
            .await
            .map(drop)
    }

    async fn revoked(&self, _since: Option<Moment>) -> Result<(Vec<Revocation>, Moment), Fault> {
        self.step("revoked".into(), |content| (content.revoked.values().cloned().collect(), Moment(0))).await
    }

    async fn note(&self, entry: TrailEntry) -> Result<(), Fault> {
        // It is not what is tried here, and writing it must hold nobody up.
        self.content.lock().trail.push(entry);
        Ok(())
    }

    async fn trail(&self, _: Option<&str>, _: Option<i64>, _: usize) -> Result<Vec<Trailed>, Fault> {
        Err(Fault::internal("nobody asks for that here"))
    }

    async fn sweep(&self, now: Timestamp, _trail: Timestamp) -> Result<u64, Fault> {
        let gone = |stored: &Stored| stored.document.expires_at.is_some_and(|at| at < now);
        self.step("sweep".into(), |content| {
            let before = content.documents.len();
            content.documents.retain(|_, stored| !gone(stored));
            (before - content.documents.len()) as u64
        })
        .await
    }
}
