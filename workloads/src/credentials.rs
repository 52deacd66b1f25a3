//! Notices that the files a client was made with have changed: a mounted Secret's files are replaced in place. Reads
//! them for comparison only.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ottla_contract::config::Security;

/// Time between two looks. Kubernetes itself needs about a minute to replace the files.
const INTERVAL: Duration = Duration::from_secs(5);

/// The files of one client, as they were when it was made.
#[derive(Debug)]
pub(crate) struct Watch {
    files: Vec<PathBuf>,
    seen: Option<u64>,
    looked: Instant,
}

impl Watch {
    /// Looks at the files. To be made before the client that reads them, so that no change falls in between.
    pub(crate) fn new(security: &Security) -> Self {
        let files: Vec<PathBuf> = security.files().into_iter().map(Path::to_owned).collect();
        Self {
            seen: digest(&files),
            files,
            looked: Instant::now(),
        }
    }

    /// Whether they have changed; looks every few seconds and says no in between.
    pub(crate) fn changed(&mut self) -> bool {
        if self.files.is_empty() || self.looked.elapsed() < INTERVAL {
            return false;
        }
        self.looked = Instant::now();
        // What cannot be read may be in the middle of its replacement.
        digest(&self.files).is_some_and(|now| self.seen != Some(now))
    }
}

fn digest(files: &[PathBuf]) -> Option<u64> {
    let mut hasher = DefaultHasher::new();
    for file in files {
        std::fs::read(file).ok()?.hash(&mut hasher);
    }
    Some(hasher.finish())
}

#[cfg(test)]
mod tests {
    use ottla_contract::config::Mechanism;

    use super::*;

    #[test]
    fn a_change_is_told_and_a_missing_file_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str| folder.path().join(name);
        std::fs::write(file("username"), "me").unwrap();
        std::fs::write(file("password"), "one").unwrap();
        let mut watch = Watch::new(&Security::SaslPlaintext {
            mechanism: Mechanism::Plain,
            username_file: file("username"),
            password_file: file("password"),
        });
        let mut later = || {
            watch.looked = watch.looked.checked_sub(INTERVAL).unwrap();
            watch.changed()
        };
        assert!(!later());
        std::fs::remove_file(file("password")).unwrap();
        assert!(!later());
        std::fs::write(file("password"), "two").unwrap();
        assert!(later());
        std::fs::write(file("password"), "one").unwrap();
        assert!(!later());
        assert!(!watch.changed());
    }
}
