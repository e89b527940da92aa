//! Log lines: text for people or JSON for machines, each with the node's name.
//!
//! Nothing here ever waits for whoever reads the log, and no error of writing it reaches a node:
//! see `queue.rs` and `writer.rs`.

mod ceiling;
mod queue;
mod writer;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::cell::RefCell;
use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use metrics::{counter, describe_counter};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{self as layer, FmtContext};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt;

use crate::config::{LogConfig, LogFormat};
use crate::telemetry::install_metrics;

use queue::Queue;
use writer::{DropReason, Dropped, LineWriter, Stderr};

const LINES_DROPPED: &str = "vixen_common_log_lines_dropped_total";

/// Lines that wait to be written take so much at most: some ten thousand.
const QUEUE_BYTES_MAX: usize = 4 << 20;
/// So long the end of a process waits for its last lines to be written. A reader of the log that
/// stands still must not keep it from ending.
const FLUSH_TIME: Duration = Duration::from_secs(1);

/// What has been said and not been written; there from the start of logging on.
static LINES: OnceLock<Arc<Queue>> = OnceLock::new();

thread_local! {
    /// Where the line of the writer thread goes that tells of dropped ones: it is about the queue,
    /// and must not wait in it.
    static NOTICE: RefCell<Option<Vec<u8>>> = const { RefCell::new(None) };
}

/// Starts logging to standard error as `log` says; `RUST_LOG` overrides the filter, and neither lifts
/// the ceiling of `ceiling.rs`. Every line carries `node`. Panics are told in the log from now on as well. Later calls, and calls where a
/// subscriber is already set, change nothing.
///
/// # Panics
/// When the system gives no thread: nothing of a node would run then.
pub fn init_tracing(log: &LogConfig, node: &str) {
    if start(log, node) {
        let node = node.to_owned();
        std::panic::set_hook(Box::new(move |info| tell_panic(&node, info)));
    }
}

/// Whether this call has started the log.
fn start(log: &LogConfig, node: &str) -> bool {
    // The configuration has checked its filter. A bad RUST_LOG must not silence a node.
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(&log.filter))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let node = node.to_owned();
    let builder = layer::fmt()
        .with_env_filter(filter)
        .with_writer(|| ToQueue)
        // They would be printed, and printing waits for the reader, and panics without one.
        .log_internal_errors(false);
    let below_ceiling = filter_fn(ceiling::is_below);
    // A second call fails to set the global subscriber, and that is what it should do.
    let started = match log.format {
        LogFormat::Text => {
            let inner = layer::format();
            let builder = builder.with_ansi(io::stderr().is_terminal());
            builder.event_format(Text { node, inner }).finish().with(below_ceiling).try_init()
        }
        LogFormat::Json => {
            let inner = layer::format().json().flatten_event(true);
            let fields = layer::format::JsonFields::new();
            let builder = builder.fmt_fields(fields).event_format(Json { node, inner });
            builder.finish().with(below_ceiling).try_init()
        }
    };
    // Here, and not before: a subscriber that somebody else has set does not write to the queue.
    if started.is_ok() {
        // Lines are counted from the first one on.
        install_metrics();
        describe_counter!(LINES_DROPPED, "Log lines that were not written");
        LINES.get_or_init(start_writer);
    }
    started.is_ok()
}

fn start_writer() -> Arc<Queue> {
    let queue = Arc::new(Queue::new(QUEUE_BYTES_MAX));
    let lines = Arc::clone(&queue);
    let spawned = std::thread::Builder::new().name("log".to_owned()).spawn(move || {
        LineWriter::new(Stderr, notice, count_dropped).run(&lines);
    });
    spawned.expect("a thread for the log");
    queue
}

fn count_dropped(reason: DropReason, lines: u64) {
    counter!(LINES_DROPPED, "reason" => reason.as_str()).increment(lines);
}

/// A log line like all others, made in the thread that writes it.
fn notice(dropped: &Dropped) -> Vec<u8> {
    NOTICE.set(Some(Vec::new()));
    let (lines, reason) = (dropped.total(), dropped.reason());
    tracing::warn!(lines, reason, "log lines were dropped: they could not be written");
    // Empty where the filter does not want it.
    NOTICE.take().unwrap_or_default()
}

/// Puts a line into the queue, or counts it.
fn push(line: Vec<u8>) {
    if !LINES.get_or_init(start_writer).push(line) {
        count_dropped(DropReason::Full, 1);
    }
}

