//! Where does the demo's node listen? On the wanted port or the next free one.

use crate::app::{self, Running, StartError};
use crate::cli::failure::Failure;
use crate::config::Config;

/// Ports that are tried from the configured one upwards.
const PORTS: u16 = 50;

/// Port 8080 is often taken on a developer's machine, and the demo does not care which one it gets.
pub async fn start(config: &mut Config) -> Result<Running, Failure> {
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
