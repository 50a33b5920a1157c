//! `onsale psp-simulator`: runs the payment provider's stand-in in a process of its own, until SIGTERM or Ctrl-C.
//!
//! What it does stands in `gateways/payments/simulator`; here are its options and its one line.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::failure::Failure;
use super::{Global, output};
use crate::app::StopSignals;
use crate::clock::SystemClock;
use crate::gateways::payments::simulator::script::Script;
use crate::gateways::payments::simulator::{Simulator, SimulatorError, SimulatorOptions};

/// The ledger within the data directory, when nobody chooses another place.
const LEDGER: &str = "psp-ledger.jsonl";

#[derive(clap::Args, Debug)]
pub struct PspSimulator {
    /// Address of its API; port 0 takes any free one.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// What shall go wrong, as TOML.
    #[arg(long, value_name = "FILE")]
    script: Option<PathBuf>,
    /// Its books, one JSON object a line; read back at the start [default: psp-ledger.jsonl in the data directory].
    #[arg(long, value_name = "FILE")]
    ledger: Option<PathBuf>,
    /// Where the news of payments are posted; wins over the script's [webhook] url.
    #[arg(long, value_name = "URL", value_parser = plain_http)]
    webhook: Option<String>,
}

impl PspSimulator {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let config = global.load(Vec::new())?;
        let mut signals = StopSignals::listen()?;
        let script = self.script.as_deref().map(read).transpose()?.unwrap_or_default();
        let ledger = match self.ledger {
            Some(path) => path,
            None => {
                let failed = |e| Failure::of(format!("{} cannot be made: {e}", config.data.dir.display()));
                std::fs::create_dir_all(&config.data.dir).map_err(failed)?;
                config.data.dir.join(LEDGER)
            }
        };
        let options =
            SimulatorOptions { listen: self.listen, script, ledger: Some(ledger.clone()), webhook: self.webhook };
        let simulator = Simulator::start(options, Arc::new(SystemClock)).await?;
        tracing::info!(ledger = %ledger.display(), "the simulated provider keeps its books");
        // Nobody reads our stdout: it runs all the same.
        let _unread = output::line(&format!("psp-simulator listening on {}", simulator.url()));
        signals.heard().await;
        simulator.stop().await;
        Ok(())
    }
}

fn read(path: &Path) -> Result<Script, Failure> {
    let name = path.display();
    let text = std::fs::read_to_string(path)
        .map_err(|e| Failure::configuration(format!("wrong script: {name}: cannot be read: {e}")))?;
    Script::parse(&text).map_err(|e| Failure::configuration(format!("wrong script: {name}: {e}")))
}

fn plain_http(text: &str) -> Result<String, String> {
    let parsed = reqwest::Url::parse(text).ok().filter(|url| url.scheme() == "http");
    parsed.map(|_| text.to_owned()).ok_or_else(|| "an address that starts with http://".to_owned())
}

impl From<SimulatorError> for Failure {
    fn from(error: SimulatorError) -> Self {
        Self::of(error.to_string())
    }
}
