//! Progress on stderr: a line that changes on a terminal, a line now and then elsewhere.

use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

const TERMINAL_EVERY: Duration = Duration::from_millis(200);
const LOG_EVERY: Duration = Duration::from_secs(5);

/// How far a tool has come.
#[derive(Debug)]
pub(super) struct Progress {
    what: String,
    total: u64,
    is_terminal: bool,
    begun: Instant,
    said: Instant,
    bytes: u64,
    is_line_open: bool,
}

impl Progress {
    /// Begins; `total` is what [`at`](Self::at) comes to in the end.
    pub(super) fn begin(what: &str, total: u64) -> Self {
        let now = Instant::now();
        Self {
            what: what.to_owned(),
            total,
            is_terminal: std::io::stderr().is_terminal(),
            begun: now,
            said: now,
            bytes: 0,
            is_line_open: false,
        }
    }

    /// So many bytes more were read, and so much of the total is done.
    pub(super) fn at(&mut self, done: u64, bytes: u64) {
        self.bytes += bytes;
        let every = if self.is_terminal { TERMINAL_EVERY } else { LOG_EVERY };
        if self.said.elapsed() < every {
            return;
        }
        self.said = Instant::now();
        let percent = (done.min(self.total) * 100).checked_div(self.total).unwrap_or(100);
        let seconds = self.begun.elapsed().as_secs_f64();
        let rate = self.bytes as f64 / f64::from(1 << 20) / seconds;
        let line = format!("{}: {percent} %, {rate:.1} MiB/s", self.what);
        let mut stderr = std::io::stderr();
        let _gone = if self.is_terminal {
            self.is_line_open = true;
            write!(stderr, "\r{line}\x1b[K")
        } else {
            writeln!(stderr, "{line}")
        };
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.is_line_open {
            let _gone = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}
