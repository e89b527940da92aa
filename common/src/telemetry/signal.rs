//! When to stop, and when to read files again.

use nix::libc::SIGXFSZ;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Resolves on SIGTERM or SIGINT.
///
/// # Panics
/// When the system refuses a signal handler: a node that could not be stopped cleanly must not
/// start.
pub async fn shutdown_signal() {
    // A log or store at the size that `ulimit -f` allows is an error of its write then, and not the
    // end of the process. The handler stays when its stream goes.
    let _stays = signal(SignalKind::from_raw(SIGXFSZ)).expect("a handler for SIGXFSZ");
    let mut terminate = signal(SignalKind::terminate()).expect("a handler for SIGTERM");
    let mut interrupt = signal(SignalKind::interrupt()).expect("a handler for SIGINT");
    let name = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
    };
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
