//! Where does a rival on Redis get one from? A process of its own in a directory of its own, which answers only what is on disk.

use std::net::TcpListener;
use std::process::Stdio;
use std::time::Duration;

use tokio::process::{Child, Command};

use crate::cli::failure::Failure;
use crate::cli::fresh::Fresh;
use crate::clock::{Clock, SystemClock};

/// It answers within this.
const STARTS_WITHIN: Duration = Duration::from_secs(20);
const LOOK_AGAIN: Duration = Duration::from_millis(50);

pub struct RedisServer {
    process: Child,
    pub url: String,
    pub version: String,
    // After the process, which writes there.
    _dir: Fresh,
}

impl RedisServer {
    pub async fn start() -> Result<Self, Failure> {
        let dir = Fresh::new("bench-redis")?;
        // Free now; whoever takes it in between makes the start fail, which is said.
        let free = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let port = free.map_err(|e| Failure::of(format!("no free port: {e}")))?.port();
        let process = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--daemonize", "no", "--logfile", ""])
            .args(["--save", "", "--appendonly", "yes", "--appendfsync", "always"])
            .arg("--dir")
            .arg(dir.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| {
                Failure::of(format!("redis-server does not start ({e}): install Redis 7 (Debian: redis-server)"))
            })?;
        let url = format!("redis://127.0.0.1:{port}");
        let mut server = Self { process, url, version: String::new(), _dir: dir };
        let end = SystemClock.elapsed() + STARTS_WITHIN;
        loop {
            match server.ask_version().await {
                Ok(version) => {
                    server.version = version;
                    return Ok(server);
                }
                Err(error) if SystemClock.elapsed() >= end => {
                    return Err(Failure::of(format!("redis-server does not answer: {error}")));
                }
                Err(_) => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    }

    async fn ask_version(&self) -> redis::RedisResult<String> {
        let mut connection = redis::Client::open(self.url.as_str())?.get_multiplexed_async_connection().await?;
        let info: String = redis::cmd("INFO").arg("server").query_async(&mut connection).await?;
        let version = info.lines().find_map(|line| line.strip_prefix("redis_version:"));
        Ok(version.unwrap_or("of an unknown version").trim().to_owned())
    }

    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    pub async fn stop(mut self) {
        // What it holds goes away with its directory.
        if let Err(error) = self.process.kill().await {
            tracing::warn!(%error, "redis-server was not stopped");
        }
    }
}
