//! What no filter can ask for: the lines in which dependencies print what passes through them.
//!
//! tungstenite has every frame at `trace`, with tickets and payloads in clear, and hyper and others
//! what they read. Our own lines have no payloads and no secrets at any level, so they alone may be
//! wanted at `trace`.

use tracing::Metadata;
use tracing::level_filters::LevelFilter;

/// The crates of this workspace: their lines are ours to keep clean.
const OURS: &str = "vixen";

/// Dependencies whose `debug` has words of the other side: the reason of a Close, where a redirect
/// leads.
const TALKATIVE: [&str; 2] = ["tungstenite", "tokio_tungstenite"];

/// Whether a line may be logged at all.
pub(super) fn is_below(metadata: &Metadata<'_>) -> bool {
    *metadata.level() <= ceiling_of(metadata.target())
}

/// By the crate, which is the first part of a target.
fn ceiling_of(target: &str) -> LevelFilter {
    let of_crate = target.split("::").next().unwrap_or(target);
    if of_crate.starts_with(OURS) {
        LevelFilter::TRACE
    } else if TALKATIVE.contains(&of_crate) {
        LevelFilter::INFO
    } else {
        LevelFilter::DEBUG
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_own_lines_may_be_wanted_at_trace() {
        for ours in ["vixen_runtime::link", "vixen_entry", "vixen_vote::state"] {
            assert_eq!(ceiling_of(ours), LevelFilter::TRACE, "{ours}");
        }
        for dependency in ["hyper::proto::h1::io", "rustls::server", "mio", "axum::rejection", ""] {
            assert_eq!(ceiling_of(dependency), LevelFilter::DEBUG, "{dependency}");
        }
        for talkative in ["tungstenite::protocol::frame", "tokio_tungstenite::compat"] {
            assert_eq!(ceiling_of(talkative), LevelFilter::INFO, "{talkative}");
        }
    }
}
