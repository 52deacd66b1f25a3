//! At rest the operator writes nothing, and its restart changes nothing. Read from the API server's metrics, from the
//! objects and from Kafka's metadata log. Runs while no other test does.

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{Api, ListParams};
use ottla_e2e::broker::Broker;
use ottla_e2e::live::Live;
use ottla_e2e::operator;
use ottla_e2e::scene::{LABEL, shared_password};
use ottla_e2e::wait::{throughout, until};
use ottla_e2e::written::{ensure_nothing_moves, written};

/// How long nothing may be written.
const WATCH: Duration = Duration::from_secs(60);
/// How long a new operator is given to look at everything.
const SETTLE: Duration = Duration::from_secs(15);
#[tokio::test]
async fn at_rest_nothing_is_written_and_a_restart_changes_nothing() -> Result<()> {
    let Some(live) = Live::connect("at_rest_nothing_is_written_and_a_restart_changes_nothing").await? else {
        return Ok(());
    };
    let _alone = operator::alone().await;
    let broker = Broker::shared(&live, "user1", &shared_password(&live).await?)?;
    let namespaces: Api<Namespace> = Api::all(live.client.clone());
    until(
        "other tests' namespaces to be gone",
        Duration::from_secs(120),
        async || {
            let left = namespaces
                .list(&ListParams::default().labels(&format!("{LABEL}=true")))
                .await?
                .items
                .len();
            // A namespace that a failed test left for a look is at rest too.
            let ending = namespaces
                .list(&ListParams::default().labels(&format!("{LABEL}=true")))
                .await?;
            let ending = ending
                .items
                .iter()
                .filter(|one| one.metadata.deletion_timestamp.is_some())
                .count();
            ensure!(ending == 0, "{ending} of {left} are ending");
            Ok(())
        },
    )
    .await?;

    ensure_nothing_moves(&live).await?;
    let first = operator::pod(&live).await?;
    let before = written(&live, &broker).await?;
    throughout("the operator's one life", WATCH, async || {
        let now = operator::pod(&live).await?;
        ensure!(now == first, "{now:?} was {first:?}");
        Ok(())
    })
    .await?;
    let after = written(&live, &broker).await?;
    ensure!(
        before == after,
        "written at rest; before: {before:?}\nafter: {after:?}"
    );

    operator::kill(&live).await?;
    let next = operator::pod(&live).await?;
    throughout("the next operator's life", SETTLE, async || {
        let now = operator::pod(&live).await?;
        ensure!(now == next, "{now:?} was {next:?}");
        Ok(())
    })
    .await?;
    let restarted = written(&live, &broker).await?;
    ensure!(
        after == restarted,
        "written by a restart; before: {after:?}\nafter: {restarted:?}"
    );
    Ok(())
}
