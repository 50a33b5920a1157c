//! A real browser without a window, which opens one page and goes with the test.

use std::path::PathBuf;
use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::{Child, Command};

/// Debian's names; the first is the browser without all that draws windows.
const NAMES: [&str; 2] = ["chromium-headless-shell", "chromium"];

pub struct Browser {
    child: Child,
    _profile: tempfile::TempDir,
}

#[allow(clippy::disallowed_methods, reason = "looks for a program, as a shell does")]
fn program() -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = NAMES.iter().flat_map(|name| std::env::split_paths(&path).map(move |dir| dir.join(name)));
    found.into_iter().find(|file| file.is_file()).expect("Chromium: scripts/test installs chromium-headless-shell")
}

impl Browser {
    pub fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().expect("a temporary directory");
        let child = Command::new(program())
            // Its sandbox does not work for root, and the only page it sees is ours.
            .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"])
            .args(["--disable-background-networking", "--disable-extensions", "--no-proxy-server"])
            // With it the browser stays until it is ended.
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(url)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .expect("the browser starts");
        Self { child, _profile: profile }
    }
}

/// A browser is many processes.
impl Drop for Browser {
    fn drop(&mut self) {
        let pid = self.child.id().and_then(|pid| i32::try_from(pid).ok()).and_then(Pid::from_raw);
        if let Some(group) = pid {
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}
