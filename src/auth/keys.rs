//! With which keys are tokens signed? Loads them from the data directory, makes them at the first start, or takes them
//! from the configuration.
//!
//! Access tokens and stream tickets have keys of their own, so that neither works in the other's place. This file does
//! not know what is signed. A key is never printed: `Debug` says only that there is one.

use std::fmt;
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};

use crate::clock::Entropy;
use crate::ids::Hash16;
use crate::limits;

/// The file within the data directory.
pub const FILE: &str = "keys.json";
/// The key of ticket codes.
pub const CODE_FILE: &str = "ticket_code.key";
const OWNER_ONLY: u32 = 0o600;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("{path}: {source}")]
    File { path: String, source: io::Error },
    #[error("{path} is not a file of keys")]
    Malformed { path: String },
    #[error("{path} can be read by others than its owner; set its mode to 0600")]
    TooOpen { path: String },
    #[error("{name} must have at least {} characters", limits::SECRET_BYTES)]
    TooShort { name: &'static str },
    #[error("{name} looks like an example; use random characters")]
    Example { name: &'static str },
    #[error("the keys for access tokens and for stream tickets must differ")]
    Same,
    #[error("auth.ticket_code_key must be the base64 of 32 random bytes")]
    BadSeed,
}

/// Bytes that sign, with the name by which a token's header may refer to them.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret {
    bytes: Vec<u8>,
    id: String,
}

impl Secret {
    /// Takes a secret that an operator chose; short ones and examples are refused.
    pub fn chosen(name: &'static str, text: &str) -> Result<Self, KeyError> {
        if text.len() < limits::SECRET_BYTES {
            return Err(KeyError::TooShort { name });
        }
        let plain = text.to_ascii_lowercase();
        let distinct = text.bytes().collect::<std::collections::BTreeSet<_>>().len();
        let example = ["change", "example", "secret", "password", "insert", "your-", "your_", "todo", "default"];
        if distinct < 8 || example.iter().any(|word| plain.contains(word)) {
            return Err(KeyError::Example { name });
        }
        Ok(Self::of(text.as_bytes().to_vec()))
    }

    fn random(entropy: &Entropy) -> Self {
        let mut bytes = vec![0; limits::SECRET_BYTES];
        entropy.fill(&mut bytes);
        Self::of(bytes)
    }

    fn of(bytes: Vec<u8>) -> Self {
        let mut id = Hash16::of("key id", &[&bytes]).to_string();
        // Enough to tell keys apart, far too little to guess one.
        id.truncate(8);
        Self { bytes, id }
    }

    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The `kid` of tokens signed with it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({})", self.id)
    }
}

/// The seed of the Ed25519 key that signs ticket codes.
#[derive(Clone, PartialEq, Eq)]
pub struct GateKey([u8; 32]);

impl GateKey {
    /// From the configuration: the base64 of 32 bytes.
    pub fn chosen(text: &str) -> Result<Self, KeyError> {
        let bytes = STANDARD.decode(text.trim()).map_err(|_| KeyError::BadSeed)?;
        let seed: [u8; 32] = bytes.try_into().map_err(|_| KeyError::BadSeed)?;
        if seed.iter().collect::<std::collections::BTreeSet<_>>().len() < 8 {
            return Err(KeyError::BadSeed);
        }
        Ok(Self(seed))
    }

    #[must_use]
    pub fn random(entropy: &Entropy) -> Self {
        let mut seed = [0; 32];
        entropy.fill(&mut seed);
        Self(seed)
    }

    #[must_use]
    pub fn seed(&self) -> &[u8; 32] {
        &self.0
    }

    /// From a file of its own beside the other keys, so that an older data directory gets one too.
    pub fn load_or_create(directory: &Path, entropy: &Entropy) -> Result<Self, KeyError> {
        let path = directory.join(CODE_FILE);
        if !path.exists() {
            publish(&path, &format!("{}\n", STANDARD.encode(Self::random(entropy).0)), entropy)?;
        }
        Self::load(directory)
    }

    fn load(directory: &Path) -> Result<Self, KeyError> {
        let path = directory.join(CODE_FILE);
        let text = read_private(&path)?;
        Self::chosen(&text).map_err(|_| KeyError::Malformed { path: path.display().to_string() })
    }
}

impl fmt::Debug for GateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GateKey")
    }
}

/// Writes a file for the owner alone; one that another process put there first stays.
fn publish(path: &Path, text: &str, entropy: &Entropy) -> Result<(), KeyError> {
    let partial = path.with_extension(entropy.hash16().to_string());
    let failed = |source| KeyError::File { path: path.display().to_string(), source };
    let mut file =
        std::fs::OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&partial).map_err(failed)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(failed)?;
    let linked = std::fs::hard_link(&partial, path);
    std::fs::remove_file(&partial).map_err(failed)?;
    match linked {
        Err(e) if e.kind() != io::ErrorKind::AlreadyExists => Err(failed(e)),
        _ => Ok(()),
    }
}

fn read_private(path: &Path) -> Result<String, KeyError> {
    let name = path.display().to_string();
    let failed = |source| KeyError::File { path: name.clone(), source };
    let mut file = std::fs::File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(KeyError::TooOpen { path: name });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}

/// All keys of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Keys {
    pub access: Secret,
    pub tickets: Secret,
    /// Signs ticket codes; gates hold the public half.
    pub codes: GateKey,
}

/// The file's content: hexadecimal digits.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    access: String,
    tickets: String,
}

