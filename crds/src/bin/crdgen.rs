//! Writes every `CustomResourceDefinition` as YAML into the directories given as arguments.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{env, fs, io};

fn main() -> ExitCode {
    let directories: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    if directories.is_empty() {
        eprintln!("usage: crdgen DIRECTORY...");
        return ExitCode::from(2);
    }
    for directory in directories {
        if let Err(error) = write(&directory) {
            eprintln!("crdgen: cannot write to {}: {error}", directory.display());
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}

fn write(directory: &Path) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    for crd in ottla_crds::crd::all() {
        let yaml = ottla_crds::crd::yaml(&crd).map_err(io::Error::other)?;
        fs::write(directory.join(ottla_crds::crd::file_name(&crd)), yaml)?;
    }
    Ok(())
}
