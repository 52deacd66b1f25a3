//! The Kafka image: Apache Kafka from Maven and a small Java runtime, in the layout of the Bitnami image.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cache::Recipe;
use crate::cmd::Cmd;
use crate::host::engine::docker;
use crate::host::packages;
use crate::rig::rootfs::{self, has_image};
use crate::{paths, ui};

/// The runtime's modules; log4j wants java.desktop, so java.base alone does not do.
const MODULES: &str = "java.se,jdk.crypto.ec,jdk.unsupported,jdk.management,jdk.zipfs";
/// What the image is made of, beside libraries and runtime.
const PARTS: [&str; 5] = ["Dockerfile", "bin", "logging", "install-tools", "tools.list"];

/// The image of a version of Kafka, built when the engine does not have it.
pub fn ensure(version: &str) -> Result<String> {
    packages::ensure(packages::BUILD)?;
    let (libraries, runtime) = (libraries_recipe(version)?, runtime_recipe()?);
    let source = paths::repo().join("rig/kafka");
    let mut recipe = Recipe::new("kafka")
        .text(libraries.key())
        .text(runtime.key())
        .text(rootfs::BASE.recipe()?.key());
    for part in PARTS {
        recipe = recipe.path(source.join(part))?;
    }
    let tag = format!("ottla.dev/rig/kafka:{version}-{}", recipe.key());
    if has_image(&tag)? {
        return Ok(tag);
    }
    let base = rootfs::BASE.image()?;
    let libraries = libraries.ensure("Apache Kafka from Maven, a few seconds", |_, dir| {
        fetch(version, &source, dir)
    })?;
    let runtime = runtime.ensure("a Java runtime by jlink, a few seconds", |_, dir| link(dir))?;
    ui::step(&format!("make the image of Kafka {version}"), |_| {
        let context = tempfile::tempdir_in(paths::rig_cache())?;
        let copy = |from: PathBuf, to: &str| {
            Cmd::new("cp")
                .args(["-a", "--reflink=auto"])
                .arg(from)
                .arg(context.path().join(to))
                .run()
        };
        for part in PARTS {
            copy(source.join(part), part)?;
        }
        copy(libraries.join("libs"), "libs")?;
        copy(runtime.join("java"), "java")?;
        let build = docker().args(["build", "-t", &tag, "--build-arg", &format!("BASE={base}")]);
        build
            .arg(context.path())
            .deadline(Duration::from_secs(300))
            .log("kafka-image")
            .run()
    })?;
    Ok(tag)
}

fn libraries_recipe(version: &str) -> Result<Recipe> {
    Recipe::new(&format!("kafka-{version}"))
        .text(version)
        .path(paths::repo().join("rig/kafka/pom.xml"))
}

fn runtime_recipe() -> Result<Recipe> {
    let version = Cmd::new("java").arg("--version").output()?;
    Ok(Recipe::new("java").text(version).text(MODULES))
}

/// Collects the libraries of a version.
fn fetch(version: &str, source: &Path, dir: &Path) -> Result<()> {
    fs::copy(source.join("pom.xml"), dir.join("pom.xml")).context("cannot copy pom.xml")?;
    let maven = Cmd::new("mvn").args([
        "--batch-mode",
        "--no-transfer-progress",
        "dependency:copy-dependencies",
    ]);
    let maven = maven
        .args(["-DoutputDirectory=libs", &format!("-Dkafka.version={version}")])
        .dir(dir);
    maven
        .deadline(Duration::from_secs(600))
        .log(&format!("maven-kafka-{version}"))
        .run()
}

/// Links a runtime out of the host's JDK, and gives it an archive of shared classes: tools start twice as fast.
fn link(dir: &Path) -> Result<()> {
    let java = dir.join("java");
    let jlink = Cmd::new("jlink").args([
        "--add-modules",
        MODULES,
        "--strip-debug",
        "--no-header-files",
        "--no-man-pages",
    ]);
    jlink
        .args(["--compress=1", "--output"])
        .arg(&java)
        .log("jlink")
        .run()?;
    Cmd::new(java.join("bin/java")).arg("-Xshare:dump").run()
}
