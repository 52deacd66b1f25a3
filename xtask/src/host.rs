//! The machine underneath: what it has, what it lacks, and the container engine on it.

pub mod engine;
pub mod packages;

use std::env;
use std::fs;
use std::path::{Path, PathBuf};

/// `CAP_SYS_RESOURCE`'s bit in a capability set.
const SYS_RESOURCE: u32 = 24;

/// Whether we are root.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Whether the host's release file names Debian or a derivative of it.
pub fn is_debian() -> bool {
    Path::new("/etc/debian_version").exists() && which("apt-get").is_some()
}

/// The first file of that name on `PATH`.
pub fn which(name: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|dir| dir.join(name))
        .find(|file| file.is_file())
}

/// Whether processes here may hold `CAP_SYS_RESOURCE` at all; an unreadable answer counts as yes.
pub fn may_hold_sys_resource() -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    bounding_set(&status).is_none_or(|set| set >> SYS_RESOURCE & 1 == 1)
}

fn bounding_set(status: &str) -> Option<u64> {
    let hex = status.lines().find_map(|line| line.strip_prefix("CapBnd:"))?;
    u64::from_str_radix(hex.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_bounding_set() {
        assert_eq!(
            bounding_set("Name:\tx\nCapBnd:\t000001fffeffffff\n"),
            Some(0x1ff_feff_ffff)
        );
        assert_eq!(bounding_set("Name:\tx\n"), None);
    }
}
