//! Waits for conditions, never for time; says what it saw last when the condition does not come.

use std::fmt::Debug;
use std::time::Duration;

use onsale::clock::{Clock, SystemClock};
use onsale::timestamp::Timestamp;

const PATIENCE: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(20);

/// Looks until `look` gives a value that satisfies `enough`.
pub async fn until<T: Debug, F: Future<Output = T>>(
    what: &str,
    mut look: impl FnMut() -> F,
    enough: impl Fn(&T) -> bool,
) -> T {
    let mut ticks = tokio::time::interval(LOOK);
    let deadline = SystemClock.elapsed() + PATIENCE;
    loop {
        ticks.tick().await;
        let seen = look().await;
        if enough(&seen) {
            return seen;
        }
        assert!(SystemClock.elapsed() < deadline, "waited in vain for {what}; last seen: {seen:?}");
    }
}

/// Waits for a moment by the wall clock: only for tests whose subject is that moment.
pub async fn moment(at: Timestamp) {
    let left = at.since(SystemClock.wall());
    // Nothing else is waited for, so the time always runs out.
    let _ = tokio::time::timeout(left, std::future::pending::<()>()).await;
}
