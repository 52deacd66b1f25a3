//! `cargo xtask crds`: writes the CRDs' YAML where users and the chart take it from.
//!
//! xtask knows no type of the API: the generator binary of the `crds` crate writes the files.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::cmd::Cmd;
use crate::{paths, ui};

/// Folders that hold a copy, relative to the repository.
const COPIES: [&str; 2] = ["crds", "charts/ottla/files/crds"];

/// Arguments of `cargo xtask crds`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Change nothing; fail when a committed file is stale
    #[arg(long)]
    check: bool,
}

/// Runs the subcommand.
pub(crate) fn run(args: &Args) -> Result<()> {
    if args.check {
        return check();
    }
    let folders: Vec<PathBuf> = COPIES.iter().map(|copy| paths::repo().join(copy)).collect();
    generate(&folders)?;
    for copy in COPIES {
        ui::note(&format!("wrote {copy}/*.yaml"));
    }
    Ok(())
}

/// Fails when a committed copy is not what the types say.
pub(crate) fn check() -> Result<()> {
    let fresh = tempfile::tempdir()?;
    generate(&[fresh.path().to_owned()])?;
    for copy in COPIES {
        compare(fresh.path(), &paths::repo().join(copy))
            .with_context(|| format!("{copy} is stale: run `cargo xtask crds`"))?;
    }
    Ok(())
}

fn generate(folders: &[PathBuf]) -> Result<()> {
    Cmd::new("cargo")
        .args(["run", "--quiet", "-p", "ottla-crds", "--bin", "crdgen", "--"])
        .args(folders)
        .dir(paths::repo())
        .deadline(Duration::from_secs(30 * 60))
        .run()
}

/// Every fresh file is there with the same text, and no other YAML is.
fn compare(fresh: &Path, committed: &Path) -> Result<()> {
    let expected = yaml_files(fresh)?;
    let found = yaml_files(committed).unwrap_or_default();
    if expected != found {
        bail!("expected the files {expected:?}, found {found:?}");
    }
    for name in expected {
        if fs::read(fresh.join(&name))? != fs::read(committed.join(&name))? {
            bail!("{name} differs");
        }
    }
    Ok(())
}

fn yaml_files(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if Path::new(&name)
            .extension()
            .is_some_and(|extension| extension == "yaml")
        {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_a_missing_and_a_leftover_file_are_told() {
        let (fresh, committed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(fresh.path().join("a.yaml"), "new").unwrap();
        assert!(compare(fresh.path(), committed.path()).is_err());
        fs::write(committed.path().join("a.yaml"), "old").unwrap();
        assert!(
            compare(fresh.path(), committed.path())
                .unwrap_err()
                .to_string()
                .contains("differs")
        );
        fs::write(committed.path().join("a.yaml"), "new").unwrap();
        compare(fresh.path(), committed.path()).unwrap();
        fs::write(committed.path().join("b.yaml"), "left").unwrap();
        assert!(compare(fresh.path(), committed.path()).is_err());
    }
}
