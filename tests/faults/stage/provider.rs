//! The payment provider's stand-in as a process; its ledger is one of the files that the judge reads.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};

pub struct Provider {
    pub listen: String,
    dir: PathBuf,
    child: Option<Child>,
}

impl Provider {
    pub async fn start(dir: &Path, script: &str) -> Result<Self, String> {
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
        let listen = free.map_err(|e| e.to_string())?.to_string();
        let mut provider = Self { listen, dir: dir.to_owned(), child: None };
        provider.again(script).await?;
        Ok(provider)
    }

    /// The same books at the same address, and this to go wrong from now on.
    pub async fn again(&mut self, script: &str) -> Result<(), String> {
        self.kill().await;
        let file = self.dir.join("script.toml");
        std::fs::write(&file, script).map_err(|e| e.to_string())?;
        self.ensure().await
    }

    pub async fn ensure(&mut self) -> Result<(), String> {
        if self.child.as_mut().is_some_and(|child| child.try_wait().is_ok_and(|status| status.is_none())) {
            return Ok(());
        }
        let mut child = Command::new(env!("CARGO_BIN_EXE_onsale"))
            .args(["psp-simulator", "--listen", &self.listen])
            .args([std::ffi::OsStr::new("--ledger"), self.dir.join("psp.jsonl").as_os_str()])
            .args([std::ffi::OsStr::new("--script"), self.dir.join("script.toml").as_os_str()])
            .env("ONSALE_LOG__LEVEL", "error")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .kill_on_drop(true)
            .spawn()
            .map_err(|e| e.to_string())?;
        let mut lines = BufReader::new(child.stdout.take().expect("its output is ours")).lines();
        let line = tokio::time::timeout(Duration::from_secs(30), lines.next_line()).await;
        if !matches!(&line, Ok(Ok(Some(line))) if line.contains("listening on ")) {
            return Err(format!("the provider's stand-in does not listen: {line:?}"));
        }
        tokio::spawn(async move { while let Ok(Some(_)) = lines.next_line().await {} });
        self.child = Some(child);
        Ok(())
    }

    pub async fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _gone_already = child.start_kill();
            child.wait().await.expect("it ended");
        }
    }
}
