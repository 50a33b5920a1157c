//! The real binary as a child process, on a free port, with a log of its own.

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command as AsyncCommand};

use super::Client;
use crate::base::postgres;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Sqlite,
    Postgres,
}

pub const BOTH: [Kind; 2] = [Kind::Sqlite, Kind::Postgres];

/// Runs the binary to its end.
pub fn onsale(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_onsale")).args(args).stdin(Stdio::null()).output().expect("the binary runs")
}

/// Where a server keeps its things; survives the server, goes with the test.
pub struct Home {
    pub dir: tempfile::TempDir,
    database: Option<postgres::Database>,
    /// Do its servers write down everything they could say?
    tells: bool,
}

impl Home {
    pub async fn new(kind: Kind) -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let database = match kind {
            Kind::Sqlite => None,
            Kind::Postgres => Some(postgres::empty_database().await),
        };
        let home = Self { dir, database, tells: false };
        if kind == Kind::Postgres {
            let output = home.run(&["migrate"]);
            assert!(output.status.success(), "migrate failed: {}", String::from_utf8_lossy(&output.stderr));
        }
        home
    }

    /// Its servers log at trace, as JSON, into the file [`Self::told`].
    pub async fn telling(kind: Kind) -> Self {
        Self { tells: true, ..Self::new(kind).await }
    }

    pub fn told(&self) -> PathBuf {
        self.data().join("stderr.log")
    }

    /// How much a server of this home says, how, and where to.
    fn log(&self) -> ([(&'static str, &'static str); 2], Stdio) {
        if !self.tells {
            return ([("ONSALE_LOG__LEVEL", "error"), ("ONSALE_LOG__FORMAT", "pretty")], Stdio::inherit());
        }
        let file = std::fs::File::options().create(true).append(true).open(self.told()).expect("the directory is ours");
        ([("ONSALE_LOG__LEVEL", "trace"), ("ONSALE_LOG__FORMAT", "json")], file.into())
    }

    pub fn data(&self) -> &Path {
        self.dir.path()
    }

    pub fn log_db(&self) -> PathBuf {
        self.data().join("log.db")
    }

    /// Where more options stand, if a test has written any.
    pub fn config(&self) -> PathBuf {
        self.data().join("test.toml")
    }

    /// As nodes log in.
    pub fn database_url(&self) -> Option<String> {
        self.database.as_ref().map(|database| database.url.clone())
    }

    /// From now on nodes log in as the owner, too.
    pub fn served_by_owner(mut self) -> Self {
        if let Some(database) = &mut self.database {
            database.url.clone_from(&database.owner);
        }
        self
    }

    /// As who migrates, and who damages things on purpose.
    pub fn owner_url(&self) -> Option<String> {
        self.database.as_ref().map(|database| database.owner.clone())
    }

    /// The options by which every command but `migrate` finds this log.
    pub fn options(&self) -> Vec<String> {
        self.options_of(self.database_url())
    }

    fn options_of(&self, url: Option<String>) -> Vec<String> {
        let mut options = vec!["--data".to_owned(), self.data().display().to_string()];
        options.extend(url.into_iter().flat_map(|url| ["--database-url".to_owned(), url]));
        if self.config().exists() {
            options.extend(["--config".to_owned(), self.config().display().to_string()]);
        }
        options
    }

    /// Runs a command on this log to its end.
    pub fn run(&self, args: &[&str]) -> Output {
        let options = if args.first() == Some(&"migrate") { self.options_of(self.owner_url()) } else { self.options() };
        let all: Vec<&str> = args.iter().copied().chain(options.iter().map(String::as_str)).collect();
        onsale(&all)
    }

    pub fn token(&self, sub: &str, role: &str, store: Option<&str>) -> String {
        let mut args = vec!["token", "--sub", sub, "--role", role];
        args.extend(store.iter().flat_map(|store| ["--store", *store]));
        let output = self.run(&args);
        assert!(output.status.success(), "token failed: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("tokens are text").trim().to_owned()
    }

    /// Tokens of `<sub>-1 … <sub>-count`.
    pub fn tokens(&self, sub: &str, role: &str, count: usize) -> Vec<String> {
        let output = self.run(&["token", "--sub", sub, "--role", role, "--count", &count.to_string()]);
        assert!(output.status.success(), "token failed: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("tokens are text").lines().map(str::to_owned).collect()
    }

    /// The exported log, one JSON object an event.
    pub fn export(&self) -> Vec<serde_json::Value> {
        let output = self.run(&["log", "export", "--json"]);
        assert!(output.status.success(), "export failed: {}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("the export is text");
        text.lines().map(|line| serde_json::from_str(line).expect("a line is an object")).collect()
    }

    pub fn assert_audit_passes(&self) {
        let output = self.run(&["audit"]);
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "the audit failed: {said}");
    }
}

/// Has the test written down limits of its own?
fn limited(home: &Home) -> bool {
    std::fs::read_to_string(home.config()).is_ok_and(|text| text.contains("[limits]"))
}

pub struct Server {
    pub base: String,
    pub child: Child,
}

impl Server {
    /// Starts and waits until it says where it listens.
    pub async fn start(home: &Home) -> Self {
        Self::start_at(home, "127.0.0.1:0").await
    }

    pub async fn start_at(home: &Home, listen: &str) -> Self {
        Self::start_with(home, listen, &[]).await
    }

    /// A node that reads the log which another one writes.
    pub async fn follow(home: &Home, more: &[&str]) -> Self {
        Self::start_with(home, "127.0.0.1:0", &[&["--follow"], more].concat()).await
    }

    pub async fn start_with(home: &Home, listen: &str, more: &[&str]) -> Self {
        let (level, stderr) = home.log();
        let mut child = AsyncCommand::new(env!("CARGO_BIN_EXE_onsale"))
            .args(["serve", "--listen", listen])
            .args(home.options())
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr)
            .envs(level)
            // One member does the work of a crowd in most tests; those that are about limits say so in their configuration.
            .env("ONSALE_LIMITS__ON", if limited(home) { "true" } else { "false" })
            .kill_on_drop(true)
            .spawn()
            .expect("the binary starts");
        let mut lines = BufReader::new(child.stdout.take().expect("its output is ours")).lines();
        let listening = async {
            while let Some(line) = lines.next_line().await.expect("its output is text") {
                if let Some((_, base)) = line.split_once("listening on ") {
                    return Some(base.trim().to_owned());
                }
            }
            None
        };
        let base = tokio::time::timeout(Duration::from_secs(30), listening).await.expect("a server that listens");
        let base = base.expect("the server ended before it listened");
        // Its output must not stop it when nobody reads.
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        Self { base, child }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.base)
    }

    pub fn pid(&self) -> rustix::process::Pid {
        let pid = self.child.id().expect("the server runs");
        rustix::process::Pid::from_raw(i32::try_from(pid).expect("a pid")).expect("a pid")
    }

    pub fn signal(&self, signal: rustix::process::Signal) {
        rustix::process::kill_process(self.pid(), signal).expect("the server runs");
    }

    /// SIGKILL: nothing of it can run any more.
    pub async fn kill(mut self) {
        self.signal(rustix::process::Signal::KILL);
        self.child.wait().await.expect("it ended");
    }

    /// SIGTERM: it ends by itself, and says whether well.
    pub async fn terminate(mut self) -> std::process::ExitStatus {
        self.signal(rustix::process::Signal::TERM);
        let ended = tokio::time::timeout(Duration::from_secs(20), self.child.wait()).await;
        ended.expect("it ends after SIGTERM").expect("it ended")
    }
}