/// The writer of the subscriber, which gives each line in one piece.
struct ToQueue;

impl Write for ToQueue {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_notice = NOTICE.with_borrow_mut(|notice| match notice {
            Some(notice) => {
                notice.extend_from_slice(bytes);
                true
            }
            None => false,
        });
        if !is_notice {
            push(bytes.to_vec());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What the standard library says of a panic, through the queue: the thread that panics may be the
/// one that all others wait for.
fn tell_panic(node: &str, info: &PanicHookInfo<'_>) {
    let thread = std::thread::current();
    let name = thread.name().unwrap_or("<unnamed>");
    let backtrace = Backtrace::capture();
    let backtrace = match backtrace.status() {
        BacktraceStatus::Captured => format!("stack backtrace:\n{backtrace}"),
        _ => "note: run with `RUST_BACKTRACE=1` to see a backtrace\n".to_owned(),
    };
    push(format!("[{node}] thread '{name}' {info}\n{backtrace}").into_bytes());
    // The process may be about to abort. A writer itself cannot wait for itself.
    if name != crate::recording::THREAD {
        crate::recording::flush();
    }
    if name != "log" {
        flush();
    }
}

/// Says the last words of a program: after all that was logged, or at once where nothing is
/// logged. That they cannot be said is no error.
pub(super) fn say_last(text: &str) {
    match LINES.get() {
        Some(_) => push(format!("{text}\n").into_bytes()),
        None => {
            let _nobody_listens = writeln!(io::stderr(), "{text}");
        }
    }
}

/// Whether something that was logged is still to be written. For handlers of signals: it takes no
/// lock.
pub fn is_log_pending() -> bool {
    LINES.get().is_some_and(|lines| lines.is_pending())
}

/// Waits until what was logged is written, or the reader has had its time. To be called before the
/// process ends.
pub fn flush() {
    if let Some(lines) = LINES.get() {
        let _in_time = lines.wait_empty(FLUSH_TIME);
    }
}

/// `[S1] ` before each line, so that the logs of a cluster can be read as one.
struct Text<F> {
    node: String,
    inner: F,
}

impl<S, N, F> FormatEvent<S, N> for Text<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        write!(writer, "[{}] ", self.node)?;
        self.inner.format_event(context, writer, event)
    }
}

/// `"node":"S1"` as the first field of each object.
struct Json<F> {
    node: String,
    inner: F,
}

impl<S, N, F> FormatEvent<S, N> for Json<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let mut line = String::new();
        self.inner.format_event(context, Writer::new(&mut line), event)?;
        match line.strip_prefix('{') {
            // Node names have no characters that JSON would escape.
            Some(rest) => write!(writer, "{{\"node\":\"{}\",{rest}", self.node),
            None => writer.write_str(&line),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().expect("not poisoned").write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().expect("not poisoned").clone()).expect("text")
        }
    }

    #[test]
    fn text_lines_start_with_the_node() {
        let lines = Lines::default();
        let writer = lines.clone();
        let format = Text { node: "S1".to_owned(), inner: layer::format().without_time() };
        let subscriber = layer::fmt()
            .with_ansi(false)
            .with_writer(move || writer.clone())
            .event_format(format)
            .finish();
        tracing::subscriber::with_default(subscriber, || tracing::info!(peer = "S2", "linked"));
        let expected = concat!("[S1]  INFO ", module_path!(), ": linked peer=\"S2\"\n");
        assert_eq!(lines.text(), expected);
    }

    #[test]
    fn json_lines_are_objects_with_the_node() {
        let lines = Lines::default();
        let writer = lines.clone();
        let inner = layer::format().json().flatten_event(true);
        let subscriber = layer::fmt()
            .fmt_fields(layer::format::JsonFields::new())
            .with_writer(move || writer.clone())
            .event_format(Json { node: "S1".to_owned(), inner })
            .finish();
        tracing::subscriber::with_default(subscriber, || tracing::info!(peer = "S2", "linked"));
        let line: serde_json::Value = serde_json::from_str(&lines.text()).expect("an object");
        assert_eq!(line["node"], "S1");
        assert_eq!(line["message"], "linked");
        assert_eq!(line["peer"], "S2");
    }

    #[test]
    fn a_second_start_changes_nothing() {
        let log = LogConfig::default();
        start(&log, "S1");
        assert!(!start(&LogConfig { format: LogFormat::Json, ..log }, "S2"));
    }
}
