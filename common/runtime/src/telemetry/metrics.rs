//! The recorder behind the `metrics` macros.

use std::sync::OnceLock;
use std::time::Duration;

use metrics::{Unit, describe_gauge, gauge};
use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// 50 µs, an fsync of a fast disk, to 10 s, the publish timeout.
const SECONDS_BUCKETS: [f64; 17] = [
    0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.002, 0.003, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
    0.5, 1.0, 2.5, 10.0,
];

/// How often samples of histograms are sorted into their buckets. Until then each takes memory,
/// and there may be no scraper to do it; twelve wakes a minute would already be more than needed.
const UPKEEP_INTERVAL: Duration = Duration::from_secs(10);

const BUILD_INFO: &str = "vixen_build_info";
/// Named as all Prometheus clients name it, so that common dashboards find it.
const RESIDENT_BYTES: &str = "process_resident_memory_bytes";

/// Renders the metrics of this process.
#[derive(Clone)]
pub struct MetricsHandle(PrometheusHandle);

impl MetricsHandle {
    /// All metrics in the Prometheus text format.
    #[must_use]
    pub fn render(&self) -> String {
        if let Some(bytes) = resident_bytes() {
            #[expect(clippy::cast_precision_loss, reason = "exact up to 8 PiB")]
            gauge!(RESIDENT_BYTES).set(bytes as f64);
        }
        self.0.render()
    }
}

/// Installs the recorder of this process, once: later calls return the first one's handle.
///
/// # Panics
/// When somebody else installed another recorder in this process.
pub fn install_metrics() -> MetricsHandle {
    static HANDLE: OnceLock<MetricsHandle> = OnceLock::new();
    HANDLE.get_or_init(install).clone()
}

fn install() -> MetricsHandle {
    let recorder = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS_BUCKETS)
        .expect("there are buckets")
        .build_recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).expect("the only recorder of this process");
    describe_gauge!(BUILD_INFO, "1, with the version that runs");
    gauge!(BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    describe_gauge!(RESIDENT_BYTES, Unit::Bytes, "Resident memory of the process");
    keep_up(handle.clone());
    MetricsHandle(handle)
}

/// Runs upkeep in a thread of its own, which ends with the process.
fn keep_up(handle: PrometheusHandle) {
    let spawned = std::thread::Builder::new().name("metrics".to_owned()).spawn(move || {
        loop {
            std::thread::sleep(UPKEEP_INTERVAL);
            handle.run_upkeep();
        }
    });
    if let Err(error) = spawned {
        tracing::warn!(%error, "metrics without upkeep: histograms grow until they are scraped");
    }
}

/// Resident memory. From `status` and not `statm`, which counts in pages of a size that only libc
/// tells.
fn resident_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use metrics::histogram;

    use super::*;

    #[test]
    fn seconds_have_buckets_and_the_process_describes_itself() {
        let handle = install_metrics();
        histogram!("vixen_test_wait_seconds").record(0.0004);
        let text = install_metrics().render();
        assert!(text.contains("vixen_test_wait_seconds_bucket{le=\"0.0005\"} 1"), "{text}");
        assert!(text.contains("vixen_test_wait_seconds_bucket{le=\"0.00025\"} 0"), "{text}");
        let build = format!("vixen_build_info{{version=\"{}\"}} 1", env!("CARGO_PKG_VERSION"));
        assert!(text.contains(&build), "{text}");
        assert!(resident_bytes().is_some_and(|bytes| bytes > 1 << 20));
        assert!(handle.render().contains("\nprocess_resident_memory_bytes "), "{text}");
    }
}
