//! What can be wrong with keys? Said without ever showing one.

use crate::limits;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{path}: {source}")]
    File { path: String, source: std::io::Error },
    #[error("{path} is not a file of keys")]
    Malformed { path: String },
    #[error("{path} can be read by others than its owner; set its mode to 0600")]
    TooOpen { path: String },
    #[error("{name} must have at least {} characters", limits::SECRET_BYTES)]
    TooShort { name: &'static str },
    #[error("{name} looks like an example; use random characters")]
    Example { name: &'static str },
    #[error("{one} and {other} share a key; each purpose needs keys of its own, and each key stands there once")]
    Same { one: &'static str, other: &'static str },
    #[error("{name} must be the base64 of 32 random bytes")]
    BadSeed { name: &'static str },
    #[error("{name}: at most {} keys before the current one", limits::KEYS_PREVIOUS)]
    TooMany { name: &'static str },
    #[error(
        "there are {} keys before the current one already; retire one first (of seal keys, not the oldest)",
        limits::KEYS_PREVIOUS
    )]
    Full,
    #[error("{name} is set, but not the key that replaced it")]
    NoCurrent { name: &'static str },
    #[error("{id} is the current key; rotate first, then it can be retired")]
    Current { id: String },
    #[error("accounts are found by digests under the oldest seal key, {id}: it stays for as long as they do")]
    Oldest { id: String },
    #[error("there is no previous key {id}")]
    NoSuchKey { id: String },
    #[error("the data directory has no {kind} key yet; it is made when a node starts")]
    NotMade { kind: &'static str },
}
