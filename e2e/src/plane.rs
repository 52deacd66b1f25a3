//! A Kubernetes API of the test's own: etcd and an API server as processes of this machine, with our CRDs and nothing else.
//!
//! What happens to it happens to no one else's, so it may be killed and stopped; and no other operator looks at it. There
//! are no controllers: nothing runs pods, and a namespace is never quite deleted. The API server's audit log is the
//! witness of who wrote what.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context as _, Result};
use kube::Client;
use kube::api::{Api, DynamicObject, ListParams, Patch, PatchParams};
use kube::core::{ApiResource, GroupVersionKind};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::process::{Child, Command};

use crate::audit;
pub use crate::audit::Writes;
use crate::object::Kind;
use crate::wait::until;

/// Who asks the API server, as its audit log names them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Caller {
    /// The test, as a user.
    Test,
    /// An operator that prepares a scene.
    Preparer,
    /// The operator under test.
    Operator,
}

impl Caller {
    const ALL: [Self; 3] = [Self::Test, Self::Preparer, Self::Operator];

    fn name(self) -> &'static str {
        match self {
            Self::Test => "test",
            Self::Preparer => "preparer",
            Self::Operator => "operator",
        }
    }
}

/// One of the two processes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The store.
    Etcd,
    /// The API server.
    Server,
}

/// A running Kubernetes API; it ends with this value.
pub struct Plane {
    folder: TempDir,
    ports: [u16; 3],
    etcd: Child,
    server: Child,
    /// A client with all rights.
    pub client: Client,
}

impl Plane {
    /// Starts one, or says `SKIPPED` and answers none where no programs for it were named.
    pub async fn start(test: &str) -> Result<Option<Self>> {
        for name in ["OTTLA_TEST_ETCD", "OTTLA_TEST_KUBE_APISERVER"] {
            if std::env::var_os(name).is_none_or(|value| value.is_empty()) {
                eprintln!("SKIPPED {test}: {name} is not set; `cargo xtask test` sets it");
                return Ok(None);
            }
        }
        let folder = tempfile::tempdir()?;
        // Free now; nobody else on this machine is given them in the next moment.
        let mut listeners = vec![];
        for _ in 0..3 {
            listeners.push(TcpListener::bind("127.0.0.1:0").await?);
        }
        let mut ports = [0; 3];
        for (port, listener) in ports.iter_mut().zip(&listeners) {
            *port = listener.local_addr()?.port();
        }
        drop(listeners);
        write_credentials(folder.path())?;
        let etcd = spawn_etcd(folder.path(), ports)?;
        let server = spawn_server(folder.path(), ports)?;
        let client = client(folder.path(), ports[2], Caller::Test).await?;
        let plane = Self {
            folder,
            ports,
            etcd,
            server,
            client,
        };
        plane.answers().await?;
        plane.install().await?;
        Ok(Some(plane))
    }

    /// Waits until the API server says it is ready.
    pub async fn answers(&self) -> Result<()> {
        until("the private API server", Duration::from_secs(60), async || {
            let request = http::Request::get("/readyz").body(vec![])?;
            anyhow::Ok(self.client.request_text(request).await?)
        })
        .await
        .map(drop)
    }

    /// Installs our CRDs and waits until all kinds are served.
    async fn install(&self) -> Result<()> {
        let gvk = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
        let crds: Api<DynamicObject> = Api::all_with(self.client.clone(), &ApiResource::from_gvk(&gvk));
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crds");
        for file in fs::read_dir(&folder).context("read the folder of the CRDs")? {
            let path = file?.path();
            if path.extension().is_none_or(|extension| extension != "yaml") {
                continue;
            }
            let crd: Value = serde_saphyr::from_str(&fs::read_to_string(&path)?)?;
            let name = crd["metadata"]["name"].as_str().context("a CRD has a name")?;
            crds.patch(name, &PatchParams::apply("e2e").force(), &Patch::Apply(&crd))
                .await
                .with_context(|| format!("install {name}"))?;
        }
        until("every kind to be served", Duration::from_secs(30), async || {
            for kind in Kind::ALL {
                let api: Api<DynamicObject> = Api::all_with(self.client.clone(), &kind.resource());
                api.list(&ListParams::default()).await?;
            }
            Ok::<_, kube::Error>(())
        })
        .await
    }

