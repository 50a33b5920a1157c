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
            self.sweep().await;
        }
    }

    /// Until nothing is left: strangers make more of it in a minute than one statement removes.
    pub(super) async fn sweep(&self) {
        let now = self.now();
        for _ in 0..limits::ACCOUNTS_SWEEPS {
            match self.0.cabinet.sweep(now, now.minus(limits::TRAIL_TIME)).await {
                Ok(0) => return,
                Ok(swept) => tracing::debug!(swept, "expired parts of accounts were removed"),
                Err(error) => {
                    tracing::warn!(%error, "accounts could not be tidied");
                    return;
                }
            }
        }
    }
}
