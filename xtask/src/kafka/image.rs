//! The Kafka image: Apache Kafka from Maven and a small Java runtime, in the layout of the Bitnami image.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};

use crate::cache::{self, Recipe};
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
    let tag = tag(version)?;
    if !has_image(&tag)? {
        build(version, &tag)?;
    }
    Ok(tag)
}

/// The image's name, which says what it is made from.
pub fn tag(version: &str) -> Result<String> {
    let source = paths::repo().join("rig/kafka");
    let mut recipe = Recipe::new("kafka")
        .text(libraries_recipe(version)?.key())
        .text(runtime_recipe()?.key())
        .text(rootfs::BASE.recipe()?.key());
    for part in PARTS {
        recipe = recipe.path(source.join(part))?;
    }
    Ok(format!("ottla.dev/rig/kafka:{version}-{}", recipe.key()))
}

fn build(version: &str, tag: &str) -> Result<()> {
    let source = paths::repo().join("rig/kafka");
    let base = rootfs::BASE.image()?;
    let libraries = libraries_recipe(version)?
        .ensure("Apache Kafka from Maven, a few seconds", |_, dir| {
            fetch(version, &source, dir)
        })?;
    let runtime = runtime_recipe()?.ensure("a Java runtime by jlink, a few seconds", |_, dir| link(dir))?;
    ui::step(&format!("make the image of Kafka {version}"), |_| {
        let context = cache::scratch()?;
        let copy = |from: PathBuf, to: &str| {
            let command = Cmd::new("cp").args(["-a", "--reflink=auto"]).arg(from);
            command.arg(context.path().join(to)).run()
        };
        for part in PARTS {
            copy(source.join(part), part)?;
        }
        copy(libraries.join("libs"), "libs")?;
        copy(libraries.join("tools"), "tools")?;
        copy(runtime.join("java"), "java")?;
        let build = docker().args(["build", "-t", tag, "--build-arg", &format!("BASE={base}")]);
        let build = build.arg(context.path()).deadline(Duration::from_secs(300));
        build.log("kafka-image").run()
    })
}

fn libraries_recipe(version: &str) -> Result<Recipe> {
    let recipe = Recipe::new(&format!("kafka-{version}"))
        .text(version)
        .text(tools_version(version));
    recipe.path(paths::repo().join("rig/kafka/pom.xml"))
}

fn runtime_recipe() -> Result<Recipe> {
    let version = Cmd::new("java").arg("--version").output()?;
    Ok(Recipe::new("java").text(version).text(MODULES))
}

/// The version of the command line tools that go with a broker: 4.4.0 was published without them.
fn tools_version(version: &str) -> &str {
    if version == "4.4.0" { "4.3.1" } else { version }
}

/// Collects the libraries of a version, and those of its tools apart when they are of another.
fn fetch(version: &str, source: &Path, dir: &Path) -> Result<()> {
    fs::copy(source.join("pom.xml"), dir.join("pom.xml")).context("cannot copy pom.xml")?;
    fs::create_dir(dir.join("tools"))?;
    if tools_version(version) == version {
        return maven(version, dir, "libs", &[]);
    }
    maven(version, dir, "libs", &["-Dbroker.only"])?;
    maven(tools_version(version), dir, "tools", &[])
}

fn maven(version: &str, dir: &Path, into: &str, options: &[&str]) -> Result<()> {
    let maven = Cmd::new("mvn").args([
        "--batch-mode",
        "--no-transfer-progress",
        "dependency:copy-dependencies",
    ]);
    let maven = maven
        .arg(format!("-DoutputDirectory={into}"))
        .arg(format!("-Dkafka.version={version}"));
    let maven = maven.args(options).dir(dir).deadline(Duration::from_secs(600));
    maven.log(&format!("maven-kafka-{version}")).run()
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
