//! One Kafka request over a plain socket: the only proof that a broker, not a proxy, is behind a port.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

/// How long each socket operation may take.
const PATIENCE: Duration = Duration::from_secs(3);
/// Length, `ApiVersions` (18), version 0, correlation id, no client id.
const API_VERSIONS: [u8; 14] = [0, 0, 0, 10, 0, 18, 0, 0, b'O', b't', b'l', b'a', 0xff, 0xff];

/// Asks the broker at an address for its API versions, which every listener answers before authentication.
pub fn answers(address: &str) -> Result<()> {
    let parsed: SocketAddr = address
        .parse()
        .with_context(|| format!("{address} is no socket address"))?;
    let mut stream = TcpStream::connect_timeout(&parsed, PATIENCE)
        .with_context(|| format!("{address} does not accept connections"))?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut head = [0; 10];
    let answered = stream
        .write_all(&API_VERSIONS)
        .and_then(|()| stream.read_exact(&mut head));
    answered.with_context(|| format!("{address} accepts connections and then does not speak Kafka"))?;
    ensure!(
        head[4..8] == API_VERSIONS[8..12],
        "{address} answered something that is not Kafka's protocol"
    );
    ensure!(
        head[8..10] == [0, 0],
        "{address} answered ApiVersions with an error"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn server(answer: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = [0; 14];
            stream.read_exact(&mut request).unwrap();
            stream.write_all(answer).unwrap();
        });
        address
    }

    #[test]
    fn an_answer_with_the_same_correlation_id_counts() {
        answers(&server(&[0, 0, 0, 10, b'O', b't', b'l', b'a', 0, 0, 0, 0, 0, 0])).unwrap();
    }

    #[test]
    fn a_port_that_closes_or_babbles_does_not() {
        assert!(answers(&server(&[])).is_err());
        assert!(answers(&server(b"HTTP/1.1 400 Bad Request")).is_err());
    }
}
