use rstest::rstest;

use super::*;

#[rstest]
#[case("orders", true)]
#[case("a.b_c-9", true)]
#[case("", false)]
#[case(".", false)]
#[case("..", false)]
#[case("...", true)]
#[case("with space", false)]
#[case("käse", false)]
fn topic_names_follow_kafkas_rule(#[case] name: &str, #[case] valid: bool) {
    assert_eq!(name.parse::<TopicName>().is_ok(), valid);
}

#[test]
fn a_name_of_249_fits_and_of_250_does_not() {
    assert!("a".repeat(249).parse::<TopicName>().is_ok());
    assert!("a".repeat(250).parse::<TopicName>().is_err());
}

#[test]
fn topic_ids_read_both_spellings_and_print_kafkas() {
    let id: TopicId = "00010203-0405-0607-0809-0a0b0c0d0e0f".parse().unwrap();
    assert_eq!(id.to_string(), "AAECAwQFBgcICQoLDA0ODw");
    assert_eq!("AAECAwQFBgcICQoLDA0ODw".parse::<TopicId>().unwrap(), id);
    assert!("nonsense".parse::<TopicId>().is_err());
}

#[test]
fn counts_below_one_are_refused() {
    assert!(PartitionCount::try_from(0_i32).is_err());
    assert!(PartitionCount::try_from(i64::from(i32::MAX) + 1).is_err());
    assert!(ReplicationFactor::try_from(40_000_i32).is_err());
    assert_eq!(ReplicationFactor::try_from(3_i32).unwrap().get(), 3);
}
