//! What is measured? A node that runs already, or one of our own on a fresh log, with a provider beside it where a scenario
//! takes money; and its log afterwards, to see whether it did what it said.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::child::{Child, Environment};
use super::machine::Watched;
use super::report::Check;
use crate::auth::keys::Keys;
use crate::cli::failure::Failure;
use crate::cli::fresh::Fresh;
use crate::cli::{Global, audit};
use crate::clock::Entropy;
use crate::config::{Config, Secret};
use crate::journal::SharedJournal;
use crate::journal::open::{self, Migration, Role, Target as Log};
use crate::{app, limits};

/// Which node.
#[derive(clap::Args, Clone, Debug)]
pub struct Place {
    /// A running node (http://…), whose log and keys the global options name. Without it, one is started on a fresh
    /// directory or on the empty database that --database-url names.
    #[arg(long, value_name = "URL", value_parser = plain_http)]
    url: Option<String>,
    /// The process id of that node, to tell what it costs.
    #[arg(long, value_name = "PID", requires = "url")]
    pid: Option<u32>,
    /// The ledger of that node's provider (`onsale psp-simulator`), to compare its money with the log's.
    #[arg(long, value_name = "FILE", requires = "url")]
    ledger: Option<PathBuf>,
    /// One JSON object instead of a text for people.
    #[arg(long)]
    pub json: bool,
}

/// What a scenario needs of a node of our own.
#[derive(Clone, Copy, Debug, Default)]
pub struct Needs {
    /// A payment provider that takes that many milliseconds for each call.
    pub provider: Option<u32>,
    /// A second node that only follows the log.
    pub follower: bool,
}

pub struct Target {
    pub base: String,
    pub address: SocketAddr,
    /// Where streams are watched: the follower, if there is one.
    pub watched_at: SocketAddr,
    pub keys: Keys,
    /// Where the provider is asked for its own times.
    pub provider: Option<String>,
    config: Config,
    ledger: Option<PathBuf>,
    pid: Option<u32>,
    // In the order in which they must end: nodes, the provider, then the directory.
    follower: Option<Child>,
    node: Option<Child>,
    simulator: Option<Child>,
    _fresh: Option<Fresh>,
}

/// Any server that answers the routes of a scenario, and what tokens are signed with that it believes.
#[derive(Clone, Copy)]
pub struct Site<'a> {
    pub base: &'a str,
    pub keys: &'a Keys,
}

fn plain_http(text: &str) -> Result<String, String> {
    let parsed = reqwest::Url::parse(text).ok().filter(|url| url.scheme() == "http" && url.has_host());
    parsed
        .map(|_| text.trim_end_matches('/').to_owned())
        .ok_or_else(|| "an address that starts with http://".to_owned())
}

impl Target {
    pub async fn open(global: &Global, place: &Place, needs: Needs) -> Result<Self, Failure> {
        let mut config = global.load(Vec::new())?;
        match &place.url {
            Some(base) => {
                let provider = Some(config.psp.url.expose().to_owned()).filter(|url| !url.is_empty());
                Ok(Self {
                    base: base.clone(),
                    address: address(base).await?,
                    watched_at: address(base).await?,
                    keys: app::keys(&config, &Entropy::from_system())?,
                    provider,
                    config,
                    ledger: place.ledger.clone(),
                    pid: place.pid,
                    follower: None,
                    node: None,
                    simulator: None,
                    _fresh: None,
                })
            }
            None => {
                let fresh = Fresh::new("bench")?;
                config.data.dir = fresh.path().to_owned();
                if config.database.url.expose().starts_with("sqlite:") {
                    config.database.url = Secret::default();
                }
                start(global, config, fresh, needs).await
            }
        }
    }

    /// The processes that it costs something to run this.
    pub async fn watched(&self) -> Watched {
        let mut watched = Watched::default();
        watched.add("node", self.node.as_ref().map_or(self.pid, Child::pid));
        watched.add("follower", self.follower.as_ref().and_then(Child::pid));
        watched.add("provider", self.simulator.as_ref().and_then(Child::pid));
        watched.add_ourselves();
        if let Log::Postgres { url } = app::target(&self.config) {
            watched.add_postgres(&url).await;
        }
        watched
    }

    pub fn site(&self) -> Site<'_> {
        Site { base: &self.base, keys: &self.keys }
    }

    /// Where the key file is.
    pub fn directory(&self) -> &std::path::Path {
        &self.config.data.dir
    }

    /// The address of the log's database, if it is in one.
    pub fn postgres(&self) -> Option<String> {
        match app::target(&self.config) {
            Log::Postgres { url } => Some(url),
            Log::Sqlite { .. } => None,
        }
    }

    pub fn has_follower(&self) -> bool {
        self.follower.is_some()
    }

    /// In a few words, without secrets.
    pub fn describe(&self) -> String {
        let engine = match app::target(&self.config) {
            Log::Sqlite { .. } => "SQLite",
            Log::Postgres { .. } => "Postgres",
        };
        let whose = if self.node.is_some() { "a node of its own" } else { "a node that ran already" };
        let follower = if self.follower.is_some() { ", watched at a second node" } else { "" };
        format!("{whose} at {} on {engine}{follower}", self.base)
    }

    pub async fn journal(&self) -> Result<SharedJournal, Failure> {
        Ok(app::open_journal(&self.config, Role::Read).await?)
    }

    /// What `onsale audit` (with `--psp` where there is a ledger) says of the log.
    pub async fn audit(&self, journal: &SharedJournal) -> Result<Check, Failure> {
        let verdict = audit::check(&self.config, journal, self.ledger.as_deref()).await?;
        let broken = verdict.violations.len();
        let detail = match verdict.violations.into_iter().next() {
            None => verdict.summary,
            Some(first) => format!("{broken} violations, the first: {first}"),
        };
        Ok(Check { name: "audit", ok: broken == 0, detail })
    }

    /// Ends what we started, in good order.
    pub async fn close(self) {
        for child in [self.follower, self.node, self.simulator].into_iter().flatten() {
            child.stop().await;
        }
    }
}

