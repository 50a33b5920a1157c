//! What must not be seen, and where does it come from? From the configuration itself, or from a file as Docker and Kubernetes
//! hand them in; never into a message.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::Deserialize;

use crate::limits;

/// Begins every message of ours, so that it can be told from those that quote values.
const OURS: &str = "is in a file that cannot be used: ";

/// A text that may carry a password: it is handed out on request only and never printed. `file:PATH` stands for what is
/// in that file.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Secret(String);

impl Secret {
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    #[must_use]
    pub fn expose(&self) -> &str {
        &self.0
    }

    #[must_use]
    pub fn is_set(&self) -> bool {
        !self.0.is_empty()
    }
}

impl<'de> Deserialize<'de> for Secret {
    fn deserialize<D: serde::Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let text = String::deserialize(from)?;
        match text.strip_prefix("file:") {
            Some(path) => content(Path::new(path)).map(Self).map_err(serde::de::Error::custom),
            None => Ok(Self(text)),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.is_set() { "(set)" } else { "(not set)" })
    }
}

/// What is in the file, without the line break at its end.
fn content(path: &Path) -> Result<String, String> {
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
