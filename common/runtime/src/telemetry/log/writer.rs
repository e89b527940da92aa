//! The one thread that writes lines out. It may stand still for as long as the system likes;
//! nobody waits for it.
//!
//! ```text
//!   tracing, panics ──push──> Queue ──next──> writer thread ──write(2)──> stderr
//!                       └── no room: counted                    └── error: counted
//! ```

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::queue::{Item, Queue};

/// While lines that were dropped are still to be told of, it is tried again so often.
const RETRY_INTERVAL: Duration = Duration::from_secs(5);
/// How long to wait for a descriptor that somebody else has made non-blocking, at a time.
const WRITABLE_TIME_MS: u16 = 1000;

/// Why a line was dropped: label `reason`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum DropReason {
    /// The queue had no room: the reader of the log stands still, or there is too much to say.
    Full,
    /// The reader of the pipe is gone.
    Closed,
    /// The disk, the quota or the size of a file is used up.
    NoSpace,
    /// Any other error of the system.
    Error,
}

impl DropReason {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Closed => "closed",
            Self::NoSpace => "no_space",
            Self::Error => "error",
        }
    }

    fn of(error: &io::Error) -> Self {
        match error.raw_os_error().map(Errno::from_raw) {
            Some(Errno::EPIPE) => Self::Closed,
            Some(Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG) => Self::NoSpace,
            Some(_) | None => Self::Error,
        }
    }
}

/// Lines that were dropped and not told of yet.
#[derive(Debug, Default)]
pub(super) struct Dropped {
    lines: BTreeMap<DropReason, u64>,
    last_error: Option<io::Error>,
}

impl Dropped {
    pub(super) fn total(&self) -> u64 {
        self.lines.values().sum()
    }

    /// In words: the reasons, and the last thing that the system said.
    pub(super) fn reason(&self) -> String {
        let reasons: Vec<_> = self.lines.keys().map(|reason| reason.as_str()).collect();
        let reasons = reasons.join(", ");
        match &self.last_error {
            Some(error) => format!("{reasons}: {error}"),
            None => reasons,
        }
    }

    fn add(&mut self, reason: DropReason, lines: u64) {
        if lines > 0 {
            *self.lines.entry(reason).or_default() += lines;
        }
    }
}

/// Where lines go: a descriptor, or what a test has in its place.
pub(super) trait Target {
    /// As `write(2)`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// Waits until a write that would have blocked may be tried again.
    fn wait_writable(&mut self);
}

/// Standard error, past the lock of the standard library: a write that stands still holds nothing.
pub(super) struct Stderr;

impl Target for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        Ok(nix::unistd::write(io::stderr(), bytes)?)
    }

    fn wait_writable(&mut self) {
        let stderr = io::stderr();
        let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
        let polled = poll(&mut fds, PollTimeout::from(WRITABLE_TIME_MS));
        if polled.is_err() {
            std::thread::sleep(Duration::from_millis(WRITABLE_TIME_MS.into()));
        }
    }
}

/// What is written, and what could not be.
pub(super) struct LineWriter<T> {
    target: T,
    /// The last line was cut short: the next one begins with a line end.
    is_torn: bool,
    dropped: Dropped,
    /// Makes the line that tells of dropped ones; an empty one is not written.
    notice: fn(&Dropped) -> Vec<u8>,
    /// Counts lines that were not written.
    count: fn(DropReason, u64),
}

impl<T: Target> LineWriter<T> {
    pub(super) fn new(
        target: T,
        notice: fn(&Dropped) -> Vec<u8>,
        count: fn(DropReason, u64),
    ) -> Self {
        Self { target, is_torn: false, dropped: Dropped::default(), notice, count }
    }

    /// Writes what is in `queue` for as long as the process runs.
    pub(super) fn run(mut self, queue: &Arc<Queue>) -> ! {
        loop {
            let patience = (self.dropped.total() > 0).then_some(RETRY_INTERVAL);
            self.take(queue.next(patience));
        }
    }

    fn take(&mut self, item: Item) {
        self.dropped.add(DropReason::Full, item.refused_before);
        let told = self.tell_dropped();
        let Some(line) = item.line else { return };
        // Where the shorter notice has failed there is no use in the line.
        if let Err(error) = told.and_then(|()| self.put(&line)) {
            let reason = DropReason::of(&error);
            self.dropped.add(reason, 1);
            self.dropped.last_error = Some(error);
            (self.count)(reason, 1);
        }
    }

    fn tell_dropped(&mut self) -> io::Result<()> {
        if self.dropped.total() > 0 {
            let notice = (self.notice)(&self.dropped);
            self.put(&notice)?;
            self.dropped = Dropped::default();
        }
        Ok(())
    }

