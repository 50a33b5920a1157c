//! Where does a verb keep what nobody needs afterwards? In a directory of its own, which goes away with it.

use std::path::{Path, PathBuf};

use super::failure::Failure;
use crate::clock::Entropy;

/// A fresh directory among the system's temporary ones.
pub struct Fresh(PathBuf);

impl Fresh {
    /// Makes one; `of` says whose it is.
    pub fn new(of: &str) -> Result<Self, Failure> {
        let path = std::env::temp_dir().join(format!("onsale-{of}-{}", Entropy::from_system().hash16()));
        std::fs::create_dir_all(&path)
            .map_err(|e| Failure::of(format!("no place for {of}: {}: {e}", path.display())))?;
        Ok(Self(path))
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_dir_all(&self.0) {
            tracing::warn!(%error, directory = %self.0.display(), "a temporary directory was not removed");
        }
    }
}
