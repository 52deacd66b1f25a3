//! The operator dies while a purge keeps producers away.

use anyhow::Result;
use ottla_e2e::{operator, quiescing, scene};

#[tokio::test]
async fn producers_come_back_though_the_operator_that_sent_them_away_is_dead() -> Result<()> {
    scene("quiescing-kill", async |scene| {
        quiescing::story(scene, async || operator::kill(&scene.live).await).await
    })
    .await
}
