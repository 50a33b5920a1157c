//! Where are the accounts of this log, and who sends their mails? Beside the log, and as the operator chose.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{StartError, keys, target};
use crate::accounts::store::{self, Place, SharedCabinet};
use crate::accounts::{Accounts, Parts, made_with};
use crate::auth::{Keys, Passwords, Revoked, Seal, Secret, Signer};
use crate::clock::{Clock, Entropy, SystemClock};
use crate::config::Config;
use crate::gateways::mail::{Nobody, Post, SharedMailer};
use crate::journal::open::Target;
use crate::journal::postgres;

/// Opens the cabinet that belongs to the log.
pub async fn cabinet(config: &Config) -> Result<SharedCabinet, StartError> {
    let place = match target(config) {
        Target::Sqlite { dir } => Place::File(dir),
        Target::Postgres { url } => Place::Database(Box::new(postgres::options(&url)?)),
    };
    Ok(store::open(place).await?)
}

/// What accounts need of a node.
pub struct AccountParts<'a> {
    pub cabinet: SharedCabinet,
    pub mailer: SharedMailer,
    pub keys: &'a Keys,
    pub revoked: Revoked,
    pub clock: Arc<dyn Clock>,
    pub entropy: Entropy,
    pub stop: &'a CancellationToken,
    pub tracker: &'a TaskTracker,
}

/// People are found by the oldest seal key: with another one nobody would be.
pub async fn require_our_seal(cabinet: &SharedCabinet, keys: &Keys) -> Result<(), StartError> {
    if made_with(cabinet, &seal(keys)).await? { Ok(()) } else { Err(StartError::OtherSeal) }
}

fn seal(keys: &Keys) -> Seal {
    let previous: Vec<[u8; 32]> = keys.seal.previous().iter().map(Secret::sealing).collect();
    Seal::new(&keys.seal.current().sealing(), &previous)
}

#[must_use]
pub fn accounts(around: AccountParts<'_>) -> Accounts {
    let AccountParts { cabinet, mailer, keys, revoked, clock, entropy, stop, tracker } = around;
    Accounts::new(Parts {
        cabinet,
        passwords: Passwords::new(entropy.clone()),
        seal: seal(keys),
        signer: Signer::new(&keys.access),
        revoked,
        post: Post::start(mailer, stop.clone(), tracker),
        clock,
        entropy,
        tracker: tracker.clone(),
    })
}

/// For a verb beside the nodes: it sends no mails, and what it ends is heard of through the database.
pub async fn accounts_beside(config: &Config) -> Result<Accounts, StartError> {
    let entropy = Entropy::from_system();
    let (keys, cabinet) = (keys(config, &entropy)?, cabinet(config).await?);
    require_our_seal(&cabinet, &keys).await?;
    Ok(accounts(AccountParts {
        cabinet,
        mailer: Arc::new(Nobody),
        keys: &keys,
        revoked: Revoked::default(),
        clock: Arc::new(SystemClock),
        entropy,
        stop: &CancellationToken::new(),
        tracker: &TaskTracker::new(),
    }))
}
