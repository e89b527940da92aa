//! The memory of a process over time.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::task::JoinHandle;

use crate::harness::Usage;

/// Between two samples.
const PERIOD: Duration = Duration::from_millis(200);

/// Resident memory of a process in MiB, sampled until this is dropped.
#[derive(Debug)]
pub(super) struct MemoryWatch {
    pid: u32,
    samples_mib: Arc<Mutex<Vec<f64>>>,
    task: JoinHandle<()>,
}

impl MemoryWatch {
    /// Of process `pid`, for as long as it lives.
    pub(super) fn start(pid: u32) -> Self {
        let samples_mib = Arc::new(Mutex::new(Vec::new()));
        let sampled = Arc::clone(&samples_mib);
        let task = tokio::spawn(async move {
            while let Some(usage) = Usage::of(pid) {
                sampled.lock().unwrap_or_else(PoisonError::into_inner).push(usage.resident_mib);
                tokio::time::sleep(PERIOD).await;
            }
        });
        Self { pid, samples_mib, task }
    }

    /// At this moment; 0 when the process is gone.
    pub(super) fn now_mib(&self) -> f64 {
        Usage::of(self.pid).map_or(0.0, |usage| usage.resident_mib)
    }

    /// All samples since the last call, in order, and the present value.
    pub(super) fn take_mib(&self) -> Vec<f64> {
        let mut samples = self.samples_mib.lock().unwrap_or_else(PoisonError::into_inner);
        let mut taken = std::mem::take(&mut *samples);
        taken.push(self.now_mib());
        taken
    }
}

impl Drop for MemoryWatch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Some of many samples, in order, evenly spread: the first, the last, and up to eight between.
pub(super) fn course(samples_mib: &[f64]) -> String {
    const SHOWN: usize = 10;
    let last = samples_mib.len().saturating_sub(1);
    let mut at: Vec<usize> = (0..SHOWN).map(|number| number * last / (SHOWN - 1)).collect();
    at.dedup();
    let shown = at.iter().filter_map(|at| samples_mib.get(*at));
    shown.map(|mib| format!("{mib:.1}")).collect::<Vec<_>>().join(", ")
}

/// The highest of some samples; 0 of none.
pub(super) fn highest(samples_mib: &[f64]) -> f64 {
    samples_mib.iter().copied().fold(0.0, f64::max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_course_begins_with_the_first_and_ends_with_the_last() {
        let samples: Vec<f64> = (0..100).map(f64::from).collect();
        let shown = course(&samples);
        assert_eq!(shown.split(", ").count(), 10);
        assert!(shown.starts_with("0.0, 11.0, ") && shown.ends_with(", 99.0"), "{shown}");
        assert_eq!(course(&[1.0, 2.5]), "1.0, 2.5");
        assert_eq!(course(&[]), "");
        assert_eq!(highest(&[1.0, 7.0, 2.0]), 7.0);
    }

    #[tokio::test]
    async fn the_memory_of_this_process_is_seen() {
        let watch = MemoryWatch::start(std::process::id());
        assert!(watch.now_mib() > 0.1);
        assert!(!watch.take_mib().is_empty());
    }
}
