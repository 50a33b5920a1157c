//! `onsale demo`: a whole sale on one screen. A real node on a fresh directory, and a crowd that talks to it over HTTP.
//!
//! Everything goes through the public API on the loopback address; nothing here reaches into the node.

mod client;
mod crowd;
mod stage;
mod status;
mod till;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::failure::Failure;
use super::{Global, audit, output};
use crate::app::{self, Running, StartError, StopSignals};
use crate::clock::{Clock, Entropy, SystemClock};
use crate::config::{Config, Flag, Secret};
use crate::gateways::payments::simulator::script::Script;
use crate::gateways::payments::simulator::{Simulator, SimulatorOptions};
use crate::journal::open::Role;
use client::Client;
use stage::Stage;
use status::Counts;

/// Seconds between the start and the opening of the sale.
const OPENS_AFTER: Duration = Duration::from_secs(5);
/// The provider's books, in the demo's directory.
const BOOKS: &str = "psp-ledger.jsonl";
/// Ports that are tried from the configured one upwards.
const PORTS: u16 = 50;

#[derive(clap::Args, Debug)]
pub struct Demo {
    /// Address of the API; a busy port: the next one [default: 127.0.0.1:8080].
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,
    /// Buyers.
    #[arg(long, value_name = "N", default_value_t = 400, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    crowd: u32,
    /// What the crowd does follows from this number (how fast it does it does not).
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// End after the sale, with the audit's verdict.
    #[arg(long)]
    once: bool,
}

/// A directory that goes away with the demo.
struct FreshDirectory(PathBuf);

impl Drop for FreshDirectory {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, directory = %self.0.display(), "the demo's directory was not removed");
        }
    }
}

impl Demo {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let mut signals = StopSignals::listen()?;
        let entropy = Entropy::from_system();
        let fresh = std::env::temp_dir().join(format!("onsale-demo-{}", entropy.hash16()));
        let _goes_away = FreshDirectory(fresh.clone());
        let flag = |name, section, key, value| Flag { name, section, key, value };
        let mut flags: Vec<Flag> =
            self.listen.clone().map(|value| flag("listen", "server", "listen", value)).into_iter().collect();
        // The crowd is noise; what matters is on stdout.
        flags.push(flag("log-level", "log", "level", "warn".to_owned()));
        let mut config = global.load(flags)?;
        config.data.dir = fresh;
        config.database.url = crate::config::Secret::default();
        config.server.admin_listen = String::new();

        let provider = self.provider(&mut config).await?;
        let running = start_on_a_free_port(&mut config).await?;
        let ended = tokio::select! {
            ended = self.play(&config, &running, &provider) => ended,
            () = signals.heard() => Ok(()),
        };
        running.shutdown().await;
        provider.stop().await;
        ended
    }

    /// A payment provider with hiccups: it refuses, breaks off, answers with errors, and forgets to answer.
    async fn provider(&self, config: &mut Config) -> Result<Simulator, Failure> {
        let directory = &config.data.dir;
        std::fs::create_dir_all(directory).map_err(|e| Failure::of(format!("no place for the demo: {e}")))?;
        let script = format!(
            "[random]\nseed = {}\nconfirm = {{ decline = 0.08, error = 0.04, done-reset = 0.04, done-error = 0.04 }}\n\
             cancel = {{ error = 0.1, done-reset = 0.1 }}\nquery = {{ error = 0.1 }}\n",
            i64::try_from(self.seed).unwrap_or(i64::MAX)
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

    async fn play(&self, config: &Config, running: &Running, provider: &Simulator) -> Result<(), Failure> {
        let base = format!("http://{}", running.address);
        let opens_at = SystemClock.wall().plus(OPENS_AFTER);
        let client = Client::new(&base)?;
        let stage = Stage::build(&client, &running.keys, opens_at).await?;
        stage.write_env(&base)?;
        output::line(&format!("open {base}/docs"))?;
        output::line("\nyour own turn, as pasted:")?;
        for curl in stage.curls()? {
            output::line(&curl)?;
        }
        output::line("")?;

        let counts = Arc::new(Counts::default());
        let watching = tokio::spawn(status::watch(client.clone(), stage.performance.clone(), counts.clone()));
        status::countdown(opens_at).await?;
        let showing = tokio::spawn(status::show(counts.clone()));
        let result = tokio::select! {
            result = crowd::play(&client, &stage, &running.keys, self.crowd, self.seed, &counts) => result,
            () = count_unknown(provider, &counts) => Err(Failure::of("the provider is gone")),
        };
        counts.unknown.store(unknown(provider), Ordering::Relaxed);
        showing.abort();
        watching.abort();
        let ledger = result?;
        let oversold = ledger.oversold(stage.coupon_stock);

        let journal = app::open_journal(config, Role::Read).await?;
        let verdict = audit::check(config, &journal, Some(&config.data.dir.join(BOOKS))).await?;
        let ok = if verdict.violations.is_empty() { verdict.summary.clone() } else { "audit BROKEN".to_owned() };
        output::line(&format!("\n{} oversold {oversold} {} {ok}", ledger.wanted_and_issued(), counts.totals()))?;
        for violation in &verdict.violations {
            output::line(violation)?;
        }
        if oversold > 0 || !verdict.violations.is_empty() {
            return Err(Failure::of("the sale broke a promise"));
        }
        if !self.once {
            output::line(&format!("{base} stays open; Ctrl-C ends it"))?;
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}

/// Payments that the node had to look at, because the first answer said neither yes nor no.
fn unknown(provider: &Simulator) -> u64 {
    let calls = provider.calls();
    let calls = calls.get("calls").and_then(serde_json::Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let text = |call: &serde_json::Value, member: &str| {
        call.get(member).and_then(serde_json::Value::as_str).unwrap_or_default().to_owned()
    };
    let looks = calls.iter().filter(|call| text(call, "method") == "GET").map(|call| text(call, "path"));
    looks.collect::<std::collections::BTreeSet<_>>().len() as u64
}

async fn count_unknown(provider: &Simulator, counts: &Counts) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        counts.unknown.store(unknown(provider), Ordering::Relaxed);
    }
}

/// Port 8080 is often taken on a developer's machine, and the demo does not care which one it gets.
async fn start_on_a_free_port(config: &mut Config) -> Result<Running, Failure> {
    let wanted: std::net::SocketAddr = config
        .server
        .listen
        .parse()
        .map_err(|_| Failure::configuration("wrong configuration: server.listen must be an address with a port"))?;
    for offset in 0..PORTS {
        let Some(port) = wanted.port().checked_add(offset) else { break };
        config.server.listen = std::net::SocketAddr::new(wanted.ip(), port).to_string();
        match app::start(config).await {
            Err(StartError::Listen { source, .. }) if source.kind() == std::io::ErrorKind::AddrInUse => {}
            other => return Ok(other?),
        }
    }
    Err(Failure::of(format!("no free port from {wanted} upwards; choose one with --listen")))
}
