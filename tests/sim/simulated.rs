//! How does time pass in here? By tokio's clock, which stands still whenever anybody has something to do.
//!
//! Nobody really waits: a minute of this time is over as soon as all have said that they wait for it.

use std::time::Duration;

/// Lets simulated time pass.
pub async fn pass(time: Duration) {
    tokio::time::sleep(time).await;
}

/// As [`pass`], in milliseconds.
pub async fn pass_millis(millis: u64) {
    pass(Duration::from_millis(millis)).await;
}
