//! The configuration of nearcast, where no file is.

use std::net::SocketAddr;
use std::path::PathBuf;

use vixen_core::id::Lane;

use super::load::TEN_SECONDS;
use super::{
    Access, ClusterConfig, Config, Durability, EntryMember, Limits, LogConfig, NdbGroup, NdbMember,
    NodeName, Secret, Secrets, Storage, SyncMember, Wamp, Web,
};

/// Stands where a `host:port` would: memory links are not dialled.
const MEMORY: &str = "memory";

impl Config {
    /// All three tiers in one process: a vote cluster of one (`S1`), a group of one (`D1`, W = 1)
    /// and one entry (`E1`) at `listen`, on memory links, with everything else at its default.
    ///
    /// # Panics
    /// Never: the names are fixed and valid.
    #[must_use]
    pub fn nearcast(data_dir: PathBuf, listen: SocketAddr) -> Self {
        let name = |text: &str| -> NodeName { text.parse().expect("a valid name") };
        Self {
            file: None,
            cluster: ClusterConfig {
                name: "nearcast".to_owned(),
                // Nothing leaves the process, so there is nothing to prove.
                secrets: Secrets::shared(
                    Secret::new("memory-links-only").expect("a long enough secret"),
                ),
                durability: Durability::Fsync,
                data_dir,
                write_quorum: 1,
                max_clock_ahead: TEN_SECONDS,
                publish_timeout: TEN_SECONDS,
            },
            sync: vec![SyncMember {
                id: name("S1"),
                lane: Lane::new(0).expect("a valid lane"),
                address: MEMORY.to_owned(),
                listen: None,
            }],
            ndb_groups: vec![NdbGroup {
                members: vec![NdbMember {
                    id: name("D1"),
                    address: MEMORY.to_owned(),
                    listen: None,
                }],
            }],
            entries: vec![EntryMember { id: name("E1"), listen, admin_listen: None }],
            realms: Vec::new(),
            // For a first try on one's own machine: its port is on loopback unless told otherwise.
            access: Access { open: true },
            tls: None,
            cluster_tls: None,
            limits: Limits::default(),
            storage: Storage::default(),
            wamp: Wamp::default(),
            web: Web::default(),
            log: LogConfig::default(),
        }
    }
}
