//! Can any interleaving break the promise? A whole node in simulated time, one seed a run.
//!
//! Real shell, sequencers, units, timers, lane and hub on the memory journal, under tokio's paused clock: hundreds of
//! buyers over few seats, while appends fail or end in doubt, loads are slow, rules panic and actors leave at bad
//! moments. After every run the log is judged, and the answers against the log. The same seed gives the same log.
//!
//! One seed: `ONSALE_SIM_SEED=17 cargo test --test sim one_seed -- --nocapture`; more of them:
//! `ONSALE_SIM_SEEDS=10000 cargo test --release --test sim many_seeds`.

mod buyers;
mod judge;
mod newcomers;
mod older;
mod trouble;
mod watchers;
mod world;

use std::collections::BTreeMap;

use world::{Report, run};

/// Seeds of a normal test run.
const SEEDS: u64 = 200;

fn env(name: &str) -> Option<u64> {
    #[allow(clippy::disallowed_methods, reason = "tests are steered from outside by these two variables only")]
    let value = std::env::var(name).ok()?;
    value.parse().ok()
}

#[test]
fn one_seed() {
    trouble::quiet_sabotage();
    let seed = env("ONSALE_SIM_SEED").unwrap_or(1);
    let report = run(seed);
    report.log.iter().for_each(|line| println!("{line}"));
    println!("seed {seed} reached {:#?}", report.reached);
    report.assert_sound(seed);
}

#[test]
fn the_same_seed_gives_the_same_log() {
    trouble::quiet_sabotage();
    for seed in [3, 4, 5] {
        let (first, second) = (run(seed), run(seed));
        assert_eq!(first.log_hash, second.log_hash, "seed {seed}");
        assert!(first.records > 0, "seed {seed} wrote nothing");
    }
}

/// A run counts only if what makes it interesting was reached.
#[test]
fn many_seeds() {
    trouble::quiet_sabotage();
    let first = env("ONSALE_SIM_FROM").unwrap_or(1);
    let seeds = env("ONSALE_SIM_SEEDS").unwrap_or(SEEDS);
    let mut reached: BTreeMap<&'static str, u64> = BTreeMap::new();
    let mut hashes = std::collections::BTreeSet::new();
    for seed in first..first + seeds {
        let report = run(seed);
        report.assert_sound(seed);
        hashes.insert(report.log_hash.clone());
        add(&mut reached, &report);
    }
    println!("{seeds} seeds reached {reached:#?}");
    for state in world::INTERESTING {
        assert!(reached.get(state).is_some_and(|count| *count > 0), "no seed reached: {state}; reached {reached:?}");
    }
    assert_eq!(hashes.len() as u64, seeds, "different seeds must give different runs");
}

fn add(reached: &mut BTreeMap<&'static str, u64>, report: &Report) {
    for (state, count) in &report.reached {
        *reached.entry(state).or_default() += count;
    }
}
