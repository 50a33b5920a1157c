//! What goes wrong in a run? Everything that is injected, drawn from the run's seed.

use std::panic;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use onsale::actors::{Moment, Sabotage, Shortening};
use onsale::clock::Entropy;
use onsale::journal::memory::{Fate, Hiccup, Mischief};

use crate::plan::Plan;
use crate::world::Tally;

/// How often things go wrong, out of a thousand.
#[derive(Clone, Copy, Debug, Default)]
struct Odds {
    reject: u64,
    unknown: u64,
    slow_load: u64,
    panic: u64,
    heartbeat: u64,
}

impl Odds {
    /// Every fourth run is a quiet one, every other fourth a stormy one; what the plan leaves out never happens.
    fn of(plan: &Plan) -> Self {
        let drawn = match plan.seed % 4 {
            0 | 1 => Self { reject: 10, unknown: 20, slow_load: 100, panic: 5, heartbeat: 20 },
            2 => Self { reject: 5, unknown: 10, slow_load: 50, panic: 2, heartbeat: 10 },
            _ => Self { reject: 40, unknown: 80, slow_load: 200, panic: 20, heartbeat: 100 },
        };
        let panic = if plan.panics { drawn.panic } else { 0 };
        if plan.log { Self { panic, ..drawn } } else { Self { panic, slow_load: 50, ..Self::default() } }
    }
}

pub struct Trouble {
    odds: Odds,
    entropy: Entropy,
    tally: Arc<Tally>,
    calm: AtomicBool,
}

impl Trouble {
    pub fn new(plan: &Plan, tally: Arc<Tally>) -> Self {
        let entropy = Entropy::seeded(plan.seed ^ 0x7072_6f62_6c65_6d73);
        Self { odds: Odds::of(plan), entropy, tally, calm: AtomicBool::new(true) }
    }

    /// From now on things go wrong.
    pub fn begin(&self) {
        self.calm.store(false, Ordering::SeqCst);
    }

    /// From now on nothing goes wrong any more.
    pub fn heal(&self) {
        self.calm.store(true, Ordering::SeqCst);
    }

    fn happens(&self, odds: u64) -> bool {
        !self.calm.load(Ordering::SeqCst) && self.entropy.below(1_000) < odds
    }

    fn some_millis(&self, most: u64) -> Duration {
        Duration::from_millis(1 + self.entropy.below(most))
    }
}

impl Mischief for Trouble {
    fn on_append(&self) -> Fate {
        if self.happens(self.odds.reject) {
            self.tally.count("append rejected");
            return Fate::Reject;
        }
        if self.happens(self.odds.unknown) {
            return match self.entropy.below(3) {
                0 => {
                    self.tally.count("unknown: was written");
                    Fate::UnknownWritten
                }
                1 => {
                    self.tally.count("unknown: was not written");
                    Fate::UnknownNotWritten
                }
                _ => {
                    self.tally.count("unknown: would be written later");
                    Fate::UnknownWrittenLater(self.some_millis(300))
                }
            };
        }
        // A commit takes a moment, in which the next batch gathers.
        Fate::Delay(self.some_millis(8))
    }

    fn on_load(&self) -> Option<Duration> {
        if self.happens(self.odds.slow_load) {
            self.tally.count("slow load");
            return Some(self.some_millis(400));
        }
        Some(Duration::from_millis(1))
    }

    fn on_heartbeat(&self) -> Hiccup {
        if self.happens(self.odds.heartbeat) { Hiccup::Fail } else { Hiccup::Normal }
    }

    fn on_settle(&self) -> Hiccup {
        if self.happens(300) {
            self.tally.count("settling failed at first");
            return Hiccup::Fail;
        }
        Hiccup::Delay(self.some_millis(50))
    }
}

/// The panics that are ours, by their text.
const SABOTAGE: &str = "sabotage";

impl Sabotage for Trouble {
    fn strike(&self, moment: Moment) {
        if self.happens(self.odds.panic) {
            self.tally.count(match moment {
                Moment::Deciding => "panic while deciding",
                Moment::Evolving => "panic while evolving",
            });
            panic::panic_any(SABOTAGE);
        }
    }

    /// Soon enough that every run has some of both.
    fn shortening(&self) -> Shortening {
        Shortening { tail: 6, whole: 20 }
    }
}

/// Keeps the panics that we cause ourselves out of the output; all others are shown.
pub fn quiet_sabotage() {
    static ONCE: std::sync::Once = std::sync::Once::new();
    ONCE.call_once(|| {
        let shown = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if info.payload().downcast_ref::<&str>() != Some(&SABOTAGE) {
                shown(info);
            }
        }));
    });
}
