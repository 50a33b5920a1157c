//! What is going on? Counters of the crowd, what a watcher of the seat map sees, and one line that shows both.

use std::io::{IsTerminal, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde_json::Value;

use crate::cli::client::Client;
use crate::cli::failure::Failure;
use crate::cli::output;
use crate::clock::{Clock, SystemClock};
use crate::timestamp::Timestamp;

/// What happened so far. `seats_*` come from the live stream, the rest from answers.
#[derive(Default)]
pub struct Counts {
    pub orders: AtomicU64,
    pub cancelled: AtomicU64,
    pub issued: AtomicU64,
    pub refused: AtomicU64,
    pub payments: AtomicU64,
    /// Seats.
    pub sold: AtomicU64,
    pub refunded: AtomicU64,
    /// Orders that failed or were given back after they had been paid for.
    pub returned: AtomicU64,
    /// Attempts to pay.
    pub declined: AtomicU64,
    /// Payments and refunds of which the provider's first answer said neither yes nor no.
    pub unknown: AtomicU64,
    seats_held: AtomicU64,
    seats_released: AtomicU64,
    seats_sold: AtomicU64,
    releases: AtomicU64,
}

impl Counts {
    fn of(counter: &AtomicU64) -> u64 {
        counter.load(Ordering::Relaxed)
    }

    /// Orders whose seats came back without anybody having asked for it.
    fn expired(&self) -> u64 {
        Self::of(&self.releases).saturating_sub(Self::of(&self.cancelled) + Self::of(&self.returned))
    }

    pub fn totals(&self) -> String {
        format!(
            "orders {} sold {} declined {} unknown-settled {} refunded {} expired {} cancelled {} refused {} payments {}",
            Self::of(&self.orders),
            Self::of(&self.sold),
            Self::of(&self.declined),
            Self::of(&self.unknown),
            Self::of(&self.refunded),
            self.expired(),
            Self::of(&self.cancelled),
            Self::of(&self.refused),
            Self::of(&self.payments),
        )
    }

    fn line(&self, per_second: u64) -> String {
        let gone = Self::of(&self.seats_released) + Self::of(&self.seats_sold);
        let held = (Self::of(&self.seats_held) + Self::of(&self.refunded)).saturating_sub(gone);
        format!(
            "held {held:>3} | sold {:>3} declined {:>3} unknown settled {:>3} refunded {:>3} | expired {:>3} | issued {:>3} | refused {:>4} | {per_second:>4}/s",
            Self::of(&self.sold),
            Self::of(&self.declined),
            Self::of(&self.unknown),
            Self::of(&self.refunded),
            self.expired(),
            Self::of(&self.issued),
            Self::of(&self.refused),
        )
    }

    fn answers(&self) -> u64 {
        [&self.orders, &self.cancelled, &self.issued, &self.refused, &self.payments].into_iter().map(Self::of).sum()
    }
}

/// Says how long it takes until the sale opens.
pub async fn countdown(opens_at: Timestamp) -> Result<(), Failure> {
    loop {
        let left = opens_at.since(SystemClock.wall());
        if left.is_zero() {
            return Ok(output::line("the sale is open")?);
        }
        output::line(&format!("the sale opens in {} s", left.as_millis().div_ceil(1_000)))?;
        tokio::time::sleep(left.min(Duration::from_secs(1))).await;
    }
}

/// One line a second: over itself on a terminal, under the last one elsewhere.
pub async fn show(counts: Arc<Counts>) -> Result<(), Failure> {
    let terminal = std::io::stdout().is_terminal();
    let mut before = 0;
    let mut tick = tokio::time::interval(Duration::from_secs(1));
    loop {
        tick.tick().await;
        let now = counts.answers();
        let line = counts.line(now - before);
        before = now;
        if terminal {
            let mut out = std::io::stdout().lock();
            write!(out, "\r\x1b[K{line}")?;
            out.flush()?;
        } else {
            output::line(&line)?;
        }
    }
}

/// Watches the seat map as a browser would.
pub async fn watch(client: Client, performance: String, counts: Arc<Counts>) -> Result<(), Failure> {
    let mut response = client.stream(&format!("/v1/performances/{performance}/seats/events")).await?;
    let mut waiting = Vec::new();
    let mut event = String::new();
    while let Some(bytes) = response.chunk().await.map_err(|e| Failure::of(format!("the stream broke: {e}")))? {
        waiting.extend_from_slice(&bytes);
        while let Some(end) = waiting.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = waiting.drain(..=end).collect();
            let line = String::from_utf8_lossy(&line);
            if let Some(name) = line.strip_prefix("event:") {
                name.trim().clone_into(&mut event);
            } else if let Some(data) = line.strip_prefix("data:") {
                let data: Value = serde_json::from_str(data.trim()).unwrap_or_default();
                counts.saw(&event, data.get("seats").and_then(Value::as_array).map_or(0, Vec::len) as u64);
            }
        }
    }
    Ok(())
}

impl Counts {
    fn saw(&self, event: &str, seats: u64) {
        match event {
            "seat.held" => self.seats_held.fetch_add(seats, Ordering::Relaxed),
            "seat.sold" => self.seats_sold.fetch_add(seats, Ordering::Relaxed),
            "seat.released" => {
                self.releases.fetch_add(1, Ordering::Relaxed);
                self.seats_released.fetch_add(seats, Ordering::Relaxed)
            }
            _ => 0,
        };
    }
}
