//! Where a run takes place: Postgres, Redis, the payment provider's stand-in and the nodes as processes of their own, and
//! a wire of ours between each two of them.

pub mod clock;
pub mod node;
pub mod provider;
pub mod world;

use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, OnceLock};

use crate::base::cluster::Cluster;
use crate::base::postgres::{self, Database};
use crate::base::proxy::{Proxy, Wire};
use crate::support::redis::Redis;
use clock::WrongClock;
use node::Node;
use provider::Provider;

/// What is started once for all runs.
pub struct House {
    pub cluster: Arc<Cluster>,
    /// One with little room for its WAL, once somebody has asked for it.
    pub small: OnceLock<Result<Arc<Cluster>, String>>,
    /// One whose clock can be set, the same way.
    pub clocked: OnceLock<Result<Arc<Cluster>, String>>,
    pub redis: Redis,
}

impl House {
    pub async fn open() -> Self {
        let (small, clocked) = (OnceLock::new(), OnceLock::new());
        Self { cluster: Arc::new(Cluster::new(&[])), small, clocked, redis: Redis::start().await }
    }
}

/// How a run is set up; a row says what matters to it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What goes wrong at the provider: rules, or dice.
    pub provider: String,
    pub hold_seconds: u64,
    pub seats: usize,
    pub hot_stock: u64,
    /// Of every node; empty: a fresh one for each start.
    pub name: &'static str,
    /// By which clock tokens are made, as `WrongClock` takes it; empty: the right one.
    pub tokens_of: &'static str,
}

impl Default for Plan {
    fn default() -> Self {
        let provider = "[random]\nseed = 7\nconfirm = { decline = 0.05, done-reset = 0.01, error = 0.02 }\n".to_owned();
        Self { provider, hold_seconds: 6, seats: 1_500, hot_stock: 100, name: "", tokens_of: "" }
    }
}

/// The wires of a run: each end of them believes that it talks to the other.
pub struct Wires {
    /// Clients to the first node.
    pub front: Proxy,
    /// Watchers to the first node.
    pub live: Proxy,
    pub database: Proxy,
    pub redis: Proxy,
    pub provider: Proxy,
}

impl Wires {
    pub fn open(&self) {
        for wire in [&self.front, &self.live, &self.database, &self.redis, &self.provider] {
            wire.set(Wire::Open);
        }
    }
}

pub struct Stage {
    pub dir: PathBuf,
    pub cluster: Arc<Cluster>,
    pub database: Database,
    pub provider: Provider,
    pub node: Node,
    pub wires: Wires,
    /// What gives those who make tokens their clock.
    token_env: Vec<(&'static str, String)>,
}

impl Stage {
    /// Everything runs, and nothing has been sold.
    pub async fn set(house: &House, cluster: Arc<Cluster>, dir: PathBuf, plan: &Plan) -> Result<Self, String> {
        std::fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;
        let database = postgres::empty_database_on(&cluster.url()).await;
        let provider = Provider::start(&dir, &plan.provider).await?;
        let to_database = Proxy::to(cluster.address()).await;
        let to_redis = Proxy::to(house.redis.url.trim_start_matches("redis://").to_owned()).await;
        let to_provider = Proxy::to(provider.listen.clone()).await;
        let config = format!(
            "[redis]\nurl = \"redis://{}\"\nprefix = \"{}\"\n[psp]\nurl = \"http://{}\"\nsecret_key = \"test_sk_1\"\n\
             client_key = \"test_ck_1\"\ncall_ms = 1000\nreview_after_seconds = 30\n[sse]\nmax_per_account = 0\n\
             [server]\nmax_connections_per_address = 0\nnode = \"{}\"\n",
            to_redis.address,
            database.name(),
            to_provider.address,
            plan.name
        );
        std::fs::write(dir.join("node.toml"), config).map_err(|e| e.to_string())?;
        let url = through(&database.url, &to_database);
        let node = Node::new("a", options(&dir, &url), &dir);
        let (front, live) = (Proxy::to(node.listen.clone()).await, Proxy::to(node.listen.clone()).await);
        let wires = Wires { front, live, database: to_database, redis: to_redis, provider: to_provider };
        let mut token_env = Vec::new();
        if !plan.tokens_of.is_empty() {
            let place = dir.join("tokens");
            std::fs::create_dir_all(&place).map_err(|e| e.to_string())?;
            let clock = WrongClock::of(&place);
            clock.set(plan.tokens_of)?;
            token_env = clock.env()?;
        }
        let mut stage = Self { dir, cluster, database, provider, node, wires, token_env };
        let migrated = stage.run_as(&["migrate"], &stage.database.owner, &[]);
        if !migrated.status.success() {
            return Err(format!("migrate: {}", String::from_utf8_lossy(&migrated.stderr)));
        }
        stage.node.start().await?;
        Ok(stage)
    }

