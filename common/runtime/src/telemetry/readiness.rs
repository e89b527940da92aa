//! Readiness: whether a node can do its work, and what it misses.

use std::time::Instant;

use vixen_core::words::Words;

/// What `/readyz` answers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// It can, and everybody is there.
    Ready,
    /// It can, and not as much more may be lost as should.
    Degraded {
        /// What is lost already.
        lost: Words,
        /// How many nodes are missed.
        missed: usize,
    },
    /// It cannot.
    NotReady {
        /// What it waits for.
        waits_for: Words,
    },
}

impl Readiness {
    /// Before the first look at anything.
    #[must_use]
    pub fn starting() -> Self {
        Self::NotReady { waits_for: Words::new("starting") }
    }

    /// Whether it can do its work.
    #[must_use]
    pub const fn is_ready(&self) -> bool {
        match self {
            Self::Ready | Self::Degraded { .. } => true,
            Self::NotReady { .. } => false,
        }
    }

    /// `Ok` when it can do its work.
    ///
    /// # Errors
    /// What it waits for, for people.
    pub fn check(&self) -> Result<(), String> {
        match self {
            Self::Ready | Self::Degraded { .. } => Ok(()),
            Self::NotReady { waits_for } => Err(waits_for.text(Instant::now())),
        }
    }

    /// `ready`, `ready, degraded: …`, or what it waits for.
    #[must_use]
    pub fn text(&self) -> String {
        let now = Instant::now();
        match self {
            Self::Ready => "ready".to_owned(),
            Self::Degraded { lost, .. } => format!("ready, degraded: {}", lost.text(now)),
            Self::NotReady { waits_for } => waits_for.text(now),
        }
    }

    /// Says in the log what has changed since `before`: for the worse as a warning.
    pub fn say_change(&self, before: &Self) {
        let text = self.text();
        match (before, self) {
            (Self::NotReady { .. }, Self::NotReady { .. }) => {
                tracing::info!(reason = text, "not ready yet");
            }
            (_, Self::NotReady { .. }) => tracing::warn!(reason = text, "not ready any more"),
            (Self::NotReady { .. }, Self::Ready) => tracing::info!("ready"),
            (_, Self::Ready) => tracing::info!("redundancy is whole again"),
            (Self::NotReady { .. }, Self::Degraded { lost, .. }) => {
                tracing::info!(degraded = lost.text(Instant::now()), "ready");
            }
            (Self::Degraded { missed: before, .. }, Self::Degraded { lost, missed })
                if missed < before =>
            {
                tracing::info!(degraded = lost.text(Instant::now()), "redundancy comes back");
            }
            (Self::Degraded { missed: before, .. }, Self::Degraded { lost, missed })
                if missed == before =>
            {
                tracing::info!(degraded = lost.text(Instant::now()), "degraded still");
            }
            (_, Self::Degraded { lost, .. }) => {
                tracing::warn!(degraded = lost.text(Instant::now()), "redundancy is lost");
            }
        }
    }
}
