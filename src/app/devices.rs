//! How does a node know what was revoked, and which tokens stores have? Both from the cabinet that belongs to the log.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::StartError;
use crate::accounts::store::SharedCabinet;
use crate::accounts::{DeviceParts, Devices, Revocations};
use crate::auth::{DeviceSigner, Keys, Revoked};
use crate::clock::Clock;

/// What is needed of a node.
pub struct Around<'a> {
    pub cabinet: SharedCabinet,
    pub keys: &'a Keys,
    pub revoked: Revoked,
    pub clock: Arc<dyn Clock>,
    pub stop: &'a CancellationToken,
    pub tracker: &'a TaskTracker,
}

/// Reads what was revoked, before anybody is answered, and keeps it up to date.
pub async fn devices(around: Around<'_>) -> Result<Devices, StartError> {
    let Around { cabinet, keys, revoked, clock, stop, tracker } = around;
    let list = Revocations::open(cabinet.clone(), revoked.clone(), clock.clone()).await?;
    tracker.spawn(list.keep(stop.clone()));
    let signer = DeviceSigner::new(&keys.device);
    Ok(Devices::new(DeviceParts { cabinet, signer, revoked, clock, tracker: tracker.clone() }))
}
