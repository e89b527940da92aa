//! Packets that vanish, in a network of this process's own.

use std::os::unix::process::CommandExt as _;
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::harness::is_root;

/// Set in the process that has a network of its own.
const MARK: &str = "VIXEN_BENCH_OWN_NETWORK";

/// Begins this process anew in a network namespace with nothing but a loopback device, so that no
/// filter of it touches anybody else; returns when it is there already. Without the rights of root it
/// takes a user namespace.
///
/// # Errors
/// When there is no `unshare` or `ip`.
pub fn in_own_network() -> anyhow::Result<()> {
    if std::env::var_os(MARK).is_some() {
        return Ok(());
    }
    let exe = std::env::current_exe().context("this executable has no path")?;
    let namespaces = if is_root() { "-n" } else { "-rn" };
    let failed = Command::new("unshare")
        .args([namespaces, "sh", "-c", "ip link set lo up && exec \"$0\" \"$@\""])
        .arg(exe)
        .args(std::env::args_os().skip(1))
        .env(MARK, "1")
        // Its lock is elsewhere where this process may not write to that of the system.
        .env("XTABLES_LOCKFILE", std::env::temp_dir().join("vixen-bench-xtables.lock"))
        .exec();
    Err(failed).context("cannot run unshare (util-linux)")
}

/// The packet filter of this network.
#[derive(Debug)]
pub(crate) struct PacketFilter {
    rules: Vec<Vec<String>>,
}

impl PacketFilter {
    /// # Errors
    /// When this is not a network of its own, or there is no filter.
    pub(crate) fn new() -> anyhow::Result<Self> {
        ensure!(std::env::var_os(MARK).is_some(), "ports are cut in a network of one's own only");
        let version = Command::new("iptables").arg("--version").output();
        version.context("cutting ports takes iptables (Debian: apt-get install iptables)")?;
        Ok(Self { rules: Vec::new() })
    }

    /// Drops all packets to and from the port of `address`, without a word to anybody.
    pub(super) async fn cut(&mut self, address: &str) -> anyhow::Result<()> {
        let (_host, port) = address.rsplit_once(':').context("an address has a port")?;
        self.cut_port(port.parse().with_context(|| address.to_owned())?).await
    }

    /// Drops all packets to and from a port.
    pub(crate) async fn cut_port(&mut self, port: u16) -> anyhow::Result<()> {
        let port = port.to_string();
        for side in ["--dport", "--sport"] {
            self.drop_packets(&[side, &port]).await?;
        }
        Ok(())
    }

    /// Drops all packets of connections between two ports: the number of one alone may be that of others as well.
    pub(crate) async fn cut_between(&mut self, one: u16, other: u16) -> anyhow::Result<()> {
        let (one, other) = (one.to_string(), other.to_string());
        for (from, to) in [(&one, &other), (&other, &one)] {
            self.drop_packets(&["--sport", from, "--dport", to]).await?;
        }
        Ok(())
    }

    async fn drop_packets(&mut self, which: &[&str]) -> anyhow::Result<()> {
        let mut rule = ["INPUT", "-p", "tcp"].map(str::to_owned).to_vec();
        rule.extend(which.iter().map(|word| (*word).to_owned()));
        rule.extend(["-j", "DROP"].map(str::to_owned));
        iptables("-A", &rule).await?;
        self.rules.push(rule);
        Ok(())
    }

    /// Takes all rules back.
    pub(crate) async fn heal(&mut self) -> anyhow::Result<()> {
        for rule in std::mem::take(&mut self.rules) {
            iptables("-D", &rule).await?;
        }
        Ok(())
    }
}

async fn iptables(verb: &str, rule: &[String]) -> anyhow::Result<()> {
    let mut command = tokio::process::Command::new("iptables");
    let output = command.arg("-w").arg(verb).args(rule).output().await?;
    if !output.status.success() {
        let words = String::from_utf8_lossy(&output.stderr);
        bail!("iptables {verb} {}: {}", rule.join(" "), words.trim_end());
    }
    Ok(())
}
