//! How is a process given another wall clock? By a library of Debian's `faketime`, which reads from a file what time it is.
//!
//! Time that only passes stays true: whose clock is set does not stand still.

use std::path::{Path, PathBuf};

pub struct WrongClock {
    file: PathBuf,
}

impl WrongClock {
    /// The one whose file is in `dir`.
    pub fn of(dir: &Path) -> Self {
        Self { file: dir.join("clock") }
    }

    /// So far from the right one: `+1h`, `-10m`, `+0`. Whoever goes by it notices at once.
    pub fn set(&self, offset: &str) -> Result<(), String> {
        // Read by everybody at any moment: there is never half of it.
        let whole = self.file.with_extension("next");
        std::fs::write(&whole, offset).and_then(|()| std::fs::rename(&whole, &self.file)).map_err(|e| e.to_string())
    }

    /// What a process needs in its environment to go by it.
    pub fn env(&self) -> Result<Vec<(&'static str, String)>, String> {
        let library = library().ok_or("the library of faketime is not here")?;
        let text = |path: &Path| path.display().to_string();
        Ok(vec![
            ("LD_PRELOAD", text(&library)),
            ("FAKETIME_TIMESTAMP_FILE", text(&self.file)),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
        ])
    }
}

/// Where it is, on any architecture.
fn library() -> Option<PathBuf> {
    let places = std::fs::read_dir("/usr/lib").ok()?.filter_map(Result::ok);
    places.map(|place| place.path().join("faketime/libfaketimeMT.so.1")).find(|path| path.exists())
}
