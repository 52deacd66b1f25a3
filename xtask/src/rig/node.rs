//! The node image: root file system, Kubernetes' programs, and the control plane's pod images inside.

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::rootfs::{self, has_image};
use super::tools::{self, COREDNS, ETCD, KUBERNETES, KUBERNETES_VERSION};
use crate::cache::{self, Recipe};
use crate::cmd::Cmd;
use crate::host::engine::docker;
use crate::{paths, ui};

/// The repository of the pod images in the node; `rig/node/kind-patches.yaml` tells kubeadm.
const REPOSITORY: &str = "ottla.dev/rig";
/// Programs the node itself runs.
const IN_NODE: [&str; 3] = ["kubelet", "kubeadm", "kubectl"];
/// Kubernetes' programs that run as pods of their own, alone in their image.
const IN_PODS: [&str; 3] = ["kube-apiserver", "kube-controller-manager", "kube-scheduler"];
/// Tags that `rig/node/kind-patches.yaml` and `rig/node/containerd.toml` name.
const TAGS: [(&str, &str); 3] = [("etcd", "3.6.8"), ("coredns", "v1.12.4"), ("pause", "3.10.1")];

/// The container in which the node image is filled; an interruption leaves it behind.
pub const BUILD_CONTAINER: &str = "ottla-rig-node-build";

/// What decides the build.
fn recipe() -> Result<Recipe> {
    let repo = paths::repo();
    let parts = [
        KUBERNETES.recipe()?,
        ETCD.recipe()?,
        COREDNS.recipe()?,
        rootfs::NODE.recipe()?,
        rootfs::BASE.recipe()?,
    ];
    let recipe = parts
        .iter()
        .fold(Recipe::new("node"), |recipe, part| recipe.text(part.key()));
    let recipe = TAGS
        .iter()
        .fold(recipe, |recipe, (name, tag)| recipe.text(name).text(tag));
    recipe.path(repo.join("rig/node"))?.path(repo.join("rig/pause"))
}

/// The node image's name, which says what it is made from.
pub fn tag() -> Result<String> {
    Ok(format!("{REPOSITORY}/node:{}", recipe()?.key()))
}

/// The node image's name, built when the engine does not have it.
pub fn image() -> Result<String> {
    let tag = tag()?;
    if has_image(&tag)? {
        return Ok(tag);
    }
    let kubernetes = KUBERNETES.ensure()?;
    let (etcd, coredns) = (ETCD.ensure()?, COREDNS.ensure()?);
    let pause_source = paths::repo().join("rig/pause");
    let pause = Recipe::new("pause")
        .text(tools::go_version()?)
        .path(&pause_source)?;
    let pause = pause.ensure("the pause program", |_, dir| {
        tools::build(&pause_source, &["."], &[], dir, "pause")
    })?;
    let (rootfs, base) = (rootfs::NODE.image()?, rootfs::BASE.image()?);
    let scratch = cache::scratch()?;
    ui::step("make the pod images of the control plane", |step| {
        let mut tags = Vec::new();
        for name in IN_PODS {
            step.say(name);
            tags.push(alone(&kubernetes.join(name), name, KUBERNETES_VERSION)?);
        }
        let programs = [etcd.join("server"), coredns.join("coredns"), pause.join("pause")];
        for (program, (name, version)) in programs.iter().zip(TAGS) {
            step.say(name);
            tags.push(alone(program, name, version)?);
        }
        step.say("kube-proxy");
        tags.push(proxy(&kubernetes, &base, scratch.path())?);
        step.say("saving them");
        docker()
            .args(["save", "-o"])
            .arg(scratch.path().join("images.tar"))
            .args(&tags)
            .run()
    })?;
    ui::step("make the node image", |step| {
        assemble(
            &kubernetes,
            &rootfs,
            &scratch.path().join("node"),
            &format!("{tag}-bare"),
        )?;
        step.say("putting the pod images into it");
        fill(&tag, scratch.path())
    })?;
    Ok(tag)
}

