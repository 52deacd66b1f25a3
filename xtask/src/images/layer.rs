//! One image layer and the archive around it, the same bytes for the same contents.
//!
//! Only what the binary needs to run goes in. Nothing here talks to an engine or a cluster.

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::cmd::Cmd;
use crate::paths;

/// The user that the binaries run as, in no group of the system.
const USER: &str = "65532:65532";
/// Where distributions keep the CA roots.
const CA_ROOTS: [&str; 3] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
];
/// Names come from files, then from DNS; without this glibc's order depends on how it was built.
const NSSWITCH: &str = "passwd: files\ngroup: files\nhosts: files dns\n";
const PASSWD: &str = "ottla:x:65532:65532:ottla:/:/sbin/nologin\n";
const GROUP: &str = "ottla:x:65532:\n";

/// A packed layer.
pub(super) struct Layer {
    file: PathBuf,
    /// Bytes.
    pub(super) size: u64,
    digest: String,
}

/// Lays out an image's root: binary, libraries, CA roots, user.
pub(super) fn stage(name: &str, binary: &Path) -> Result<TempDir> {
    let base = folder()?;
    let root = tempfile::Builder::new()
        .prefix(&format!("{name}-"))
        .tempdir_in(&base)?;
    let put = |from: &Path, to: &str, mode: u32| -> Result<()> {
        let to = root.path().join(to.trim_start_matches('/'));
        if let Some(parent) = to.parent() {
            fs::create_dir_all(parent)?;
        }
        fs::copy(from, &to).with_context(|| format!("copy {} into the image {name}", from.display()))?;
        Ok(fs::set_permissions(&to, fs::Permissions::from_mode(mode))?)
    };
    put(binary, &super::file_name(binary)?, 0o755)?;
    for library in libraries(binary)? {
        put(&library, &library.to_string_lossy(), 0o755)?;
    }
    let roots = CA_ROOTS.iter().map(Path::new).find(|file| file.exists());
    let roots = roots.with_context(|| format!("no CA roots on this machine: none of {CA_ROOTS:?} exists"))?;
    put(roots, "/etc/ssl/certs/ca-certificates.crt", 0o644)?;
    for (file, text) in [("nsswitch.conf", NSSWITCH), ("passwd", PASSWD), ("group", GROUP)] {
        let file = root.path().join("etc").join(file);
        fs::write(&file, text)?;
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644))?;
    }
    Ok(root)
}

/// Packs a root into a layer whose bytes depend on its contents only.
pub(super) fn pack(root: &Path, name: &str) -> Result<Layer> {
    let file = folder()?.join(format!("{name}.layer.tar"));
    tar(root, &file, &["."])?;
    Ok(Layer {
        size: fs::metadata(&file)?.len(),
        digest: digest(File::open(&file)?)?,
        file,
    })
}

impl Layer {
    /// Wraps the layer into an archive as `docker save` writes it; answers its tag and where it is.
    pub(super) fn archive(&self, repository: &str, entrypoint: &str) -> Result<(String, PathBuf)> {
        let architecture = match std::env::consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => bail!("no image architecture is known for {other}"),
        };
        let config = json!({
            "architecture": architecture,
            "os": "linux",
            "config": {"User": USER, "Entrypoint": [entrypoint], "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{}", self.digest)]},
            "history": [{"created_by": "cargo xtask images"}],
        });
        let config = serde_json::to_vec(&config)?;
        let id = digest(config.as_slice())?;
        let tag = id.chars().take(12).collect::<String>();
        let name = repository.rsplit('/').next().unwrap_or(repository);
        let archive = folder()?.join(format!("{name}-{tag}.tar"));
        if archive.exists() {
            return Ok((tag, archive));
        }
        let whole = tempfile::tempdir_in(folder()?)?;
        let manifest = json!([{
            "Config": format!("{id}.json"), "RepoTags": [format!("{repository}:{tag}")], "Layers": ["layer.tar"],
        }]);
        fs::write(whole.path().join("manifest.json"), serde_json::to_vec(&manifest)?)?;
        fs::write(whole.path().join(format!("{id}.json")), &config)?;
        fs::rename(&self.file, whole.path().join("layer.tar"))?;
        forget_older(name)?;
        let made = whole.path().join("image.tar");
        tar(
            whole.path(),
            &made,
            &["manifest.json", &format!("{id}.json"), "layer.tar"],
        )?;
        // Renamed when whole: a run that is interrupted leaves no half archive under the final name.
        fs::rename(&made, &archive)?;
        Ok((tag, archive))
    }
}

/// Removes the archives of earlier contents.
fn forget_older(name: &str) -> Result<()> {
    for entry in fs::read_dir(folder()?)? {
        let file = entry?.path();
        let ours = file
            .file_name()
            .is_some_and(|own| own.to_string_lossy().starts_with(&format!("{name}-")));
        if ours && file.extension().is_some_and(|extension| extension == "tar") {
            fs::remove_file(file)?;
        }
    }
    Ok(())
}

/// Where images are made.
fn folder() -> Result<PathBuf> {
    let folder = paths::cache().join("images");
    fs::create_dir_all(&folder).with_context(|| format!("make {}", folder.display()))?;
    Ok(folder)
}

fn tar(from: &Path, to: &Path, what: &[&str]) -> Result<()> {
    // Whoever runs the image must read it, whatever umask built it.
    let fixed = [
        "--sort=name",
        "--mtime=@0",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "--mode=a+rX,go-w",
    ];
    Cmd::new("tar")
        .args(fixed)
        .arg("-C")
        .arg(from)
        .arg("-cf")
        .arg(to)
        .args(what)
        .run()
}

fn digest(mut from: impl Read) -> Result<String> {
    let mut hash = Sha256::new();
    io::copy(&mut from, &mut hash)?;
    Ok(hex::encode(hash.finalize()))
}

/// The libraries that the loader will look for, the loader itself among them.
fn libraries(binary: &Path) -> Result<Vec<PathBuf>> {
    let text = Cmd::new("ldd").arg(binary).output()?;
    parse_ldd(&text)
}

fn parse_ldd(text: &str) -> Result<Vec<PathBuf>> {
    if text.contains("statically linked") {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let (name, path) = line.split_once(" => ").unwrap_or((line, line));
        if name.starts_with("linux-vdso") || name.starts_with("linux-gate") {
            continue;
        }
        if path.starts_with("not found") {
            bail!("the library {name} is not on this machine");
        }
        let path = path.split(" (").next().unwrap_or(path).trim();
        if !path.starts_with('/') {
            bail!("ldd printed a line that is not understood: {line}");
        }
        found.push(PathBuf::from(path));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ldd_names_libraries_and_the_loader() {
        let text = "\tlinux-vdso.so.1 (0x00007ffc)\n\tlibc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x00007f)\n\
                    \t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n";
        let expected: [PathBuf; 2] = [
            "/lib/x86_64-linux-gnu/libc.so.6".into(),
            "/lib64/ld-linux-x86-64.so.2".into(),
        ];
        assert_eq!(parse_ldd(text).unwrap(), expected);
        assert!(parse_ldd("\tlibz.so.1 => not found\n").is_err());
        assert!(parse_ldd("\tstatically linked\n").unwrap().is_empty());
    }
}