async fn start(global: &Global, config: Config, fresh: Fresh, needs: Needs) -> Result<Target, Failure> {
    if let log @ Log::Postgres { .. } = app::target(&config) {
        prepare(&config, &log).await?;
    } else if needs.follower {
        return Err(Failure::usage("a second node needs --database-url: the embedded log has one node"));
    }
    let mut arguments = vec!["--data".to_owned(), fresh.path().display().to_string()];
    arguments.extend(global.config.iter().flat_map(|path| ["--config".to_owned(), path.display().to_string()]));
    let verb = |verb: &[&str]| [verb.iter().map(|&word| word.to_owned()).collect(), arguments.clone()].concat();
    let mut environment: Environment = vec![
        ("ONSALE_DATABASE__URL", config.database.url.expose().to_owned()),
        ("ONSALE_REDIS__URL", config.redis.url.expose().to_owned()),
        ("ONSALE_SERVER__ADMIN_LISTEN", String::new()),
    ];
    let mut ledger = None;
    let mut simulator = None;
    if let Some(delay) = needs.provider {
        let books = fresh.path().join("psp-ledger.jsonl");
        let child = provider(&fresh, &books, delay, verb(&["psp-simulator"])).await?;
        environment.push(("ONSALE_PSP__URL", child.base.clone()));
        environment.push(("ONSALE_PSP__MODE", "test".to_owned()));
        environment.push(("ONSALE_PSP__SECRET_KEY", "test_sk_bench".to_owned()));
        environment.push(("ONSALE_PSP__CLIENT_KEY", "test_ck_bench".to_owned()));
        (simulator, ledger) = (Some(child), Some(books));
    }
    let node = Child::start(&verb(&["serve", "--listen", "127.0.0.1:0"]), &environment).await?;
    let follower = match needs.follower {
        true => Some(Child::start(&verb(&["serve", "--follow", "--listen", "127.0.0.1:0"]), &environment).await?),
        false => None,
    };
    Ok(Target {
        address: address(&node.base).await?,
        watched_at: address(&follower.as_ref().unwrap_or(&node).base).await?,
        keys: app::keys(&config, &Entropy::from_system())?,
        base: node.base.clone(),
        provider: simulator.as_ref().map(|simulator| simulator.base.clone()),
        config,
        ledger,
        pid: None,
        follower,
        node: Some(node),
        simulator,
        _fresh: Some(fresh),
    })
}

async fn provider(fresh: &Fresh, books: &std::path::Path, delay: u32, verb: Vec<String>) -> Result<Child, Failure> {
    let script = fresh.path().join("psp-script.toml");
    let text = match delay {
        0 => String::new(),
        delay => format!("[random]\nms = {delay}\nconfirm = {{ delay = 1.0 }}\n"),
    };
    std::fs::write(&script, text).map_err(|e| Failure::of(format!("{}: {e}", script.display())))?;
    let (script, books) = (script.display().to_string(), books.display().to_string());
    let options = ["--script".to_owned(), script, "--ledger".to_owned(), books];
    Child::start(&[verb, options.to_vec()].concat(), &Vec::new()).await
}

/// Makes the schema of an empty database. One that holds a log already is somebody's: it is left alone.
pub async fn prepare(config: &Config, log: &Log) -> Result<(), Failure> {
    match app::open_journal(config, Role::Read).await {
        Ok(journal) if journal.heads().await?.iter().any(|head| head.0 > 0) => {
            return Err(Failure::usage(
                "the database holds a log already: name an empty one, or the node that serves it with --url",
            ));
        }
        Ok(_) => {}
        // For a measurement no role is made in somebody's cluster: who was named does everything.
        Err(_) => open::migrate(log, &Migration { server: None, ..app::migration(config) }).await?,
    }
    app::open_store(config).await?;
    Ok(())
}

pub async fn address(base: &str) -> Result<SocketAddr, Failure> {
    let failed = |e: String| Failure::of(format!("{base}: {e}"));
    let url = reqwest::Url::parse(base).map_err(|e| failed(e.to_string()))?;
    let host = url.host_str().ok_or_else(|| failed("no host".to_owned()))?;
    let port = url.port_or_known_default().ok_or_else(|| failed("no port".to_owned()))?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let mut found = tokio::net::lookup_host((host, port)).await.map_err(|e| failed(e.to_string()))?;
    found.next().ok_or_else(|| failed("no address".to_owned()))
}

/// Lets this process, and those that it starts, have as many connections as the system allows.
pub fn raise_descriptors(needed: u64) -> Result<(), Failure> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let now = getrlimit(Resource::Nofile);
    let wanted = needed + limits::BENCH_DESCRIPTORS;
    if now.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let maximum = now.maximum.map_or(wanted, |maximum| maximum.max(wanted));
    // Raising the hard limit is for root alone; without it, what is allowed must be enough.
    let tries = [Some(maximum), now.maximum];
    let raised = tries.into_iter().any(|maximum| {
        maximum.is_none_or(|maximum| maximum >= wanted)
            && setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum }).is_ok()
    });
    if raised {
        Ok(())
    } else {
        Err(Failure::of(format!("{needed} connections are more than this system allows (ulimit -n)")))
    }
}
