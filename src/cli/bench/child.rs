//! How does the load generator run what it measures? As processes of its own binary, which end with it.

use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child as Process, Command};

use crate::cli::failure::Failure;

/// A node says where it listens within this; it may have to make its read models first.
const STARTS_WITHIN: Duration = Duration::from_secs(60);
/// And ends within this when it is asked to.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// A process that listens. Dropped, it is killed.
pub struct Child {
    process: Process,
    pub base: String,
}

const LIMITS: [&str; 4] = [
    "ONSALE_LIMITS__READ_PER_ACCOUNT",
    "ONSALE_LIMITS__COMMAND_PER_ACCOUNT",
    "ONSALE_LIMITS__PLACE_PER_ACCOUNT",
    "ONSALE_LIMITS__FEED_PER_ACCOUNT",
];

/// Options for the environment: other people can see arguments, and these win over the caller's file and short forms.
pub type Environment = Vec<(&'static str, String)>;

impl Child {
    /// Starts the verb and waits for its line "listening on …".
    pub async fn start(arguments: &[String], environment: &Environment) -> Result<Self, Failure> {
        let name = arguments.first().map_or("", String::as_str);
        let failed = |e: std::io::Error| Failure::of(format!("`onsale {name}` does not start: {e}"));
        let mut process = Command::new(std::env::current_exe().map_err(failed)?)
            .args(arguments)
            .envs(environment.iter().map(|(name, value)| (*name, value)))
            .env("ONSALE_LOG__LEVEL", "error")
            // All watchers of a measurement come with a few tokens, from one address.
            .env("ONSALE_SSE__MAX_PER_ACCOUNT", "0")
            .env("ONSALE_SSE__MAX_PER_ADDRESS", "0")
            // A few tokens do the work of a crowd. Each request is still counted, as it would be.
            .envs(LIMITS.map(|name| (name, "1000000 then 1000000/s")))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            // Ctrl-C is ours to hear; we stop it in good order.
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(failed)?;
        let silent = || Failure::of(format!("`onsale {name}` ended or said nothing before it listened"));
        let mut lines = BufReader::new(process.stdout.take().ok_or_else(silent)?).lines();
        let base = tokio::time::timeout(STARTS_WITHIN, async {
            while let Ok(Some(line)) = lines.next_line().await {
                if let Some((_, base)) = line.split_once("listening on ") {
                    return Some(base.trim().to_owned());
                }
            }
            None
        });
        let base = base.await.ok().flatten().ok_or_else(silent)?;
        // Its output must not stop it when nobody reads.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Ok(Self { process, base })
    }

    pub fn pid(&self) -> Option<u32> {
        self.process.id()
    }

    /// Ends it in good order.
    pub async fn stop(mut self) {
        let pid = self.pid().and_then(|pid| rustix::process::Pid::from_raw(i32::try_from(pid).ok()?));
        if let Some(pid) = pid {
            // It may have ended by itself; then there is nothing to ask.
            let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        }
        if tokio::time::timeout(ENDS_WITHIN, self.process.wait()).await.is_err() {
            tracing::warn!(base = %self.base, "it does not end when asked to, and is killed");
        }
    }
}
