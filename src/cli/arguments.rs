//! What can be said on the command line? The verbs, and the flags that all of them understand.

use std::path::PathBuf;

use clap::{Parser, Subcommand};

use super::failure::Failure;
use super::{account, audit, bench, demo, keys, log, migrate, parked, psp_simulator, replay, serve, settings, token};
use crate::config::{Config, Flag};
use crate::telemetry;

/// A server for on-sales: seats, first-come coupons and store payment feeds.
#[derive(Parser, Debug)]
#[command(name = "onsale", version, max_term_width = 100)]
pub struct Arguments {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub verb: Verb,
}

#[derive(clap::Args, Debug)]
pub struct Global {
    /// Directory of the embedded log and of the key file.
    #[arg(long, global = true, value_name = "DIR")]
    pub data: Option<String>,
    /// postgres://… instead of the embedded log. Prefer ONSALE_DATABASE_URL: others can see arguments.
    #[arg(long, global = true, value_name = "URL")]
    pub database_url: Option<String>,
    /// redis://… Carries hints between nodes. Prefer ONSALE_REDIS_URL where it has a password.
    #[arg(long, global = true, value_name = "URL")]
    pub redis_url: Option<String>,
    /// File with options, of the shape that `onsale config --defaults` prints.
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
pub enum Verb {
    /// Runs a node.
    Serve(serve::Serve),
    /// Runs a whole sale with a simulated crowd on a fresh directory.
    Demo(demo::Demo),
    /// Gives accounts their roles, as only operators can.
    Account(account::Account),
    /// Signs access tokens with the node's key.
    Token(token::Token),
    /// Keys: lists them, makes new ones, takes old ones away.
    Keys(keys::Keys),
    /// Reads the log, also beside a serving node.
    Log(log::Log),
    /// Rebuilds read models from the log, beside a serving node.
    Replay(replay::Replay),
    /// Events that a read model could not apply: lists them, tries them again, skips them.
    Parked(parked::Parked),
    /// Checks the invariants from the log, and that the read models say what it says.
    Audit(audit::Audit),
    /// Creates the database's schema or brings it up to date.
    Migrate(migrate::Migrate),
    /// Puts load on a node, says how fast it was, and checks what it did.
    Bench(bench::Bench),
    /// Runs the payment provider's stand-in, with whatever shall go wrong.
    PspSimulator(psp_simulator::PspSimulator),
    /// Prints the options.
    Config(settings::Settings),
}

impl Global {
    /// The configuration of this call; `own` are the flags of the verb itself.
    pub fn load(&self, own: Vec<Flag>) -> Result<Config, Failure> {
        let mut flags = own;
        let mut add = |name, section, key, value: &Option<String>| {
            flags.extend(value.clone().map(|value| Flag { name, section, key, value }));
        };
        add("data", "data", "dir", &self.data);
        add("database-url", "database", "url", &self.database_url);
        add("redis-url", "redis", "url", &self.redis_url);
        let config = Config::load(self.config.as_deref(), &flags)?;
        telemetry::init_log(&config.log)?;
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn global_flags_are_understood_after_every_verb() {
        for verb in [
            "serve",
            "demo",
            "audit",
            "replay",
            "parked list",
            "migrate",
            "psp-simulator",
            "bench coupon --against redis-lua,row-lock",
            "bench seats --against sql-best --rounds 3 --sweep-seconds 0",
            "bench purchase",
            "bench sse",
            "bench replay --events 1000",
            "bench growth --events 1000,2000",
            "log stats",
            "log export",
            "account role --email a@b.kr --role admin",
            "log tail",
            "token --sub a --role member",
            "keys list",
            "keys rotate ticket-code",
            "keys retire access 0a",
        ] {
            let line = format!("onsale {verb} --data d --database-url u --redis-url r --config c");
            let parsed = Arguments::try_parse_from(line.split(' ')).unwrap_or_else(|e| panic!("{verb}: {e}"));
            assert_eq!(parsed.global.data.as_deref(), Some("d"), "{verb}");
        }
        for wrong in [
            "onsale psp-simulator --listen junk",
            "onsale psp-simulator --webhook ftp://x",
            "onsale",
            "onsale nonsense",
            "onsale serve --nonsense",
            "onsale token",
            "onsale token --sub a --role root",
            "onsale account role --email a@b.kr --role pos",
            "onsale keys",
            "onsale keys rotate everything",
            "onsale keys retire access",
            "onsale bench",
            "onsale bench purchase --connections 0",
            "onsale bench purchase --rate 0",
            "onsale bench purchase --url ftp://x",
            "onsale bench sse --follower --url http://x:1",
            "onsale bench coupon --rounds 3",
            "onsale bench seats --against nobody",
            "onsale bench rival nobody",
            "onsale log",
        ] {
            assert_eq!(Arguments::try_parse_from(wrong.split(' ')).expect_err(wrong).exit_code(), 2, "{wrong}");
        }
    }
}
