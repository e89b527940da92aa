//! GET, and nothing else of HTTP.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// A node that does not answer for this long is not well, however busy its machine is.
const TIMEOUT: Duration = Duration::from_secs(20);

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpAnswer {
    /// Such as 200.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

/// Gets `path` from `address` (`host:port`).
///
/// # Errors
/// When nobody answers in HTTP within 20 s.
pub async fn get(address: &str, path: &str) -> anyhow::Result<HttpAnswer> {
    get_within(TIMEOUT, address, path).await
}

/// As [`get`], with another patience: for long answers.
///
/// # Errors
/// When nobody answers in HTTP in time.
pub async fn get_within(
    timeout: Duration,
    address: &str,
    path: &str,
) -> anyhow::Result<HttpAnswer> {
    tokio::time::timeout(timeout, get_unbounded(None, address, path))
        .await
        .map_err(|_elapsed| anyhow::anyhow!("{address}{path} does not answer"))?
}

/// As [`get`], by TLS if `tls` is given.
pub(super) async fn get_by(
    tls: Option<&Arc<ClientConfig>>,
    address: &str,
    path: &str,
) -> anyhow::Result<HttpAnswer> {
    tokio::time::timeout(TIMEOUT, get_unbounded(tls, address, path))
        .await
        .map_err(|_elapsed| anyhow::anyhow!("{address}{path} does not answer"))?
}

async fn get_unbounded(
    tls: Option<&Arc<ClientConfig>>,
    address: &str,
    path: &str,
) -> anyhow::Result<HttpAnswer> {
    let stream = TcpStream::connect(address).await?;
    let Some(tls) = tls else { return get_over(stream, address, path).await };
    let (host, _port) = address.rsplit_once(':').unwrap_or((address, ""));
    let tls = TlsConnector::from(Arc::clone(tls));
    let stream = tls.connect(ServerName::try_from(host.to_owned())?, stream).await?;
    get_over(stream, address, path).await
}

async fn get_over(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    address: &str,
    path: &str,
) -> anyhow::Result<HttpAnswer> {
    // HTTP/1.0: the answer comes unchunked and ends with the connection.
    let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    parse(&answer).ok_or_else(|| anyhow::anyhow!("{address}{path}: not HTTP: {answer:?}"))
}

fn parse(answer: &str) -> Option<HttpAnswer> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.split(' ').nth(1)?.parse().ok()?;
    Some(HttpAnswer { status, body: body.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_and_body_are_found() {
        let answer = parse("HTTP/1.1 503 Service Unavailable\r\na: b\r\n\r\nwaits\n\r\n\r\n");
        let wanted = HttpAnswer { status: 503, body: "waits\n\r\n\r\n".to_owned() };
        assert_eq!(answer, Some(wanted));
        assert_eq!(parse("SSH-2.0\r\n\r\n"), None);
    }
}
