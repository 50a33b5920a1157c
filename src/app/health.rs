//! How is the node doing? Its readiness and its gauges, looked at once a second so that whoever asks is answered at once.

use std::sync::Arc;

use metrics_exporter_prometheus::PrometheusHandle;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use crate::actors::Dispatch;
use crate::http::{Check, Readiness};
use crate::journal::SharedJournal;
use crate::limits;
use crate::live::Hub;
use crate::projections::runner::{self, Runner, State};
use crate::sagas::Processes;
use crate::telemetry;

/// What is known of the node's health, looked at once a second so that `/readyz` answers at once.
pub(super) struct Health {
    lost: CancellationToken,
    /// Why the log cannot be read, as of the last look.
    log: Mutex<Result<(), String>>,
    runner: Runner,
}

impl Health {
    pub fn new(lost: CancellationToken, runner: Runner) -> Self {
        Self { lost, log: Mutex::new(Ok(())), runner }
    }

    /// What of the read models is not as it should be. Told, but no reason to take no requests: commands, streams and
    /// the other read models go on.
    fn projections(&self) -> String {
        let told = |(name, status): (&str, runner::Status)| {
            let mut parts = Vec::new();
            if status.state != State::Live {
                parts.push(status.state.as_str().to_owned());
            }
            if status.parked_keys > 0 {
                parts.push(format!("{} keys parked", status.parked_keys));
            }
            if let Some((partition, position)) = status.gaps.first_key_value() {
                parts.push(format!("a gap in the log at {partition}:{position}"));
            }
            (!parts.is_empty()).then(|| format!("{name}: {}", parts.join(", ")))
        };
        self.runner.statuses().into_iter().filter_map(told).collect::<Vec<_>>().join("; ")
    }

    pub async fn look(self: Arc<Self>, journal: SharedJournal, stop: CancellationToken) {
        let mut round = tokio::time::interval(limits::HEARTBEAT);
        round.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = round.tick() => {}
            }
            let found = match tokio::time::timeout(limits::LEASE, journal.heads()).await {
                Ok(heads) => heads.map(drop).map_err(|fault| fault.to_string()),
                Err(_) => Err("the log does not answer".to_owned()),
            };
            *self.log.lock() = found;
        }
    }
}

impl Readiness for Health {
    fn checks(&self) -> Vec<Check> {
        let check =
            |name, problem: Option<String>| Check { name, ok: problem.is_none(), detail: problem.unwrap_or_default() };
        vec![
            check("log", self.log.lock().clone().err()),
            Check { name: "projections", ok: true, detail: self.projections() },
            check("owner", self.lost.is_cancelled().then(|| "another node has taken over".to_owned())),
        ]
    }
}

/// What is counted by looking, once a second.
pub(super) struct Gauges {
    pub dispatch: Dispatch,
    pub hub: Hub,
    pub runner: Runner,
    pub processes: Processes,
    pub metrics: PrometheusHandle,
}

impl Gauges {
    pub async fn look(self, stop: CancellationToken) {
        let mut round = tokio::time::interval(limits::HEARTBEAT);
        loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => return,
                _ = round.tick() => {}
            }
            let found = [
                (telemetry::ACTORS_AWAKE, self.dispatch.actors_awake()),
                (telemetry::COMMANDS_IN_FLIGHT, self.dispatch.in_flight()),
                (telemetry::WATCHERS, self.hub.watchers()),
                (telemetry::TOPICS, self.hub.topics()),
                (telemetry::PROCESSES, self.processes.under_way()),
            ];
            for (name, number) in found {
                metrics::gauge!(name).set(f64::from(u32::try_from(number).unwrap_or(u32::MAX)));
            }
            let number = |n: u64| f64::from(u32::try_from(n).unwrap_or(u32::MAX));
            for (name, status) in self.runner.statuses() {
                metrics::gauge!(telemetry::PROJECTION_BEHIND, "projection" => name).set(number(status.behind));
                metrics::gauge!(telemetry::PROJECTION_PARKED, "projection" => name)
                    .set(number(status.parked_keys as u64));
            }
            // Histograms keep what nobody has fetched yet; this makes room.
            self.metrics.run_upkeep();
        }
    }
}
