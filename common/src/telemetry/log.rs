//! Log lines: text for people or JSON for machines, each with the node's name.

use std::fmt;
use std::io::IsTerminal;

use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::{FormatEvent, FormatFields, Writer};
use tracing_subscriber::fmt::{self as layer, FmtContext};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{LogConfig, LogFormat};

/// Starts logging to standard error as `log` says; `RUST_LOG` overrides the filter. Every line
/// carries `node`. Later calls, and calls where a subscriber is already set, change nothing.
pub fn init_tracing(log: &LogConfig, node: &str) {
    // The configuration has checked its filter. A bad RUST_LOG must not silence a node.
    let filter = EnvFilter::try_from_default_env()
        .or_else(|_| EnvFilter::try_new(&log.filter))
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let node = node.to_owned();
    let builder = layer::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second call fails to set the global subscriber, and that is what it should do.
    let _already_set = match log.format {
        LogFormat::Text => {
            let inner = layer::format();
            let builder = builder.with_ansi(std::io::stderr().is_terminal());
            builder.event_format(Text { node, inner }).try_init()
        }
        LogFormat::Json => {
            let inner = layer::format().json().flatten_event(true);
            let fields = layer::format::JsonFields::new();
            builder.fmt_fields(fields).event_format(Json { node, inner }).try_init()
        }
    };
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
    use std::io::Write;
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
        init_tracing(&log, "S1");
        init_tracing(&LogConfig { format: LogFormat::Json, ..log }, "S2");
    }
}
