//! What the operator is told on its command line and by its environment. Plain data.

use std::net::SocketAddr;

use super::lease::LeaseName;

/// How logs are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum LogFormat {
    /// One JSON object a line.
    #[default]
    Json,
    /// Lines for people.
    Text,
}

/// Options of `ottla-operator run`.
#[derive(Clone, Debug, clap::Args)]
pub struct Config {
    /// Namespaces to watch, separated by commas; none means every namespace, which needs a ClusterRole.
    #[arg(
        long,
        env = "OTTLA_WATCH_NAMESPACES",
        value_delimiter = ',',
        default_value = ""
    )]
    pub watch_namespaces: Vec<String>,

    /// Image of the producer and consumer pods.
    #[arg(
        long,
        env = "OTTLA_WORKLOAD_IMAGE",
        default_value = "ottla.dev/workload:latest"
    )]
    pub workload_image: String,

    /// Address that serves /metrics, /healthz and /readyz.
    #[arg(long, env = "OTTLA_HTTP_ADDRESS", default_value = "0.0.0.0:8080")]
    pub http_address: SocketAddr,

    /// How logs are written; `RUST_LOG` says which.
    #[arg(long, env = "OTTLA_LOG_FORMAT", value_enum, default_value_t)]
    pub log_format: LogFormat,

    /// Name of the operator's own pod, for events and as the Lease's holder.
    #[arg(long, env = "OTTLA_POD_NAME")]
    pub pod_name: Option<String>,

    /// Serve metrics of single topics too: partitions that are under-replicated, and sizes, for at most 2,000 topics of
    /// each KafkaCluster. Costs a call to every broker with each look at the topics.
    #[arg(long, env = "OTTLA_TOPIC_METRICS")]
    pub topic_metrics: bool,

    /// Lease to hold before acting, as namespace/name, where several operators run. Without it this operator acts at once
    /// and must be the only one.
    #[arg(long, env = "OTTLA_LEASE")]
    pub lease: Option<LeaseName>,
}

impl Config {
    /// The namespaces to watch; empty means every one.
    #[must_use]
    pub fn namespaces(&self) -> Vec<String> {
        let mut namespaces: Vec<String> = self
            .watch_namespaces
            .iter()
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect();
        namespaces.sort();
        namespaces.dedup();
        namespaces
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            watch_namespaces: vec![],
            workload_image: "ottla.dev/workload:latest".to_owned(),
            http_address: SocketAddr::from(([0, 0, 0, 0], 8080)),
            log_format: LogFormat::Json,
            pod_name: None,
            topic_metrics: false,
            lease: None,
        }
    }
}
