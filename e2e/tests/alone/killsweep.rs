//! The operator killed after every single write to Kafka and to the Kubernetes API, while a producer writes: in the end all
//! is as if it had never died, and nothing was done twice.

use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use futures::FutureExt as _;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use ottla_e2e::live::Live;
use ottla_e2e::plane::Plane;
use ottla_e2e::spare::Spare;
use ottla_e2e::sweep::{Metadata, Story, Sweeps, Trouble, killed, killed_twice, on_the_wire};

/// Stories told at the same time: each has a producer that goes on.
const AT_ONCE: usize = 3;

/// What befalls the operator at the points that a story has.
type Troubles = fn(Story, &[String]) -> Vec<Trouble>;

async fn swept(test: &str, troubles: Troubles) -> Result<()> {
    let Some(live) = Live::connect(test).await? else {
        return Ok(());
    };
    let Some(plane) = Plane::start(test).await? else {
        return Ok(());
    };
    let _own = ottla_e2e::spare::alone().await;
    let spare = Spare::find(&live).await?;
    let sweeps = Sweeps::new(&plane, &spare);
    let began = Instant::now();
    let told = stream::iter(Story::ALL).map(|story| sweeps.sweep(story, troubles).boxed_local());
    let all: Vec<_> = told.buffer_unordered(AT_ONCE).try_collect().await?;
    let told = began.elapsed();
    let metadata = Metadata::read(&spare.broker).await?;
    let mut wrong = vec![];
    for swept in &all {
        eprintln!("{:?}: {} tellings", swept.story, swept.cases());
        wrong.extend(swept.differences(&metadata));
    }
    eprintln!("told in {told:?}, judged after {:?}", began.elapsed());
    ensure!(wrong.is_empty(), "{} differ:\n{}", wrong.len(), wrong.join("\n"));
    spare.broker.clear("e2e-").await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes five minutes: cargo xtask test --soak"]
async fn killed_at_every_write_it_ends_as_without_a_fault() -> Result<()> {
    swept("killed_at_every_write_it_ends_as_without_a_fault", killed).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes four minutes: cargo xtask test --soak"]
async fn whatever_is_lost_or_refused_on_the_wire_it_ends_as_without_a_fault() -> Result<()> {
    let test = "whatever_is_lost_or_refused_on_the_wire_it_ends_as_without_a_fault";
    swept(test, on_the_wire).await
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "takes five minutes: cargo xtask test --soak"]
async fn killed_twice_at_every_write_it_ends_as_without_a_fault() -> Result<()> {
    swept(
        "killed_twice_at_every_write_it_ends_as_without_a_fault",
        killed_twice,
    )
    .await
}

#[test]
fn what_is_shipped_has_no_failpoints() -> Result<()> {
    let name = "what_is_shipped_has_no_failpoints";
    let (Ok(shipped), Ok(built)) = (
        std::env::var("OTTLA_TEST_BINARIES"),
        std::env::var("OTTLA_TEST_FAILPOINT_OPERATOR"),
    ) else {
        eprintln!(
            "SKIPPED {name}: OTTLA_TEST_BINARIES or OTTLA_TEST_FAILPOINT_OPERATOR is not set; `cargo xtask test` sets them"
        );
        return Ok(());
    };
    let shipped = shipped.split(':').next().unwrap_or_default().to_owned();
    let holds = |file: &str| -> Result<bool> {
        let bytes = std::fs::read(file).with_context(|| format!("read {file}"))?;
        let wanted = b"OTTLA_FAILPOINT";
        Ok(bytes.windows(wanted.len()).any(|bytes| bytes == wanted))
    };
    ensure!(
        holds(&built)?,
        "{built} was to have failpoints: this test looks for the wrong thing"
    );
    ensure!(!holds(&shipped)?, "{shipped} has failpoints");
    Ok(())
}
