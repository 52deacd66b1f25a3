//! Debian packages the rig needs; says what it installs, installs only what is missing.

use std::time::Duration;

use anyhow::{Result, bail};

use super::{is_debian, is_root, which};
use crate::cmd::Cmd;
use crate::ui;

/// A package, and the program whose presence makes it unnecessary.
pub struct Package {
    /// Debian's name of it.
    pub name: &'static str,
    /// A program it brings.
    pub program: &'static str,
}

/// The container engine.
pub const ENGINE: &[Package] = &[
    Package {
        name: "docker.io",
        program: "dockerd",
    },
    Package {
        name: "iptables",
        program: "iptables",
    },
];

/// What building node and Kafka images takes besides Go.
pub const BUILD: &[Package] = &[
    Package {
        name: "debootstrap",
        program: "debootstrap",
    },
    Package {
        name: "maven",
        program: "mvn",
    },
    Package {
        name: "openjdk-17-jdk-headless",
        program: "jlink",
    },
];

/// Installs those of the packages whose programs are missing.
pub fn ensure(packages: &[Package]) -> Result<()> {
    let missing: Vec<&str> = packages
        .iter()
        .filter(|package| which(package.program).is_none())
        .map(|package| package.name)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    let list = missing.join(" ");
    if !is_debian() || !is_root() {
        bail!(
            "missing on this host: {list}. Install them (on Debian, as root: apt-get install {list}) and run this again; \
             with a running container engine that can pull images, none of them is needed"
        );
    }
    ui::step(&format!("install Debian packages: {list}"), |step| {
        let apt = |words: &[&str]| {
            let command = Cmd::new("apt-get")
                .args(words)
                .env("DEBIAN_FRONTEND", "noninteractive");
            command.deadline(Duration::from_secs(600)).log("apt").run()
        };
        step.say("apt-get update");
        apt(&["update", "-q"])?;
        step.say("apt-get install");
        apt(&[&["install", "-q", "-y", "--no-install-recommends"], &missing[..]].concat())
    })
}

/// Fails with what to do when Go is missing: Debian's own is too old for the tools the rig builds.
pub fn require_go() -> Result<()> {
    if which("go").is_none() {
        bail!(
            "Go 1.26 or newer is needed to build Kubernetes, kind and Helm from their modules; install it, put `go` on PATH"
        );
    }
    Ok(())
}
