//! A Redis of the test's own, which can be stopped, frozen and started again at the same address.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::process::{Child, Command};

use super::wait::until;

pub struct Redis {
    pub url: String,
    port: u16,
    /// What it keeps, and where.
    keeps: Vec<String>,
    child: Option<Child>,
}

impl Redis {
    /// It forgets everything at its end.
    pub async fn start() -> Self {
        Self::start_with(&["--appendonly", "no"]).await
    }

    /// Its answers are on disk when they leave.
    pub async fn durable(dir: &std::path::Path) -> Self {
        let dir = dir.display().to_string();
        Self::start_with(&["--appendonly", "yes", "--appendfsync", "always", "--dir", &dir]).await
    }

    async fn start_with(keeps: &[&str]) -> Self {
        let keeps = keeps.iter().map(|&word| word.to_owned()).collect();
        let port = std::net::TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("bound").port();
        let mut redis = Self { url: format!("redis://127.0.0.1:{port}"), port, keeps, child: None };
        redis.again().await;
        redis
    }

    pub async fn again(&mut self) {
        let child = Command::new("redis-server")
            .args(["--port", &self.port.to_string(), "--bind", "127.0.0.1", "--save", ""])
            .args(&self.keeps)
            .args(["--daemonize", "no", "--logfile", ""])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .kill_on_drop(true)
            .spawn()
            .expect("redis-server is installed");
        self.child = Some(child);
        until("Redis", || self.said("PING"), |said| said.as_deref() == Some("PONG")).await;
    }

    /// Thaws it, or starts it, whatever it takes.
    #[allow(dead_code, reason = "the fault bench needs it, the tests over HTTP do not")]
    pub async fn ensure(&mut self) {
        if self.child.is_some() {
            self.thaw();
        } else {
            self.again().await;
        }
    }

    pub async fn stop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().await.expect("it ran");
        }
    }

    /// It keeps its connections and answers nobody.
    pub fn freeze(&self) {
        self.signal(Signal::STOP);
    }

    pub fn thaw(&self) {
        self.signal(Signal::CONT);
    }

    fn signal(&self, signal: Signal) {
        let pid = self.child.as_ref().and_then(Child::id).and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
        kill_process(pid.expect("it runs"), signal).expect("it runs");
    }

    /// One command and its answer as text; `None` when nobody answers.
    pub async fn said(&self, command: &str) -> Option<String> {
        let client = redis::Client::open(self.url.as_str()).expect("an address");
        let mut connection = client.get_multiplexed_async_connection().await.ok()?;
        let mut words = command.split(' ');
        let mut command = redis::cmd(words.next().unwrap_or_default());
        for word in words {
            command.arg(word);
        }
        let value: redis::Value = command.query_async(&mut connection).await.ok()?;
        redis::from_redis_value::<String>(value).ok()
    }

    /// Says something on the channel of the hints; how many heard it.
    pub async fn publish(&self, message: &str) -> u64 {
        let client = redis::Client::open(self.url.as_str()).expect("an address");
        let mut connection = client.get_multiplexed_async_connection().await.expect("it runs");
        let heard = redis::cmd("PUBLISH").arg("onsale:heads").arg(message).query_async(&mut connection).await;
        heard.expect("it was said")
    }
}
