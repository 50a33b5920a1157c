//! How does a secret come out of a file, as Docker and Kubernetes hand them in? As its content, and never into a message.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use crate::limits;

/// Begins every message of ours, so that it can be told from those that quote values.
const OURS: &str = "is in a file that cannot be used: ";

/// The content without the line break at its end.
pub(super) fn secret(path: &Path) -> Result<String, String> {
    let wrong = |problem: &str| format!("{OURS}{}: {problem}", path.display());
    let mut bytes = Vec::new();
    let file = File::open(path).map_err(|e| wrong(&e.to_string()))?;
    file.take(limits::SECRET_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(|e| wrong(&e.to_string()))?;
    if bytes.len() as u64 > limits::SECRET_FILE_BYTES {
        return Err(wrong(&format!("more than {} bytes are no secret", limits::SECRET_FILE_BYTES)));
    }
    let mut text = String::from_utf8(bytes).map_err(|_| wrong("not valid UTF-8"))?;
    if text.ends_with('\n') {
        text.pop();
        if text.ends_with('\r') {
            text.pop();
        }
    }
    if text.is_empty() { Err(wrong("it is empty")) } else { Ok(text) }
}

/// Our own words in an error of the parser; all others may quote the value.
pub(super) fn problem(message: &str) -> Option<&str> {
    message.starts_with(OURS).then_some(message)
}
