//! What a process used, as the kernel counts it.

use super::Cluster;

/// Ticks per second of the times in `/proc`: 100 on every Linux architecture in use.
const TICKS_PER_SECOND: f64 = 100.0;
const PAGE_MIB: f64 = 4096.0 / (1024.0 * 1024.0);

/// Processor time and memory of one process.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Usage {
    /// User and system time since its start, in seconds.
    pub cpu_seconds: f64,
    /// Resident memory in MiB.
    pub resident_mib: f64,
    /// Commits of its store; `None` where it has none.
    pub commits: Option<u64>,
    /// Syncs of the disk that it asked for; `None` where nobody counts.
    pub syncs: Option<u64>,
    /// Frames that it has sent to other nodes; `None` where that is not known.
    pub frames: Option<u64>,
}

impl Usage {
    /// Of this process.
    #[must_use]
    pub fn of_this_process() -> Option<Self> {
        Self::read("self")
    }

    /// Of process `pid`; `None` when it is gone, or the system has no `/proc`.
    #[must_use]
    pub fn of(pid: u32) -> Option<Self> {
        Self::read(&pid.to_string())
    }

    /// Memory of process `pid` that no file is behind, in bytes: what it has asked for and uses.
    #[must_use]
    pub fn anonymous_bytes(pid: u32) -> Option<usize> {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let kib = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
        let kib: usize = kib.trim().strip_suffix("kB")?.trim().parse().ok()?;
        Some(kib << 10)
    }

    fn read(pid: &str) -> Option<Self> {
        parse(&std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
    }
}

/// Reads proc_pid_stat(5): fields 14, 15 and 24.
fn parse(stat: &str) -> Option<Usage> {
    // The name, in parentheses, may hold spaces.
    let (_name, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let number = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
    Some(Usage {
        cpu_seconds: (number(14)? + number(15)?) / TICKS_PER_SECOND,
        resident_mib: number(24)? * PAGE_MIB,
        commits: None,
        syncs: None,
        frames: None,
    })
}

/// Memory that a process has for itself and no file is behind, in MiB: `RssAnon` of
/// proc_pid_status(5). `None` when it is gone, or the system has no `/proc`.
#[must_use]
pub fn anonymous_mib(pid: u32) -> Option<f64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:"))?;
    let kib: f64 = line.trim().strip_suffix(" kB")?.parse().ok()?;
    Some(kib / 1024.0)
}

impl Cluster {
    /// Of every node that runs, by name.
    #[must_use]
    pub fn usage(&self) -> Vec<(String, Usage)> {
        let of = |node: &super::process::Node| Some((node.id.clone(), Usage::of(node.pid()?)?));
        self.nodes.iter().filter_map(of).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_and_memory_are_read_past_any_name() {
        let fields: Vec<String> = (3..=52).map(|field| (field * 100).to_string()).collect();
        let usage = parse(&format!("42 (a b) c) {}", fields.join(" "))).expect("well-formed");
        assert_eq!(usage, Usage { cpu_seconds: 29.0, resident_mib: 9.375, ..Usage::default() });
        assert_eq!(parse("42"), None);
    }
}
