//! What can an operator see? The log to stderr, and every metric with its name, unit and meaning.
//!
//! Others record under the constants of this file; a metric that does not stand in [`TABLE`] does not exist. Who serves
//! `/metrics` is not known here.

use std::io::IsTerminal;
use std::sync::OnceLock;

use metrics::Unit;
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::EnvFilter;

use crate::config::{ConfigError, Format, Log};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug)]
pub struct Metric {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: Unit,
    pub help: &'static str,
}

macro_rules! metrics_table {
    ($($constant:ident = $name:literal, $kind:ident, $unit:ident, $help:literal;)+) => {
        $(#[doc = $help] pub const $constant: &str = $name;)+

        /// Every metric of the project.
        pub const TABLE: &[Metric] =
            &[$(Metric { name: $name, kind: Kind::$kind, unit: Unit::$unit, help: $help }),+];
    };
}

metrics_table! {
    APPENDED_EVENTS = "onsale_appended_events_total", Counter, Count, "Events that became durable.";
    LANE_BATCH_EVENTS = "onsale_lane_batch_events", Histogram, Count, "Events in one transaction of a lane.";
    LANE_COMMIT_SECONDS = "onsale_lane_commit_seconds", Histogram, Seconds, "From the first statement of a batch to the answer to its COMMIT.";
    LANE_QUEUE = "onsale_lane_queue_units", Gauge, Count, "Units waiting for a lane.";
    GENERATIONS_RAISED = "onsale_generations_raised_total", Counter, Count, "Times that everything queued behind a failed unit was dropped.";
    UNKNOWN_OUTCOMES = "onsale_unknown_outcomes_total", Counter, Count, "Appends whose outcome was unknown and had to be settled.";
    FENCED = "onsale_fenced_total", Counter, Count, "Partition batches that fell out because another node writes there.";
    COMMANDS_IN_FLIGHT = "onsale_commands_in_flight", Gauge, Count, "Commands between admission and durable answer.";
    COMMANDS = "onsale_commands_total", Counter, Count, "Commands by `noun` and `outcome` (accepted, replayed, refused, failed).";
    COMMANDS_SHED = "onsale_commands_shed_total", Counter, Count, "Commands refused before they were queued, because too many were under way.";
    LOAD_SECONDS = "onsale_load_seconds", Histogram, Seconds, "From asking the log for a batch of cold streams to having them.";
    LOADED_STREAMS = "onsale_loaded_streams_total", Counter, Count, "Streams asked of the log because their actors were not awake.";
    ACTORS_AWAKE = "onsale_actors_awake", Gauge, Count, "Streams in memory, each with an actor or resting without one.";
    ACTOR_PANICS = "onsale_actor_panics_total", Counter, Count, "Commands on which a rule panicked.";
    TIMERS_DUE = "onsale_timers_due_total", Counter, Count, "Deadlines that had come and were handed to their actors.";
    SNAPSHOTS_SAVED = "onsale_snapshots_saved_total", Counter, Count, "Snapshots of streams that were kept.";
    SECURITY_EVENTS = "onsale_security_events_total", Counter, Count, "What happened to accounts, by `kind` (signed-in, sign-in-failed, password-reset, refresh-token-reused …).";
    LEASE_RENEWALS = "onsale_lease_renewals_total", Counter, Count, "Heartbeats by `result` (ok, failed).";
    PAYMENTS = "onsale_payments_total", Counter, Count, "Payments settled with the provider, by `outcome` (captured, declined, late: money that came for something gone).";
    REFUNDS = "onsale_refunds_total", Counter, Count, "Refunds settled with the provider, by `outcome` (refunded, refused).";
    PSP_UNKNOWN = "onsale_psp_unknown_total", Counter, Count, "Answers of the payment provider that said neither yes nor no, by `call` and `reason`.";
    REVIEWS = "onsale_reviews_opened_total", Counter, Count, "Payments and refunds that people have to look at. Page on it.";
    PROCESSES = "onsale_processes", Gauge, Count, "Streams that wait for the world outside and are being worked on.";
    MAILS = "onsale_mails_total", Counter, Count, "Mails by `result` (sent; deferred: tried again later; refused: for good; expired: tried too often; full: not taken; left: the node stopped).";
    REVOCATIONS_AGE = "onsale_revocations_age_seconds", Gauge, Seconds, "How old this node's list of revoked credentials is. Page on it beyond a minute.";
    WATCHERS = "onsale_watchers", Gauge, Count, "Open streams.";
    TOPICS = "onsale_topics", Gauge, Count, "Topics in memory.";
    RESETS = "onsale_watcher_resets_total", Counter, Count, "Times that a watcher had to start over, since what it had missed was not at hand.";
    WATCHERS_REFUSED = "onsale_watchers_refused_total", Counter, Count, "Streams that were not opened, by `why` (node, account, address: too many are open there; topics: too many different ones).";
    SSE_CUT = "onsale_sse_cut_total", Counter, Count, "Streams that were cut, by `why` (stalled: took nothing for too long; vanished: acknowledged nothing for too long; fault: ours; revoked: their credential was taken back).";
    HTTP_CUT = "onsale_http_cut_total", Counter, Count, "Connections that were cut while they got another answer than a stream, by `why` (stalled, vanished).";
    FOLLOW_MISSES = "onsale_follow_misses_total", Counter, Count, "Reads of followers that went to the log, since the recent window did not reach back.";
    FOLLOW_LAG = "onsale_follow_lag_seconds", Histogram, Seconds, "On a node that follows: from the writing of an event to its arrival here, by what made it look (`by`: hint, poll). Clocks of two machines.";
    HINTS = "onsale_hints_total", Counter, Count, "Hints between nodes, by `result` (sent, unsent: there was no carrier; news, stale, junk: as they were heard).";
    PROJECTION_EVENTS = "onsale_projection_events_total", Counter, Count, "Events that concerned a read model and were applied, by `projection`.";
    PROJECTION_LAG = "onsale_projection_lag_seconds", Histogram, Seconds, "From the writing of the oldest event of a batch to its rows, by `projection`.";
    PROJECTION_BEHIND = "onsale_projection_behind_events", Gauge, Count, "Events of the log that a read model has not looked at yet, by `projection`.";
    PROJECTION_PARKED = "onsale_projection_parked_keys", Gauge, Count, "Keys that wait for an operator, by `projection`.";
    PROJECTION_RETRIES = "onsale_projection_retries_total", Counter, Count, "Times that a fact or its rows were refused and tried again, by `projection`.";
    PROJECTION_GAPS = "onsale_projection_gaps_total", Counter, Count, "Times that a position of the log was found missing, by `projection`: always an alarm.";
    HTTP_REQUESTS = "onsale_http_requests_total", Counter, Count, "Requests by `class` of their status (2xx, 4xx …).";
    HTTP_SECONDS = "onsale_http_request_seconds", Histogram, Seconds, "From the end of a request's headers to the start of its answer.";
    HTTP_LIMITED = "onsale_http_limited_total", Counter, Count, "Requests refused since their sender asks too often, by `class` of the limit and `per` (address, account).";
    HTTP_CROWDED = "onsale_http_crowded_total", Counter, Count, "Connections closed at once, since their address has as many as it may.";
    LIMITS_SHARED = "onsale_limits_shared_total", Counter, Count, "Requests that all nodes count together, by `result` (asked; alone: there was no Redis to ask).";
    HTTP_CONNECTIONS = "onsale_http_connections", Gauge, Count, "Open connections.";
}

/// Upper bounds of the buckets of durations, in seconds.
const SECONDS: &[f64] = &[0.000_5, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0];
/// Upper bounds of the buckets of batch sizes, in events.
const SIZES: &[f64] = &[1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0, 1_000.0, 2_000.0, 4_096.0];

/// Starts the log of this process. A second call in one process keeps the first one.
pub fn init_log(config: &Log) -> Result<(), ConfigError> {
    // The actors' library makes a span for each actor, which says nothing and costs memory for as long as that lives.
    let quiet = format!("ractor=warn,{}", config.level);
    let filter = EnvFilter::try_new(&quiet)
        .map_err(|_| ConfigError::new("log.level", "must be error, warn, info, debug, trace or a filter of them"))?;
    let base = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal())
        .with_writer(std::io::stderr);
    // The error of a second installation is the wanted outcome: tests and the demo share one process.
    let _already = match config.format {
        Format::Json => base.json().flatten_event(true).try_init(),
        Format::Pretty => base.with_target(false).try_init(),
    };
    Ok(())
}

