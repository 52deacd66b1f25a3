//! What tests of failures run as processes of this machine: an operator that can be told where to die, and a Kubernetes
//! API of their own, which they may kill.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::cmd::Cmd;
use crate::{paths, ui};

const NODE: &str = "ottla-control-plane";
/// In the node: copies the program whose process is called `$0` to the file `$1`.
const FIND: &str = "for p in /proc/[0-9]*; do \
    if [ \"$(cat $p/comm 2>/dev/null)\" = \"$0\" ]; then exec cp $p/exe $1; fi; done; exit 1";

/// Tests are built with it; what is shipped is not.
pub(super) const FEATURE: &str = "ottla-operator/failpoints";

/// The programs.
pub(super) struct Failing {
    operator: PathBuf,
    etcd: PathBuf,
    server: PathBuf,
}

impl Failing {
    /// Tells a command where they are.
    pub(super) fn environment(&self, command: Cmd) -> Cmd {
        command
            .env("OTTLA_TEST_FAILPOINT_OPERATOR", &self.operator)
            .env("OTTLA_TEST_ETCD", &self.etcd)
            .env("OTTLA_TEST_KUBE_APISERVER", &self.server)
    }
}

/// Gets the API out of the node, beside the operator, which is built with the tests.
pub(super) fn ensure(operator: PathBuf) -> Result<Failing> {
    let folder = paths::cache().join("control-plane");
    fs::create_dir_all(&folder)?;
    ui::step("get a Kubernetes API for tests to kill", |_| {
        Ok(Failing {
            operator,
            etcd: copy("etcd", &folder)?,
            server: copy("kube-apiserver", &folder)?,
        })
    })
}

/// Copies the program of a running process, which is static, out of the node: the same on every way to a cluster.
fn copy(program: &str, folder: &Path) -> Result<PathBuf> {
    let (inside, file) = (format!("/var/tmp/ottla-{program}"), folder.join(program));
    let attempt = || {
        let find = Cmd::new("docker").args(["exec", NODE, "sh", "-c", FIND, program, &inside]);
        find.run()?;
        Cmd::new("docker")
            .arg("cp")
            .arg(format!("{NODE}:{inside}"))
            .arg(&file)
            .run()
    };
    attempt().with_context(|| format!("cannot copy {program} out of the node"))?;
    Ok(file)
}
