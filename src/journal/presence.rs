//! Who is connected where? What the nodes of one log tell each other about it, beside the log.
//!
//! No truth of the sale: every node repeats what it knows, what was not repeated for a while counts for nothing, and all
//! of it may be lost at any time. A log with one node needs none of this.

use async_trait::async_trait;

use crate::fault::Fault;
use crate::ids::{AccountId, LogPosition, NodeId, StoreId};
use crate::timestamp::Timestamp;

/// Somebody who follows a store's feed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Display {
    pub store: StoreId,
    pub account: AccountId,
    pub role: String,
    pub connected_at: Timestamp,
    /// The last thing that it was sent; `None`: nothing yet.
    pub position: Option<LogPosition>,
}

#[async_trait]
pub trait Presence: Send + Sync + 'static {
    /// These are the displays of `node`, and no others.
    async fn say(&self, node: &NodeId, displays: &[Display]) -> Result<(), Fault>;

    /// The displays of a store on other nodes that said so a moment ago, by node and in the order of their coming.
    async fn others(&self, node: &NodeId, store: &StoreId, most: usize) -> Result<Vec<(NodeId, Display)>, Fault>;
}
