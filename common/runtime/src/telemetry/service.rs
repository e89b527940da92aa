//! What the service manager is told: systemd's `Type=notify`, by the protocol of sd_notify(3).
//!
//! ```text
//!   start ── waits ──────────> ready ── SIGHUP ──> ready ── SIGTERM ──> stop
//!     STATUS=0 of 2 sync …     READY=1  RELOADING=1  READY=1   STOPPING=1
//!     EXTEND_TIMEOUT_USEC=…    WATCHDOG=1, while the node's own loop answers
//! ```
//! - A node is started when it is *ready*, as `/readyz` says it, so that restarting one node after
//!   another never has two of them away. Until then it asks for more time: a node that waits for
//!   the others of its cluster is well.
//! - Without a service manager nothing of this does anything.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::time::{sleep, timeout};

use super::http::{ReadyFn, StatusFn};

/// Between two looks at whether the node is ready.
const READY_PAUSE: Duration = Duration::from_millis(200);
/// Between two looks once it is.
const STATUS_PAUSE: Duration = Duration::from_secs(5);
/// What a node that waits asks for, each time that it looks.
const MORE_TIME_US: u32 = 60_000_000;

/// Whether the service manager was told that the node is ready.
static WAS_READY: AtomicBool = AtomicBool::new(false);

/// Tells the service manager how the node is, for as long as it runs. Where the manager has a
/// watchdog, it is fed only while `status`, which the node's own loop answers, comes in time.
pub async fn tell_service_manager(ready: ReadyFn, status: StatusFn) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    let watchdog = sd_notify::watchdog_enabled().map(|period| period / 2);
    let mut told = None;
    loop {
        let readiness = ready();
        let is_ready = readiness.is_ready();
        let words =
            if is_ready { readiness.text() } else { format!("not ready: {}", readiness.text()) };
        let mut states = Vec::new();
        if is_ready && !WAS_READY.swap(true, Ordering::AcqRel) {
            states.push(NotifyState::Ready);
        }
        if !WAS_READY.load(Ordering::Acquire) {
            states.push(NotifyState::ExtendTimeoutUsec(MORE_TIME_US));
        }
        if told.as_ref() != Some(&words) {
            states.push(NotifyState::Status(&words));
        }
        if let Some(patience) = watchdog
            && timeout(patience, status()).await.is_ok()
        {
            states.push(NotifyState::Watchdog);
        }
        if !states.is_empty() {
            tell(&states);
        }
        told = Some(words);
        let pause = if WAS_READY.load(Ordering::Acquire) { STATUS_PAUSE } else { READY_PAUSE };
        sleep(watchdog.map_or(pause, |period| pause.min(period / 2))).await;
    }
}

/// The node reads its files again.
pub(crate) fn tell_reloading() {
    // One that waits is not started, for the manager, and cannot reload.
    if WAS_READY.load(Ordering::Acquire)
        && let Ok(now) = NotifyState::monotonic_usec_now()
    {
        tell(&[NotifyState::Reloading, now]);
    }
}

/// It has.
pub(crate) fn tell_reloaded() {
    if WAS_READY.load(Ordering::Acquire) {
        tell(&[NotifyState::Ready]);
    }
}

/// The node ends.
pub(super) fn tell_stopping() {
    tell(&[NotifyState::Stopping, NotifyState::Status("stopping")]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager cannot be told");
    }
}
