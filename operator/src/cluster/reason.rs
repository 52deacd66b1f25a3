//! Every reason of a KafkaCluster's conditions. `docs/reasons.md` has cause and remedy of each.

/// Why a KafkaCluster is as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Reason {
    /// It can be used.
    Ready,
    /// The spec is no valid one.
    InvalidSpec,
    /// Namespaces are selected by labels that the operator may not read.
    SelectorNotSupported,
    /// A Secret does not exist.
    SecretNotFound,
    /// A Secret lacks the key.
    SecretKeyMissing,
    /// A Secret's value is nothing to log in with, or its type is refused.
    SecretInvalid,
    /// The operator may not read the Secret.
    SecretForbidden,
    /// No bootstrap address resolves.
    BootstrapDnsFailed,
    /// Nothing listens at the bootstrap addresses.
    BootstrapRefused,
    /// The bootstrap addresses do not answer.
    BootstrapTimedOut,
    /// Something else than this security protocol of Kafka is spoken there.
    BootstrapWrongProtocol,
    /// The bootstrap addresses cannot be used for another cause.
    BootstrapUnreachable,
    /// No trusted CA signed the certificate shown there.
    CertificateUntrusted,
    /// The certificate shown there is not valid now.
    CertificateExpired,
    /// The certificate shown there is for other names.
    CertificateWrongHost,
    /// Kafka wants a client certificate, and the spec names none.
    ClientCertificateRequired,
    /// Kafka refuses the client certificate.
    ClientCertificateRefused,
    /// TLS fails for another cause.
    TlsFailed,
    /// Kafka refuses the credentials.
    AuthenticationFailed,
    /// Kafka is no version that can be worked with.
    UnsupportedKafka,
    /// Bootstrap works, and no advertised address does.
    ListenersUnreachable,
    /// Some advertised addresses work, others do not.
    SomeListenersUnreachable,
    /// Another cluster is found than before, or than expected.
    ClusterIdChanged,
    /// It cannot be told, for want of an earlier step.
    NotChecked,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 24] = [
        Self::Ready,
        Self::InvalidSpec,
        Self::SelectorNotSupported,
        Self::SecretNotFound,
        Self::SecretKeyMissing,
        Self::SecretInvalid,
        Self::SecretForbidden,
        Self::BootstrapDnsFailed,
        Self::BootstrapRefused,
        Self::BootstrapTimedOut,
        Self::BootstrapWrongProtocol,
        Self::BootstrapUnreachable,
        Self::CertificateUntrusted,
        Self::CertificateExpired,
        Self::CertificateWrongHost,
        Self::ClientCertificateRequired,
        Self::ClientCertificateRefused,
        Self::TlsFailed,
        Self::AuthenticationFailed,
        Self::UnsupportedKafka,
        Self::ListenersUnreachable,
        Self::SomeListenersUnreachable,
        Self::ClusterIdChanged,
        Self::NotChecked,
    ];

    /// Whether a condition's reason lies in a Secret, not in the cluster.
    #[must_use]
    pub fn is_of_credentials(reason: &str) -> bool {
        let causes = [
            Self::SecretNotFound,
            Self::SecretKeyMissing,
            Self::SecretInvalid,
            Self::SecretForbidden,
        ];
        causes.iter().any(|cause| cause.as_str() == reason)
    }

    /// As conditions and events spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ready => "Ready",
            Self::InvalidSpec => "InvalidSpec",
            Self::SelectorNotSupported => "SelectorNotSupported",
            Self::SecretNotFound => "SecretNotFound",
            Self::SecretKeyMissing => "SecretKeyMissing",
            Self::SecretInvalid => "SecretInvalid",
            Self::SecretForbidden => "SecretForbidden",
            Self::BootstrapDnsFailed => "BootstrapDnsFailed",
            Self::BootstrapRefused => "BootstrapRefused",
            Self::BootstrapTimedOut => "BootstrapTimedOut",
            Self::BootstrapWrongProtocol => "BootstrapWrongProtocol",
            Self::BootstrapUnreachable => "BootstrapUnreachable",
            Self::CertificateUntrusted => "CertificateUntrusted",
            Self::CertificateExpired => "CertificateExpired",
            Self::CertificateWrongHost => "CertificateWrongHost",
            Self::ClientCertificateRequired => "ClientCertificateRequired",
            Self::ClientCertificateRefused => "ClientCertificateRefused",
            Self::TlsFailed => "TlsFailed",
            Self::AuthenticationFailed => "AuthenticationFailed",
            Self::UnsupportedKafka => "UnsupportedKafka",
            Self::ListenersUnreachable => "ListenersUnreachable",
            Self::SomeListenersUnreachable => "SomeListenersUnreachable",
            Self::ClusterIdChanged => "ClusterIdChanged",
            Self::NotChecked => "NotChecked",
        }
    }
}
