//! What runs under libFuzzer? One of the targets of the tests, by name: `FUZZ_TARGET`. `scripts/fuzz` knows how.
//!
//! `FUZZ_SEEDS` names a directory into which the target's seeds are written first; the target `list` only names the others.
#![no_main]
#![allow(clippy::disallowed_methods, reason = "libFuzzer has the command line, so the environment says what to run")]

#[path = "../../targets/mod.rs"]
mod targets;

use std::path::Path;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use targets::Target;

static TARGET: LazyLock<&Target> = LazyLock::new(|| {
    let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
    if name == "list" {
        targets::TARGETS.iter().for_each(|target| println!("target {}", target.name));
        std::process::exit(0);
    }
    targets::find(&name).unwrap_or_else(|| panic!("FUZZ_TARGET names no target: {name:?}"))
});

/// The seeds of the code, and those that stand in the repository.
fn write_seeds(folder: &Path) {
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus").join(TARGET.name);
    for (number, seed) in (TARGET.seeds)().into_iter().enumerate() {
        std::fs::write(folder.join(format!("seed-{number}")), seed).expect("a writable folder");
    }
    for entry in std::fs::read_dir(kept).into_iter().flatten().flatten() {
        std::fs::copy(entry.path(), folder.join(entry.file_name())).expect("a writable folder");
    }
}

fuzz_target!(
    init: {
        LazyLock::force(&TARGET);
        if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
            write_seeds(Path::new(&folder));
        }
    },
    |data: &[u8]| (TARGET.run)(data)
);
