//! A broker's connection after its handshake: typed calls at negotiated versions.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use kafka_protocol::messages::{ApiVersionsResponse, RequestHeader, ResponseHeader};
use kafka_protocol::protocol::{Decodable, Encodable, HeaderVersion, StrBytes};
use tokio::time::Instant;

use super::api::Call;
use super::link::{Link, LinkClosed, Unanswered};
use super::shape::{self, Shape};
use crate::admin::Cluster;
use crate::config::HostPort;
use crate::error::{ConnectCause, ConnectFailure, KafkaError, NoReply};
use crate::permit::Permit;

/// An idle connection is given up before Kafka does (`connections.max.idle.ms`, 10 minutes by default; some load
/// balancers 5), so that no request runs into a close.
const LONGEST_IDLE: Duration = Duration::from_secs(180);

/// The versions of each call that a broker offers.
#[derive(Debug, Default)]
pub(crate) struct Versions(Vec<(i16, i16, i16)>);

impl Versions {
    pub(super) fn new(reply: &ApiVersionsResponse) -> Self {
        Self(
            reply
                .api_keys
                .iter()
                .map(|key| (key.api_key, key.min_version, key.max_version))
                .collect(),
        )
    }

    /// The newest version both sides have, or what the broker offers in words.
    pub(crate) fn negotiate<C: Call>(&self) -> Result<i16, String> {
        let Some(&(_, oldest, newest)) = self.0.iter().find(|(key, ..)| *key == C::KEY) else {
            return Err("no version".to_owned());
        };
        let version = newest.min(C::SPOKEN.1);
        if version >= oldest.max(C::SPOKEN.0) {
            Ok(version)
        } else {
            Err(format!("{oldest} to {newest}"))
        }
    }
}

/// What a broker said of its cluster when the connection was made.
#[derive(Debug, Clone)]
pub(crate) struct Hello {
    /// The cluster as this broker sees it.
    pub(crate) cluster: Cluster,
}

/// A connection that has proven itself: versions negotiated, authenticated, one question answered.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(super) address: HostPort,
    pub(super) client_id: StrBytes,
    pub(super) request_timeout: Duration,
    pub(super) link: Link,
    pub(super) versions: Versions,
    pub(super) hello: Hello,
    /// When to make a fresh connection, ahead of the broker's end of the authenticated session (KIP-368). What is
    /// in flight here by then still gets its reply: brokers close at the first request after the end.
    pub(super) renew_at: Option<Instant>,
    pub(super) pace: Mutex<Pace>,
}

/// When the connection was last used and until when the broker wants to be left alone.
#[derive(Debug)]
pub(super) struct Pace {
    pub(super) last_use: Instant,
    pub(super) hold_until: Instant,
}

impl Connection {
    /// The same, with changes sent only while this permit holds.
    pub(crate) fn under(mut self, permit: Permit) -> Self {
        self.link.set_permit(permit);
        self
    }

    /// The address it was dialled at.
    pub(crate) fn address(&self) -> &HostPort {
        &self.address
    }

    /// How long Kafka may work on a change before it answers that it gave up: less than we wait, so that it is
    /// Kafka's answer we get.
    pub(crate) fn broker_timeout_ms(&self) -> i32 {
        let margin = (self.request_timeout / 4).min(Duration::from_secs(1));
        i32::try_from(self.request_timeout.saturating_sub(margin).as_millis()).unwrap_or(i32::MAX)
    }

    /// What the broker said of its cluster.
    pub(crate) fn hello(&self) -> &Hello {
        &self.hello
    }

    /// Whether a new request should be sent on it.
    pub(crate) fn is_usable(&self, now: Instant) -> bool {
        let idle = now.saturating_duration_since(self.pace().last_use);
        self.link.closed().is_none()
            && idle < LONGEST_IDLE
            && self.renew_at.is_none_or(|renewal| now < renewal)
    }

    fn pace(&self) -> std::sync::MutexGuard<'_, Pace> {
        self.pace.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes one call at the newest version both sides have.
    pub(crate) async fn call<C: Call>(
        &self,
        operation: &'static str,
        request: &C,
    ) -> Result<C::Reply, KafkaError> {
        let version = self
            .versions
            .negotiate::<C>()
            .map_err(|offered| KafkaError::Unsupported {
                operation,
                address: self.address.clone(),
                api: C::NAME,
                offered,
                needed: C::SPOKEN.0,
            })?;
        let hold_until = self.pace().hold_until;
        tokio::time::sleep_until(hold_until).await;
        let reply = exchange(
            &self.link,
            &self.client_id,
            request,
            version,
            self.request_timeout,
        )
        .await;
        let now = Instant::now();
        self.pace().last_use = now;
        let reply = reply.map_err(|failure| self.explain(operation, failure))?;
        if let Ok(throttle @ 1..) = u64::try_from(C::throttle(&reply)) {
            self.pace().hold_until = now + Duration::from_millis(throttle);
        }
        Ok(reply)
    }

