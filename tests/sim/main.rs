//! Can any interleaving break the promise? Whole nodes in simulated time, one seed a run.
//!
//! Real shells, sequencers, lanes, processes, hubs and the poller, over the memory journal and the project's own payment
//! provider, under tokio's paused clock: buyers over few seats, who pay, cancel and repeat themselves, while appends fail or
//! end in doubt, nodes are killed, frozen and replaced, the provider is late or silent, messages come twice, rules panic
//! and snapshots are cut short. After every run the log, the provider's books and what everybody was told are judged
//! (`judge/`). The same seed gives the same log.
//!
//! - Any number of seeds on all cores: `ONSALE_SIM_SEEDS=100000 cargo test --release --test sim many_seeds -- --nocapture`;
//!   `ONSALE_SIM_FROM=5000` begins elsewhere.
//! - One seed, with its log: `ONSALE_SIM_SEED=17 cargo test --test sim one_seed -- --nocapture`.
//! - Less of it: `ONSALE_SIM_PLAN="buyers=3,crash=off"` (the words stand in `plan.rs`). A seed that fails is shrunk in
//!   this way by itself, and the command that repeats the rest is printed.

mod buyers;
mod door;
mod follower;
mod judge;
mod newcomers;
mod nodes;
mod older;
mod plan;
mod psp;
mod run;
mod seeds;
mod simulated;
mod staff;
mod trouble;
mod watchers;
mod world;

use plan::Plan;
use run::run;

fn env(name: &str) -> Option<String> {
    #[allow(clippy::disallowed_methods, reason = "tests are steered from outside by these variables only")]
    std::env::var(name).ok()
}

fn number(name: &str) -> Option<u64> {
    env(name)?.parse().ok()
}

#[test]
fn one_seed() {
    trouble::quiet_sabotage();
    let seed = number("ONSALE_SIM_SEED").unwrap_or(1);
    let plan = Plan::of(seed).with(&env("ONSALE_SIM_PLAN").unwrap_or_default()).expect("ONSALE_SIM_PLAN can be read");
    let report = run(&plan);
    report.log.iter().for_each(|line| println!("{line}"));
    println!("{plan:?} reached {:#?}", report.reached);
    assert!(report.violations.is_empty(), "seed {seed} broke the promise:\n{:#?}", report.violations);
}

#[test]
fn the_same_seed_gives_the_same_log() {
    trouble::quiet_sabotage();
    for seed in [3, 4, 5, 7, 9, 11, 13] {
        let (first, second) = (run(&Plan::of(seed)), run(&Plan::of(seed)));
        if first.log_hash != second.log_hash {
            let apart = first.log.iter().zip(&second.log).find(|(one, other)| one != other);
            panic!("seed {seed} gives two logs, which part at {apart:#?}");
        }
        assert!(first.records > 0, "seed {seed} wrote nothing");
    }
}

/// A failing run is made as small as it can be. Here the failure is a wish: that nobody ever takes a node's place.
#[test]
fn a_failing_run_is_shrunk() {
    trouble::quiet_sabotage();
    let fails = |plan: &Plan| run(plan).reached.contains_key("takeover");
    let plan = (1..).map(Plan::of).find(|plan| fails(plan)).expect("nodes are replaced in most runs");
    let shrunk = plan.shrunk(40, fails);
    assert!(fails(&shrunk) && shrunk.crash && shrunk.buyers < plan.buyers, "{shrunk:?}");
    assert!(!shrunk.psp && !shrunk.coupons && !shrunk.panics, "{shrunk:?}");
    assert!(shrunk.command().contains("buyers="), "{}", shrunk.command());
}

/// A run counts only if what makes it interesting was reached.
#[test]
fn many_seeds() {
    trouble::quiet_sabotage();
    let first = number("ONSALE_SIM_FROM").unwrap_or(1);
    let many = number("ONSALE_SIM_SEEDS").unwrap_or(seeds::SEEDS);
    let overrides = env("ONSALE_SIM_PLAN").unwrap_or_default();
    let plan = |seed| Plan::of(seed).with(&overrides).expect("ONSALE_SIM_PLAN can be read");
    seeds::all(first..first + many, plan);
}
