//! `onsale demo`: a whole sale on one screen. A real node on a fresh directory, and a crowd that talks to it over HTTP.
//!
//! Everything goes through the public API on the loopback address; nothing here reaches into the node.

mod client;
mod crowd;
mod stage;
mod status;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::failure::Failure;
use super::{Global, audit, output};
use crate::app::{self, Running, StartError, StopSignals};
use crate::clock::{Clock, Entropy, SystemClock};
use crate::config::{Config, Flag};
use crate::journal::open::Role;
use client::Client;
use stage::Stage;
use status::Counts;

/// Seconds between the start and the opening of the sale.
const OPENS_AFTER: Duration = Duration::from_secs(5);
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

        let running = start_on_a_free_port(&mut config).await?;
        let ended = tokio::select! {
            ended = self.play(&config, &running) => ended,
            () = signals.heard() => Ok(()),
        };
        running.shutdown().await;
        ended
    }

    async fn play(&self, config: &Config, running: &Running) -> Result<(), Failure> {
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
        let result = crowd::play(&client, &stage, &running.keys, self.crowd, self.seed, &counts).await;
        showing.abort();
        watching.abort();
        let ledger = result?;
        let oversold = ledger.oversold(stage.coupon_stock);

        let journal = app::open_journal(config, Role::Read).await?;
        let verdict = audit::check(config, &journal, None).await?;
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
