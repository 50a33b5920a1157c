//! Where do keys live that nobody configured? In two files of the data directory, for their owner alone.
//!
//! `keys.json` has the secrets of each kind, the current one first; `ticket_code.key` has the seeds of ticket codes, one a
//! line. A file of an older version is completed, and nothing that stands in one is ever replaced by accident: whoever
//! writes holds a lock, reads once more, and puts the whole new file in place of the old one.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::ring::Ring;
use super::secret::{GateKey, Material, Secret};
use super::{KeyError, Kind};
use crate::clock::Entropy;

/// The secrets, within the data directory.
pub const FILE: &str = "keys.json";
/// The seeds of ticket codes.
pub const CODE_FILE: &str = "ticket_code.key";
const LOCK_FILE: &str = "keys.lock";
const OWNER_ONLY: u32 = 0o600;

/// The secrets by kind, as `keys.json` has them.
pub(super) type Secrets = BTreeMap<Kind, Ring<Secret>>;

/// Files of before rotation have one key in place of a list.
#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Texts {
    One(String),
    Many(Vec<String>),
}

/// The secrets of these kinds; those that are missing are made.
pub(super) fn secrets(directory: &Path, kinds: &[Kind], entropy: &Entropy) -> Result<Secrets, KeyError> {
    let path = directory.join(FILE);
    let whole = |secrets: &Secrets| kinds.iter().all(|kind| secrets.contains_key(kind));
    if let Some(secrets) = read_secrets(&path)?.filter(|secrets| whole(secrets)) {
        return Ok(secrets);
    }
    let _lock = lock(directory)?;
    let mut secrets = read_secrets(&path)?.unwrap_or_default();
    if !whole(&secrets) {
        for kind in kinds {
            secrets.entry(*kind).or_insert_with(|| Ring::of(Secret::random(entropy)));
        }
        replace(&path, &secrets_text(&secrets), entropy)?;
    }
    Ok(secrets)
}

/// The seeds of ticket codes; one is made when there is none.
pub(super) fn codes(directory: &Path, entropy: &Entropy) -> Result<Ring<GateKey>, KeyError> {
    let path = directory.join(CODE_FILE);
    if let Some(codes) = read_codes(&path)? {
        return Ok(codes);
    }
    let _lock = lock(directory)?;
    if let Some(codes) = read_codes(&path)? {
        return Ok(codes);
    }
    let codes = Ring::of(GateKey::random(entropy));
    replace(&path, &codes_text(&codes), entropy)?;
    Ok(codes)
}

/// Puts a new key of that kind before the others, and says its id.
pub fn rotate(directory: &Path, kind: Kind, entropy: &Entropy) -> Result<String, KeyError> {
    if kind == Kind::TicketCode {
        let fresh = GateKey::random(entropy);
        let id = fresh.id();
        change_codes(directory, entropy, |codes| codes.rotated(fresh))?;
        Ok(id)
    } else {
        let fresh = Secret::random(entropy);
        let id = Material::id(&fresh);
        change_secrets(directory, kind, entropy, |ring| ring.rotated(fresh))?;
        Ok(id)
    }
}

/// Takes a previous key away: nothing that it signed is accepted any more.
pub fn retire(directory: &Path, kind: Kind, id: &str, entropy: &Entropy) -> Result<(), KeyError> {
    if kind == Kind::TicketCode {
        change_codes(directory, entropy, |codes| codes.retired(id))
    } else {
        change_secrets(directory, kind, entropy, |ring| match ring.previous().last() {
            // What it sealed could be sealed anew; the digests by which people are found could not.
            Some(oldest) if kind == Kind::Seal && oldest.id() == id => Err(KeyError::Oldest { id: id.to_owned() }),
            _ => ring.retired(id),
        })
    }
}