    fn explain(&self, operation: &'static str, failure: CallFailure) -> KafkaError {
        match failure {
            CallFailure::CannotEncode(reason) => KafkaError::Invalid { operation, reason },
            CallFailure::Unanswered(Unanswered {
                cause: LinkClosed::Withheld,
                ..
            }) => KafkaError::NotPermitted { operation },
            CallFailure::Unanswered(Unanswered { sent: false, cause }) => KafkaError::Unreachable {
                operation,
                failure: ConnectFailure {
                    address: self.address.clone(),
                    cause: ConnectCause::Network(words(&cause)),
                },
            },
            CallFailure::Unanswered(Unanswered { sent: true, cause }) => KafkaError::NoReply {
                operation,
                address: self.address.clone(),
                cause: match cause {
                    LinkClosed::TimedOut(after) => NoReply::TimedOut(after),
                    LinkClosed::Ended(_) | LinkClosed::Alert(_) => NoReply::Closed(words(&cause)),
                    LinkClosed::NotAFrame(_) | LinkClosed::Malformed(_) | LinkClosed::Withheld => {
                        NoReply::Malformed(words(&cause))
                    }
                },
            },
        }
    }
}

fn words(cause: &LinkClosed) -> String {
    match cause {
        LinkClosed::TimedOut(after) => format!("an earlier request was not answered within {after:?}"),
        LinkClosed::Ended(how) => how.clone(),
        LinkClosed::Alert(alert) => format!("TLS alert {alert:?}"),
        LinkClosed::NotAFrame(first) => format!("{:#010x} is no reply's length", u32::from_be_bytes(*first)),
        LinkClosed::Malformed(what) => what.clone(),
        LinkClosed::Withheld => "the right to change anything has ended".to_owned(),
    }
}

/// Why a call gave no reply.
#[derive(Debug)]
pub(crate) enum CallFailure {
    /// The request does not fit the protocol.
    CannotEncode(String),
    /// No usable reply came.
    Unanswered(Unanswered),
}

/// Encodes, sends, awaits, checks and decodes one call. A reply that cannot be read closes the link.
pub(crate) async fn exchange<C: Call>(
    link: &Link,
    client_id: &StrBytes,
    request: &C,
    version: i16,
    deadline: Duration,
) -> Result<C::Reply, CallFailure> {
    let frame = request_frame(client_id, request, version).map_err(CallFailure::CannotEncode)?;
    let reply = link
        .exchange(
            |correlation| with_correlation(frame, correlation),
            C::CHANGES,
            deadline,
        )
        .await;
    let reply = reply.map_err(CallFailure::Unanswered)?;
    read_reply::<C>(reply, version).map_err(|what| {
        let cause = LinkClosed::Malformed(what);
        link.close(&cause);
        CallFailure::Unanswered(Unanswered { sent: true, cause })
    })
}

/// Where the correlation id stands in a request's frame: after length, key and version.
const CORRELATION_AT: usize = 8;

pub(super) fn request_frame<C: Call>(
    client_id: &StrBytes,
    request: &C,
    version: i16,
) -> Result<BytesMut, String> {
    let header = RequestHeader::default()
        .with_request_api_key(C::KEY)
        .with_request_api_version(version)
        .with_client_id(Some(client_id.clone()));
    let mut frame = BytesMut::new();
    frame.put_i32(0);
    header
        .encode(&mut frame, C::header_version(version))
        .map_err(|error| error.to_string())?;
    request
        .encode(&mut frame, version)
        .map_err(|error| error.to_string())?;
    let length = i32::try_from(frame.len() - 4).map_err(|_| format!("{} bytes are too many", frame.len()))?;
    frame[..4].copy_from_slice(&length.to_be_bytes());
    Ok(frame)
}

pub(super) fn with_correlation(mut frame: BytesMut, correlation: i32) -> Bytes {
    frame[CORRELATION_AT..CORRELATION_AT + 4].copy_from_slice(&correlation.to_be_bytes());
    frame.freeze()
}

/// Reads a reply of the version that was asked for, to its last byte.
pub(super) fn read_reply<C: Call>(mut frame: Bytes, version: i16) -> Result<C::Reply, String> {
    let header_version = C::Reply::header_version(version);
    let header: &[Shape] = if header_version >= 1 {
        &[Shape::Fixed(4), Shape::Tags(&[])]
    } else {
        &[Shape::Fixed(4)]
    };
    let fields = [header, C::reply_shape(version)].concat();
    shape::check(&frame, &fields).map_err(|what| format!("{} version {version}: {what}", C::NAME))?;
    let decode = |error| format!("{} version {version}: {error}", C::NAME);
    ResponseHeader::decode(&mut frame, header_version).map_err(decode)?;
    C::Reply::decode(&mut frame, version).map_err(decode)
}
