//! The fixtures are certificates and keys made for these tests alone; they guard nothing.

use rstest::rstest;

use super::*;

const EC: &str = include_str!("fixtures/ec.crt");
const EC_PKCS8: &str = include_str!("fixtures/ec-pkcs8.key");
const EC_SEC1: &str = include_str!("fixtures/ec-sec1.key");
const EC_ENCRYPTED: &str = include_str!("fixtures/ec-encrypted.key");
const RSA: &str = include_str!("fixtures/rsa.crt");
const RSA_PKCS1: &str = include_str!("fixtures/rsa-pkcs1.key");

fn identity(certificates: &str, key: &str) -> Identity {
    Identity {
        certificates: certificates.to_owned(),
        key: Secret::new(key.to_owned()),
    }
}

#[rstest]
#[case::pkcs8(EC, EC_PKCS8)]
#[case::sec1(EC, EC_SEC1)]
#[case::pkcs1(RSA, RSA_PKCS1)]
fn every_usual_private_key_is_read(#[case] certificate: &str, #[case] key: &str) {
    let tls = Tls::new(Some(certificate), Some(identity(certificate, key))).unwrap();
    assert!(tls.has_identity() && tls.has_own_ca());
}

#[rstest]
#[case::of_another_kind(EC, RSA_PKCS1, InvalidTls::KeyOfAnother)]
#[case::encrypted(EC, EC_ENCRYPTED, InvalidTls::KeyEncrypted)]
#[case::a_certificate(EC, EC, InvalidTls::Key)]
#[case::no_pem(EC, "c2VjcmV0", InvalidTls::Key)]
#[case::no_certificate(EC_PKCS8, EC_PKCS8, InvalidTls::Certificate)]
#[case::empty("", EC_PKCS8, InvalidTls::Certificate)]
fn each_fault_of_an_identity_is_named(
    #[case] certificate: &str,
    #[case] key: &str,
    #[case] expected: InvalidTls,
) {
    let found = Tls::new(Some(EC), Some(identity(certificate, key))).unwrap_err();
    assert_eq!(found, expected);
}

#[rstest]
#[case::empty("")]
#[case::a_key(EC_PKCS8)]
#[case::cut(&EC[..EC.len() / 2])]
#[case::garbled("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")]
fn a_ca_that_is_none_is_refused(#[case] ca: &str) {
    assert_eq!(Tls::new(Some(ca), None).unwrap_err(), InvalidTls::Ca);
}

#[test]
fn a_bundle_of_several_cas_is_read() {
    Tls::new(Some(&format!("# ours\n{EC}\n# theirs\n{RSA}")), None).unwrap();
}

#[test]
fn equal_texts_make_equal_settings_and_others_do_not() {
    let of = |ca: &str, key: &str| Tls::new(Some(ca), Some(identity(EC, key))).unwrap();
    assert_eq!(of(EC, EC_PKCS8), of(EC, EC_PKCS8));
    assert_ne!(of(EC, EC_PKCS8), of(RSA, EC_PKCS8));
    assert_ne!(of(EC, EC_PKCS8), of(EC, EC_SEC1));
}

#[test]
fn nothing_of_it_is_printed() {
    let tls = Tls::new(Some(EC), Some(identity(EC, EC_PKCS8))).unwrap();
    let printed = format!("{tls:?} {:?}", identity("", EC_PKCS8));
    assert!(
        !printed.contains("PRIVATE KEY") && !printed.contains("MI"),
        "{printed}"
    );
}