fn change_secrets(
    directory: &Path,
    kind: Kind,
    entropy: &Entropy,
    change: impl FnOnce(&Ring<Secret>) -> Result<Ring<Secret>, KeyError>,
) -> Result<(), KeyError> {
    let path = directory.join(FILE);
    let _lock = lock(directory)?;
    let mut secrets = read_secrets(&path)?.unwrap_or_default();
    let ring = secrets.get(&kind).ok_or(KeyError::NotMade { kind: kind.name() })?;
    let changed = change(ring)?;
    secrets.insert(kind, changed);
    replace(&path, &secrets_text(&secrets), entropy)
}

fn change_codes(
    directory: &Path,
    entropy: &Entropy,
    change: impl FnOnce(&Ring<GateKey>) -> Result<Ring<GateKey>, KeyError>,
) -> Result<(), KeyError> {
    let path = directory.join(CODE_FILE);
    let _lock = lock(directory)?;
    let codes = read_codes(&path)?.ok_or(KeyError::NotMade { kind: Kind::TicketCode.name() })?;
    replace(&path, &codes_text(&change(&codes)?), entropy)
}

fn read_secrets(path: &Path) -> Result<Option<Secrets>, KeyError> {
    let Some(text) = read_private(path)? else { return Ok(None) };
    let malformed = || KeyError::Malformed { path: path.display().to_string() };
    let stored: BTreeMap<Kind, Texts> = serde_json::from_str(&text).map_err(|_| malformed())?;
    let mut secrets = Secrets::new();
    for (kind, texts) in stored {
        let texts = match texts {
            Texts::One(text) => vec![text],
            Texts::Many(texts) => texts,
        };
        let ring = Ring::from_texts(texts.iter().map(String::as_str)).ok_or_else(malformed)?;
        secrets.insert(kind, ring);
    }
    if secrets.is_empty() { Err(malformed()) } else { Ok(Some(secrets)) }
}

fn secrets_text(secrets: &Secrets) -> String {
    let texts = |ring: &Ring<Secret>| Texts::Many(ring.all().map(Material::text).collect());
    let stored: BTreeMap<Kind, Texts> = secrets.iter().map(|(kind, ring)| (*kind, texts(ring))).collect();
    let text = serde_json::to_string_pretty(&stored).expect("names and lists of texts are JSON");
    format!("{text}\n")
}

fn read_codes(path: &Path) -> Result<Option<Ring<GateKey>>, KeyError> {
    let Some(text) = read_private(path)? else { return Ok(None) };
    let ring = Ring::from_texts(text.lines().map(str::trim).filter(|line| !line.is_empty()));
    ring.map(Some).ok_or_else(|| KeyError::Malformed { path: path.display().to_string() })
}

fn codes_text(codes: &Ring<GateKey>) -> String {
    codes.all().map(|key| format!("{}\n", key.text())).collect()
}

/// Held by whoever changes a file; goes with the process.
fn lock(directory: &Path) -> Result<File, KeyError> {
    let path = directory.join(LOCK_FILE);
    let failed = |source| KeyError::File { path: path.display().to_string(), source };
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(OWNER_ONLY).open(&path);
    let file = file.map_err(failed)?;
    file.lock().map_err(failed)?;
    Ok(file)
}

/// Writes the file for the owner alone, whole or not at all.
fn replace(path: &Path, text: &str, entropy: &Entropy) -> Result<(), KeyError> {
    let failed = |source| KeyError::File { path: path.display().to_string(), source };
    let partial = path.with_extension(entropy.hash16().to_string());
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&partial)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        std::fs::rename(&partial, path)?;
        path.parent().map_or(Ok(()), |directory| File::open(directory)?.sync_all())
    };
    let written = write();
    if written.is_err() {
        // Half a file with a key in it must not stay; it may not even have been made.
        let _gone = std::fs::remove_file(&partial);
    }
    written.map_err(failed)
}

/// `None`: there is no such file.
fn read_private(path: &Path) -> Result<Option<String>, KeyError> {
    let name = path.display().to_string();
    let failed = |source| KeyError::File { path: name.clone(), source };
    let mut file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(failed)?,
    };
    if file.metadata().map_err(failed)?.permissions().mode() & 0o077 != 0 {
        return Err(KeyError::TooOpen { path: name });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    Ok(Some(text))
}
