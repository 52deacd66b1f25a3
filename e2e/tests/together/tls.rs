//! TLS with the throw-away Kafka: each fault its own reason, recovery by the Secret alone, a rotation that takes effect
//! without a restart and leaves none of the old connections, and pods whose records are all verified.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Result, ensure};
use ottla_e2e::broker::Broker;
use ottla_e2e::certificates::{Authority, EXPIRED, VALID};
use ottla_e2e::limited::{self, Acl};
use ottla_e2e::object::{Kind, Look};
use ottla_e2e::sockets::{self, Socket};
use ottla_e2e::wait::until;
use ottla_e2e::{Scene, fixtures, operator, scene, spare};
use serde_json::{Value, json};

/// Within this a cause must be told.
const SOON: u64 = 30;
/// Within this a repaired or rotated cluster must be used anew.
const RECOVERY: u64 = 60;
/// The listeners: SASL over TLS, and TLS with a client certificate.
const TLS: u16 = 9096;
const MTLS: u16 = 9098;
const RECORDS: i64 = 2_000;

/// The throw-away Kafka and one scene's place on it.
struct Stage<'a> {
    scene: &'a Scene,
    namespace: String,
    kafka: Broker,
    authority: Authority,
    life: operator::Life,
}

impl<'a> Stage<'a> {
    async fn set(scene: &'a Scene) -> Result<Self> {
        let namespace = spare::namespace()?;
        let authority = Authority::of_kafka(&scene.live, &namespace).await?;
        scene.secret("ca", &[("ca.crt", authority.pem())]).await?;
        let unknown = Authority::unknown()?;
        scene.secret("other-ca", &[("ca.crt", unknown.pem())]).await?;
        Ok(Self {
            scene,
            kafka: spare::broker(scene).await?,
            authority,
            life: operator::pod(&scene.live).await?,
            namespace,
        })
    }

    fn address(&self, service: &str, port: u16) -> String {
        format!("{service}.{}.svc.cluster.local:{port}", self.namespace)
    }

    /// Applies a KafkaCluster.
    async fn cluster(
        &self,
        name: &str,
        address: &str,
        tls: Option<Value>,
        sasl: Option<Value>,
    ) -> Result<()> {
        let mut spec = json!({"bootstrapServers": [address]});
        for (key, part) in [("tls", tls), ("sasl", sasl)] {
            if let Some(part) = part {
                spec[key] = part;
            }
        }
        self.scene.apply(Kind::Cluster, name, spec).await.map(drop)
    }

    /// Awaits that a KafkaCluster fails for this reason.
    async fn fails(&self, name: &str, reason: &str) -> Result<()> {
        let says = ("Ready", "False", reason);
        self.scene
            .await_says(Kind::Cluster, name, says, SOON)
            .await
            .map(drop)
    }

    async fn is_ready(&self, kind: Kind, name: &str) -> Result<()> {
        let says = ("Ready", "True", "");
        self.scene.await_says(kind, name, says, RECOVERY).await.map(drop)
    }

    /// The topic of the KafkaCluster `kafka`, with so many partitions.
    async fn topic(&self, partitions: u32) -> Result<()> {
        let spec = fixtures::topic(&self.scene.topic("records"), partitions);
        self.scene.apply(Kind::Topic, "topic", spec).await.map(drop)
    }

    /// How many partitions the topic has, by Kafka's own word.
    async fn partitions(&self) -> Result<Option<u32>> {
        let found = self.kafka.topic(&self.scene.topic("records")).await?;
        Ok(found.map(|topic| topic.partitions))
    }

    async fn sockets(&self, port: u16) -> Result<BTreeSet<Socket>> {
        sockets::of_operator(&self.scene.live, &self.namespace, port).await
    }

    /// Awaits that the operator has connections, and none of these.
    async fn are_closed(&self, port: u16, old: &BTreeSet<Socket>) -> Result<()> {
        ensure!(!old.is_empty(), "there are connections before the rotation");
        until(
            "the old connections to be closed",
            Duration::from_secs(RECOVERY),
            async || {
                let now = self.sockets(port).await?;
                let left: Vec<&Socket> = now.intersection(old).collect();
                ensure!(
                    left.is_empty() && !now.is_empty(),
                    "old ones left: {left:?}; of {now:?}"
                );
                Ok(())
            },
        )
        .await
    }

