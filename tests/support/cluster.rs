//! A Postgres of a test's own, which can be stopped in every way and started again at the same address.
//!
//! It ends with this process, however that ends, and its files go with it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use onsale::clock::{Clock, SystemClock};
use rustix::process::{Pid, Signal, kill_process};

use super::postgres::{binaries, server_user};

static NUMBER: AtomicU32 = AtomicU32::new(0);

pub struct Cluster {
    dir: PathBuf,
    port: u16,
    settings: Vec<String>,
    env: Vec<(&'static str, String)>,
}

impl Cluster {
    pub fn new(settings: &[&str]) -> Self {
        Self::prepared(settings, &[], |_| None)
    }

    /// `prepare` is shown the directory before the cluster is made in `data` below it, and may name a place for its WAL.
    pub fn prepared(settings: &[&str], initdb: &[&str], prepare: impl FnOnce(&Path) -> Option<PathBuf>) -> Self {
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let dir = std::env::temp_dir().join(format!("onsale-pg-{}-{number}", std::process::id()));
        std::fs::create_dir_all(&dir).expect("a directory for the test server");
        if let Some((uid, gid)) = server_user() {
            std::os::unix::fs::chown(&dir, Some(uid), Some(gid)).expect("root may give a directory away");
        }
        let wal = prepare(&dir);
        let port = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr()).expect("a free port").port();
        let settings = settings.iter().map(|&setting| setting.to_owned()).collect();
        let cluster = Self { dir, port, settings, env: Vec::new() };
        let mut init = cluster.program("initdb");
        init.args(["-U", "postgres", "-A", "trust", "-E", "UTF8", "--no-locale", "-N", "-D"]).arg(cluster.data());
        init.args(wal.into_iter().map(|place| format!("--waldir={}", place.display())));
        assert!(init.args(initdb).status().expect("initdb runs").success(), "initdb failed");
        watch(&cluster.dir);
        cluster.start();
        cluster
    }

    /// Starts it again, with this in its environment from now on.
    pub fn again_with(&mut self, env: Vec<(&'static str, String)>) {
        self.stop("fast");
        self.env = env;
        self.start();
    }

    /// As its superuser.
    pub fn url(&self) -> String {
        format!("postgres://postgres@127.0.0.1:{}/postgres", self.port)
    }

    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    pub fn dir(&self) -> &Path {
        &self.dir
    }

    fn data(&self) -> PathBuf {
        self.dir.join("data")
    }

    /// Starts it and waits until it takes connections.
    #[allow(clippy::zombie_processes, reason = "the watcher ends it when this process is gone")]
    pub fn start(&self) {
        let mut server = self.program("postgres");
        server.arg("-D").arg(self.data()).arg("-k").arg(&self.dir).args(["-h", "127.0.0.1"]);
        server.args(["-p", &self.port.to_string(), "-c", "max_connections=200", "-c", "shared_buffers=64MB"]);
        server.args(self.settings.iter().flat_map(|setting| ["-c", setting]));
        server.envs(self.env.iter().map(|(name, value)| (name, value)));
        let log = std::fs::File::options().create(true).append(true).open(self.dir.join("log"));
        server.stderr(log.expect("the directory is ours"));
        let mut child = server.spawn().expect("postgres starts");
        self.ready();
        // Nobody else would take the end of it.
        std::thread::spawn(move || child.wait());
    }

    /// Starts it if it has given up.
    pub fn ensure(&self) {
        let runs = self.processes().first().is_some_and(|first| {
            let command = std::fs::read_to_string(format!("/proc/{}/comm", first.as_raw_nonzero()));
            command.is_ok_and(|name| name.starts_with("postgres"))
        });
        if !runs {
            self.start();
        }
        self.ready();
    }

    /// Waits until it takes connections, as after a crash of one of its processes.
    pub fn ready(&self) {
        let begun = SystemClock.elapsed();
        while !self.is_ready() {
            assert!((SystemClock.elapsed() - begun).as_secs() < 30, "the test server does not come up");
            std::thread::yield_now();
        }
    }

    fn is_ready(&self) -> bool {
        let port = self.port.to_string();
        let mut asked = self.program("pg_isready");
        asked.args(["-q", "-h", "127.0.0.1", "-p", &port, "-t", "1"]).status().expect("pg_isready runs").success()
    }

    /// `fast` ends its sessions first, `immediate` is a crash.
    pub fn stop(&self, mode: &str) {
        let mut stop = self.program("pg_ctl");
        stop.args(["stop", "-w", "-t", "30", "-m", mode, "-D"]).arg(self.data());
        assert!(stop.status().expect("pg_ctl runs").success(), "the test server does not stop");
    }

    /// Its first process and all others; none while it is stopped.
    pub fn processes(&self) -> Vec<Pid> {
        let Some(first) = std::fs::read_to_string(self.data().join("postmaster.pid")).ok() else { return Vec::new() };
        let Some(first) = first.lines().next().and_then(|line| line.parse().ok()).and_then(Pid::from_raw) else {
            return Vec::new();
        };
        let children = format!("/proc/{0}/task/{0}/children", first.as_raw_nonzero());
        let children = std::fs::read_to_string(children).unwrap_or_default();
        let children = children.split_whitespace().filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
        std::iter::once(first).chain(children).collect()
    }

    /// A signal to every process of it; those that have ended meanwhile do not mind.
    pub fn signal(&self, signal: Signal) {
        for pid in self.processes() {
            let _gone = kill_process(pid, signal);
        }
    }

    fn program(&self, name: &str) -> Command {
        let mut command = Command::new(binaries().join(name));
        command.current_dir(&self.dir).stdout(Stdio::null()).stderr(Stdio::null()).stdin(Stdio::null());
        // What is sent to the terminal is meant for this process alone.
        command.process_group(0);
        if let Some((uid, gid)) = server_user() {
            command.uid(uid).gid(gid);
        }
        command
    }
}

/// Stops the server and removes its files once this process is gone: it holds the other end of the watcher's input.
#[allow(clippy::zombie_processes, reason = "it outlives this process on purpose")]
fn watch(dir: &Path) {
    let script = "cat >/dev/null; pid=$(head -n 1 \"$1/data/postmaster.pid\" 2>/dev/null) || pid=
        if [ -n \"$pid\" ]; then kill -CONT \"$pid\" $(cat \"/proc/$pid/task/$pid/children\"); kill -QUIT \"$pid\"; fi 2>/dev/null
        while [ -n \"$pid\" ] && kill -0 \"$pid\" 2>/dev/null; do sleep 0.1; done
        if mountpoint -q \"$1/small\"; then umount \"$1/small\"; fi; rm -rf \"$1\"";
    let mut watcher = Command::new("sh");
    watcher.args(["-c", script, "watch"]).arg(dir).process_group(0);
    let mut child = watcher.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("sh runs");
    // Kept open for ever, which is: until this process ends.
    std::mem::forget(child.stdin.take());
}