/// An image with one static program in it, under the name its pods call it by.
fn alone(program: &Path, name: &str, version: &str) -> Result<String> {
    let tag = format!("{REPOSITORY}/{name}:{version}");
    let dir = cache::scratch()?;
    let bin = dir.path().join("root/usr/local/bin");
    fs::create_dir_all(&bin)?;
    fs::copy(program, bin.join(name)).with_context(|| format!("cannot copy {}", program.display()))?;
    let archive = dir.path().join("root.tar");
    Cmd::new("tar")
        .arg("-C")
        .arg(dir.path().join("root"))
        .arg("-cf")
        .arg(&archive)
        .arg(".")
        .run()?;
    let entrypoint = format!("ENTRYPOINT [\"/usr/local/bin/{name}\"]");
    let command = docker().args(["import", "-c", &entrypoint, "-c", "ENV PATH=/usr/local/bin"]);
    command.arg(&archive).arg(&tag).run()?;
    Ok(tag)
}

fn proxy(kubernetes: &Path, base: &str, scratch: &Path) -> Result<String> {
    let tag = format!("{REPOSITORY}/kube-proxy:{KUBERNETES_VERSION}");
    let dir = scratch.join("proxy");
    fs::create_dir_all(&dir)?;
    copy(&kubernetes.join("kube-proxy"), &dir.join("kube-proxy"))?;
    copy(
        &paths::repo().join("rig/node/proxy.Dockerfile"),
        &dir.join("Dockerfile"),
    )?;
    docker()
        .args(["build", "-t", &tag, "--build-arg", &format!("BASE={base}")])
        .arg(&dir)
        .run()?;
    Ok(tag)
}

/// The node image without pod images.
fn assemble(kubernetes: &Path, rootfs: &str, dir: &Path, tag: &str) -> Result<()> {
    fs::create_dir_all(dir.join("bin"))?;
    for name in IN_NODE {
        copy(&kubernetes.join(name), &dir.join("bin").join(name))?;
    }
    for file in [
        "Dockerfile",
        "init",
        "containerd.toml",
        "cni.conflist",
        "default-storage.yaml",
    ] {
        copy(&paths::repo().join("rig/node").join(file), &dir.join(file))?;
    }
    let arguments = [
        format!("ROOTFS={rootfs}"),
        format!("KUBERNETES_VERSION={KUBERNETES_VERSION}"),
    ];
    let build = docker().args([
        "build",
        "-t",
        tag,
        "--build-arg",
        &arguments[0],
        "--build-arg",
        &arguments[1],
    ]);
    build
        .arg(dir)
        .deadline(Duration::from_secs(300))
        .log("node-image")
        .run()
}

/// Runs the bare node image once to import the pod images, and keeps the result under the final name.
fn fill(tag: &str, scratch: &Path) -> Result<()> {
    let name = BUILD_CONTAINER;
    let remove = || {
        docker()
            .args(["rm", "--force", "--volumes", name])
            .finish()
            .map(drop)
    };
    remove()?;
    copy(
        &paths::repo().join("rig/node/import-images"),
        &scratch.join("import-images"),
    )?;
    let run = docker().args([
        "run",
        "--privileged",
        "--name",
        name,
        "--entrypoint",
        "/images/import-images",
        "--volume",
    ]);
    let run = run
        .arg(format!("{}:/images:ro", scratch.display()))
        .arg(format!("{tag}-bare"));
    let outcome = run
        .deadline(Duration::from_secs(300))
        .log("node-images-import")
        .run()
        .and_then(|()| {
            let entrypoint = "ENTRYPOINT [\"/usr/local/sbin/init\"]";
            docker()
                .args(["commit", "--change", entrypoint, name, tag])
                .deadline(Duration::from_secs(300))
                .run()
        });
    remove()?;
    outcome
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    fs::copy(from, to)
        .map(drop)
        .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tags_we_build_are_those_the_configuration_names() {
        let read = |name: &str| fs::read_to_string(paths::repo().join("rig/node").join(name)).unwrap();
        let (patches, containerd) = (read("kind-patches.yaml"), read("containerd.toml"));
        let [(_, etcd), (_, coredns), (_, pause)] = TAGS;
        assert!(patches.contains(&format!("imageRepository: {REPOSITORY}\n")));
        assert!(
            patches.contains(&format!("imageTag: {etcd}\n"))
                && patches.contains(&format!("imageTag: {coredns}\n"))
        );
        assert!(containerd.contains(&format!("sandbox_image = \"{REPOSITORY}/pause:{pause}\"")));
    }

    #[test]
    fn the_version_we_say_is_the_one_the_module_pins() {
        let pinned = fs::read_to_string(paths::repo().join("rig/tools/kubernetes/go.mod")).unwrap();
        assert!(pinned.contains(&format!("k8s.io/kubernetes {KUBERNETES_VERSION}")));
    }
}
