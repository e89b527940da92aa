//! Reads what is stored as a user does: `GET /history` of an entry.

use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::Reading;

const BUFFER_BYTES: usize = 256 << 10;
/// How each line begins.
const POSITION: &[u8] = b"{\"position\":";

/// Lines of an answer as they come.
struct Lines {
    stream: TcpStream,
    buffer: Vec<u8>,
    start: usize,
    bytes: u64,
}

impl Lines {
    /// Asks and reads up to the body.
    async fn get(address: &str, path: &str) -> anyhow::Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        // HTTP/1.0: the answer comes unchunked and ends with the connection.
        let request = format!("GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let buffer = Vec::with_capacity(BUFFER_BYTES);
        let mut lines = Self { stream, buffer, start: 0, bytes: 0 };
        let status = lines.next().await?.context("no answer")?;
        let status = String::from_utf8_lossy(&status).into_owned();
        while lines.next().await?.context("no end of the header")? != b"\r" {}
        if !status.contains(" 200 ") {
            let reason = lines.next().await?.unwrap_or_default();
            bail!("{path}: {status}: {}", String::from_utf8_lossy(&reason));
        }
        Ok(lines)
    }

    async fn fill(&mut self) -> anyhow::Result<bool> {
        self.buffer.drain(..self.start);
        self.start = 0;
        let read = self.stream.read_buf(&mut self.buffer).await?;
        self.bytes += read as u64;
        Ok(read > 0)
    }

    /// The next line without its end.
    async fn next(&mut self) -> anyhow::Result<Option<Vec<u8>>> {
        loop {
            let rest = &self.buffer[self.start..];
            if let Some(end) = rest.iter().position(|byte| *byte == b'\n') {
                let line = rest[..end].to_vec();
                self.start += end + 1;
                return Ok(Some(line));
            }
            if !self.fill().await? {
                return Ok(None);
            }
        }
    }
}

fn position_of(line: &[u8]) -> anyhow::Result<u64> {
    let shown = || String::from_utf8_lossy(line).into_owned();
    let digits = line.strip_prefix(POSITION).with_context(shown)?;
    let end = digits.iter().position(|byte| !byte.is_ascii_digit()).with_context(shown)?;
    let position = digits[..end].iter().fold(0, |n, digit| n * 10 + u64::from(digit - b'0'));
    Ok(position)
}

/// Reads everything, and checks that `total` messages come, each once, in order.
pub(super) async fn read_all(address: &str, path: &str, total: u64) -> anyhow::Result<Reading> {
    let begun = Instant::now();
    let mut lines = Lines::get(address, path).await?;
    let (mut last, mut messages) = (0, 0);
    let mut done = false;
    while !done {
        // Line by line within the buffer, without a copy: the reader shares the processors.
        let mut start = lines.start;
        while let Some(end) = lines.buffer[start..].iter().position(|byte| *byte == b'\n') {
            let position = position_of(&lines.buffer[start..start + end])?;
            ensure!(position > last, "position {position} after {last}");
            last = position;
            messages += 1;
            start += end + 1;
        }
        lines.start = start;
        done = !lines.fill().await?;
    }
    ensure!(messages == total, "the answer has {messages} messages, and ends with position {last}");
    Ok(Reading { messages, bytes: lines.bytes, elapsed: begun.elapsed() })
}

/// The positions of a short answer.
pub(super) async fn positions(address: &str, path: &str) -> anyhow::Result<Vec<u64>> {
    let read = async {
        let mut lines = Lines::get(address, path).await?;
        let mut positions = Vec::new();
        while let Some(line) = lines.next().await? {
            positions.push(position_of(&line)?);
        }
        Ok(positions)
    };
    tokio::time::timeout(Duration::from_secs(60), read).await.context("no answer in time")?
}
