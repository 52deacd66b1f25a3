//! Who may refer to a cluster, and what the name of a topic gives.

use ottla_crds::namespaces::AllowedNamespaces;
use ottla_crds::pod::LabelValue;
use rstest::rstest;

use super::*;
use crate::cluster::desired::tests::spec;

fn policy(prefix: &str) -> TopicNamePolicy {
    TopicNamePolicy {
        prefix: Some(prefix.to_owned()),
    }
}

#[rstest]
#[case::no_policy(None, "team", "orders", Tenure::Guest)]
#[case::at_home(Some("{namespace}."), "kafka", "anything", Tenure::Home)]
#[case::own(Some("{namespace}."), "team", "team.orders", Tenure::Own)]
#[case::anothers(Some("{namespace}."), "team", "other.orders", Tenure::Outside)]
#[case::neighbours_by_name(Some("{namespace}."), "team", "team-a.orders", Tenure::Outside)]
#[case::behind_a_word(Some("prod.{namespace}_"), "team", "prod.team_x", Tenure::Own)]
#[case::no_namespace_in_it(Some("shared-"), "team", "shared-x", Tenure::Guest)]
#[case::not_under_it(Some("shared-"), "team", "x", Tenure::Outside)]
fn names_give_rights(
    #[case] prefix: Option<&str>,
    #[case] from: &str,
    #[case] topic: &str,
    #[case] expected: Tenure,
) {
    assert_eq!(
        tenure(prefix.map(policy).as_ref(), "kafka", from, topic),
        expected
    );
}

#[rstest]
#[case("{namespace}", "followed by")]
#[case("{namespace}-", "followed by")]
#[case("{namespace}.{namespace}", "followed by")]
#[case("", "1 to 200")]
#[case("a b", "1 to 200")]
#[case("{name}.", "1 to 200")]
fn bad_prefixes_are_named(#[case] prefix: &str, #[case] words: &str) {
    let mut spec = spec("h:1");
    spec.topic_name_policy = Some(policy(prefix));
    let error = check(&spec).unwrap_err();
    assert!(error.contains(words), "{error}");
    spec.topic_name_policy = Some(policy("a.{namespace}_b-"));
    assert_eq!(check(&spec), Ok(()));
}

fn requirement(key: &str, operator: LabelOperator, values: &[&str]) -> LabelRequirement {
    LabelRequirement {
        key: key.to_owned(),
        operator,
        values: values.iter().map(|&value| value.to_owned()).collect(),
    }
}

#[rstest]
#[case::all_hold(requirement("env", LabelOperator::In, &["prod", "test"]), true)]
#[case::not_in(requirement("env", LabelOperator::NotIn, &["prod"]), false)]
#[case::not_in_absent(requirement("zone", LabelOperator::NotIn, &["a"]), true)]
#[case::exists(requirement("zone", LabelOperator::Exists, &[]), false)]
#[case::not_there(requirement("zone", LabelOperator::DoesNotExist, &[]), true)]
fn labels_are_compared(#[case] requirement: LabelRequirement, #[case] allowed: bool) {
    let mut spec = spec("h:1");
    spec.allowed_namespaces = AllowedNamespaces {
        from: NamespacesFrom::Selector,
        selector: Some(NamespaceSelector {
            match_labels: [("kafka".to_owned(), LabelValue("yes".to_owned()))].into(),
            match_expressions: vec![requirement],
        }),
    };
    let labels = [("kafka", "yes"), ("env", "prod")].map(|(k, v)| (k.to_owned(), v.to_owned()));
    let labels = BTreeMap::from(labels);
    let none = BTreeMap::new();
    let of = |labels| access(&spec, "home", "team", labels);
    assert_eq!(of(Labels::Known(&labels)) == Access::Allowed, allowed);
    assert_eq!(of(Labels::Known(&none)), Access::Denied);
    assert_eq!(of(Labels::Absent), Access::Denied);
    assert_eq!(of(Labels::Unknown), Access::Unknown);
    assert_eq!(access(&spec, "home", "home", Labels::Unknown), Access::Allowed);
}

#[test]
fn same_and_all_ask_for_no_labels() {
    let mut spec = spec("h:1");
    assert_eq!(access(&spec, "home", "team", Labels::Unknown), Access::Denied);
    spec.allowed_namespaces.from = NamespacesFrom::All;
    assert_eq!(access(&spec, "home", "team", Labels::Unknown), Access::Allowed);
}
