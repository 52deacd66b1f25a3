//! The throw-away Kafkas, deployed by `cargo xtask test`: one of three brokers in two racks, which tests may change, and one
//! of a single broker, which is taken away.
//!
//! Tests that only use the first share it; one that stops any of its brokers has it for itself.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::Secret;
use kube::api::Api;
use tokio::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::broker::Broker;
use crate::live::Live;
use crate::object::Kind;
use crate::{Scene, fixtures};

/// Who uses it, among the tests of one process.
static USERS: RwLock<()> = RwLock::const_new(());

/// For as long as it lives nobody takes the throw-away Kafka away.
pub async fn shared() -> RwLockReadGuard<'static, ()> {
    USERS.read().await
}

/// Who sets rates of its brokers.
static RATES: Mutex<()> = Mutex::const_new(());

/// The throw-away Kafka, and the rates of its brokers for one test alone.
pub struct Rates {
    _users: RwLockReadGuard<'static, ()>,
    _turn: MutexGuard<'static, ()>,
}

/// For as long as it lives nobody else uses the throw-away Kafka.
pub async fn alone() -> RwLockWriteGuard<'static, ()> {
    USERS.write().await
}

/// For as long as it lives nobody takes the throw-away Kafka away, or sets rates of its brokers.
pub async fn rates() -> Rates {
    Rates {
        _users: USERS.read().await,
        _turn: RATES.lock().await,
    }
}

/// Its namespace.
pub fn namespace() -> Result<String> {
    std::env::var("OTTLA_TEST_SPARE_KAFKA")
        .context("OTTLA_TEST_SPARE_KAFKA names the throw-away Kafka's namespace")
}

/// Its bootstrap address for processes on this machine.
pub const ADDRESS: &str = "127.0.0.1:30095";
/// As [`ADDRESS`], for the Kafka of one broker.
const LONE_ADDRESS: &str = "127.0.0.1:30101";
/// Whoever may do everything there.
pub const USER: &str = "user1";

/// The throw-away Kafka as processes on this machine reach it.
#[derive(Clone)]
pub struct Spare {
    /// Its own tools.
    pub broker: Broker,
    /// The password of [`USER`].
    pub password: String,
}

impl Spare {
    /// Finds it.
    pub async fn find(live: &Live) -> Result<Self> {
        let namespace = namespace()?;
        let password = password(live, &namespace).await?;
        Ok(Self {
            broker: Broker::of(live, &namespace, ADDRESS, USER, &password),
            password,
        })
    }
}

/// The password of its [`USER`].
async fn password(live: &Live, namespace: &str) -> Result<String> {
    let secrets: Api<Secret> = Api::namespaced(live.client.clone(), namespace);
    let secret = secrets.get("kafka-user-passwords").await?;
    let password = secret
        .data
        .and_then(|mut data| data.remove("system-user-password"))
        .context("key system-user-password")?;
    String::from_utf8(password.0).context("a password is text")
}

/// Kafka's own tools for it, as [`USER`].
pub async fn broker(scene: &Scene) -> Result<Broker> {
    Ok(Spare::find(&scene.live).await?.broker)
}

/// Makes it a KafkaCluster of the scene, awaits that it is Ready, and answers it.
pub async fn connect(scene: &Scene, name: &str) -> Result<Broker> {
    connect_to(scene, name, &namespace()?, ADDRESS).await
}

/// As [`connect`], with the Kafka of one broker; answers its namespace.
pub async fn connect_lone(scene: &Scene, name: &str) -> Result<String> {
    let namespace = std::env::var("OTTLA_TEST_LONE_KAFKA")
        .context("OTTLA_TEST_LONE_KAFKA names the namespace of the Kafka that is taken away")?;
    connect_to(scene, name, &namespace, LONE_ADDRESS).await?;
    Ok(namespace)
}

async fn connect_to(scene: &Scene, name: &str, namespace: &str, address: &str) -> Result<Broker> {
    let password = password(&scene.live, namespace).await?;
    let secret = format!("{name}-credentials");
    scene.secret(&secret, &[("password", &password)]).await?;
    let mut spec = fixtures::cluster_at(&format!("kafka.{namespace}.svc.cluster.local:9092"));
    spec["sasl"]["passwordFrom"]["name"] = secret.into();
    scene.apply(Kind::Cluster, name, spec).await?;
    scene
        .await_says(Kind::Cluster, name, ("Ready", "True", ""), 60)
        .await?;
    Ok(Broker::of(&scene.live, namespace, address, USER, &password))
}
