//! The program. Everything it can do stands in `cli`; here are only the allocator and the exit code.

use std::process::ExitCode;

/// Gives memory back after actors leave it, which the system's own allocator hardly does.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    onsale::cli::main()
}
