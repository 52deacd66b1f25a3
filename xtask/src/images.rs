//! `cargo xtask images`: the operator's and the workload's image, assembled with no base image to pull.
//!
//! An image holds one binary, the libraries that `ldd` names for it, the CA roots and a user of its own: no shell, no
//! package manager, nothing writable. Its tag is the hash of its contents, so a pod rolls only when its image changed,
//! and what is in the cluster already is not loaded again. No engine builds it: a layer is a tar, an image two JSONs.

mod layer;

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::cmd::Cmd;
use crate::{paths, ui};

/// An image must stay below this.
const SIZE_LIMIT: u64 = 40 * 1000 * 1000;
/// The node of the one-node cluster.
const NODE: &str = "ottla-control-plane";

/// Arguments of `cargo xtask images`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Build the archives, but load them into no cluster
    #[arg(long)]
    no_load: bool,
}

/// The references under which the images are in the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Images {
    /// What the operator's Deployment runs.
    pub(crate) operator: Image,
    /// What producer and consumer pods run.
    pub(crate) workload: Image,
}

/// One image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Image {
    /// Repository without tag, such as `ottla.dev/operator`.
    pub(crate) repository: String,
    /// Hash of the contents.
    pub(crate) tag: String,
    /// The binary that is in it.
    pub(crate) binary: PathBuf,
    /// The archive it is loaded from.
    archive: PathBuf,
    /// Bytes of its layer.
    size: u64,
}

impl Image {
    /// Repository and tag.
    pub(crate) fn reference(&self) -> String {
        format!("{}:{}", self.repository, self.tag)
    }
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<()> {
    let images = if args.no_load { build()? } else { ensure()? };
    for image in [&images.operator, &images.workload] {
        ui::result(&format!("{}  {:.1} MB", image.reference(), megabytes(image.size)));
    }
    Ok(())
}

/// Builds the images and sees to it that the cluster has them.
pub(crate) fn ensure() -> Result<Images> {
    let images = build()?;
    ui::step("load the images into the cluster", |step| {
        for image in [&images.operator, &images.workload] {
            if !loaded(image)? {
                step.say(&image.reference());
                load(image)?;
            }
        }
        Ok(())
    })?;
    Ok(images)
}

/// Builds the binaries and assembles the images from them.
fn build() -> Result<Images> {
    let binaries = ui::step("build the operator and the workload (optimised)", |_| binaries())?;
    ui::step("assemble the images", |_| {
        let image = |name: &str, binary: &str| {
            let file = binaries.iter().find(|file| file.ends_with(binary));
            let file = file.with_context(|| format!("cargo built no binary {binary}"))?;
            assemble(&format!("ottla.dev/{name}"), file)
        };
        Ok(Images {
            operator: image("operator", "ottla-operator")?,
            workload: image("workload", "ottla-workload")?,
        })
    })
}

/// Has cargo build both binaries, and answers where they are.
fn binaries() -> Result<Vec<PathBuf>> {
    let args = [
        "build",
        "--profile",
        "image",
        "-p",
        "ottla-operator",
        "-p",
        "ottla-workloads",
        "--bins",
    ];
    let messages = Cmd::new("cargo")
        .args(args)
        .arg("--message-format=json-render-diagnostics")
        .dir(paths::repo())
        .log("cargo-image")
        .deadline(Duration::from_secs(45 * 60))
        .output()?;
    Ok(messages.lines().filter_map(executable).collect())
}

/// The executable that a line of cargo's messages names.
pub(crate) fn executable(line: &str) -> Option<PathBuf> {
    let message: Value = serde_json::from_str(line).ok()?;
    message["executable"].as_str().map(PathBuf::from)
}

/// Makes the archive of one image, unless it is there already.
fn assemble(repository: &str, binary: &Path) -> Result<Image> {
    let name = repository.rsplit('/').next().unwrap_or(repository);
    let root = layer::stage(name, binary)?;
    let layer = layer::pack(root.path(), name)?;
    let size = layer.size;
    ensure!(
        size < SIZE_LIMIT,
        "image {repository} would be {:.1} MB, more than {:.0} MB",
        megabytes(size),
        megabytes(SIZE_LIMIT)
    );
    let entrypoint = format!("/{}", file_name(binary)?);
    let (tag, archive) = layer.archive(repository, &entrypoint)?;
    Ok(Image {
        repository: repository.to_owned(),
        tag,
        binary: binary.to_owned(),
        archive,
        size,
    })
}

/// Whether the node has the image already.
fn loaded(image: &Image) -> Result<bool> {
    let reference = format!("name=={}", image.reference());
    let listed = in_node(&["images", "ls", "-q", &reference]).output()?;
    Ok(listed.lines().any(|line| line == image.reference()))
}

/// Loads an image's archive into the node.
fn load(image: &Image) -> Result<()> {
    let kind = paths::tool("kind");
    let args = ["load", "image-archive", "--name", "ottla"];
    Cmd::new(kind).args(args).arg(&image.archive).run()?;
    if !loaded(image)? {
        bail!("kind loaded {} but the node does not list it", image.reference());
    }
    Ok(())
}

/// containerd's own tool inside the node.
fn in_node(args: &[&str]) -> Cmd {
    Cmd::new("docker")
        .args(["exec", NODE, "ctr", "--namespace", "k8s.io"])
        .args(args)
}

fn file_name(path: &Path) -> Result<String> {
    let name = path
        .file_name()
        .with_context(|| format!("{} has no file name", path.display()))?;
    Ok(name.to_string_lossy().into_owned())
}

#[allow(
    clippy::cast_precision_loss,
    reason = "a size for a human, of at most a few megabytes"
)]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

#[cfg(test)]
mod tests {
    use super::executable;

    #[test]
    fn cargo_messages_name_the_executables() {
        let line = r#"{"reason":"compiler-artifact","executable":"/t/image/ottla-operator"}"#;
        assert_eq!(executable(line), Some("/t/image/ottla-operator".into()));
        assert_eq!(
            executable(r#"{"reason":"compiler-artifact","executable":null}"#),
            None
        );
        assert_eq!(executable("warning: something"), None);
    }
}
