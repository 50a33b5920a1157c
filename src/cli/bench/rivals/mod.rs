//! What do people build instead? Honest servers for the same two hot paths, behind the same edge, with the same token check and
//! the same answers; each in a process of its own. `against.rs` runs them by turns with a node.
//!
//! Each is written as somebody would write it who knows the database well. What each does not give stands in `benches/README.md`.

mod redis;
mod routes;
mod row_lock;
mod server;
mod sql;
mod sql_best;
mod stage;
mod store;

use std::sync::Arc;

use clap::ValueEnum;
use serde::Serialize;

pub use self::server::RedisServer;
pub use self::sql::{forget, settings};
use self::stage::Stage;
pub use self::store::Books;
use self::store::Store;
use crate::app;
use crate::auth::{Revoked, Verifier};
use crate::cli::failure::Failure;
use crate::cli::{Global, output};
use crate::clock::{Entropy, SystemClock};
use crate::config::{Config, Flag};
use crate::limits;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// Checks the token and the body, and says yes.
    TokenOnly,
    /// Redis, one Lua script a command, append-only file with fsync before the answer.
    RedisLua,
    /// Postgres, SELECT … FOR UPDATE in a client's transaction.
    RowLock,
    /// Postgres, one stored function a command.
    SqlBest,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::TokenOnly => "token-only",
            Self::RedisLua => "redis-lua",
            Self::RowLock => "row-lock",
            Self::SqlBest => "sql-best",
        }
    }

    /// How many connections to its database are worth trying.
    pub fn pools(self) -> &'static [u32] {
        match self {
            Self::TokenOnly => &[1],
            Self::RedisLua => &[1, 2, 4],
            Self::RowLock | Self::SqlBest => &[8, 16, 32, 64],
        }
    }

    pub fn needs_postgres(self) -> bool {
        matches!(self, Self::RowLock | Self::SqlBest)
    }
}

/// `onsale bench rival`, which `--against` starts.
#[derive(clap::Args, Debug)]
pub struct Rival {
    kind: Kind,
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: String,
    /// Connections to its database.
    #[arg(long, default_value_t = 16, value_parser = clap::value_parser!(u32).range(1..=i64::from(limits::RIVAL_CONNECTIONS)))]
    pool: u32,
    /// Keeps no event log beside its tables.
    #[arg(long)]
    without_log: bool,
}

/// What a store is told.
pub struct Setup {
    pub config: Config,
    pub pool: u32,
    pub log: bool,
}

impl Rival {
    pub async fn run(self, global: &Global) -> Result<(), Failure> {
        let listen = Flag { name: "listen", section: "server", key: "listen", value: self.listen };
        let config = global.load(vec![listen])?;
        let entropy = Entropy::from_system();
        let verifier = Verifier::new(&app::keys(&config, &entropy)?, Revoked::default());
        let setup = Setup { config, pool: self.pool, log: !self.without_log };
        let parts = routes::Parts {
            stage: Stage::default(),
            store: Store::open(self.kind, &setup).await?,
            verifier: Arc::new(verifier),
            clock: Arc::new(SystemClock),
            entropy,
        };
        let ready = |address| {
            // Nobody reads our stdout: it runs all the same.
            let _unread = output::line(&format!("listening on http://{address}"));
        };
        Ok(app::serve_behind_edge(&setup.config, routes::routes(parts), ready).await?)
    }
}
