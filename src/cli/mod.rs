//! What can be asked for on the command line? One file per verb; here are the flags that all of them understand and the
//! exit codes: 0 done, 1 it does not hold, 2 wrong usage, 78 wrong configuration.

mod account;
mod arguments;
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

use std::process::ExitCode;

use clap::Parser;

use arguments::{Arguments, Global, Verb};
use failure::Failure;

/// Reads the arguments, does what they say and tells how it went. A thread that has nothing to do calls `idle` before it
/// sleeps, very often.
#[must_use]
pub fn main(idle: fn()) -> ExitCode {
    // Wrong usage ends here with code 2, `--help` and `--version` with 0; clap writes the message.
    let arguments = Arguments::parse();
    let done = match arguments.verb {
        Verb::Config(verb) => verb.run(),
        Verb::Token(verb) => verb.run(&arguments.global),
        verb => run_async(verb, &arguments.global, idle),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

/// What reads the whole log must not take the processor from a node that serves beside it. Threads inherit this from the
/// one that starts them, so it comes before there are any.
const BESIDE: i32 = 10;

fn run_async(verb: Verb, global: &Global, idle: fn()) -> Result<(), Failure> {
    if matches!(verb, Verb::Replay(_) | Verb::Audit(_)) {
        // A system that refuses leaves us as important as we were.
        let _refused = rustix::process::nice(BESIDE);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .on_thread_park(idle)
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
