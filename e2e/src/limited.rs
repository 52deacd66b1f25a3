//! Who may do on the throw-away Kafka only what an ACL says.

use anyhow::{Result, ensure};
use kafka_protocol::messages::create_acls_request::AclCreation;
use kafka_protocol::messages::delete_acls_request::DeleteAclsFilter;
use kafka_protocol::messages::{CreateAclsRequest, DeleteAclsRequest};
use kafka_protocol::protocol::StrBytes;

use crate::broker::Broker;

/// Kinds of resources, as requests have them.
const TOPIC: i8 = 2;
const GROUP: i8 = 3;
/// Kinds of patterns, as requests have them.
const LITERAL: i8 = 3;
const PREFIXED: i8 = 4;
/// The kind of permission.
const ALLOW: i8 = 3;
/// Clients of every address.
const EVERYWHERE: StrBytes = StrBytes::from_static_str("*");

/// What may be done, as requests have it.
#[derive(Clone, Copy, Debug)]
#[repr(i8)]
pub enum Operation {
    /// Everything.
    All = 2,
    /// See.
    Describe = 8,
    /// See its configuration.
    DescribeConfigs = 10,
}

/// A right to something on some resource.
#[derive(Clone, Debug)]
pub struct Acl {
    operation: Operation,
    kind: i8,
    name: String,
    pattern: i8,
}

impl Acl {
    /// To this on the topic of that name.
    #[must_use]
    pub fn on_topic(operation: Operation, name: &str) -> Self {
        Self {
            operation,
            kind: TOPIC,
            name: name.to_owned(),
            pattern: LITERAL,
        }
    }

    /// To everything on topics and groups whose names begin so.
    #[must_use]
    pub fn all_under(prefix: &str) -> Vec<Self> {
        let on = |kind| Self {
            operation: Operation::All,
            kind,
            name: prefix.to_owned(),
            pattern: PREFIXED,
        };
        vec![on(TOPIC), on(GROUP)]
    }

    fn name(&self) -> StrBytes {
        StrBytes::from_string(self.name.clone())
    }
}

/// Makes a user, or gives one another password.
pub async fn user(kafka: &Broker, name: &str, password: &str) -> Result<()> {
    let command = format!(
        "kafka-configs.sh --bootstrap-server $b --command-config $f --alter --entity-type users --entity-name {name} \
         --add-config 'SCRAM-SHA-512=[password={password}]'"
    );
    kafka.tool(&command).await.map(drop)
}

/// Grants rights to a principal (`User:...`).
pub async fn grant(kafka: &Broker, principal: &str, acls: &[Acl]) -> Result<()> {
    let principal = StrBytes::from_string(principal.to_owned());
    let creations = acls.iter().map(|acl| {
        AclCreation::default()
            .with_resource_type(acl.kind)
            .with_resource_name(acl.name())
            .with_resource_pattern_type(acl.pattern)
            .with_principal(principal.clone())
            .with_host(EVERYWHERE)
            .with_operation(acl.operation as i8)
            .with_permission_type(ALLOW)
    });
    let request = CreateAclsRequest::default().with_creations(creations.collect());
    for told in kafka.link().await?.call(&request, 3).await?.results {
        let (code, message) = (told.error_code, told.error_message.unwrap_or_default());
        ensure!(code == 0, "grant a right: error {code} {message}");
    }
    Ok(())
}

/// Takes rights from a principal.
pub async fn take(kafka: &Broker, principal: &str, acls: &[Acl]) -> Result<()> {
    let principal = StrBytes::from_string(principal.to_owned());
    let filters = acls.iter().map(|acl| {
        DeleteAclsFilter::default()
            .with_resource_type_filter(acl.kind)
            .with_resource_name_filter(Some(acl.name()))
            .with_pattern_type_filter(acl.pattern)
            .with_principal_filter(Some(principal.clone()))
            .with_host_filter(Some(EVERYWHERE))
            .with_operation(acl.operation as i8)
            .with_permission_type(ALLOW)
    });
    let request = DeleteAclsRequest::default().with_filters(filters.collect());
    for told in kafka.link().await?.call(&request, 3).await?.filter_results {
        let (code, message) = (told.error_code, told.error_message.unwrap_or_default());
        ensure!(code == 0, "take a right: error {code} {message}");
        ensure!(
            told.matching_acls.len() == 1,
            "{} rights were taken, not one",
            told.matching_acls.len()
        );
    }
    Ok(())
}
