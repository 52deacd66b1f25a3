//! Go programs built from modules: one go.mod each under `rig/tools/`, pinned by go.sum, cached by recipe.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cache::Recipe;
use crate::cmd::Cmd;
use crate::host::packages;
use crate::paths;

/// A cold build of Kubernetes takes about five minutes on two cores; a slow link doubles it.
const DEADLINE: Duration = Duration::from_secs(40 * 60);

/// A folder of `rig/tools/` and what is built from it.
pub struct Tool {
    /// The folder's name.
    pub name: &'static str,
    /// The packages to build, and the linker's `-X` settings.
    packages: &'static [&'static str],
    settings: &'static [&'static str],
    /// What the build is known to take, for the one who waits.
    takes: &'static str,
}

/// The version of Kubernetes that go.mod pins.
pub const KUBERNETES_VERSION: &str = "v1.34.4";

/// Kubernetes' own programs.
pub const KUBERNETES: Tool = Tool {
    name: "kubernetes",
    packages: &[
        "k8s.io/kubernetes/cmd/kube-apiserver",
        "k8s.io/kubernetes/cmd/kube-controller-manager",
        "k8s.io/kubernetes/cmd/kube-scheduler",
        "k8s.io/kubernetes/cmd/kubelet",
        "k8s.io/kubernetes/cmd/kube-proxy",
        "k8s.io/kubernetes/cmd/kubeadm",
        "k8s.io/kubernetes/cmd/kubectl",
    ],
    settings: &[
        "k8s.io/component-base/version.gitVersion=v1.34.4",
        "k8s.io/component-base/version.gitMajor=1",
        "k8s.io/component-base/version.gitMinor=34",
    ],
    takes: "Kubernetes from Go modules, about 5 min",
};
/// kind.
pub const KIND: Tool = Tool {
    name: "kind",
    packages: &["sigs.k8s.io/kind"],
    settings: &[],
    takes: "a few seconds",
};
/// Helm.
pub const HELM: Tool = Tool {
    name: "helm",
    packages: &["helm.sh/helm/v3/cmd/helm"],
    settings: &[],
    takes: "about 1 min",
};
/// etcd; Go calls its program `server`.
pub const ETCD: Tool = Tool {
    name: "etcd",
    packages: &["go.etcd.io/etcd/server/v3"],
    settings: &[],
    takes: "about 15 s",
};
/// CoreDNS.
pub const COREDNS: Tool = Tool {
    name: "coredns",
    packages: &["github.com/coredns/coredns"],
    settings: &[],
    takes: "about 80 s",
};

impl Tool {
    /// What decides the build.
    pub fn recipe(&self) -> Result<Recipe> {
        let recipe = Recipe::new(self.name).text(go_version()?).path(self.source())?;
        Ok(recipe.text(self.packages.join(" ")).text(self.settings.join(" ")))
    }

    /// The directory of the built programs.
    pub fn ensure(&self) -> Result<PathBuf> {
        let build = |dir: &Path| build(&self.source(), self.packages, self.settings, dir, self.name);
        self.recipe()?.ensure(self.takes, |_, dir| build(dir))
    }

    fn source(&self) -> PathBuf {
        paths::repo().join("rig/tools").join(self.name)
    }
}

/// What `go version` says of itself.
pub fn go_version() -> Result<String> {
    packages::require_go()?;
    Cmd::new("go").arg("version").output()
}

/// Builds Go packages into a directory, static and at low priority.
pub fn build(source: &Path, packages: &[&str], settings: &[&str], into: &Path, log: &str) -> Result<()> {
    let settings: String = settings.iter().flat_map(|setting| [" -X ", setting]).collect();
    let go = Cmd::new("nice").args(["go", "build", "-trimpath", "-buildvcs=false", "-mod=readonly"]);
    let go = go
        .arg(format!("-ldflags=-s -w{settings}"))
        .arg("-o")
        .arg(format!("{}/", into.display()));
    let go = go
        .args(packages)
        .dir(source)
        .env("CGO_ENABLED", "0")
        .env("GOTOOLCHAIN", "local")
        .env("GOWORK", "off");
    go.deadline(DEADLINE).log(&format!("go-{log}")).run()
}

/// Points `<cache>/bin/<name>` at a program.
pub fn link(name: &str, program: &Path) -> Result<()> {
    fs::create_dir_all(paths::bin())?;
    let at = paths::bin().join(name);
    if fs::read_link(&at).is_ok_and(|target| target == program) {
        return Ok(());
    }
    let fresh = paths::bin().join(format!(".{name}"));
    let _ = fs::remove_file(&fresh);
    symlink(program, &fresh)
        .and_then(|()| fs::rename(&fresh, &at))
        .with_context(|| format!("cannot link {}", at.display()))
}
