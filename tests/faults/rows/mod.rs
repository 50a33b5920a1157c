//! The rows of the table of faults: what is broken, what was promised, and what must have been seen for a round to count.

mod clocks;
mod crowds;
mod databases;
mod elsewhere;
mod kills;
mod outside;
mod owners;
mod snapshots;

use std::sync::Arc;
use std::time::Duration;

use futures::future::LocalBoxFuture;

use crate::base::cluster::Cluster;
use crate::base::proxy::{Proxy, Wire};
use crate::run::Run;
use crate::stage::{House, Plan};
use crate::wait::pause;

type Strike = for<'a, 'b> fn(&'a mut Run<'b>) -> LocalBoxFuture<'a, Result<(), String>>;

pub struct Row {
    pub name: &'static str,
    pub promise: &'static str,
    /// Is it one of those that every test run tries?
    pub quick: bool,
    /// States without which a round shows nothing.
    pub needs: &'static [&'static str],
    /// Are clients left without an answer on purpose?
    pub silent: bool,
    pub plan: fn() -> Plan,
    /// On which Postgres: that of the house, or one of its own.
    pub cluster: fn(&House) -> Result<Arc<Cluster>, String>,
    /// Programs without which it cannot be tried.
    pub programs: &'static [&'static str],
    /// What goes wrong at the provider meanwhile, where the row is about it.
    pub script: &'static str,
    /// Why nobody can try it from outside, and who does from inside.
    pub elsewhere: &'static str,
    pub strike: Strike,
}

/// What most rows have in common.
const USUAL: Row = Row {
    name: "",
    promise: "",
    quick: false,
    needs: &["done", "unknown", "frames"],
    silent: false,
    plan: Plan::default,
    cluster: |house| Ok(house.cluster.clone()),
    programs: &[],
    script: "",
    elsewhere: "",
    strike: |_| Box::pin(async { Ok(()) }),
};

impl Row {
    /// Why it cannot be tried here.
    pub fn missing(&self) -> Option<String> {
        if !self.elsewhere.is_empty() {
            return Some(self.elsewhere.to_owned());
        }
        let here = |program: &str| {
            ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]
                .iter()
                .any(|dir| std::path::Path::new(dir).join(program).exists())
        };
        let missing: Vec<&str> = self.programs.iter().copied().filter(|program| !here(program)).collect();
        (!missing.is_empty()).then(|| format!("not installed here: {}", missing.join(", ")))
    }
}

/// Ends what is connected in a bad state, and then everything passes.
pub async fn mend(wire: &Proxy) {
    wire.set(Wire::Reset);
    pause(Duration::from_millis(30)).await;
    wire.set(Wire::Open);
}

pub fn all() -> Vec<Row> {
    [
        kills::rows(),
        owners::rows(),
        databases::rows(),
        clocks::rows(),
        outside::rows(),
        crowds::rows(),
        snapshots::rows(),
        elsewhere::rows(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
