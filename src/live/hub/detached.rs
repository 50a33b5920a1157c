//! How does a reading outlive the visitor who asked for it? In a task of its own, which the node's shutdown waits for.

use std::future::Future;

use super::Inner;
use super::room::Closed;
use crate::fault::Fault;

impl Inner {
    /// Reads in a task of its own: a visitor who leaves must not break off a statement in the middle.
    pub(super) async fn detached<T, E>(&self, read: impl Future<Output = Result<T, E>> + Send + 'static) -> Result<T, E>
    where
        T: Send + 'static,
        E: From<Broken> + Send + 'static,
    {
        match self.tracker.spawn(read).await {
            Ok(result) => result,
            Err(_) => Err(Broken.into()),
        }
    }
}

/// A reading task that did not come to its end.
pub(super) struct Broken;

impl From<Broken> for Fault {
    fn from(_: Broken) -> Self {
        Self::internal("a reading task broke off")
    }
}

impl From<Broken> for Closed {
    fn from(broken: Broken) -> Self {
        Self::Failed(broken.into())
    }
}
