//! What a cluster looks like, and its `vixen.toml`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, bail};
use tokio_rustls::rustls::ClientConfig;

use super::Tier;

/// What an answer of a node waits for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// The disk.
    #[default]
    Fsync,
    /// The page cache.
    Memory,
}

impl Durability {
    /// As in the configuration file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fsync => "fsync",
            Self::Memory => "memory",
        }
    }
}

impl FromStr for Durability {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        match text {
            "fsync" => Ok(Self::Fsync),
            "memory" => Ok(Self::Memory),
            other => bail!("durability is `fsync` or `memory`, not {other:?}"),
        }
    }
}

/// The cluster to start.
#[derive(Clone, Debug)]
pub struct ClusterOptions {
    /// Number of sync nodes: S1, S2, …
    pub sync: usize,
    /// Number of ndb groups.
    pub groups: usize,
    /// Number of ndb nodes in each group: D1, D2, … over all groups in order.
    pub ndb: usize,
    /// So many of the groups, the last, come later: [`Cluster::add_groups`](super::Cluster::add_groups).
    pub late_groups: usize,
    /// Number of entries: E1, E2, …
    pub entries: usize,
    /// So many of the entries, the first, have an address for links of the others.
    pub linked_entries: usize,
    /// W.
    pub write_quorum: usize,
    /// Where configuration, logs and stores go; `None`: a temporary folder that goes with the
    /// cluster.
    pub dir: Option<PathBuf>,
    /// What answers wait for.
    pub durability: Durability,
    /// How long a publisher waits for a quorum.
    pub publish_timeout: Duration,
    /// Lines for further tables of the configuration file, such as `[limits]`.
    pub extra: String,
    /// With the tables `[tls]` and `[cluster-tls]` in `extra`: how the harness reads the pages.
    pub tls: Option<Arc<ClientConfig>>,
    /// No other cluster of this process runs beside it: for what looks at times.
    pub is_alone: bool,
}

impl Default for ClusterOptions {
    /// Three of each, the ndb nodes one group, W = 2, fsync, ten seconds for a publisher.
    fn default() -> Self {
        Self {
            sync: 3,
            groups: 1,
            ndb: 3,
            late_groups: 0,
            entries: 3,
            linked_entries: 0,
            write_quorum: 2,
            dir: None,
            durability: Durability::Fsync,
            publish_timeout: Duration::from_secs(10),
            extra: String::new(),
            tls: None,
            is_alone: false,
        }
    }
}

impl ClusterOptions {
    /// Reads `3+3+3`: sync, ndb, entries; or `3+2x3+3`, with two ndb groups of three. W is the
    /// majority of a group.
    ///
    /// # Errors
    /// For anything else.
    pub fn parse_size(text: &str) -> anyhow::Result<Self> {
        let number = |part: &str| {
            let number = part.parse::<usize>();
            number.with_context(|| format!("a cluster's size is like 3+3+3, not {text:?}"))
        };
        let parts: Vec<&str> = text.split('+').collect();
        let [sync, ndb, entries] = parts[..] else {
            bail!("a cluster's size is like 3+3+3 or 3+2x3+3 (sync, ndb, entries), not {text:?}");
        };
        let (groups, ndb) = ndb.split_once('x').unwrap_or(("1", ndb));
        let (sync, groups, ndb) = (number(sync)?, number(groups)?, number(ndb)?);
        let entries = number(entries)?;
        if sync == 0 || groups == 0 || ndb == 0 || entries == 0 {
            bail!("a cluster needs a node of each tier, {text:?} has not");
        }
        Ok(Self { sync, groups, ndb, entries, write_quorum: ndb / 2 + 1, ..Self::default() })
    }

    /// Number of ndb nodes in all groups.
    #[must_use]
    pub const fn ndb_total(&self) -> usize {
        self.groups * self.ndb
    }

