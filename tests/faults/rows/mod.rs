//! The rows of the table of faults: what is broken, what was promised, and what must have been seen for a round to count.

mod kills;

use std::sync::Arc;

use futures::future::LocalBoxFuture;

use crate::base::cluster::Cluster;
use crate::run::Run;
use crate::stage::{House, Plan};

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
    strike: |_| Box::pin(async { Ok(()) }),
};

impl Row {
    /// Why it cannot be tried here.
    pub fn missing(&self) -> Option<String> {
        let here = |program: &str| {
            ["/usr/bin", "/bin", "/usr/sbin", "/sbin"]
                .iter()
                .any(|dir| std::path::Path::new(dir).join(program).exists())
        };
        let missing: Vec<&str> = self.programs.iter().copied().filter(|program| !here(program)).collect();
        (!missing.is_empty()).then(|| format!("not installed here: {}", missing.join(", ")))
    }
}

pub fn all() -> Vec<Row> {
    [kills::rows()].into_iter().flatten().collect()
}
