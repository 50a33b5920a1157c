//! How is something said on stdout? Without the panic of `println!` when nobody reads any more.

use std::io::{self, Write};

/// Writes one line.
pub fn line(text: &str) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.write_all(b"\n")?;
    out.flush()
}
