//! Is there room for one more? Overload is refused here, before any mailbox, since mailboxes have no bound of their own.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore, TryAcquireError};

use crate::fault::Fault;
use crate::ids::Partition;
use crate::{limits, telemetry};

/// The permission to have one command under way; gives its place back when dropped.
#[derive(Debug)]
pub struct Permit {
    _node: OwnedSemaphorePermit,
    _partition: OwnedSemaphorePermit,
}

pub struct Admission {
    node: Arc<Semaphore>,
    partitions: Vec<Arc<Semaphore>>,
}

impl Admission {
    pub fn new(partitions: u16) -> Self {
        let partition = || Arc::new(Semaphore::new(limits::COMMANDS_IN_FLIGHT_PER_PARTITION));
        Self {
            node: Arc::new(Semaphore::new(limits::COMMANDS_IN_FLIGHT)),
            partitions: (0..partitions).map(|_| partition()).collect(),
        }
    }

    pub fn admit(&self, partition: Partition) -> Result<Permit, Fault> {
        let of_partition = &self.partitions[usize::from(partition.0)];
        let refused = |error| match error {
            TryAcquireError::NoPermits => {
                metrics::counter!(telemetry::COMMANDS_SHED).increment(1);
                Fault::Overloaded { retry_after: std::time::Duration::from_secs(1) }
            }
            TryAcquireError::Closed => Fault::unavailable("the node is shutting down"),
        };
        Ok(Permit {
            _partition: of_partition.clone().try_acquire_owned().map_err(refused)?,
            _node: self.node.clone().try_acquire_owned().map_err(refused)?,
        })
    }

    /// Commands under way.
    pub fn in_flight(&self) -> usize {
        limits::COMMANDS_IN_FLIGHT.saturating_sub(self.node.available_permits())
    }

    /// Lets nobody in any more, and waits until everybody is out.
    pub async fn drain(&self) {
        self.partitions.iter().for_each(|partition| partition.close());
        let all = u32::try_from(limits::COMMANDS_IN_FLIGHT).unwrap_or(u32::MAX);
        let _everybody = self.node.acquire_many(all).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_hot_partition_does_not_use_up_the_node() {
        let admission = Admission::new(2);
        let held: Vec<Permit> = std::iter::from_fn(|| admission.admit(Partition(0)).ok()).collect();
        assert_eq!(held.len(), limits::COMMANDS_IN_FLIGHT_PER_PARTITION);
        assert!(matches!(admission.admit(Partition(0)), Err(Fault::Overloaded { .. })));
        assert!(admission.admit(Partition(1)).is_ok());
        drop(held);
        assert!(admission.admit(Partition(0)).is_ok());
    }
}
