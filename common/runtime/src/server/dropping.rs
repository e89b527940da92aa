//! What comes on a connection whose input was ended: it is read and dropped, so that the other end gets to
//! read why, but no faster than a little at a time. Who sends on at full speed is slowed down by TCP, and
//! takes nothing from others meanwhile.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Sleep, sleep};

/// So much is dropped at once: what is under way of a message when somebody hears that it is refused.
const BURST_BYTES: usize = 64 << 10;
/// Between two bursts: 1.3 MB a second of each connection.
const PAUSE: Duration = Duration::from_millis(50);
/// Of a burst, so much is read at once.
const READ_BYTES: usize = 4 << 10;

/// Drops what comes, at its pace.
pub(super) struct Dropping {
    /// Of this burst.
    left_bytes: usize,
    pause: Option<Pin<Box<Sleep>>>,
}

impl Dropping {
    pub(super) const fn new() -> Self {
        Self { left_bytes: BURST_BYTES, pause: None }
    }

    /// Ready when nothing more comes.
    pub(super) fn poll<S: AsyncRead + Unpin>(
        &mut self,
        stream: &mut S,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; READ_BYTES];
        loop {
            if let Some(pause) = &mut self.pause {
                ready!(pause.as_mut().poll(cx));
                (self.pause, self.left_bytes) = (None, BURST_BYTES);
            }
            let mut buffer = ReadBuf::new(&mut bytes);
            ready!(Pin::new(&mut *stream).poll_read(cx, &mut buffer))?;
            let read = buffer.filled().len();
            if read == 0 {
                return Poll::Ready(Ok(()));
            }
            self.left_bytes = self.left_bytes.saturating_sub(read);
            if self.left_bytes == 0 {
                self.pause = Some(Box::pin(sleep(PAUSE)));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use tokio::io::AsyncReadExt as _;
    use tokio::time::Instant;

    use super::*;

    /// Ended input was dropped as fast as it came: 60 clients took the processor from all others.
    #[tokio::test]
    async fn what_comes_is_dropped_a_little_at_a_time() {
        let mut stream = tokio::io::repeat(7).take(3 * BURST_BYTES as u64);
        let (begun, mut dropping) = (Instant::now(), Dropping::new());
        let at_once = poll_fn(|cx| Poll::Ready(dropping.poll(&mut stream, cx))).await;
        assert!(at_once.is_pending(), "more has come than is dropped at once");
        assert_eq!(stream.limit(), 2 * BURST_BYTES as u64);
        poll_fn(|cx| dropping.poll(&mut stream, cx)).await.expect("the end");
        assert_eq!(stream.limit(), 0);
        assert!(begun.elapsed() >= 3 * PAUSE, "a pause after each burst");
    }

    #[tokio::test]
    async fn a_short_rest_is_dropped_without_a_pause() {
        let mut stream = tokio::io::repeat(7).take(BURST_BYTES as u64 / 2);
        let mut dropping = Dropping::new();
        let at_once = poll_fn(|cx| Poll::Ready(dropping.poll(&mut stream, cx))).await;
        assert!(matches!(at_once, Poll::Ready(Ok(()))), "all of it");
        assert_eq!(stream.limit(), 0);
    }
}
