//! The program. Everything it can do stands in `cli`; here are only the allocator and the exit code.

use std::cell::Cell;
use std::process::ExitCode;
use std::time::Duration;

use onsale::clock::{Clock, SystemClock};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// A thread that rests looks so often for memory to give back: it has to go through all pages that it has.
const COLLECT: Duration = Duration::from_secs(5);

thread_local! {
    static COLLECTED: Cell<Duration> = const { Cell::new(Duration::ZERO) };
}

fn main() -> ExitCode {
    onsale::cli::main(give_back)
}

/// What one thread took and another one let go of returns to the system only when the first one looks, and it looks only
/// when it needs more. After a sale nobody needs more: without this a node would keep the memory of all who have left.
fn give_back() {
    let now = SystemClock.elapsed();
    if now.saturating_sub(COLLECTED.get()) >= COLLECT {
        COLLECTED.set(now);
        // SAFETY: it may be called at any time, by any thread, and changes nothing that anybody can see.
        #[allow(unsafe_code, reason = "the allocator has no other face for it")]
        unsafe {
            libmimalloc_sys::mi_collect(false);
        }
    }
}
