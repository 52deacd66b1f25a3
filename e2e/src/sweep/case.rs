//! One telling of a story: its scene, what befalls the operator in it, and the proxies that takes.

use anyhow::{Result, ensure};

use super::story::Story;
use crate::Scene;
use crate::api_proxy::{self, ApiProxy, Which};
use crate::kafka_proxy::{self, KafkaProxy, key};
use crate::plane::{Caller, Plane};
use crate::spare::{self, Spare};

/// What befalls the operator.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    Nothing,
    /// It dies at these points, one after the other, and is started again.
    Killed(Vec<String>),
    /// It dies at this point, and another that stood by takes over.
    Succeeded(String),
    /// Another acts at the same time, and neither knows.
    Doubled,
    /// The next request of this kind to Kafka, or its reply, is lost.
    Kafka(i16, kafka_proxy::Fault),
    /// So many requests to the API server fail.
    Api(Which, api_proxy::Fault, usize),
    /// It hears of nothing that it wrote for some seconds.
    Late,
}

impl Trouble {
    /// How often the operator dies, where everything must have been written just as often as without a fault.
    pub(super) fn deaths(&self) -> Option<usize> {
        match self {
            Self::Killed(points) => Some(points.len()),
            Self::Succeeded(_) => Some(1),
            _ => None,
        }
    }

    /// Whether Kafka must have been changed just as often.
    pub(super) fn changes_as_often(&self) -> bool {
        *self != Self::Doubled
    }
}

/// Every point, once each; once in a story the operator dies again at the next write, and once another takes over.
#[must_use]
pub fn killed(story: Story, points: &[String]) -> Vec<Trouble> {
    let deaths = |point: &String| format!("{point}=abort");
    let mut troubles: Vec<Trouble> = points
        .iter()
        .map(|point| Trouble::Killed(vec![deaths(point)]))
        .collect();
    let middle = points.len() / 2;
    if middle + 1 < points.len() {
        troubles.push(twice(&points[middle]));
    }
    if let Some(point) = points
        .iter()
        .find(|point| point.contains("kafka."))
        .filter(|_| story.stands_by())
    {
        troubles.push(Trouble::Succeeded(deaths(point)));
    }
    troubles
}

/// Every point, and the next write after it.
#[must_use]
pub fn killed_twice(_story: Story, points: &[String]) -> Vec<Trouble> {
    let last = points.len().saturating_sub(1);
    points[..last].iter().map(twice).collect()
}

fn twice(point: &String) -> Trouble {
    Trouble::Killed(vec![format!("{point}=abort"), "after:*#1=abort".to_owned()])
}

/// Lost requests and replies of every change of Kafka, two operators at once, and an API server that refuses.
#[must_use]
pub fn on_the_wire(story: Story, points: &[String]) -> Vec<Trouble> {
    let mut troubles = vec![Trouble::Doubled];
    let changes = [
        ("create_topics", key::CREATE_TOPICS),
        ("delete_topics", key::DELETE_TOPICS),
        ("delete_records", key::DELETE_RECORDS),
        ("create_partitions", key::CREATE_PARTITIONS),
        ("alter_configs", key::ALTER_CONFIGS),
        ("alter_reassignments", key::ALTER_REASSIGNMENTS),
    ];
    for (name, key) in changes {
        if points
            .iter()
            .any(|point| point.contains(&format!("kafka.{name}#")))
        {
            troubles.push(Trouble::Kafka(key, kafka_proxy::Fault::DropReply));
            troubles.push(Trouble::Kafka(key, kafka_proxy::Fault::DropRequest));
        }
    }
    if story.stands_by() {
        troubles.extend([
            Trouble::Api(Which::Writes, api_proxy::Fault::Refuse(409, None), 5),
            Trouble::Api(Which::Writes, api_proxy::Fault::Refuse(429, Some(1)), 3),
            Trouble::Api(Which::Writes, api_proxy::Fault::Refuse(503, None), 3),
            Trouble::Api(Which::Writes, api_proxy::Fault::DropReply, 1),
            Trouble::Api(Which::Watches, api_proxy::Fault::Refuse(410, None), 3),
            Trouble::Late,
        ]);
    }
    troubles
}

/// One telling.
pub(super) struct Case {
    pub(super) scene: Scene,
    pub(super) trouble: Trouble,
    pub(super) kafka: Option<KafkaProxy>,
    pub(super) api: Option<ApiProxy>,
}

impl Case {
    pub(super) async fn new(plane: &Plane, spare: &Spare, story: Story, trouble: Trouble) -> Result<Self> {
        let name = format!("{story:?}").to_lowercase();
        let kafka = match trouble {
            Trouble::Kafka(..) => Some(KafkaProxy::start().await?),
            _ => None,
        };
        let api = match trouble {
            Trouble::Api(..) | Trouble::Late => {
                Some(ApiProxy::start(plane.client_of(Caller::Operator).await?).await?)
            }
            _ => None,
        };
        Ok(Self {
            scene: Scene::apart(plane, spare, &name).await?,
            trouble,
            kafka,
            api,
        })
    }

    /// Where the scene's KafkaCluster finds Kafka.
    pub(super) fn bootstrap(&self) -> String {
        let proxied = self.kafka.as_ref().map(KafkaProxy::address);
        proxied.unwrap_or_else(|| spare::ADDRESS.to_owned())
    }

    /// Where the operator under test finds the API server.
    pub(super) fn api_server(&self, plane: &Plane) -> String {
        self.api.as_ref().map_or_else(|| plane.url(), ApiProxy::url)
    }

    /// Has the proxies do what they are there for, from now on.
    pub(super) fn begin(&self) {
        match (&self.trouble, &self.kafka, &self.api) {
            (Trouble::Kafka(key, fault), Some(proxy), _) => proxy.next(*key, *fault),
            (Trouble::Api(which, fault, count), _, Some(proxy)) => proxy.next(*which, *fault, *count),
            (Trouble::Late, _, Some(proxy)) => proxy.delay_watches(true),
            _ => {}
        }
    }

    /// That what was to befall the operator did.
    pub(super) fn ensure_befallen(&self) -> Result<()> {
        let harmed = match (&self.trouble, &self.kafka, &self.api) {
            (Trouble::Kafka(..), Some(proxy), _) => proxy.harmed(),
            (Trouble::Api(..), _, Some(proxy)) => proxy.harmed(),
            _ => return Ok(()),
        };
        ensure!(
            harmed > 0,
            "nothing befell the operator: the request came another way, or never"
        );
        Ok(())
    }

    pub(super) fn told(&self, story: Story) -> String {
        format!("{story:?}, {:?}", self.trouble)
    }
}