    /// The address of the API server.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://127.0.0.1:{}", self.ports[2])
    }

    /// A client that is a caller and tries nothing again by itself.
    pub async fn client_of(&self, caller: Caller) -> Result<Client> {
        client(self.folder.path(), self.ports[2], caller).await
    }

    /// A kubeconfig for a caller, at the API server itself or at a proxy before it.
    pub fn kubeconfig(&self, caller: Caller, url: &str) -> Result<PathBuf> {
        let name = url.rsplit(':').next().unwrap_or_default();
        let file = self
            .folder
            .path()
            .join(format!("{}-{name}.kubeconfig", caller.name()));
        // Whole at once: another operator may be reading it.
        let mut whole = tempfile::NamedTempFile::new_in(self.folder.path())?;
        serde_json::to_writer(&mut whole, &config(self.folder.path(), url, caller))?;
        whole.persist(&file)?;
        Ok(file)
    }

    /// A file of that name which goes with the plane.
    #[must_use]
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Sends a signal to one of the processes.
    pub async fn signal(&self, part: Part, signal: &str) -> Result<()> {
        let child = match part {
            Part::Etcd => &self.etcd,
            Part::Server => &self.server,
        };
        crate::process::signal(child.id().context("the process has ended")?, signal).await
    }

    /// Kills one of the processes without letting it finish anything.
    pub async fn kill(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Etcd => self.etcd.kill().await,
            Part::Server => self.server.kill().await,
        }
        .context("kill a process of the control plane")
    }

    /// Starts a process again that was killed, and waits until the API answers.
    pub async fn revive(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Etcd => self.etcd = spawn_etcd(self.folder.path(), self.ports)?,
            Part::Server => self.server = spawn_server(self.folder.path(), self.ports)?,
        }
        self.answers().await
    }

    /// What a caller wrote with success so far, by the audit log.
    pub fn writes(&self, caller: Caller) -> Result<Writes> {
        let text = fs::read_to_string(self.file("audit.log")).context("read the audit log")?;
        audit::writes(&text, caller.name())
    }
}

/// A certificate that is its own authority, its key (which signs the tokens of service accounts too), and a token for
/// each caller.
fn write_credentials(folder: &Path) -> Result<()> {
    let own = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
    fs::write(folder.join("cert.pem"), own.cert.pem())?;
    fs::write(folder.join("key.pem"), own.signing_key.serialize_pem())?;
    let tokens = Caller::ALL
        .map(Caller::name)
        .map(|name| format!("{name}-token,{name},{name},system:masters\n"));
    fs::write(folder.join("tokens.csv"), tokens.concat())?;
    fs::write(folder.join("audit.json"), audit::policy().to_string())?;
    Ok(())
}

fn spawn(program: &str, folder: &Path, log: &str, arguments: &[String]) -> Result<Child> {
    let program = std::env::var(program).with_context(|| format!("{program} names a program"))?;
    let log = File::options().create(true).append(true).open(folder.join(log))?;
    Command::new(&program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("start {program}"))
}

fn spawn_etcd(folder: &Path, [client, peer, _]: [u16; 3]) -> Result<Child> {
    let arguments = [
        format!("--data-dir={}", folder.join("etcd").display()),
        format!("--listen-client-urls=http://127.0.0.1:{client}"),
        format!("--advertise-client-urls=http://127.0.0.1:{client}"),
        format!("--listen-peer-urls=http://127.0.0.1:{peer}"),
        "--unsafe-no-fsync".to_owned(),
    ];
    spawn("OTTLA_TEST_ETCD", folder, "etcd.log", &arguments)
}

fn spawn_server(folder: &Path, [etcd, _, port]: [u16; 3]) -> Result<Child> {
    let file = |flag: &str, name: &str| format!("--{flag}={}", folder.join(name).display());
    let arguments = [
        format!("--etcd-servers=http://127.0.0.1:{etcd}"),
        format!("--secure-port={port}"),
        "--bind-address=127.0.0.1".to_owned(),
        "--advertise-address=127.0.0.1".to_owned(),
        "--service-cluster-ip-range=10.0.0.0/24".to_owned(),
        file("tls-cert-file", "cert.pem"),
        file("tls-private-key-file", "key.pem"),
        file("service-account-key-file", "cert.pem"),
        file("service-account-signing-key-file", "key.pem"),
        "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
        file("token-auth-file", "tokens.csv"),
        "--authorization-mode=AlwaysAllow".to_owned(),
        "--disable-admission-plugins=ServiceAccount".to_owned(),
        file("audit-policy-file", "audit.json"),
        file("audit-log-path", "audit.log"),
    ];
    spawn("OTTLA_TEST_KUBE_APISERVER", folder, "server.log", &arguments)
}

fn config(folder: &Path, url: &str, caller: Caller) -> Value {
    let mut cluster = json!({"server": url});
    if url.starts_with("https") {
        cluster["certificate-authority"] = json!(folder.join("cert.pem"));
    }
    json!({
        "apiVersion": "v1", "kind": "Config", "current-context": "plane",
        "clusters": [{"name": "plane", "cluster": cluster}],
        "users": [{"name": "caller", "user": {"token": format!("{}-token", caller.name())}}],
        "contexts": [{"name": "plane", "context": {"cluster": "plane", "user": "caller"}}],
    })
}

async fn client(folder: &Path, port: u16, caller: Caller) -> Result<Client> {
    let config = config(folder, &format!("https://127.0.0.1:{port}"), caller);
    let config = kube::config::Kubeconfig::from_yaml(&config.to_string())?;
    let mut config =
        kube::Config::from_custom_kubeconfig(config, &kube::config::KubeConfigOptions::default()).await?;
    config.default_retry = false;
    Ok(Client::try_from(config)?)
}
