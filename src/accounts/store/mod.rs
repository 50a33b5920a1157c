//! Where is kept who people are? Small documents that change one at a time, revoked credentials, and the trail of what
//! happened to whose account.
//!
//! Beside the log and not in it: a person can be erased, a fact cannot. A change names the version that it was decided
//! upon, so two nodes can decide at once and one of them is told. What a document means is not known here.

use std::sync::Arc;

use async_trait::async_trait;

use crate::fault::Fault;
use crate::timestamp::Timestamp;

mod cells;
pub mod conformance;
mod desk;
mod open;
mod postgres;
mod sqlite;
mod types;

pub use open::{Place, open};
pub use types::{Document, Kind, Moment, Put, Revocation, Stored, TrailEntry, Trailed};

/// The contract. Whoever drops a call's future MUST NOT harm it: each one happens as a whole or not at all.
#[async_trait]
pub trait Cabinet: Send + Sync {
    async fn get(&self, kind: Kind, key: &str) -> Result<Option<Stored>, Fault>;

    async fn by_alias(&self, kind: Kind, alias: &str) -> Result<Option<Stored>, Fault>;

    /// In the order of their keys, those after `after`, at most so many.
    async fn family(&self, kind: Kind, family: &str, after: &str, most: usize) -> Result<Vec<Stored>, Fault>;

    /// All of a kind, as a family is read.
    async fn page(&self, kind: Kind, after: &str, most: usize) -> Result<Vec<Stored>, Fault>;

    /// `None`: it must be new. Otherwise it must have this version, and gets the next.
    async fn put(&self, document: Document, expected: Option<u64>) -> Result<Put, Fault>;

    /// Removing what is not there is no mistake.
    async fn remove(&self, kind: Kind, key: &str) -> Result<(), Fault>;

    /// Notes a revocation; of two for one credential the later counts.
    async fn revoke(&self, revocation: Revocation) -> Result<(), Fault>;

    /// All revocations, or those noted since a moment, some perhaps again; and the moment to ask with next time.
    async fn revoked(&self, since: Option<Moment>) -> Result<(Vec<Revocation>, Moment), Fault>;

    async fn note(&self, entry: TrailEntry) -> Result<(), Fault>;

    /// Newest first, those before `before`, of one account or of all.
    async fn trail(&self, account: Option<&str>, before: Option<i64>, most: usize) -> Result<Vec<Trailed>, Fault>;

    /// Removes what expired before `now`, and entries of the trail from before `trail`. How many there were.
    async fn sweep(&self, now: Timestamp, trail: Timestamp) -> Result<u64, Fault>;
}

pub type SharedCabinet = Arc<dyn Cabinet>;
