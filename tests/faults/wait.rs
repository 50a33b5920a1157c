//! The bench's rhythm: pauses between blows, and waiting for what must come. The only place that sleeps.

use std::time::Duration;

use onsale::clock::{Clock, Entropy, SystemClock};

const LOOK: Duration = Duration::from_millis(50);

pub async fn pause(length: Duration) {
    tokio::time::sleep(length).await;
}

/// A pause between these, in milliseconds.
pub async fn pause_between(dice: &Entropy, least: u64, most: u64) {
    pause(Duration::from_millis(least + dice.below(most.saturating_sub(least).max(1)))).await;
}

/// Looks until it is so; how long that took, or `None` when it was not so in time.
pub async fn within(patience: Duration, mut look: impl AsyncFnMut() -> bool) -> Option<Duration> {
    let begun = SystemClock.elapsed();
    loop {
        if look().await {
            return Some(SystemClock.elapsed() - begun);
        }
        if SystemClock.elapsed() - begun > patience {
            return None;
        }
        pause(LOOK).await;
    }
}
