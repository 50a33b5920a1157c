//! Does a backend keep the journal's contract? One suite, which each backend adopts in a line.
//!
//! Every point of the contract is a function with the point's name; `all` runs each on a fresh, empty log. The suite
//! knows nothing of any engine, except that one with SQL is asked to edit history and must refuse.

mod build;
mod model;
mod owners;
mod reads;
mod writes;

use std::any::Any;

use futures::future::BoxFuture;

pub use build::{Builder, fact, member_fact, order_in, performance_in, records, seat_fact};
pub use model::random_batches_agree_with_a_model;
pub use owners::*;
pub use reads::*;
pub use writes::*;

use super::{Claim, PartitionState, SharedJournal};
use crate::ids::{NodeId, Partition};

/// Runs a statement as a hostile operator would: as the most powerful user that the server itself ever connects as.
pub type Execute = Box<dyn Fn(String) -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// A fresh and empty log with at least three partitions.
pub struct Harness {
    pub journal: SharedJournal,
    /// Another handle on the same log, as a second node would have it.
    pub reopen: Box<dyn Fn() -> BoxFuture<'static, SharedJournal> + Send + Sync>,
    /// Only engines with SQL have it.
    pub sql: Option<RawSql>,
    /// Whatever must live as long as the log: a directory, a server.
    pub keep: Option<Box<dyn Any + Send + Sync>>,
}

pub struct RawSql {
    pub execute: Execute,
    /// The events table, as a statement names it.
    pub events_table: String,
    /// Does the engine know TRUNCATE?
    pub truncates: bool,
}

/// The whole contract.
pub async fn all(new: impl Fn() -> BoxFuture<'static, Harness>) {
    positions_are_gapless(&new().await).await;
    expected_versions_are_enforced(&new().await).await;
    units_over_several_streams(&new().await).await;
    units_over_several_nouns(&new().await).await;
    partial_success_of_a_multi_partition_batch(&new().await).await;
    fence_by_epoch(&new().await).await;
    fence_by_head(&new().await).await;
    rejected_writes_nothing(&new().await).await;
    a_partition_comes_once_in_an_append(&new().await).await;
    settle_fences_older_writers(&new().await).await;
    settle_can_be_repeated(&new().await).await;
    loads_many_streams_in_order(&new().await).await;
    stream_reads(&new().await).await;
    partition_reads_cut_at_unit_ends(&new().await).await;
    latest_of_prefix_as_of_a_position(&new().await).await;
    names_of_streams_come_in_pages(&new().await).await;
    chains_hold(&new().await).await;
    timers_follow_units(&new().await).await;
    notes_can_be_read(&new().await).await;
    kinds_are_recorded_with_the_first_append(&new().await).await;
    snapshots_never_go_back(&new().await).await;
    long_tails_come_in_pages(&new().await).await;
    segments_are_kept_in_order(&new().await).await;
    a_whole_snapshot_replaces_its_segments(&new().await).await;
    two_claims_exclude_each_other(&new().await).await;
    history_cannot_be_edited(&new().await).await;
    random_batches_agree_with_a_model(&new().await).await;
}

pub(super) fn node() -> NodeId {
    NodeId::new("node-a")
}

pub(super) async fn claimed(journal: &SharedJournal) -> Claim {
    let claim = journal.claim(&node()).await.expect("a fresh log can be claimed");
    let numbers: Vec<u16> = claim.partitions.iter().map(|state| state.partition.0).collect();
    assert_eq!(numbers, (0..journal.partitions()).collect::<Vec<_>>(), "a claim lists every partition in order");
    claim
}

/// Claims an empty log and gives a builder for one of its partitions.
pub(super) async fn opened(harness: &Harness, partition: u16) -> Builder {
    Builder::after(&state_of(&claimed(&harness.journal).await, partition))
}

pub(super) fn state_of(claim: &Claim, partition: u16) -> PartitionState {
    let wanted = |state: &&PartitionState| state.partition == Partition(partition);
    claim.partitions.iter().find(wanted).expect("the suite needs three partitions").clone()
}
