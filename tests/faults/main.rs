//! Does the promise hold while everything breaks? Real processes, real databases, faults on purpose, and a judge that has
//! only seen what clients, the log and the payment provider's books say.
//!
//! `cargo test --test faults` runs a quick round of it. By hand: `cargo test --test faults -- --all --rounds 10`,
//! `-- --only ROW`, `-- list`, `-- self-test`, `-- soak --minutes 30`, `-- judge DIRECTORY`.

mod arguments;
#[path = "../support/mod.rs"]
mod base;
mod bench;
mod checker;
mod load;
mod planted;
mod record;
mod report;
mod rows;
mod run;
mod soak;
mod stage;
#[allow(dead_code, reason = "what the tests over HTTP stand on; the bench uses its part of it")]
#[path = "../it/support/mod.rs"]
mod support;
mod wait;
mod watch;

use std::process::ExitCode;

use clap::Parser;

use crate::arguments::{Act, Arguments};

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    if arguments.list {
        return ExitCode::SUCCESS;
    }
    // A judge that misses what was planted has nothing to say about the rest.
    let loud = matches!(arguments.act, Some(Act::SelfTest));
    if !planted::self_test(loud) || !soak::samples::self_test() {
        return ExitCode::FAILURE;
    }
    match arguments.act {
        Some(Act::Judge { directory }) => judge(&directory),
        Some(Act::List) => {
            bench::list();
            ExitCode::SUCCESS
        }
        Some(Act::SelfTest) => ExitCode::SUCCESS,
        Some(Act::Soak(asked)) => soak::soak(&asked),
        None => bench::bench(&arguments.choice),
    }
}

/// All clients with their connections on one thread: where they are on two, hyper's client can leave a request waiting for ever
/// when its connection ends in that instant (hyperium/hyper#4122). What a row does itself is on the thread that blocks here.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime")
}

/// Judges the files of a run that is over.
fn judge(directory: &std::path::Path) -> ExitCode {
    match checker::judge_directory(directory) {
        Ok(verdict) => {
            print!("{verdict}");
            if verdict.violations.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
        }
        Err(problem) => {
            println!("{problem}");
            ExitCode::FAILURE
        }
    }
}
