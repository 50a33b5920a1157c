//! Who removes what has expired? A round that any node makes, a little at a time.

use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::Accounts;
use crate::limits;

impl Accounts {
    /// Until `stop`.
    pub async fn keep_tidy(self, stop: CancellationToken) {
        let mut round = tokio::time::interval(limits::ACCOUNTS_SWEEP);
        round.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = round.tick() => {}
            }
            let now = self.now();
            match self.0.cabinet.sweep(now, now.minus(limits::TRAIL_TIME)).await {
                Ok(0) => {}
                Ok(swept) => tracing::debug!(swept, "expired parts of accounts were removed"),
                Err(error) => tracing::warn!(%error, "accounts could not be tidied"),
            }
        }
    }
}
