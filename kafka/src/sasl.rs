//! Proves who connects. PLAIN is one message; SCRAM two, and it proves the broker knows the password too.

mod scram;

use std::time::Duration;

use kafka_protocol::messages::{SaslAuthenticateRequest, SaslHandshakeRequest, SaslHandshakeResponse};
use kafka_protocol::protocol::StrBytes;
use zeroize::Zeroizing;

use crate::config::{Sasl, SaslMechanism, Secret};
use crate::error::{ConnectCause, ErrorCode, Spoken, Stage};
use crate::wire::{Dialling, Link, Token, Versions, exchange};

use scram::{Hash, Scram};

/// Authenticates as configured. Answers for how long the broker lets the session live, if it says.
pub(crate) async fn authenticate(
    dialling: &Dialling<'_>,
    link: &Link,
    versions: &Versions,
) -> Result<Option<Duration>, ConnectCause> {
    let Some(Sasl {
        mechanism,
        username,
        password,
    }) = &dialling.config.security.sasl
    else {
        return Ok(None);
    };
    let session = Session {
        dialling,
        link,
        versions,
        mechanism: *mechanism,
        username,
    };
    session.agree_on_mechanism().await?;
    match mechanism {
        SaslMechanism::Plain => session.plain(password).await,
        SaslMechanism::ScramSha256 => session.scram(Hash::Sha256, password).await,
        SaslMechanism::ScramSha512 => session.scram(Hash::Sha512, password).await,
    }
}

/// Whether the listener offers any mechanism at all.
pub(crate) async fn is_offered(dialling: &Dialling<'_>, link: &Link, versions: &Versions) -> bool {
    match handshake(dialling, link, versions, SaslMechanism::Plain).await {
        Ok(reply) => !reply.mechanisms.is_empty(),
        Err(_) => false,
    }
}

async fn handshake(
    dialling: &Dialling<'_>,
    link: &Link,
    versions: &Versions,
    mechanism: SaslMechanism,
) -> Result<SaslHandshakeResponse, ConnectCause> {
    let request =
        SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(mechanism.as_str()));
    let version = versions
        .negotiate::<SaslHandshakeRequest>()
        .map_err(ConnectCause::TooOld)?;
    exchange(link, &dialling.client_id, &request, version, dialling.left())
        .await
        .map_err(|failure| dialling.explain_call(failure, Stage::Authentication))
}

struct Session<'a> {
    dialling: &'a Dialling<'a>,
    link: &'a Link,
    versions: &'a Versions,
    mechanism: SaslMechanism,
    username: &'a str,
}

impl Session<'_> {
    async fn agree_on_mechanism(&self) -> Result<(), ConnectCause> {
        let reply = handshake(self.dialling, self.link, self.versions, self.mechanism).await?;
        let code = ErrorCode::from(reply.error_code);
        if code == ErrorCode::NONE {
            return Ok(());
        }
        if code == ErrorCode::ILLEGAL_SASL_STATE || reply.mechanisms.is_empty() {
            return Err(ConnectCause::WrongProtocol(Spoken::KafkaWithoutSasl(
                self.mechanism,
            )));
        }
        let offered: Vec<&str> = reply.mechanisms.iter().map(|name| &**name).collect();
        Err(self.refused(format!("the listener takes {}", offered.join(", "))))
    }

    async fn plain(&self, password: &Secret) -> Result<Option<Duration>, ConnectCause> {
        let token = Zeroizing::new(format!("\0{}\0{}", self.username, password.expose()));
        let (_, session) = self.send(Token::copy_from_slice(token.as_bytes())).await?;
        Ok(session)
    }

    async fn scram(&self, hash: Hash, password: &Secret) -> Result<Option<Duration>, ConnectCause> {
        let (exchange, first) = Scram::start(hash, self.username, &scram::nonce());
        let (server_first, _) = self.send(first.into()).await?;
        let password = password.clone();
        // Thousands of hash rounds: not on a thread that serves connections.
        let answered =
            tokio::task::spawn_blocking(move || exchange.answer(&server_first, password.expose())).await;
        let (expected, last) = answered
            .map_err(|error| ConnectCause::Network(error.to_string()))?
            .map_err(|what| self.refused(what))?;
        let (server_last, session) = self.send(last.into()).await?;
        expected.verify(&server_last).map_err(|what| self.refused(what))?;
        Ok(session)
    }

    async fn send(&self, token: Token) -> Result<(Token, Option<Duration>), ConnectCause> {
        let request = SaslAuthenticateRequest::default().with_auth_bytes(token);
        let version = self
            .versions
            .negotiate::<SaslAuthenticateRequest>()
            .map_err(ConnectCause::TooOld)?;
        let reply = exchange(
            self.link,
            &self.dialling.client_id,
            &request,
            version,
            self.dialling.left(),
        )
        .await
        .map_err(|failure| self.dialling.explain_call(failure, Stage::Authentication))?;
        if reply.error_code != 0 {
            let code = ErrorCode::from(reply.error_code);
            return Err(self.refused(
                reply
                    .error_message
                    .map_or_else(|| code.to_string(), |text| text.to_string()),
            ));
        }
        let lifetime = u64::try_from(reply.session_lifetime_ms)
            .ok()
            .filter(|lifetime| *lifetime > 0);
        Ok((reply.auth_bytes, lifetime.map(Duration::from_millis)))
    }

    fn refused(&self, message: String) -> ConnectCause {
        ConnectCause::AuthenticationFailed {
            username: self.username.to_owned(),
            mechanism: self.mechanism,
            message,
        }
    }
}
