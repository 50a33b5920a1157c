//! A node: the real binary as a process that is killed, stopped, ended and started again at the same address.

use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use onsale::clock::{Clock, SystemClock};
use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

use crate::wait::pause;

/// As long as a node may take to come up, with everything that it needs at hand.
const UP: Duration = Duration::from_secs(30);

pub struct Node {
    pub name: &'static str,
    /// `host:port`, the same for each start.
    pub listen: String,
    options: Vec<String>,
    /// Of its environment, from its next start on.
    pub env: Vec<(&'static str, String)>,
    log: PathBuf,
    child: Option<Child>,
    /// How often it was started.
    pub starts: u64,
    /// How often it had ended by itself when somebody looked.
    pub gave_up: u64,
}

impl Node {
    pub fn new(name: &'static str, options: Vec<String>, dir: &Path) -> Self {
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let listen = free.expect("a free port").to_string();
        let log = dir.join(format!("node-{name}.log"));
        Self { name, listen, options, env: Vec::new(), log, child: None, starts: 0, gave_up: 0 }
    }

    /// One try; what it ended with, if it did not come up.
    pub async fn try_start(&mut self) -> Result<(), String> {
        let log = std::fs::File::options().create(true).append(true).open(&self.log).expect("the directory is ours");
        let mut child = Command::new(env!("CARGO_BIN_EXE_onsale"))
            .args(["serve", "--listen", &self.listen])
            .args(&self.options)
            .env("ONSALE_LOG__LEVEL", "info")
            .env("ONSALE_LIMITS__ON", "false")
            .envs(self.env.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        self.starts += 1;
        let mut lines = BufReader::new(child.stdout.take().expect("its output is ours")).lines();
        let listening = async {
            while let Ok(Some(line)) = lines.next_line().await {
                if line.contains("listening on ") {
                    return true;
                }
            }
            false
        };
        match tokio::time::timeout(UP, listening).await {
            Ok(true) => {
                tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
                self.child = Some(child);
                Ok(())
            }
            Ok(false) => Err(format!("ended with {:?}", child.wait().await.map(|status| status.code()))),
            Err(_) => Err(format!("does not listen after {UP:?}")),
        }
    }

    /// As a supervisor would: again and again, until it is up; how long that took.
    pub async fn start(&mut self) -> Result<Duration, String> {
        let begun = SystemClock.elapsed();
        loop {
            match self.try_start().await {
                Ok(()) => return Ok(SystemClock.elapsed() - begun),
                Err(why) if SystemClock.elapsed() - begun > UP => return Err(format!("node {}: {why}", self.name)),
                Err(_) => pause(Duration::from_millis(200)).await,
            }
        }
    }

    /// Starts it if it does not run.
    pub async fn ensure(&mut self) -> Result<(), String> {
        if self.runs() { Ok(()) } else { self.start().await.map(|_| ()) }
    }

    pub fn runs(&mut self) -> bool {
        let ended = self.child.as_mut().is_none_or(|child| child.try_wait().is_ok_and(|status| status.is_some()));
        if ended && self.child.take().is_some() {
            self.gave_up += 1;
        }
        !ended
    }

    pub fn pid(&self) -> Option<Pid> {
        Pid::from_raw(i32::try_from(self.child.as_ref()?.id()?).ok()?)
    }

    pub fn signal(&self, signal: Signal) {
        if let Some(pid) = self.pid() {
            let _ended_meanwhile = kill_process(pid, signal);
        }
    }

    /// SIGKILL, and it is gone.
    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone_already = child.start_kill();
            child.wait().await.expect("it ended");
        }
    }

    /// SIGTERM; how it ended and how long that took. `None`: not within a minute.
    pub async fn terminate(&mut self) -> Option<(ExitStatus, Duration)> {
        let begun = SystemClock.elapsed();
        self.signal(Signal::TERM);
        let status = self.ended(Duration::from_secs(60)).await?;
        Some((status, SystemClock.elapsed() - begun))
    }

    /// Waits for its end.
    pub async fn ended(&mut self, patience: Duration) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        let ended = tokio::time::timeout(patience, child.wait()).await;
        if ended.is_err() {
            self.child = Some(child);
        }
        ended.ok()?.ok()
    }
}