    /// Another node on the same log, not started; it reaches Postgres by the given way.
    pub fn another(&self, name: &'static str, way: &Proxy) -> Node {
        Node::new(name, options(&self.dir, &through(&self.database.url, way)), &self.dir)
    }

    /// Everything that can be repaired from outside is, as a supervisor and an operator would.
    pub async fn heal(&mut self, redis: &mut Redis) -> Result<(), String> {
        self.wires.open();
        self.cluster.signal(rustix::process::Signal::CONT);
        self.cluster.ensure();
        redis.again().await;
        self.provider.ensure().await?;
        self.node.signal(rustix::process::Signal::CONT);
        self.node.ensure().await
    }

    /// Runs a command of the binary on this log, past all wires.
    pub fn run(&self, args: &[&str]) -> Output {
        self.run_as(args, &self.database.url, &[])
    }

    /// `onsale token` with these arguments.
    pub fn tokens(&self, args: &[&str]) -> Output {
        self.run_as(&[&["token"], args].concat(), &self.database.url, &self.token_env)
    }

    fn run_as(&self, args: &[&str], url: &str, env: &[(&'static str, String)]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_onsale"));
        command.args(args).args(options(&self.dir, url)).stdin(Stdio::null()).env("ONSALE_LOG__LEVEL", "error");
        command.envs(env.iter().map(|(name, value)| (name, value)));
        command.output().expect("the binary runs")
    }

    /// Writes the exported log beside the other files.
    pub fn export(&self) -> Result<String, String> {
        let output = self.run(&["log", "export", "--json"]);
        if !output.status.success() {
            return Err(format!("log export: {}", String::from_utf8_lossy(&output.stderr)));
        }
        std::fs::write(self.dir.join("log.jsonl"), &output.stdout).map_err(|e| e.to_string())?;
        String::from_utf8(output.stdout).map_err(|e| e.to_string())
    }

    pub fn ledger(&self) -> PathBuf {
        self.dir.join("psp.jsonl")
    }

    /// How far the log is, all partitions together; asked past all wires.
    pub async fn head(&self) -> i64 {
        postgres::number(&self.database.owner, "SELECT sum(head)::bigint FROM log.partitions").await.unwrap_or(-1)
    }

    /// Ends everything of this run, and its database.
    pub async fn strike(mut self) {
        self.node.kill().await;
        self.provider.kill().await;
        self.database.drop_it().await;
    }
}

fn options(dir: &Path, url: &str) -> Vec<String> {
    let config = dir.join("node.toml");
    let text = |path: &Path| path.display().to_string();
    ["--data", &text(dir), "--database-url", url, "--config", &text(&config)].map(str::to_owned).to_vec()
}

/// The same database by way of a wire.
fn through(url: &str, wire: &Proxy) -> String {
    let start = url.find('@').expect("an address with a user") + 1;
    let end = start + url[start..].find('/').expect("and with a database");
    format!("{}{}{}", &url[..start], wire.address, &url[end..])
}
