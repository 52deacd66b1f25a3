//! Where things live: the repository, and the cache outside it that survives `cargo clean` and fresh clones.
//!
//! Nothing else in xtask builds a path from an environment variable.

use std::env;
use std::path::{Path, PathBuf};

/// The repository's root.
pub fn repo() -> PathBuf {
    let manifest =
        env::var_os("CARGO_MANIFEST_DIR").map_or_else(|| env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    manifest
        .parent()
        .map_or_else(|| manifest.clone(), Path::to_path_buf)
}

/// Ottla's cache: `$OTTLA_CACHE`, else `$XDG_CACHE_HOME/ottla`, else `~/.cache/ottla`.
pub fn cache() -> PathBuf {
    if let Some(dir) = env::var_os("OTTLA_CACHE") {
        return dir.into();
    }
    let base = env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    base.or_else(|| env::home_dir().map(|home| home.join(".cache")))
        .unwrap_or_else(env::temp_dir)
        .join("ottla")
}

/// What the rig built, one directory per recipe hash.
pub fn rig_cache() -> PathBuf {
    cache().join("rig")
}

/// A stable directory of links to the tools in use: `kind`, `kubectl`, `helm`.
pub fn bin() -> PathBuf {
    cache().join("bin")
}

/// The tool of that name: the rig's where it built one, else whatever `PATH` has.
pub fn tool(name: &str) -> PathBuf {
    let own = bin().join(name);
    if own.exists() { own } else { name.into() }
}

/// The kubeconfig of the `ottla` cluster.
pub fn kubeconfig() -> PathBuf {
    cache().join("kubeconfig")
}

/// Output of long commands, one file each, kept for reading after a failure.
pub fn logs() -> PathBuf {
    cache().join("logs")
}

/// Pid files and markers of what this machine runs on our behalf.
pub fn run() -> PathBuf {
    cache().join("run")
}
