//! Waits for conditions, never for time; says what it saw last when the condition does not come.

use std::fmt::Debug;
use std::time::Duration;

use onsale::clock::{Clock, SystemClock};

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