    /// Writes a line to its end.
    fn put(&mut self, line: &[u8]) -> io::Result<()> {
        if self.is_torn && !line.is_empty() {
            self.put_bytes(b"\n")?;
            self.is_torn = false;
        }
        self.put_bytes(line)
    }

    fn put_bytes(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let mut is_begun = false;
        while !bytes.is_empty() {
            match self.target.write(bytes) {
                Ok(0) => {
                    self.is_torn |= is_begun;
                    return Err(io::ErrorKind::WriteZero.into());
                }
                Ok(written) => {
                    is_begun = true;
                    bytes = &bytes[written..];
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.target.wait_writable();
                }
                Err(error) => {
                    self.is_torn |= is_begun;
                    return Err(error);
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    /// Takes as many bytes as each answer says, or fails with it; then it takes everything.
    #[derive(Default)]
    struct Scripted {
        answers: VecDeque<Result<usize, Errno>>,
        written: Vec<u8>,
        waits: u32,
    }

    impl Target for Scripted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let taken = self.answers.pop_front().unwrap_or(Ok(bytes.len()))?.min(bytes.len());
            self.written.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn wait_writable(&mut self) {
            self.waits += 1;
        }
    }

    fn notice(dropped: &Dropped) -> Vec<u8> {
        format!("{} dropped, {}\n", dropped.total(), dropped.reason()).into_bytes()
    }

    fn writer(answers: impl IntoIterator<Item = Result<usize, Errno>>) -> LineWriter<Scripted> {
        let answers = answers.into_iter().collect();
        LineWriter::new(Scripted { answers, ..Scripted::default() }, notice, |_reason, _lines| {})
    }

    fn line(text: &str) -> Item {
        Item { refused_before: 0, line: Some(text.as_bytes().to_vec()) }
    }

    fn written(writer: &LineWriter<Scripted>) -> &str {
        str::from_utf8(&writer.target.written).expect("text")
    }

    #[test]
    fn a_line_is_written_whole_in_spite_of_short_writes_and_signals() {
        let mut writer = writer([Ok(2), Err(Errno::EINTR), Ok(1), Err(Errno::EAGAIN)]);
        writer.take(line("hello\n"));
        assert_eq!(written(&writer), "hello\n");
        assert_eq!((writer.target.waits, writer.dropped.total()), (1, 0));
    }

    #[test]
    fn lines_that_cannot_be_written_are_told_of_once_when_they_can() {
        let mut writer = writer([Err(Errno::ENOSPC), Err(Errno::EPIPE), Err(Errno::EPIPE)]);
        for text in ["a\n", "b\n", "c\n", "d\n", "e\n"] {
            writer.take(line(text));
        }
        let told = "3 dropped, closed, no_space: EPIPE: Broken pipe\n";
        let wanted = told.replace("EPIPE: Broken pipe", &io::Error::from(Errno::EPIPE).to_string());
        assert_eq!(written(&writer), wanted + "d\ne\n");
    }

    #[test]
    fn a_line_that_a_full_disk_cut_short_does_not_spoil_the_next() {
        let mut writer = writer([Ok(3), Err(Errno::ENOSPC)]);
        writer.take(line("hello\n"));
        writer.take(line("again\n"));
        let error = io::Error::from(Errno::ENOSPC);
        assert_eq!(written(&writer), format!("hel\n1 dropped, no_space: {error}\nagain\n"));
    }

    #[test]
    fn lines_that_found_no_room_are_told_of_before_the_one_that_did() {
        let mut writer = writer([]);
        writer.take(Item { refused_before: 7, ..line("a\n") });
        writer.take(line("b\n"));
        writer.take(Item { refused_before: 2, line: None });
        assert_eq!(written(&writer), "7 dropped, full\na\nb\n2 dropped, full\n");
    }

    #[test]
    fn every_line_that_is_not_written_is_counted_by_reason() {
        use std::sync::atomic::{AtomicU64, Ordering};
        static CLOSED: AtomicU64 = AtomicU64::new(0);
        let mut writer = writer([Err(Errno::EPIPE), Err(Errno::EPIPE)]);
        writer.count = |reason, lines| {
            assert_eq!(reason, DropReason::Closed);
            CLOSED.fetch_add(lines, Ordering::Relaxed);
        };
        for text in ["a\n", "b\n", "c\n"] {
            writer.take(line(text));
        }
        assert_eq!(CLOSED.load(Ordering::Relaxed), 2);
        for (errno, reason) in [
            (Errno::EPIPE, "closed"),
            (Errno::ENOSPC, "no_space"),
            (Errno::EFBIG, "no_space"),
            (Errno::EIO, "error"),
        ] {
            assert_eq!(DropReason::of(&errno.into()).as_str(), reason);
        }
    }
}
