//! Has the process ended that served the log from this directory before? The kernel knows: it had a lock on a file, which goes
//! with the process, however that ends, and with nothing else.
//!
//! A broken connection proves nothing: its node may live, and answer from memory. It does not know leases, only whose they
//! were. Where it can say nothing, a lease is waited for.

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use parking_lot::Mutex;
use uuid::Uuid;

const FILE: &str = "serving.lock";

pub struct Witness {
    /// `None`: no directory of its own.
    dir: Option<PathBuf>,
    session: Uuid,
    seen: Mutex<Option<Seen>>,
}

struct Seen {
    /// Locked until the process ends.
    _file: File,
    /// The session of the process that had it before.
    former: Option<Uuid>,
}

impl Witness {
    pub fn new(dir: Option<PathBuf>, session: Uuid) -> Self {
        Self { dir, session, seen: Mutex::default() }
    }

    /// A session whose process has certainly ended. From the first answer on, this process is the one that others ask about.
    pub fn ended(&self) -> Option<Uuid> {
        let dir = self.dir.as_ref()?;
        let mut seen = self.seen.lock();
        if seen.is_none() {
            let looked = fs::create_dir_all(dir).and_then(|()| look(&dir.join(FILE), self.session));
            *seen = looked.unwrap_or_else(|error| {
                tracing::debug!(%error, "no lock in the data directory: whoever comes after this node waits for its lease");
                None
            });
        }
        seen.as_ref()?.former
    }
}

/// `None`: somebody else has the lock.
fn look(path: &std::path::Path, session: Uuid) -> io::Result<Option<Seen>> {
    let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => return Ok(None),
        Err(fs::TryLockError::Error(error)) => return Err(error),
    }
    // A copy of the file, on another machine or beside it, was locked by nobody.
    let here = format!("{} {}:{}", boot()?, file.metadata()?.dev(), file.metadata()?.ino());
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let former = text.split_once('\n').filter(|(place, _)| *place == here);
    let former = former.and_then(|(_, session)| Uuid::try_parse(session.trim_end()).ok());
    file.seek(SeekFrom::Start(0))?;
    file.set_len(0)?;
    file.write_all(format!("{here}\n{session}\n").as_bytes())?;
    Ok(Some(Seen { _file: file, former }))
}

/// Names this run of the machine.
fn boot() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn witness(dir: &std::path::Path, session: u128) -> Witness {
        Witness::new(Some(dir.to_owned()), Uuid::from_u128(session))
    }

    #[test]
    fn who_had_the_lock_has_ended_and_who_has_it_has_not() {
        let dir = tempfile::tempdir().expect("a directory");
        let first = witness(dir.path(), 1);
        assert_eq!(first.ended(), None, "nobody was here before");
        let second = witness(dir.path(), 2);
        assert_eq!(second.ended(), None, "it lives");
        drop(first);
        assert_eq!(second.ended(), Some(Uuid::from_u128(1)));
        assert_eq!(second.ended(), Some(Uuid::from_u128(1)), "it may ask again");
        drop(second);
        assert_eq!(witness(dir.path(), 3).ended(), Some(Uuid::from_u128(2)));

        let below = dir.path().join("made/when/needed");
        assert_eq!(witness(&below, 1).ended(), None);
        assert_eq!(witness(&below, 2).ended(), Some(Uuid::from_u128(1)));
    }

    #[test]
    fn what_proves_nothing_is_no_proof() {
        let dir = tempfile::tempdir().expect("a directory");
        let file = dir.path().join(FILE);
        let first = witness(dir.path(), 1);
        first.ended();
        // As when a data directory is copied to a second machine while the first one serves.
        let other = tempfile::tempdir().expect("a directory");
        fs::copy(&file, other.path().join(FILE)).expect("a copy");
        assert_eq!(witness(other.path(), 2).ended(), None);
        drop(first);
        for junk in ["", "junk", "\n\n", &format!("elsewhere 1:1\n{}\n", Uuid::from_u128(1))] {
            fs::write(&file, junk).expect("a file");
            assert_eq!(witness(dir.path(), 2).ended(), None, "{junk:?}");
        }
        fs::write(&file, [0xff, 0xfe]).expect("a file");
        assert_eq!(witness(dir.path(), 4).ended(), None);
        assert_eq!(witness(dir.path(), 5).ended(), Some(Uuid::from_u128(4)), "the next one has something to read");
        assert_eq!(witness(&file.join("below a file"), 2).ended(), None);
        assert_eq!(Witness::new(None, Uuid::nil()).ended(), None);
    }
}
