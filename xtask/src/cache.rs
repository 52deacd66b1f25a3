//! The build cache: one directory per recipe, named by the recipe's hash, made whole or not at all.
//!
//! A build happens in a directory beside the final one and is renamed when it is finished, so an interrupted build
//! leaves nothing that looks done. What a recipe's hash does not cover must not change its result.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::cmd::Cmd;
use crate::{paths, ui};

/// Prefix of directories being built.
const UNFINISHED: &str = ".unfinished-";

/// Everything that decides what a build yields.
#[derive(Clone)]
pub struct Recipe {
    name: String,
    hash: Sha256,
}

impl Recipe {
    /// A recipe of that name with nothing in it yet.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            hash: Sha256::new_with_prefix(name),
        }
    }

    /// Adds a text: a version, a flag, the hash of what it builds on.
    pub fn text(mut self, text: impl AsRef<str>) -> Self {
        part(&mut self.hash, text.as_ref().as_bytes());
        self
    }

    /// Adds a file's content, or all files of a directory in order of name.
    pub fn path(mut self, path: impl AsRef<Path>) -> Result<Self> {
        let path = path.as_ref();
        let add = |hash: &mut Sha256| -> io::Result<()> {
            let mut files = Vec::new();
            collect(path, &mut files)?;
            files.sort();
            for file in files {
                let relative = file.strip_prefix(path).unwrap_or(&file).to_string_lossy();
                part(hash, relative.as_bytes());
                part(hash, &fs::read(&file)?);
            }
            Ok(())
        };
        let context = || format!("cannot read {} for the recipe of {}", path.display(), self.name);
        add(&mut self.hash).with_context(context)?;
        Ok(self)
    }

    /// The first twelve hex digits of the hash: enough to tell recipes apart.
    pub fn key(&self) -> String {
        hex::encode(self.hash.clone().finalize())[..12].to_owned()
    }

    /// Where the result lies once it is built.
    pub fn dir(&self) -> PathBuf {
        paths::rig_cache().join(format!("{}-{}", self.name, self.key()))
    }

    /// Whether it is built.
    pub fn is_built(&self) -> bool {
        self.dir().exists()
    }

    /// The built result; runs `build` in an empty directory first where there is none. `needs` says, in the step's
    /// line, what the build is about to do.
    pub fn ensure(&self, needs: &str, build: impl FnOnce(&ui::Step, &Path) -> Result<()>) -> Result<PathBuf> {
        let done = self.dir();
        if done.exists() {
            return Ok(done);
        }
        ui::step(
            &format!("build {} ({needs}; once, then cached)", self.name),
            |step| {
                let unfinished = paths::rig_cache().join(format!("{UNFINISHED}{}-{}", self.name, self.key()));
                discard(&unfinished)?;
                fs::create_dir_all(&unfinished)
                    .with_context(|| format!("cannot create {}", unfinished.display()))?;
                build(step, &unfinished)?;
                fs::rename(&unfinished, &done)
                    .with_context(|| format!("cannot move the build to {}", done.display()))
            },
        )?;
        Ok(done)
    }
}

/// Held while the rig is changed, so that two xtasks do not build or create the same thing; ends with the process.
pub struct Lock {
    file: Option<File>,
}

/// Whether this process holds the lock already.
static HELD: AtomicBool = AtomicBool::new(false);

impl Drop for Lock {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            HELD.store(false, Ordering::SeqCst);
        }
    }
}

/// Waits for another xtask that is changing the rig. Taken again by its holder, it is held until the first is dropped.
pub fn lock() -> Result<Lock> {
    if HELD.swap(true, Ordering::SeqCst) {
        return Ok(Lock { file: None });
    }
    let path = paths::cache().join("rig.lock");
    fs::create_dir_all(paths::rig_cache())?;
    let file = File::create(&path).with_context(|| format!("cannot create {}", path.display()))?;
    if file.try_lock().is_err() {
        ui::note("another cargo xtask is at work on the rig; waiting for it");
        file.lock()
            .with_context(|| format!("cannot lock {}", path.display()))?;
    }
    Ok(Lock { file: Some(file) })
}

/// A directory to assemble things in, gone when dropped; what an interruption leaves of it, the next run removes.
pub fn scratch() -> Result<TempDir> {
    fs::create_dir_all(paths::rig_cache())?;
    tempfile::Builder::new()
        .prefix(UNFINISHED)
        .tempdir_in(paths::rig_cache())
        .context("cannot create a working directory")
}

/// Removes what interrupted builds left behind, mounts included.
pub fn discard_unfinished() -> Result<()> {
    let Ok(entries) = fs::read_dir(paths::rig_cache()) else {
        return Ok(());
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
            discard(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a directory tree after unmounting whatever is mounted in it (debootstrap mounts /proc and /sys).
fn discard(dir: &Path) -> Result<()> {
    let mounts = fs::read_to_string("/proc/mounts").unwrap_or_default();
    let inside: Vec<&str> = mounts
        .lines()
        .filter_map(|line| line.split(' ').nth(1))
        .filter(|at| Path::new(at).starts_with(dir))
        .collect();
    for at in inside.iter().rev() {
        Cmd::new("umount").args(["--lazy", at]).run()?;
    }
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Adds one part, its length first, so that parts cannot run into each other.
fn part(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        collect(&entry?.path(), files)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recipe_changes_with_every_part_and_not_with_how_parts_are_cut() {
        let key = |parts: &[&str]| parts.iter().fold(Recipe::new("x"), Recipe::text).key();
        assert_eq!(key(&["a", "b"]), key(&["a", "b"]));
        assert_ne!(key(&["a", "b"]), key(&["ab"]));
        assert_ne!(key(&["a", "b"]), key(&["b", "a"]));
    }

    #[test]
    fn a_recipe_sees_file_content_and_file_names() {
        let dir = tempfile::tempdir().unwrap();
        let key = || Recipe::new("x").path(dir.path()).unwrap().key();
        fs::write(dir.path().join("one"), "1").unwrap();
        let first = key();
        fs::write(dir.path().join("one"), "2").unwrap();
        let second = key();
        fs::rename(dir.path().join("one"), dir.path().join("two")).unwrap();
        assert!(first != second && second != key());
    }
}
