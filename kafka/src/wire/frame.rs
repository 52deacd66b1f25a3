//! Length-prefixed frames. Never allocates more than has arrived, or more than the cap.

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio_rustls::rustls::AlertDescription;

use super::tls;

/// The longest reply that is taken: 20 times what 10,000 topics take in one metadata reply. The first bytes of TLS
/// and HTTP, read as a length, lie above it.
pub(crate) const LONGEST: usize = 64 * 1024 * 1024;

/// How much is reserved for a reply before any of it has arrived.
const FIRST_RESERVE: usize = 64 * 1024;

/// Why no frame was read.
#[derive(Debug)]
pub(crate) enum FrameError {
    /// The connection ended or failed.
    Ended(String),
    /// The other side ended TLS, and said why.
    Alert(AlertDescription),
    /// The length makes no sense: probably not Kafka.
    NotAFrame([u8; 4]),
}

fn ended(error: &std::io::Error) -> FrameError {
    tls::alert(error).map_or_else(|| FrameError::Ended(error.to_string()), FrameError::Alert)
}

/// Reads one frame, without its length.
pub(crate) async fn read_frame<R: AsyncRead + Unpin>(reader: &mut R) -> Result<Bytes, FrameError> {
    let mut prefix = [0; 4];
    reader
        .read_exact(&mut prefix)
        .await
        .map_err(|error| ended(&error))?;
    let length = match usize::try_from(i32::from_be_bytes(prefix)) {
        Ok(length) if (4..=LONGEST).contains(&length) => length,
        _ => return Err(FrameError::NotAFrame(prefix)),
    };
    let mut frame = BytesMut::with_capacity(length.min(FIRST_RESERVE));
    let mut rest = reader.take(length as u64);
    while frame.len() < length {
        let read = rest.read_buf(&mut frame).await.map_err(|error| ended(&error))?;
        if read == 0 {
            return Err(FrameError::Ended(format!(
                "after {} of {length} bytes of a reply",
                frame.len()
            )));
        }
    }
    Ok(frame.freeze())
}
