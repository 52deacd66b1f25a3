//! Awaits that a broker knows of all that was changed before. Kafka's controller answers once a change is in its log, and
//! brokers take the log in later, in its order: once a broker shows a last change of our own, it knows what came before.

use std::time::Duration;

use anyhow::{Result, ensure};
use kafka_protocol::messages::alter_client_quotas_request::{EntityData, EntryData, OpData};
use kafka_protocol::messages::describe_client_quotas_request::ComponentData;
use kafka_protocol::messages::{AlterClientQuotasRequest, DescribeClientQuotasRequest};
use kafka_protocol::protocol::StrBytes;
use uuid::Uuid;

use crate::wait::until;
use crate::wire::Link;

/// The entity that the change is about: a client that nobody is.
const CLIENT_ID: StrBytes = StrBytes::from_static_str("client-id");
/// What is set for it.
const QUOTA: StrBytes = StrBytes::from_static_str("producer_byte_rate");
/// Longest that a broker may lag.
const PATIENCE: Duration = Duration::from_secs(60);

/// Makes a change, awaits that this broker shows it, and takes it back.
pub(super) async fn catch_up(link: &mut Link) -> Result<()> {
    let client = StrBytes::from_string(format!("e2e-{}", Uuid::new_v4()));
    alter(link, &client, false).await?;
    let asked = ComponentData::default()
        .with_entity_type(CLIENT_ID)
        .with_match_type(0)
        .with_match(Some(client.clone()));
    let request = DescribeClientQuotasRequest::default()
        .with_components(vec![asked])
        .with_strict(true);
    until("the broker to show a change", PATIENCE, async || {
        let answer = link.call(&request, 1).await?;
        ensure!(answer.error_code == 0, "error {}", answer.error_code);
        ensure!(
            answer.entries.is_some_and(|entries| !entries.is_empty()),
            "it does not"
        );
        anyhow::Ok(())
    })
    .await?;
    alter(link, &client, true).await
}

async fn alter(link: &mut Link, client: &StrBytes, remove: bool) -> Result<()> {
    let entity = EntityData::default()
        .with_entity_type(CLIENT_ID)
        .with_entity_name(Some(client.clone()));
    let change = OpData::default()
        .with_key(QUOTA)
        .with_value(1e9)
        .with_remove(remove);
    let entry = EntryData::default()
        .with_entity(vec![entity])
        .with_ops(vec![change]);
    let request = AlterClientQuotasRequest::default().with_entries(vec![entry]);
    for told in link.call(&request, 1).await?.entries {
        let (code, message) = (told.error_code, told.error_message.unwrap_or_default());
        ensure!(code == 0, "quota of {client}: error {code} {message}");
    }
    Ok(())
}
