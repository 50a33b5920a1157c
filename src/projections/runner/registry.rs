//! What does the registry say now? Tells supervisors which build is active, hands operators' decisions to workers, has
//! what is missing made, and sweeps away what nobody uses any more.
//!
//! Other processes rebuild, switch and decide too, so it is looked at twice a second, and at once when somebody here asks.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinHandle;

use super::{Keeping, Parts, supervisor};
use crate::limits;
use crate::projections::Projection;
use crate::projections::store::{BuildId, Decision, Registered, StoreError};

/// Looks at the registry for supervisors: which build is active, and what operators decided.
pub(super) struct Registry {
    pub parts: Parts,
    pub pointers: BTreeMap<&'static str, (&'static dyn Projection, watch::Sender<Option<BuildId>>)>,
    pub inboxes: BTreeMap<&'static str, mpsc::Sender<Decision>>,
    pub look: Arc<Notify>,
    /// Decisions that were handed to their workers, and when each would be handed out again.
    pub sent: BTreeMap<i64, Duration>,
    /// Read models that did not exist are being made; that may take a while.
    pub making: Option<JoinHandle<Result<(), StoreError>>>,
    pub sweep_at: Option<Duration>,
    /// Not before this: the last making failed.
    pub make_at: Duration,
}

impl Registry {
    pub async fn run(mut self) {
        let mut well = true;
        loop {
            match self.look().await {
                Ok(()) => well = true,
                Err(error) if well => {
                    well = false;
                    tracing::warn!(%error, "the registry of read models cannot be used");
                }
                Err(_) => {}
            }
            tokio::select! {
                biased;
                () = self.parts.stop.cancelled() => return,
                () = self.look.notified() => {}
                () = tokio::time::sleep(limits::REGISTRY_LOOK) => {}
            }
        }
    }

    async fn look(&mut self) -> Result<(), StoreError> {
        let missing = self.point().await?;
        if self.parts.keeping == Keeping::Theirs {
            return Ok(());
        }
        self.hand_out().await?;
        self.make(missing).await?;
        if self.sweep_at.is_some_and(|at| self.parts.clock.elapsed() >= at) {
            self.sweep_at = None;
            for (projection, _) in self.pointers.values() {
                let swept = match self.parts.store.rebuild_lock(*projection).await {
                    Ok(Some(_lock)) => self.parts.store.sweep(*projection, &[]).await,
                    Ok(None) => Err(StoreError::Unavailable("somebody rebuilds it".to_owned())),
                    Err(error) => Err(error),
                };
                if let Err(error) = swept {
                    tracing::debug!(projection = projection.name(), %error, "old builds are swept later");
                    self.sweep_at = Some(self.parts.clock.elapsed() + limits::BUILD_LINGER);
                }
            }
        }
        Ok(())
    }

    /// Tells supervisors which build is active. What no build is active of, in the version of this program, is missing.
    async fn point(&mut self) -> Result<Vec<&'static dyn Projection>, StoreError> {
        let registered = self.parts.store.registered().await?;
        let mut missing = Vec::new();
        for (name, (projection, pointer)) in &self.pointers {
            let fits = |of: &&Registered| of.name == *name && of.version == projection.version();
            let Some(active) = registered.iter().find(fits).map(|of| of.active) else {
                // A newer program has been here: two of them must not pull the pointer back and forth.
                let newer = |of: &Registered| of.name == *name && of.version > projection.version();
                if !registered.iter().any(newer) {
                    missing.push(*projection);
                }
                continue;
            };
            let moved = pointer.send_if_modified(|known| known.replace(active) != Some(active));
            if moved {
                self.sweep_at = Some(self.parts.clock.elapsed() + limits::BUILD_LINGER + limits::REGISTRY_LOOK);
            }
        }
        Ok(missing)
    }

    async fn make(&mut self, missing: Vec<&'static dyn Projection>) -> Result<(), StoreError> {
        if self.making.as_ref().is_some_and(|making| !making.is_finished()) {
            return Ok(());
        }
        if let Some(made) = self.making.take() {
            let made = made.await.map_err(|error| StoreError::Unavailable(error.to_string())).and_then(|made| made);
            if made.is_err() {
                self.make_at = self.parts.clock.elapsed() + limits::PROJECTION_BACKOFF_MAX;
            }
            made?;
        }
        if !missing.is_empty() && self.parts.clock.elapsed() >= self.make_at {
            let (parts, look) = (self.parts.clone(), self.look.clone());
            self.making = Some(self.parts.tracker.spawn(async move {
                let made = supervisor::make(&parts, &missing).await;
                look.notify_one();
                made
            }));
        }
        Ok(())
    }

    /// Decisions of operators go to the workers of their projections; one that a worker took and could not end with,
    /// again.
    async fn hand_out(&mut self) -> Result<(), StoreError> {
        let now = self.parts.clock.elapsed();
        let undone = self.parts.store.undone(limits::DECISIONS_WAITING).await?;
        self.sent.retain(|id, _| undone.iter().any(|decision| decision.id == *id));
        for decision in undone {
            let id = decision.id;
            let Some(inbox) = self.inboxes.get(decision.projection.as_str()) else { continue };
            if self.sent.get(&id).is_some_and(|again| now < *again) {
                continue;
            }
            if inbox.try_send(decision).is_ok() {
                self.sent.insert(id, now + limits::PROJECTION_BACKOFF_MAX);
            }
        }
        Ok(())
    }
}
