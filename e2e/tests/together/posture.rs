//! What a security reviewer reads: the roles, the profiles, what is in the binaries.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::Api;
use ottla_e2e::live::Live;
use serde_json::Value;

/// The chart, seen from this crate.
const CHART: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../charts/ottla");

/// Renders the chart and answers its objects.
async fn rendered(live: &Live, arguments: &[&str]) -> Result<Vec<Value>> {
    let all = [
        &["template", "ottla", CHART, "--namespace", "ottla-system"],
        arguments,
    ]
    .concat();
    let text = live.helm(&all).await?;
    Ok(serde_saphyr::from_multiple(&text)?)
}

/// Whether a rule's list names `what`, by itself or by a star.
fn names(rule: &Value, field: &str, what: &str) -> bool {
    rule[field]
        .as_array()
        .into_iter()
        .flatten()
        .any(|one| one == what || one == "*")
}

#[tokio::test]
async fn no_rendered_role_lists_or_watches_secrets() -> Result<()> {
    let Some(live) = Live::connect("no_rendered_role_lists_or_watches_secrets").await? else {
        return Ok(());
    };
    for arguments in [&[][..], &["--set", "rbac.namespaces={a,b}"]] {
        let objects = rendered(&live, arguments).await?;
        let roles = objects
            .iter()
            .filter(|one| one["kind"] == "Role" || one["kind"] == "ClusterRole");
        let granted: Vec<&Value> = roles
            .flat_map(|role| role["rules"].as_array().into_iter().flatten())
            .collect();
        let secrets = granted
            .iter()
            .filter(|rule| names(rule, "apiGroups", "") && names(rule, "resources", "secrets"));
        let secrets: Vec<&&Value> = secrets.collect();
        ensure!(
            !secrets.is_empty(),
            "no rule reads Secrets at all: this test looks at the wrong thing"
        );
        for rule in secrets {
            ensure!(rule["verbs"] == serde_json::json!(["get"]), "{rule}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn operator_and_workloads_run_where_the_restricted_profile_is_enforced() -> Result<()> {
    let name = "operator_and_workloads_run_where_the_restricted_profile_is_enforced";
    let Some(live) = Live::connect(name).await? else {
        return Ok(());
    };
    let namespaces: Api<Namespace> = Api::all(live.client.clone());
    for name in ["ottla-system", "kafka"] {
        let labels = namespaces.get(name).await?.metadata.labels.unwrap_or_default();
        let enforced = labels.get("pod-security.kubernetes.io/enforce");
        ensure!(
            enforced.is_some_and(|profile| profile == "restricted"),
            "{name}: {labels:?}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn the_operator_holds_no_librdkafka() -> Result<()> {
    let name = "the_operator_holds_no_librdkafka";
    if Live::connect(name).await?.is_none() {
        return Ok(());
    }
    let binaries =
        std::env::var("OTTLA_TEST_BINARIES").context("OTTLA_TEST_BINARIES names the images' binaries")?;
    let (operator, workload) = binaries.split_once(':').context("two paths")?;
    // Stripped binaries have no symbols left, but librdkafka names its functions in its messages. Its own name alone proves
    // nothing: the schemas' texts mention it.
    let holds = |file: &str| -> Result<bool> {
        let bytes = std::fs::read(file).with_context(|| format!("read {file}"))?;
        Ok(bytes.windows(9).any(|window| window == b"rd_kafka_"))
    };
    ensure!(
        holds(workload)?,
        "the workload holds no librdkafka either: this test looks at the wrong thing"
    );
    ensure!(!holds(operator)?, "the operator holds librdkafka");
    Ok(())
}
