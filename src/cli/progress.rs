//! How far has it come? A bar on a terminal, a line now and then elsewhere. Always on stderr.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::clock::{Clock, SystemClock};
use crate::projections::rebuild::Progress;

/// Between two plain lines.
const LINES_EVERY: Duration = Duration::from_secs(2);
const BAR: &str = "{msg} [{bar:40}] {human_pos}/{human_len} events, {per_sec}, {eta} left";

/// What shows it.
pub struct Shown {
    label: String,
    bar: Option<ProgressBar>,
    clock: Arc<dyn Clock>,
    begun: Duration,
    told: Duration,
    quiet: bool,
}

impl Shown {
    pub fn new(label: impl Into<String>) -> Self {
        let label = label.into();
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
            // The template is ours and has no unknown key; without it the bar looks plainer.
            bar.set_style(ProgressStyle::with_template(BAR).unwrap_or_else(|_| ProgressStyle::default_bar()));
            bar.set_message(label.clone());
            bar
        });
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let begun = clock.elapsed();
        Self { label, bar, clock, begun, told: begun, quiet: false }
    }

    /// Says nothing of what is over in a moment.
    pub fn quiet(mut self) -> Self {
        self.quiet = true;
        self
    }

    pub fn show(&mut self, progress: Progress) {
        if let Some(bar) = &self.bar {
            bar.set_length(progress.total);
            bar.set_position(progress.done);
            return;
        }
        let now = self.clock.elapsed();
        // The last line is worth it only where there was something to wait for, or somebody asked for the work itself.
        let ended = progress.done == progress.total && !self.quiet;
        if now.saturating_sub(self.told) < LINES_EVERY && !ended {
            return;
        }
        self.told = now;
        let seconds = now.saturating_sub(self.begun).as_secs_f64();
        #[allow(clippy::cast_precision_loss, reason = "a rate for people")]
        let (done, left) = (progress.done as f64, progress.total.saturating_sub(progress.done) as f64);
        let rate = if seconds > 0.0 { done / seconds } else { 0.0 };
        let eta = if rate > 0.0 && left > 0.0 { format!(", {:.0} s left", left / rate) } else { String::new() };
        let Progress { done, total } = progress;
        // An unwritable stderr is no reason to stop.
        let _unseen = writeln!(std::io::stderr(), "{}: {done} of {total} events, {rate:.0}/s{eta}", self.label);
    }

    pub fn end(self) {
        if let Some(bar) = self.bar {
            bar.finish_and_clear();
        }
    }
}