    /// The nodes: tier and name, in the order of starting.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (Tier, String)> {
        let ndb = self.ndb_total();
        let tiers = [(Tier::Sync, self.sync), (Tier::Ndb, ndb), (Tier::Entry, self.entries)];
        tiers.into_iter().flat_map(|(tier, count)| {
            (1..=count).map(move |n| (tier, format!("{}{n}", tier.letter())))
        })
    }

    /// Number of ports: of all nodes, and then those of the entries that are linked, for each other.
    pub(super) fn ports(&self) -> usize {
        self.nodes().count() + self.linked_entries
    }

    /// Which of the ports is an entry's for the others, if it has one.
    pub(super) fn link_port(&self, id: &str) -> Option<usize> {
        let number = id.strip_prefix(Tier::Entry.letter())?.parse::<usize>().ok()?;
        (1..=self.linked_entries).contains(&number).then(|| self.nodes().count() + number - 1)
    }

    /// Whether a node belongs to a group that comes later.
    pub(super) fn is_late(&self, tier: Tier, id: &str) -> bool {
        let number = id.trim_start_matches(tier.letter()).parse::<usize>();
        tier == Tier::Ndb && number.is_ok_and(|n| n > (self.groups - self.late_groups) * self.ndb)
    }

    /// The configuration file, with [as many ports](Self::ports) as it takes, of the groups that are there from the
    /// start or of all.
    pub(super) fn config(&self, ports: &[u16], with_late: bool) -> String {
        let mut text = format!(
            "[cluster]\nname = \"test\"\nsecret = \"test-secret-123\"\ndurability = \"{}\"\n\
             data-dir = \"data\"\nwrite-quorum = {}\npublish-timeout = \"{}ms\"\n",
            self.durability.as_str(),
            self.write_quorum,
            self.publish_timeout.as_millis()
        );
        let mut lane = 0;
        let mut members = 0;
        let nodes = self.nodes().zip(ports);
        for ((tier, id), port) in nodes.filter(|((t, id), _)| with_late || !self.is_late(*t, id)) {
            let table = match tier {
                Tier::Sync => {
                    lane += 1;
                    format!("[[sync]]\nid = \"{id}\"\nlane = {}\naddress", lane - 1)
                }
                Tier::Ndb => {
                    let is_first = members % self.ndb == 0;
                    let group = if is_first { "[[ndb-group]]\n" } else { "" };
                    members += 1;
                    format!("{group}[[ndb-group.member]]\nid = \"{id}\"\naddress")
                }
                Tier::Entry => format!("[[entry]]\nid = \"{id}\"\nlisten"),
            };
            // Writing to a string has no failure.
            let _infallible = writeln!(text, "{table} = \"127.0.0.1:{port}\"");
            if let Some(port) = self.link_port(&id).and_then(|at| ports.get(at)) {
                let address = format!("127.0.0.1:{port}");
                let _infallible =
                    writeln!(text, "link-address = \"{address}\"\nlink-listen = \"{address}\"");
            }
        }
        // Who says who may come in does not say that everybody may.
        let open = if self.extra.contains("[[realm]]") { "" } else { "[access]\nopen = true\n" };
        text + open + &self.extra
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_every_node_with_its_port() {
        let options = ClusterOptions { extra: "[limits]\n".into(), ..ClusterOptions::default() };
        let text = options.config(&[1, 2, 3, 4, 5, 6, 7, 8, 9], true);
        assert!(text.contains("[[sync]]\nid = \"S2\"\nlane = 1\naddress = \"127.0.0.1:2\"\n"));
        assert_eq!(text.matches("[[ndb-group]]").count(), 1);
        assert!(text.contains("[[ndb-group.member]]\nid = \"D3\"\naddress = \"127.0.0.1:6\"\n"));
        assert!(
            text.ends_with(
                "id = \"E3\"\nlisten = \"127.0.0.1:9\"\n[access]\nopen = true\n[limits]\n"
            ),
            "{text}"
        );
    }

    #[test]
    fn entries_that_are_linked_have_a_port_for_each_other() {
        let options =
            ClusterOptions { sync: 1, ndb: 1, linked_entries: 2, ..ClusterOptions::default() };
        assert_eq!(options.ports(), 7);
        let text = options.config(&[1, 2, 3, 4, 5, 6, 7], true);
        for (id, listen, link) in [("E1", 3, 6), ("E2", 4, 7)] {
            let table = format!(
                "id = \"{id}\"\nlisten = \"127.0.0.1:{listen}\"\nlink-address = \"127.0.0.1:{link}\"\n\
                 link-listen = \"127.0.0.1:{link}\"\n"
            );
            assert!(text.contains(&table), "{text}");
        }
        assert!(text.contains("id = \"E3\"\nlisten = \"127.0.0.1:5\"\n[access]"), "{text}");
    }

    #[test]
    fn the_file_has_a_table_for_each_group() {
        let options = ClusterOptions { groups: 2, ndb: 2, ..ClusterOptions::default() };
        assert_eq!(options.nodes().filter(|(tier, _)| *tier == Tier::Ndb).count(), 4);
        let text = options.config(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], true);
        let groups: Vec<_> = text.split("[[ndb-group]]\n").skip(1).collect();
        let ids = |part: &str| part.matches("[[ndb-group.member]]\nid = \"D").count();
        assert_eq!(groups.iter().map(|part| ids(part)).collect::<Vec<_>>(), [2, 2], "{text}");
        assert!(groups[1].starts_with("[[ndb-group.member]]\nid = \"D3\"\n"), "{text}");
        assert!(groups[1].contains("id = \"E3\"\nlisten = \"127.0.0.1:10\"\n"), "{text}");
    }

    #[test]
    fn sizes_are_three_numbers_and_perhaps_the_groups() {
        let counts = |text| {
            let options = ClusterOptions::parse_size(text).expect("good");
            (options.sync, options.groups, options.ndb, options.entries, options.write_quorum)
        };
        assert_eq!(counts("1+5+2"), (1, 1, 5, 2, 3));
        assert_eq!(counts("3+2x3+2"), (3, 2, 3, 2, 2));
        for bad in [
            "",
            "3",
            "3+3",
            "3+3+x",
            "0+1+1",
            "1+1+1+1",
            "3+0x3+3",
            "3+2x0+3",
            "3+x3+3",
            "3+2x+3",
            "2x3+3+3",
            "3+2x2x2+3",
        ] {
            assert!(ClusterOptions::parse_size(bad).is_err(), "{bad}");
        }
    }
}
