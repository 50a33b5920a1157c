//! Does anything that comes from outside break a parser? A short run over all targets: what was found once, seeds, and seeds
//! that were damaged in a repeatable way.
//!
//! The same targets run under libFuzzer for as long as one likes: `scripts/fuzz`. What a target promises stands in its file.

mod mutate;
mod targets;

use std::path::{Path, PathBuf};

use mutate::Damage;
use targets::Target;

fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let folder: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus").join(target.name);
    let mut paths: Vec<PathBuf> =
        std::fs::read_dir(folder).into_iter().flatten().map(|entry| entry.expect("a readable folder").path()).collect();
    paths.sort();
    paths.iter().map(|path| std::fs::read(path).expect("a readable file")).collect()
}

/// Everything that is known to be interesting, and `damaged` inputs besides.
fn run(name: &str, damaged: usize) {
    let target = targets::find(name).expect("a target");
    let seeds: Vec<Vec<u8>> = (target.seeds)().into_iter().chain(corpus(target)).collect();
    assert!(!seeds.is_empty(), "{name} has nothing to begin with");
    for seed in &seeds {
        (target.run)(seed);
    }
    let mut damage = Damage::new(name);
    for _ in 0..damaged {
        let input = damage.one_of(&seeds);
        // A failed assertion shows the input by itself; what panics deep inside does not.
        let shown = std::panic::catch_unwind(|| (target.run)(&input));
        assert!(shown.is_ok(), "{name} fails for {:?}", input.escape_ascii().to_string());
    }
}

#[test]
fn facts_as_they_stand_in_the_log() {
    run("facts", 30_000);
}

#[test]
fn states_as_they_stand_in_snapshots() {
    run("states", 15_000);
}

#[test]
fn ids_positions_times_and_addresses() {
    run("ids", 40_000);
}

#[test]
fn tokens_of_every_kind() {
    run("tokens", 8_000);
}

#[test]
fn the_configuration() {
    run("config", 1_000);
}

#[test]
fn scripts_of_the_simulated_provider() {
    run("script", 4_000);
}

#[test]
fn webhooks() {
    run("webhook", 15_000);
}

#[test]
fn answers_of_the_payment_provider() {
    run("psp", 15_000);
}

#[test]
fn hints_from_other_nodes() {
    run("hints", 20_000);
}

#[test]
fn requests_of_every_route() {
    run("request", 4_000);
}

#[test]
fn bytes_on_the_wire() {
    run("wire", 2_000);
}

#[test]
fn every_target_is_run() {
    let text = include_str!("main.rs");
    for target in targets::TARGETS {
        assert!(text.contains(&format!("run(\"{}\"", target.name)), "{} is not run", target.name);
    }
}
