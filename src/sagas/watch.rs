//! Who waits for what a process finds out? An answer that is held back until the stream has been told something.

use std::pin::Pin;
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Sleep;

use super::Inner;
use crate::ids::StreamId;

/// Hears when a process has told the stream something. Made before something is asked for, so that nothing is missed.
pub struct Watch {
    pub(super) of: Arc<Inner>,
    pub(super) stream: StreamId,
    pub(super) told: watch::Receiver<()>,
}

impl Watch {
    /// Waits for the next thing that the stream is told.
    async fn told(&mut self) {
        // The sender is kept as long as somebody watches.
        let _ = self.told.changed().await;
    }
}

impl Watch {
    /// True: something was told before the patience was over.
    pub async fn told_within(&mut self, patience: Pin<&mut Sleep>) -> bool {
        tokio::select! {
            biased;
            () = self.told() => true,
            () = patience => false,
        }
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let mut watched = self.of.watched.lock();
        if watched.get(&self.stream).is_some_and(|sender| sender.receiver_count() <= 1) {
            watched.remove(&self.stream);
        }
    }
}
