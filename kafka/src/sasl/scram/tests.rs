//! RFC 7677's vector for SHA-256. No RFC has one for SHA-512: that one was computed with Python's hashlib.

use rstest::rstest;

use super::*;

const NONCE: &str = "rOprNGfwEbeRWgbNEkqO";
const SERVER_FIRST: &str =
    "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
const SHA256_LAST: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
    p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
const SHA256_PROOF: &str = "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
const SHA512_LAST: &str = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=gMGXRcevScNtxZ6/8lQYpGtnsNAc3mGcmNomv+xnoOMw+3R2xNJdMNnzMlTN8PPC6wdp6dybEmDYXYTxwnYPJQ==";
const SHA512_PROOF: &str =
    "v=ZQnYEgWQMFmmsM8aQMF0nDDCy/AgCzkwk8CmMZYcMg0vSVlKDanekLtifDSeVGT4+5ZxXnJq199RVG2rR7N7Zw==";

#[rstest]
#[case(Hash::Sha256, SHA256_LAST, SHA256_PROOF)]
#[case(Hash::Sha512, SHA512_LAST, SHA512_PROOF)]
fn the_published_exchange_is_reproduced(#[case] hash: Hash, #[case] last: &str, #[case] proof: &str) {
    let (exchange, first) = Scram::start(hash, "user", NONCE);
    assert_eq!(first, "n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
    let (expected, answer) = exchange.answer(SERVER_FIRST.as_bytes(), "pencil").unwrap();
    assert_eq!(answer, last);
    expected.verify(proof.as_bytes()).unwrap();
    assert!(expected.verify(b"v=AAAA").is_err());
    assert_eq!(expected.verify(b"e=other-error").unwrap_err(), "other-error");
}

#[rstest]
#[case("r=stranger,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "nonce")]
#[case("r=rOprNGfwEbeRWgbNEkqO,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096", "nonce")]
#[case("r=rOprNGfwEbeRWgbNEkqOx,s=!,i=4096", "salt")]
#[case("r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=1", "rounds")]
#[case("r=rOprNGfwEbeRWgbNEkqOx,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4000000000", "rounds")]
#[case("", "nonce")]
fn a_bad_first_message_is_refused(#[case] server_first: &str, #[case] about: &str) {
    let (exchange, _) = Scram::start(Hash::Sha256, "user", NONCE);
    let refusal = exchange.answer(server_first.as_bytes(), "pencil").unwrap_err();
    assert!(refusal.contains(about), "{refusal}");
}

#[test]
fn names_with_commas_and_equal_signs_are_escaped() {
    let (_, first) = Scram::start(Hash::Sha256, "a=b,c", "x");
    assert_eq!(first, "n,,n=a=3Db=2Cc,r=x");
}

#[test]
fn nonces_differ_and_hold_no_comma() {
    assert_ne!(nonce(), nonce());
    assert!(!nonce().contains(','));
}