impl Keys {
    /// From the configuration, for nodes that share their keys.
    pub fn configured(access: &str, tickets: &str, codes: GateKey) -> Result<Self, KeyError> {
        if access == tickets {
            return Err(KeyError::Same);
        }
        Ok(Self {
            access: Secret::chosen("auth.access_key", access)?,
            tickets: Secret::chosen("auth.ticket_key", tickets)?,
            codes,
        })
    }

    #[must_use]
    pub fn random(entropy: &Entropy) -> Self {
        Self { access: Secret::random(entropy), tickets: Secret::random(entropy), codes: GateKey::random(entropy) }
    }

    /// From the data directory; made there, readable by the owner alone, when it has none yet.
    pub fn load_or_create(directory: &Path, entropy: &Entropy) -> Result<Self, KeyError> {
        let path = directory.join(FILE);
        if !path.exists() {
            publish(&path, &Self::random(entropy).to_json(), entropy)?;
        }
        GateKey::load_or_create(directory, entropy)?;
        Self::load(directory)
    }

    /// From the data directory, as a tool beside the server does.
    pub fn load(directory: &Path) -> Result<Self, KeyError> {
        let path = directory.join(FILE);
        let codes = GateKey::load(directory)?;
        let text = read_private(&path)?;
        Self::from_json(&text, codes).ok_or_else(|| KeyError::Malformed { path: path.display().to_string() })
    }

    fn to_json(&self) -> String {
        let hex = |secret: &Secret| secret.bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
        format!("{{\"access\":\"{}\",\"tickets\":\"{}\"}}\n", hex(&self.access), hex(&self.tickets))
    }

    fn from_json(text: &str, codes: GateKey) -> Option<Self> {
        let stored: Stored = serde_json::from_str(text).ok()?;
        Some(Self {
            access: Secret::of(from_hex(&stored.access)?),
            tickets: Secret::of(from_hex(&stored.tickets)?),
            codes,
        })
    }
}

fn from_hex(hex: &str) -> Option<Vec<u8>> {
    if hex.len() < 2 * limits::SECRET_BYTES || !hex.len().is_multiple_of(2) || !hex.is_ascii() {
        return None;
    }
    (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directory() -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("onsale-keys-{}", Entropy::from_system().hash16()));
        std::fs::create_dir(&path).expect("a fresh name");
        path
    }

    #[test]
    fn the_first_start_makes_keys_that_stay() {
        let directory = directory();
        let first = Keys::load_or_create(&directory, &Entropy::from_system()).expect("a writable directory");
        let again = Keys::load_or_create(&directory, &Entropy::from_system()).expect("keys are there");
        assert_eq!(first, again);
        assert_ne!(first.access, first.tickets);
        let mode = std::fs::metadata(directory.join(FILE)).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, OWNER_ONLY);
        std::fs::remove_dir_all(directory).expect("ours");
    }

    #[test]
    fn open_or_broken_files_are_refused() {
        let directory = directory();
        Keys::load_or_create(&directory, &Entropy::from_system()).expect("a writable directory");
        let file = directory.join(FILE);
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o644)).expect("ours");
        assert!(matches!(Keys::load(&directory), Err(KeyError::TooOpen { .. })));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).expect("ours");
        for junk in ["", "{}", r#"{"access":"00","tickets":"00"}"#] {
            std::fs::write(&file, junk).expect("ours");
            assert!(matches!(
                Keys::load_or_create(&directory, &Entropy::from_system()),
                Err(KeyError::Malformed { .. })
            ));
        }
        std::fs::remove_dir_all(directory).expect("ours");
    }

    fn gate() -> GateKey {
        GateKey::random(&Entropy::seeded(1))
    }

    #[test]
    fn an_older_data_directory_gets_a_code_key_and_malformed_ones_are_not_printed() {
        let directory = directory();
        let first = Keys::load_or_create(&directory, &Entropy::from_system()).expect("a writable directory");
        std::fs::remove_file(directory.join(CODE_FILE)).expect("ours");
        let again = Keys::load_or_create(&directory, &Entropy::from_system()).expect("keys are there");
        assert_eq!((first.access, first.tickets), (again.access, again.tickets));
        let mode = std::fs::metadata(directory.join(CODE_FILE)).expect("the file").permissions().mode();
        assert_eq!(mode & 0o777, OWNER_ONLY);
        std::fs::remove_dir_all(directory).expect("ours");
        for bad in ["not base64!", "c2hvcnQ=", &STANDARD.encode([7; 32])] {
            let error = GateKey::chosen(bad).expect_err("a bad seed").to_string();
            assert!(error.contains("auth.ticket_code_key") && !error.contains(bad), "{error}");
        }
    }

    #[test]
    fn short_and_example_secrets_are_refused_and_never_printed() {
        let good = ["k3Jx9Qw7Lm2Zr8Vt5Yb1Nc6Hd4Fg0Ps!", "Zb7Uq2Xe9Rk4Wm1Tj6Yn3Ld8Ch5Vg0Af!"];
        assert!(Keys::configured(good[0], good[1], gate()).is_ok());
        assert!(matches!(Keys::configured(good[0], good[0], gate()), Err(KeyError::Same)));
        for bad in [
            "short",
            &"a".repeat(40),
            "change-me-change-me-change-me-change-me",
            "my-very-long-SECRET-that-is-a-secret",
        ] {
            let error = Keys::configured(bad, good[1], gate()).expect_err("a bad secret").to_string();
            assert!(!error.contains(bad), "{error}");
        }
        let secret = Secret::chosen("x", good[0]).expect("a good one");
        assert!(!format!("{secret:?}").contains(good[0]));
    }
}
