//! What can be asked for on the command line? One file per verb; here are the flags that all of them understand and the
//! exit codes: 0 done, 1 it does not hold, 2 wrong usage, 78 wrong configuration.

mod account;
mod audit;
mod bench;
mod client;
mod demo;
mod failure;
mod fresh;
mod keys;
mod log;
mod migrate;
mod output;
mod parked;
mod progress;
mod psp_simulator;
mod replay;
mod roles;
mod serve;
mod settings;
mod token;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Flag};
use crate::telemetry;
use failure::Failure;

/// A server for on-sales: seats, first-come coupons and store payment feeds.
#[derive(Parser, Debug)]
#[command(name = "onsale", version, max_term_width = 100)]
struct Arguments {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(clap::Args, Debug)]
struct Global {
    /// Directory of the embedded log and of the key file.
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<String>,
    /// postgres://… instead of the embedded log. Prefer ONSALE_DATABASE_URL: others can see arguments.
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// redis://… Carries hints between nodes. Prefer ONSALE_REDIS_URL where it has a password.
    #[arg(long, global = true, value_name = "URL")]
    redis_url: Option<String>,
    /// File with options, of the shape that `onsale config --defaults` prints.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
}

#[derive(Subcommand, Debug)]
enum Verb {
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
    fn load(&self, own: Vec<Flag>) -> Result<Config, Failure> {
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

/// Reads the arguments, does what they say and tells how it went.
#[must_use]
pub fn main() -> ExitCode {
    // Wrong usage ends here with code 2, `--help` and `--version` with 0; clap writes the message.
    let arguments = Arguments::parse();
    let done = match arguments.verb {
        Verb::Config(verb) => verb.run(),
        Verb::Token(verb) => verb.run(&arguments.global),
        verb => run_async(verb, &arguments.global),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// What reads the whole log must not take the processor from a node that serves beside it. Threads inherit this from the
/// one that starts them, so it comes before there are any.
const BESIDE: i32 = 10;

fn run_async(verb: Verb, global: &Global) -> Result<(), Failure> {
    if matches!(verb, Verb::Replay(_) | Verb::Audit(_)) {
        // A system that refuses leaves us as important as we were.
        let _refused = rustix::process::nice(BESIDE);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::of(format!("no threads to work with: {e}")))?;
    let done = runtime.block_on(async {
        match verb {
            Verb::Serve(verb) => verb.run(global).await,
            Verb::Demo(verb) => verb.run(global).await,
            Verb::Account(verb) => verb.run(global).await,
            Verb::Log(verb) => verb.run(global).await,
            Verb::Replay(verb) => verb.run(global).await,
            Verb::Parked(verb) => verb.run(global).await,
            Verb::Audit(verb) => verb.run(global).await,
            Verb::Migrate(verb) => verb.run(global).await,
            Verb::Bench(verb) => verb.run(global).await,
            Verb::PspSimulator(verb) => verb.run(global).await,
            Verb::Config(verb) => verb.run(),
            Verb::Token(verb) => verb.run(global),
            Verb::Keys(verb) => verb.run(global).await,
        }
    });
    // A blocking task that hangs (a database that does not answer) must not keep the process from ending.
    runtime.shutdown_timeout(std::time::Duration::from_secs(1));
    done
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
            "bench sse",
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
