//! When to stop, and when to read files again.

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::service::tell_stopping;

/// Resolves on SIGTERM or SIGINT.
///
/// # Panics
/// When the system refuses a signal handler: a node that could not be stopped cleanly must not
/// start.
pub async fn shutdown_signal() {
    let mut terminate = signal(SignalKind::terminate()).expect("a handler for SIGTERM");
    let mut interrupt = signal(SignalKind::interrupt()).expect("a handler for SIGINT");
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
    tell_stopping();
    tracing::info!(signal = name, "stopping");
}

/// The SIGHUPs of this process from now on: `recv().await` is one or more of them. All who ask get
/// a stream of their own and see each signal. Once somebody has asked, SIGHUP does not end this
/// process any more.
///
/// # Panics
/// When the system refuses a signal handler, as for [`shutdown_signal`].
pub fn on_hangup() -> Signal {
    signal(SignalKind::hangup()).expect("a handler for SIGHUP")
}