/// What `/metrics` prints. The first call makes the recorder; a process has one, however many nodes it runs.
pub fn metrics() -> Result<PrometheusHandle, String> {
    static HANDLE: OnceLock<Result<PrometheusHandle, String>> = OnceLock::new();
    HANDLE.get_or_init(install).clone()
}

fn install() -> Result<PrometheusHandle, String> {
    let handle = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), SECONDS)
        .and_then(|b| b.set_buckets_for_metric(Matcher::Full(LANE_BATCH_EVENTS.to_owned()), SIZES))
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|e| format!("metrics cannot be recorded: {e}"))?;
    describe();
    Ok(handle)
}

/// Tells the recorder the unit and the meaning of every metric.
fn describe() {
    for metric in TABLE {
        match metric.kind {
            Kind::Counter => metrics::describe_counter!(metric.name, metric.unit, metric.help),
            Kind::Gauge => metrics::describe_gauge!(metric.name, metric.unit, metric.help),
            Kind::Histogram => metrics::describe_histogram!(metric.name, metric.unit, metric.help),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_follow_the_conventions() {
        let mut names: Vec<&str> = TABLE.iter().map(|m| m.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TABLE.len());
        for metric in TABLE {
            assert!(metric.name.starts_with("onsale_"), "{}", metric.name);
            assert_eq!(metric.kind == Kind::Counter, metric.name.ends_with("_total"), "{}", metric.name);
            assert_eq!(metric.unit == Unit::Seconds, metric.name.ends_with("_seconds"), "{}", metric.name);
            assert!(metric.help.ends_with('.'), "{}", metric.name);
        }
    }
}
