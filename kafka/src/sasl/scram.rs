//! SCRAM's client side (RFC 5802, RFC 7677), without channel binding and, as Kafka does, without `SASLprep`. Pure.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, Mac as _};
use sha2::{Digest as _, Sha256, Sha512};
use zeroize::Zeroizing;

/// The rounds a broker may ask for: below, the password is too easily guessed from what is sent; above, a broker
/// could keep us busy at will (Kafka's own bounds are 4,096 to 16,384).
const ROUNDS: std::ops::RangeInclusive<u32> = 4_096..=65_536;

/// SCRAM without channel binding, in base64: `n,,`.
const NO_BINDING: &str = "biws";

/// The hash in the mechanism's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hash {
    Sha256,
    Sha512,
}

type Bytes = Zeroizing<Vec<u8>>;

impl Hash {
    fn digest(self, data: &[u8]) -> Bytes {
        Zeroizing::new(match self {
            Self::Sha256 => Sha256::digest(data).to_vec(),
            Self::Sha512 => Sha512::digest(data).to_vec(),
        })
    }

    #[allow(clippy::expect_used, reason = "HMAC takes keys of any length")]
    fn hmac(self, key: &[u8], data: &[u8]) -> Bytes {
        Zeroizing::new(match self {
            Self::Sha256 => {
                let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
                mac.update(data);
                mac.finalize().into_bytes().to_vec()
            }
            Self::Sha512 => {
                let mut mac = Hmac::<Sha512>::new_from_slice(key).expect("HMAC takes keys of any length");
                mac.update(data);
                mac.finalize().into_bytes().to_vec()
            }
        })
    }

    fn salted(self, password: &str, salt: &[u8], rounds: u32) -> Bytes {
        match self {
            Self::Sha256 => Zeroizing::new(
                pbkdf2::pbkdf2_hmac_array::<Sha256, 32>(password.as_bytes(), salt, rounds).to_vec(),
            ),
            Self::Sha512 => Zeroizing::new(
                pbkdf2::pbkdf2_hmac_array::<Sha512, 64>(password.as_bytes(), salt, rounds).to_vec(),
            ),
        }
    }
}

/// A fresh nonce of printable ASCII without a comma.
pub(super) fn nonce() -> String {
    BASE64.encode(rand::random::<[u8; 24]>())
}

/// An exchange that awaits the broker's first message.
#[derive(Debug)]
pub(super) struct Scram {
    hash: Hash,
    nonce: String,
    client_first_bare: String,
}

/// An exchange that awaits the broker's proof.
#[derive(Debug)]
pub(super) struct Expected(Bytes);

impl Scram {
    /// Starts an exchange; the text is the first message.
    pub(super) fn start(hash: Hash, username: &str, nonce: &str) -> (Self, String) {
        let name = username.replace('=', "=3D").replace(',', "=2C");
        let client_first_bare = format!("n={name},r={nonce}");
        let first = format!("n,,{client_first_bare}");
        (
            Self {
                hash,
                nonce: nonce.to_owned(),
                client_first_bare,
            },
            first,
        )
    }

    /// Answers the broker's first message with the proof of the password. The error says what is wrong with it.
    pub(super) fn answer(self, server_first: &[u8], password: &str) -> Result<(Expected, String), String> {
        let server_first = std::str::from_utf8(server_first).map_err(|_| "its SCRAM message is no text")?;
        let field = |name: &str| server_first.split(',').find_map(|part| part.strip_prefix(name));
        let nonce = field("r=").ok_or("its SCRAM message has no nonce")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err("its SCRAM nonce does not continue ours".to_owned());
        }
        let salt = field("s=")
            .and_then(|salt| BASE64.decode(salt).ok())
            .ok_or("its SCRAM salt cannot be read")?;
        let rounds: u32 = field("i=")
            .and_then(|rounds| rounds.parse().ok())
            .ok_or("its SCRAM rounds cannot be read")?;
        if !ROUNDS.contains(&rounds) {
            let (least, most) = ROUNDS.into_inner();
            return Err(format!(
                "it asks for {rounds} SCRAM rounds, and {least} to {most} are taken"
            ));
        }
        let hash = self.hash;
        let salted = hash.salted(password, &salt, rounds);
        let client_key = hash.hmac(&salted, b"Client Key");
        let last_bare = format!("c={NO_BINDING},r={nonce}");
        let transcript = format!("{},{server_first},{last_bare}", self.client_first_bare);
        let signature = hash.hmac(&hash.digest(&client_key), transcript.as_bytes());
        let proof: Bytes = Zeroizing::new(
            client_key
                .iter()
                .zip(signature.iter())
                .map(|(a, b)| a ^ b)
                .collect(),
        );
        let expected = hash.hmac(&hash.hmac(&salted, b"Server Key"), transcript.as_bytes());
        Ok((
            Expected(expected),
            format!("{last_bare},p={}", BASE64.encode(&*proof)),
        ))
    }
}

impl Expected {
    /// Checks that the broker knows the password too.
    pub(super) fn verify(&self, server_last: &[u8]) -> Result<(), String> {
        let text = std::str::from_utf8(server_last).map_err(|_| "its SCRAM message is no text")?;
        if let Some(error) = text.strip_prefix("e=") {
            return Err(error.to_owned());
        }
        let proof = text.split(',').find_map(|part| part.strip_prefix("v="));
        let proof = proof
            .and_then(|proof| BASE64.decode(proof).ok())
            .ok_or("its SCRAM proof cannot be read")?;
        if proof == *self.0 {
            Ok(())
        } else {
            Err("its SCRAM proof is wrong: it does not know the password".to_owned())
        }
    }
}

#[cfg(test)]
mod tests;
