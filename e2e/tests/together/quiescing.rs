//! Producers are sent away for a purge, and come back.

use std::time::Duration;

use anyhow::{Result, ensure};
use ottla_e2e::object::Kind;
use ottla_e2e::wait::throughout;
use ottla_e2e::{quiescing, scene};

#[tokio::test]
async fn producers_are_away_for_as_long_as_a_purge_wants() -> Result<()> {
    scene("quiescing", async |scene| {
        quiescing::story(scene, async || {
            throughout("the purge's wait", Duration::from_secs(3), async || {
                let purge = scene.get(Kind::Purge, "quiet").await?;
                let ended = &purge.data["status"]["completionTime"];
                ensure!(ended.is_null(), "{}", purge.data["status"]);
                Ok(())
            })
            .await
        })
        .await
    })
    .await
}
