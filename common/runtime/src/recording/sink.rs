//! What was recorded, on its way to the file: whoever records never waits.
//!
//! Invariants:
//! - K1: [`Sink::push`] waits for no system call.
//! - K2: what is written is a prefix of what was pushed.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use metrics::counter;

use super::recorder::{RECORDED_BYTES, count_end};

/// What waits to be written takes so much at most.
const QUEUE_BYTES_MAX: usize = 64 << 20;
/// A buffer that was larger is not kept.
const BUFFER_BYTES_KEPT: usize = 1 << 20;
/// So long a process that ends waits for what is recorded to be written.
const FLUSH_TIME: Duration = Duration::from_secs(1);
/// The thread that writes.
pub(crate) const THREAD: &str = "record";

/// All that are written in this process: the last words of a machine are to be on disk when it panics.
static SINKS: Mutex<Vec<Weak<Sink>>> = Mutex::new(Vec::new());

/// A bounded queue of bytes with one writer.
#[derive(Debug)]
pub(super) struct Sink {
    bytes_max: usize,
    state: Mutex<State>,
    /// Something waits, or nothing more comes.
    filled: Condvar,
    /// All is written, or cannot be.
    emptied: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: Vec<u8>,
    /// Bytes that the writer has taken and is not done with.
    busy_bytes: usize,
    /// Nothing more comes.
    is_over: bool,
    /// It cannot be written.
    has_failed: bool,
}

/// Why something is not recorded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    /// Too much waits.
    Full,
    /// It cannot be written: the writer has said so.
    Failed,
}

impl Sink {
    pub(super) fn new(bytes_max: usize) -> Self {
        let (filled, emptied) = (Condvar::new(), Condvar::new());
        Self { bytes_max, state: Mutex::default(), filled, emptied }
    }

    /// A sink into a file, by a thread of its own.
    pub(super) fn start(file: File, path: &Path) -> io::Result<Arc<Self>> {
        let sink = Arc::new(Self::new(QUEUE_BYTES_MAX));
        let (writing, path) = (Arc::clone(&sink), path.display().to_string());
        std::thread::Builder::new()
            .name(THREAD.to_owned())
            .spawn(move || writing.write_to(file, &path))?;
        let mut sinks = SINKS.lock().unwrap_or_else(PoisonError::into_inner);
        sinks.retain(|sink| sink.strong_count() > 0);
        sinks.push(Arc::downgrade(&sink));
        Ok(sink)
    }

    /// Takes bytes, or has no room for them. What is larger than all the room is taken when nothing waits.
    pub(super) fn push(&self, bytes: &[u8]) -> Result<(), Refused> {
        let mut state = self.lock();
        if state.has_failed {
            return Err(Refused::Failed);
        }
        let held = state.waiting.len() + state.busy_bytes;
        if held > 0 && held + bytes.len() > self.bytes_max {
            return Err(Refused::Full);
        }
        state.waiting.extend_from_slice(bytes);
        drop(state);
        self.filled.notify_one();
        Ok(())
    }

    /// Takes the last bytes, for which there is room in any case. Nothing more comes. Whether it could be written
    /// so far: else the writer has counted its end.
    pub(super) fn close(&self, last: &[u8]) -> bool {
        let mut state = self.lock();
        let is_written = !state.has_failed;
        if is_written {
            state.waiting.extend_from_slice(last);
        }
        state.is_over = true;
        drop(state);
        self.filled.notify_one();
        is_written
    }

    /// Waits until all is written, for `patience` at most; whether it is.
    pub(super) fn wait_empty(&self, patience: Duration) -> bool {
        let is_pending =
            |state: &mut State| !state.has_failed && state.busy_bytes + state.waiting.len() > 0;
        let waited = self.emptied.wait_timeout_while(self.lock(), patience, is_pending);
        let (state, waited) = waited.unwrap_or_else(PoisonError::into_inner);
        !waited.timed_out() && !state.has_failed
    }

    /// The writer.
    pub(super) fn write_to(&self, mut file: impl Write, path: &str) {
        let mut buffer = Vec::new();
        while self.swap(&mut buffer) {
            if let Err(error) = file.write_all(&buffer) {
                if self.fail() {
                    count_end("failed");
                }
                tracing::warn!(
                    path, %error,
                    "recording ended: it cannot be written, and ends in the middle of an entry; the node goes on"
                );
                return;
            }
            counter!(RECORDED_BYTES).increment(buffer.len() as u64);
        }
    }

    /// Everything that waits, once something does; `false` when nothing more comes.
    fn swap(&self, buffer: &mut Vec<u8>) -> bool {
        buffer.clear();
        buffer.shrink_to(BUFFER_BYTES_KEPT);
        let mut state = self.lock();
        state.busy_bytes = 0;
        if state.waiting.is_empty() {
            self.emptied.notify_all();
        }
        let is_idle = |state: &mut State| state.waiting.is_empty() && !state.is_over;
        let waited = self.filled.wait_while(state, is_idle);
        state = waited.unwrap_or_else(PoisonError::into_inner);
        std::mem::swap(&mut state.waiting, buffer);
        state.busy_bytes = buffer.len();
        !buffer.is_empty()
    }

    /// Whether its end is not counted yet.
    fn fail(&self) -> bool {
        let mut state = self.lock();
        (state.has_failed, state.busy_bytes) = (true, 0);
        state.waiting = Vec::new();
        let is_first = !state.is_over;
        drop(state);
        self.emptied.notify_all();
        is_first
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until what was recorded is written, or the disk has had its time. For the end of a process, and for
/// panics; not to be called by the thread that writes.
pub(crate) fn flush() {
    let sinks: Vec<_> = {
        let sinks = SINKS.lock().unwrap_or_else(PoisonError::into_inner);
        sinks.iter().filter_map(Weak::upgrade).collect()
    };
    for sink in sinks {
        let _in_time = sink.wait_empty(FLUSH_TIME);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes nothing.
    struct Broken;

    impl Write for Broken {
        fn write(&mut self, _bytes: &[u8]) -> io::Result<usize> {
            Err(io::ErrorKind::StorageFull.into())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn what_was_pushed_is_written_in_its_order_and_the_last_words_have_room() {
        let sink = Sink::new(4);
        assert_eq!(sink.push(b"larger than all"), Ok(()), "when nothing waits");
        assert_eq!(sink.push(b"x"), Err(Refused::Full));
        assert!(sink.close(b", end"));
        let mut written = Vec::new();
        sink.write_to(&mut written, "here");
        assert_eq!(written, b"larger than all, end");
        assert!(sink.wait_empty(Duration::ZERO));
    }

    #[test]
    fn a_disk_that_takes_nothing_ends_it_and_nobody_waits() {
        let sink = Sink::new(16);
        assert_eq!(sink.push(b"one"), Ok(()));
        sink.write_to(Broken, "here");
        assert_eq!(sink.push(b"two"), Err(Refused::Failed));
        assert!(!sink.close(b"end"), "its end is counted once");
        assert!(!sink.wait_empty(Duration::from_secs(3600)), "and it says so at once");
    }

    /// It took twice as much: what the writer was at did not count.
    #[test]
    fn what_is_being_written_counts_as_waiting() {
        let sink = Sink::new(8);
        assert_eq!(sink.push(b"writing"), Ok(()));
        let mut taken = Vec::new();
        assert!(sink.swap(&mut taken));
        assert_eq!(sink.push(b"xx"), Err(Refused::Full));
        assert_eq!(sink.push(b"x"), Ok(()));
    }
}
