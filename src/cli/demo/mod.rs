//! `onsale demo`: a whole sale on one screen. A real node on a fresh directory, and a crowd that talks to it over HTTP.
//!
//! Everything goes through the public API on the loopback address; nothing here reaches into the node.

mod crowd;
mod port;
mod provider;
mod stage;
mod status;
mod till;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::client::Client;
use super::failure::Failure;
use super::fresh::Fresh;
use super::{Global, audit, output};
use crate::app::{self, Running, StopSignals};
use crate::clock::{Clock, SystemClock};
use crate::config::{Config, Flag};
use crate::gateways::payments::simulator::Simulator;
use crate::journal::open::Role;
use stage::Stage;
use status::Counts;

/// Seconds between the start and the opening of the sale.
const OPENS_AFTER: Duration = Duration::from_secs(5);

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

impl Demo {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let mut signals = StopSignals::listen()?;
        let fresh = Fresh::new("demo")?;
        let flag = |name, section, key, value| Flag { name, section, key, value };
        let mut flags: Vec<Flag> =
            self.listen.clone().map(|value| flag("listen", "server", "listen", value)).into_iter().collect();
        // The crowd is noise; what matters is on stdout.
        flags.push(flag("log-level", "log", "level", "warn".to_owned()));
        let mut config = global.load(flags)?;
        config.data.dir = fresh.path().to_owned();
        config.database.url = crate::config::Secret::default();
        config.server.admin_listen = String::new();

        let provider = provider::start(&mut config, self.seed).await?;
        let running = port::start(&mut config).await?;
        let ended = tokio::select! {
            ended = self.play(&config, &running, &provider) => ended,
            () = signals.heard() => Ok(()),
        };
        running.shutdown().await;
        provider.stop().await;
        ended
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
            () = provider::count_unknown(provider, &counts) => Err(Failure::of("the provider is gone")),
        };
        counts.unknown.store(provider::unknown(provider), Ordering::Relaxed);
        showing.abort();
        watching.abort();
        let ledger = result?;
        let oversold = ledger.oversold(stage.coupon_stock);

        let journal = app::open_journal(config, Role::Read).await?;
        let verdict = audit::check(config, &journal, Some(&config.data.dir.join(provider::BOOKS))).await?;
        let ok = if verdict.violations.is_empty() { verdict.summary.clone() } else { "audit BROKEN".to_owned() };
        output::line(&format!("\n{} oversold {oversold} {} {ok}", ledger.wanted_and_issued(), counts.totals()))?;
        for violation in &verdict.violations {
            output::line(violation)?;
        }
        let open = verdict.summary.ends_with("are open");
        if oversold > 0 || open || !verdict.violations.is_empty() {
            return Err(Failure::of("the sale broke a promise"));
        }
        if !self.once {
            output::line(&format!("{base} stays open; Ctrl-C ends it"))?;
            std::future::pending::<()>().await;
        }
        Ok(())
    }
}
