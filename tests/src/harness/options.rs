//! What a cluster looks like, and its `vixen.toml`.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use anyhow::{Context as _, bail};

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
    /// Number of ndb nodes in the one group: D1, D2, …
    pub ndb: usize,
    /// Number of entries: E1, E2, …
    pub entries: usize,
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
}

impl Default for ClusterOptions {
    /// Three of each, W = 2, fsync, ten seconds for a publisher.
    fn default() -> Self {
        Self {
            sync: 3,
            ndb: 3,
            entries: 3,
            write_quorum: 2,
            dir: None,
            durability: Durability::Fsync,
            publish_timeout: Duration::from_secs(10),
            extra: String::new(),
        }
    }
}

impl ClusterOptions {
    /// Reads `3+3+3`: sync, ndb, entries. W is the majority of the group.
    ///
    /// # Errors
    /// For anything else.
    pub fn parse_size(text: &str) -> anyhow::Result<Self> {
        let counts: Vec<usize> = text
            .split('+')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .with_context(|| format!("a cluster's size is like 3+3+3, not {text:?}"))?;
        let [sync, ndb, entries] = counts[..] else {
            bail!("a cluster's size is like 3+3+3 (sync, ndb, entries), not {text:?}");
        };
        if sync == 0 || ndb == 0 || entries == 0 {
            bail!("a cluster needs a node of each tier, {text:?} has not");
        }
        Ok(Self { sync, ndb, entries, write_quorum: ndb / 2 + 1, ..Self::default() })
    }

    /// The nodes: tier and name, in the order of starting.
    pub(super) fn nodes(&self) -> impl Iterator<Item = (Tier, String)> {
        let tiers = [(Tier::Sync, self.sync), (Tier::Ndb, self.ndb), (Tier::Entry, self.entries)];
        tiers.into_iter().flat_map(|(tier, count)| {
            (1..=count).map(move |n| (tier, format!("{}{n}", tier.letter())))
        })
    }

    /// The configuration file, with one port for each of [`nodes`](Self::nodes).
    pub(super) fn config(&self, ports: &[u16]) -> String {
        let mut text = format!(
            "[cluster]\nname = \"test\"\nsecret = \"test-secret-123\"\ndurability = \"{}\"\n\
             data-dir = \"data\"\nwrite-quorum = {}\npublish-timeout = \"{}ms\"\n",
            self.durability.as_str(),
            self.write_quorum,
            self.publish_timeout.as_millis()
        );
        let mut lane = 0;
        let mut in_group = false;
        for ((tier, id), port) in self.nodes().zip(ports) {
            let table = match tier {
                Tier::Sync => {
                    lane += 1;
                    format!("[[sync]]\nid = \"{id}\"\nlane = {}\naddress", lane - 1)
                }
                Tier::Ndb => {
                    let group = if in_group { "" } else { "[[ndb-group]]\n" };
                    in_group = true;
                    format!("{group}[[ndb-group.member]]\nid = \"{id}\"\naddress")
                }
                Tier::Entry => format!("[[entry]]\nid = \"{id}\"\nlisten"),
            };
            // Writing to a string has no failure.
            let _infallible = writeln!(text, "{table} = \"127.0.0.1:{port}\"");
        }
        text + &self.extra
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_names_every_node_with_its_port() {
        let options = ClusterOptions { extra: "[limits]\n".into(), ..ClusterOptions::default() };
        let text = options.config(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(text.contains("[[sync]]\nid = \"S2\"\nlane = 1\naddress = \"127.0.0.1:2\"\n"));
        assert_eq!(text.matches("[[ndb-group]]").count(), 1);
        assert!(text.contains("[[ndb-group.member]]\nid = \"D3\"\naddress = \"127.0.0.1:6\"\n"));
        assert!(text.ends_with("id = \"E3\"\nlisten = \"127.0.0.1:9\"\n[limits]\n"), "{text}");
    }

    #[test]
    fn sizes_are_three_numbers() {
        let options = ClusterOptions::parse_size("1+5+2").expect("good");
        let counts = (options.sync, options.ndb, options.entries, options.write_quorum);
        assert_eq!(counts, (1, 5, 2, 3));
        for bad in ["", "3", "3+3", "3+3+x", "0+1+1", "1+1+1+1"] {
            assert!(ClusterOptions::parse_size(bad).is_err(), "{bad}");
        }
    }
}
