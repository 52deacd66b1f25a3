//! Debian root file systems by debootstrap: the base of small images, and the node's.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cache::Recipe;
use crate::cmd::Cmd;
use crate::host::engine::docker;
use crate::host::{is_root, packages};
use crate::{paths, ui};

/// The Debian release everything stands on.
const SUITE: &str = "bookworm";
/// What no image needs.
const DROPPED: &[&str] = &[
    "usr/share/doc",
    "usr/share/man",
    "usr/share/info",
    "usr/share/locale",
    "var/lib/apt/lists",
    "var/cache/apt",
];

/// A root file system: Debian's minimal system plus the packages a file lists.
pub struct Rootfs {
    /// Its name in the cache.
    pub name: &'static str,
    list: &'static str,
    takes: &'static str,
}

/// What kube-proxy's and Kafka's images stand on.
pub const BASE: Rootfs = Rootfs {
    name: "base",
    list: "rig/node/base.packages",
    takes: "Debian's minimal system, about 30 s",
};
/// What the node stands on.
pub const NODE: Rootfs = Rootfs {
    name: "rootfs",
    list: "rig/node/node.packages",
    takes: "the node's Debian packages, about 1 min",
};

impl Rootfs {
    /// What decides the build.
    pub fn recipe(&self) -> Result<Recipe> {
        let recipe = Recipe::new(self.name).text(SUITE).text(DROPPED.join(" "));
        recipe.path(paths::repo().join(self.list))
    }

    /// The engine's image of it, imported when the engine does not have it.
    pub fn image(&self) -> Result<String> {
        let recipe = self.recipe()?;
        let tag = format!("ottla.dev/rig/{}:{}", self.name, recipe.key());
        if has_image(&tag)? {
            return Ok(tag);
        }
        packages::ensure(packages::BUILD)?;
        let dir = recipe.ensure(self.takes, |_, dir| self.build(dir))?;
        ui::step(&format!("import {} into the container engine", self.name), |_| {
            let path = "ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
            docker()
                .args(["import", "-c", path])
                .arg(dir.join("rootfs.tar"))
                .arg(&tag)
                .run()
        })?;
        Ok(tag)
    }

    fn build(&self, dir: &Path) -> Result<()> {
        if !is_root() {
            bail!("debootstrap makes a root file system as root only; run this as root");
        }
        let root = dir.join("root");
        let list = paths::repo().join(self.list);
        let list = fs::read_to_string(&list).with_context(|| format!("cannot read {}", list.display()))?;
        let include = listed(&list).join(",");
        let command =
            Cmd::new("debootstrap").args(["--variant=minbase", &format!("--include={include}"), SUITE]);
        command
            .arg(&root)
            .deadline(Duration::from_secs(900))
            .log(&format!("debootstrap-{}", self.name))
            .run()?;
        for dropped in DROPPED {
            let at = root.join(dropped);
            if at.exists() {
                fs::remove_dir_all(&at).with_context(|| format!("cannot remove {}", at.display()))?;
            }
        }
        let tar = Cmd::new("tar").args([
            "--one-file-system",
            "--exclude=./proc/*",
            "--exclude=./sys/*",
            "-C",
        ]);
        tar.arg(&root)
            .arg("-cf")
            .arg(dir.join("rootfs.tar"))
            .arg(".")
            .run()?;
        fs::remove_dir_all(&root).with_context(|| format!("cannot remove {}", root.display()))
    }
}

/// Whether the engine has an image of that name.
pub fn has_image(tag: &str) -> Result<bool> {
    Ok(docker()
        .args(["image", "inspect", "--format", "{{.Id}}", tag])
        .finish()?
        .success)
}

/// The lines of a package list that are not comments.
fn listed(text: &str) -> Vec<&str> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn comments_in_a_package_list_are_no_packages() {
        assert_eq!(super::listed("# why\n\na\n b \n"), ["a", "b"]);
    }
}
