//! SIGINT and SIGTERM, which end a run together with what it has started.

use anyhow::bail;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Both signals, from the moment it is made on.
pub(crate) struct Interrupts {
    interrupt: Signal,
    terminate: Signal,
}

impl Interrupts {
    /// # Errors
    /// The system does not give them.
    pub(crate) fn new() -> std::io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    /// Waits for one of them.
    pub(crate) async fn told(&mut self) -> &'static str {
        tokio::select! {
            _told = self.interrupt.recv() => "interrupted",
            _told = self.terminate.recv() => "terminated",
        }
    }

    /// Runs `work` to its end, or drops it, and its cluster with it, when one of them comes.
    ///
    /// # Errors
    /// Those of `work`; and one of them came.
    pub(crate) async fn bound<T>(
        &mut self,
        work: impl Future<Output = anyhow::Result<T>>,
    ) -> anyhow::Result<T> {
        tokio::select! {
            biased;
            how = self.told() => bail!("{how}; what it has started is stopped"),
            done = Box::pin(work) => done,
        }
    }
}