    /// Runs a producer and a consumer to their end: every record is verified.
    async fn records_are_verified(&self) -> Result<()> {
        let producer = json!({
            "topicRef": {"name": "topic"}, "replicas": 1, "stopAfter": {"records": RECORDS},
            "records": {"valueBytes": 128, "keys": {"type": "Sequential", "cardinality": 50}},
        });
        let consumer = json!({
            "topicRef": {"name": "topic"}, "groupId": self.scene.topic("group"), "replicas": 1,
            "stopAfter": {"complete": true, "deadline": "3m"},
        });
        self.scene.apply(Kind::Producer, "producer", producer).await?;
        self.scene.apply(Kind::Consumer, "consumer", consumer).await?;
        let pass = ("Verified", "True", "Pass");
        let consumer = self
            .scene
            .await_says(Kind::Consumer, "consumer", pass, 120)
            .await?;
        let received = consumer.number("/status/received");
        ensure!(received == Some(RECORDS), "{received:?} of {RECORDS}");
        Ok(())
    }

    /// Removes the KafkaCluster: its connections go too.
    async fn end(&self, port: u16) -> Result<()> {
        for (kind, name) in [
            (Kind::Consumer, "consumer"),
            (Kind::Producer, "producer"),
            (Kind::Topic, "topic"),
            (Kind::Cluster, "kafka"),
        ] {
            self.scene.delete(kind, name, 60).await?;
        }
        until(
            "the last connections to be closed",
            Duration::from_secs(30),
            async || {
                let left = self.sockets(port).await?;
                ensure!(left.is_empty(), "{left:?}");
                Ok(())
            },
        )
        .await?;
        let now = operator::pod(&self.scene.live).await?;
        ensure!(
            now == self.life,
            "the operator restarted: {now:?} was {:?}",
            self.life
        );
        self.kafka.clear(&self.scene.prefix).await
    }
}

fn trusting(secret: &str) -> Value {
    json!({"caFrom": {"name": secret, "key": "ca.crt"}})
}

fn presenting(secret: &str) -> Value {
    json!({"caFrom": {"name": "ca", "key": "ca.crt"}, "clientCertificateFrom": {"name": secret}})
}

#[tokio::test]
async fn a_kafka_with_an_own_ca_is_used_over_tls_and_a_new_password_closes_the_old_connections() -> Result<()>
{
    scene("tls", async |scene| {
        let _spare = spare::shared().await;
        let stage = Stage::set(scene).await?;
        let user = format!("{}user", scene.prefix);
        limited::user(&stage.kafka, &user, "first").await?;
        let all = Acl::all_under(&scene.prefix);
        limited::grant(&stage.kafka, &format!("User:{user}"), &all).await?;
        scene.secret("login", &[("password", "first")]).await?;
        let sasl = || {
            Some(json!({
                "mechanism": "ScramSha512", "username": user, "passwordFrom": {"name": "login", "key": "password"},
            }))
        };
        let good = stage.address("kafka", TLS);
        // The certificate names the pods and the Service, not this.
        let unnamed = stage.address("kafka-controller-headless", TLS);

        // Each fault has its own reason.
        stage.cluster("kafka", &good, Some(trusting("other-ca")), sasl()).await?;
        stage.cluster("public", &good, Some(json!({})), sasl()).await?;
        stage.cluster("name", &unnamed, Some(trusting("ca")), sasl()).await?;
        stage.cluster("plain", &good, None, sasl()).await?;
        for (name, reason) in [
            ("kafka", "CertificateUntrusted"),
            ("public", "CertificateUntrusted"),
            ("name", "CertificateWrongHost"),
            ("plain", "BootstrapWrongProtocol"),
        ] {
            stage.fails(name, reason).await?;
        }
        for name in ["public", "name", "plain"] {
            scene.delete(Kind::Cluster, name, 30).await?;
        }

        // The Secret is mended.
        scene.secret("other-ca", &[("ca.crt", stage.authority.pem())]).await?;
        stage.is_ready(Kind::Cluster, "kafka").await?;
        stage.topic(2).await?;
        stage.is_ready(Kind::Topic, "topic").await?;
        ensure!(stage.partitions().await? == Some(2), "Kafka has the topic");

        // The password is changed in Kafka first, then in the Secret.
        let old = stage.sockets(TLS).await?;
        limited::user(&stage.kafka, &user, "second").await?;
        stage.fails("kafka", "AuthenticationFailed").await?;
        scene.secret("login", &[("password", "second")]).await?;
        stage.is_ready(Kind::Cluster, "kafka").await?;
        stage.topic(3).await?;
        stage.is_ready(Kind::Topic, "topic").await?;
        ensure!(stage.partitions().await? == Some(3), "the new client is used");
        stage.are_closed(TLS, &old).await?;

        stage.records_are_verified().await?;
        stage.end(TLS).await
    })
    .await
}

