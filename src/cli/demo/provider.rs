//! Who takes the demo's money? The simulated provider, in this process, on a port of its own and with books of its own.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::status::Counts;
use crate::cli::failure::Failure;
use crate::clock::SystemClock;
use crate::config::{Config, Secret};
use crate::gateways::payments::simulator::script::Script;
use crate::gateways::payments::simulator::{Simulator, SimulatorOptions};

/// Its books, in the demo's directory.
pub const BOOKS: &str = "psp-ledger.jsonl";

/// A payment provider with hiccups: it refuses, breaks off, answers with errors, and forgets to answer.
pub async fn start(config: &mut Config, seed: u64) -> Result<Simulator, Failure> {
    let directory = &config.data.dir;
    std::fs::create_dir_all(directory).map_err(|e| Failure::of(format!("no place for the demo: {e}")))?;
    let script = format!(
        "[random]\nseed = {}\nconfirm = {{ decline = 0.08, error = 0.04, done-reset = 0.04, done-error = 0.04 }}\n\
         cancel = {{ error = 0.1, done-reset = 0.1 }}\nquery = {{ error = 0.1 }}\n",
        i64::try_from(seed).unwrap_or(i64::MAX)
    );
    let options = SimulatorOptions {
        listen: std::net::SocketAddr::from(([127, 0, 0, 1], 0)),
        script: Script::parse(&script).map_err(|e| Failure::of(format!("the demo's provider: {e}")))?,
        ledger: Some(directory.join(BOOKS)),
        webhook: None,
    };
    let provider = Simulator::start(options, Arc::new(SystemClock)).await?;
    config.psp.url = Secret::new(provider.url());
    config.psp.mode = crate::config::PspMode::Test;
    config.psp.secret_key = Secret::new("test_sk_demo".to_owned());
    config.psp.client_key = "test_ck_demo".to_owned();
    Ok(provider)
}

/// Payments that the node had to look at, because the first answer said neither yes nor no.
pub fn unknown(provider: &Simulator) -> u64 {
    let calls = provider.calls();
    let calls = calls.get("calls").and_then(serde_json::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |call: &serde_json::Value, member: &str| {
        call.get(member).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    };
    let looks = calls.iter().filter(|call| text(call, "method") == "GET").map(|call| text(call, "path"));
    looks.collect::<std::collections::BTreeSet<_>>().len() as u64
}

pub async fn count_unknown(provider: &Simulator, counts: &Counts) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        counts.unknown.store(unknown(provider), Ordering::Relaxed);
    }
}
