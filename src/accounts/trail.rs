//! What happened to whose account? The trail that admins read when somebody says "it was not me".
//!
//! Nothing in it is personal: accounts are ids, network addresses keyed digests that are the same for the same address.

use std::net::IpAddr;

use super::store::{TrailEntry, Trailed};
use super::{AccountError, Accounts};
use crate::addresses::neighbourhood;
use crate::ids::AccountId;
use crate::telemetry;

/// An entry, with its place in the trail.
pub type Happened = Trailed;

/// An entry that is being written.
pub(super) struct Writing<'a> {
    accounts: &'a Accounts,
    kind: &'static str,
    entry: TrailEntry,
}

impl Accounts {
    pub(super) fn trail(&self, kind: &'static str) -> Writing<'_> {
        let entry = TrailEntry {
            at: self.now(),
            kind: kind.to_owned(),
            account: None,
            actor: None,
            origin: None,
            detail: None,
        };
        Writing { accounts: self, kind, entry }
    }

    /// Newest first, those before `before`, of one account or of all.
    pub async fn happened(
        &self,
        account: Option<String>,
        before: Option<i64>,
        most: usize,
    ) -> Result<Vec<Happened>, AccountError> {
        self.apart(|this| async move { Ok(this.0.cabinet.trail(account.as_deref(), before, most).await?) }).await
    }
}

impl Writing<'_> {
    pub fn of(mut self, account: &AccountId) -> Self {
        self.entry.account = Some(account.as_str().to_owned());
        self
    }

    pub fn by(mut self, actor: &AccountId) -> Self {
        self.entry.actor = Some(actor.as_str().to_owned());
        self
    }

    pub fn from(mut self, address: Option<IpAddr>) -> Self {
        let digest = |address| self.accounts.keyed("origin", &neighbourhood(address).to_string());
        self.entry.origin = address.map(|address| digest(address).to_string());
        self
    }

    pub fn detail(mut self, detail: &str) -> Self {
        self.entry.detail = Some(detail.to_owned());
        self
    }

    /// What it tells of has happened; that it cannot be written is no reason to say that it has not.
    pub async fn noted(self) {
        metrics::counter!(telemetry::SECURITY_EVENTS, "kind" => self.kind).increment(1);
        tracing::info!(kind = self.kind, account = self.entry.account.as_deref(), "account");
        if let Err(error) = self.accounts.0.cabinet.note(self.entry).await {
            tracing::error!(%error, kind = self.kind, "an entry of the trail is lost");
        }
    }
}
