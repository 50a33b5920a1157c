//! Where do mails go without a mail server? Into files that a developer opens, one for each, the newest last.
//!
//! For the owner's eyes only, since they hold codes that open accounts.

use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::{Letterhead, Mail, MailFault, Mailer};
use crate::limits;

const OWNER_ONLY: u32 = 0o600;
const OWNERS_DIRECTORY: u32 = 0o700;
const MAIL: &str = "eml";
const PARTIAL: &str = "part";

/// Writes mails below a directory.
#[derive(Debug)]
pub struct Files {
    directory: PathBuf,
    head: Letterhead,
    written: AtomicU32,
}

impl Files {
    /// Makes the directory, and says where it is.
    pub fn open(directory: PathBuf, head: Letterhead) -> io::Result<Self> {
        std::fs::DirBuilder::new().recursive(true).mode(OWNERS_DIRECTORY).create(&directory)?;
        std::fs::set_permissions(&directory, std::fs::Permissions::from_mode(OWNERS_DIRECTORY))?;
        // Left by a process that died while it wrote.
        for partial in listed(&directory, PARTIAL)? {
            std::fs::remove_file(partial)?;
        }
        tracing::info!(directory = %directory.display(), "no mail server is configured (mail.url): mails are written as files");
        Ok(Self { directory, head, written: AtomicU32::new(0) })
    }
}

#[async_trait::async_trait]
impl Mailer for Files {
    async fn send(&self, mail: Mail) -> Result<(), MailFault> {
        let letter = self.head.write(&mail)?;
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let (directory, name) = (self.directory.clone(), self.head.name(number));
        let written = tokio::task::spawn_blocking(move || keep(&directory, &name, &letter.bytes)).await;
        let written = written.map_err(|_| MailFault::later("writing a file ended in a panic"))?;
        written.map_err(|error| MailFault::later(format!("the file cannot be written: {error}")))
    }
}

/// Nobody sees half a mail: it gets its name when it is whole.
fn keep(directory: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    let partial = directory.join(name).with_extension(PARTIAL);
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(OWNER_ONLY).open(&partial)?;
    file.write_all(bytes)?;
    std::fs::rename(&partial, partial.with_extension(MAIL))?;
    let mut mails = listed(directory, MAIL)?;
    mails.sort();
    for old in mails.iter().rev().skip(limits::MAILS_KEPT) {
        match std::fs::remove_file(old) {
            // Somebody else, or another mail at the same moment, was faster.
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn listed(directory: &Path, extension: &str) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        if path.extension().is_some_and(|e| e == extension) {
            found.push(path);
        }
    }
    Ok(found)
}