#[tokio::test]
async fn a_client_certificate_is_whom_kafka_sees_and_its_successor_closes_the_old_connections() -> Result<()>
{
    scene("mtls", async |scene| {
        let _spare = spare::shared().await;
        let stage = Stage::set(scene).await?;
        let subjects = ["first", "second"].map(|name| format!("{}{name}", scene.prefix));
        let principals = subjects.clone().map(|subject| format!("User:CN={subject}"));
        let stranger = Authority::unknown()?.client(&subjects[0], VALID)?;
        let expired = stage.authority.client(&subjects[0], EXPIRED)?;
        let [first, second] =
            [&subjects[0], &subjects[1]].map(|subject| stage.authority.client(subject, VALID));
        let certify = async |name: &str, (certificate, key): &(String, String)| {
            scene
                .secret(name, &[("tls.crt", certificate), ("tls.key", key)])
                .await
        };
        let good = stage.address("kafka", MTLS);

        // Each fault has its own reason.
        certify("certificate", &stranger).await?;
        certify("expired", &expired).await?;
        stage
            .cluster("kafka", &good, Some(presenting("certificate")), None)
            .await?;
        stage
            .cluster("expired", &good, Some(presenting("expired")), None)
            .await?;
        stage.cluster("none", &good, Some(trusting("ca")), None).await?;
        for (name, reason) in [
            ("kafka", "ClientCertificateRefused"),
            ("expired", "ClientCertificateRefused"),
            ("none", "ClientCertificateRequired"),
        ] {
            stage.fails(name, reason).await?;
        }
        for name in ["expired", "none"] {
            scene.delete(Kind::Cluster, name, 30).await?;
        }

        // The Secret is mended. Whoever the certificate names has no rights yet: only an ACL for its subject helps.
        certify("certificate", &first?).await?;
        stage.is_ready(Kind::Cluster, "kafka").await?;
        stage.topic(2).await?;
        let denied = ("Ready", "False", "NotAuthorized");
        scene.await_says(Kind::Topic, "topic", denied, SOON).await?;
        let all = Acl::all_under(&scene.prefix);
        limited::grant(&stage.kafka, &principals[0], &all).await?;
        stage.is_ready(Kind::Topic, "topic").await?;
        ensure!(stage.partitions().await? == Some(2), "Kafka has the topic");

        // Another certificate, and rights for its subject alone.
        let old = stage.sockets(MTLS).await?;
        limited::grant(&stage.kafka, &principals[1], &all).await?;
        limited::take(&stage.kafka, &principals[0], &all).await?;
        certify("certificate", &second?).await?;
        stage.are_closed(MTLS, &old).await?;
        stage.is_ready(Kind::Cluster, "kafka").await?;
        stage.topic(3).await?;
        stage.is_ready(Kind::Topic, "topic").await?;
        ensure!(
            stage.partitions().await? == Some(3),
            "the new certificate is used"
        );

        stage.records_are_verified().await?;
        stage.end(MTLS).await
    })
    .await
}
