//! The configuration of nearcast, where no file is.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use vixen_core::id::Lane;

use super::error::ConfigError;
use super::load::{CLUSTER_KEYS, LOG_KEYS, TEN_SECONDS, log, refuse_unknown_variables};
use super::read::{Source, TableReader};
use super::{
    Access, ClusterConfig, Config, Durability, EntryMember, Limits, LogConfig, NdbGroup, NdbMember,
    NodeName, Secret, Secrets, Storage, SyncMember, TlsFiles, Wamp, Web, check, env,
};

/// What errors name in place of a file.
const NO_FILE: &str = "nearcast";
/// Of `[cluster]`, what is of use without other nodes.
const OF_USE: [&str; 3] = ["durability", "max-clock-ahead", "publish-timeout"];

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
            entries: vec![EntryMember { id: name("E1"), listen, admin_listen: None, link: None }],
            realms: Vec::new(),
            // For a first try on one's own machine: its port is on loopback unless told otherwise.
            access: Access { open: true },
            tls: None,
            cluster_tls: None,
            limits: Limits::default(),
            unset_limits: BTreeSet::new(),
            storage: Storage::default(),
            wamp: Wamp::default(),
            web: Web::default(),
            log: LogConfig::default(),
        }
    }

    /// [`nearcast`](Self::nearcast) with what the process environment sets: `VIXEN_LIMITS_…` and so on
    /// hold for it as for a node.
    ///
    /// # Errors
    /// What [`nearcast_of`](Self::nearcast_of) refuses.
    pub fn nearcast_of_process(data_dir: PathBuf, listen: SocketAddr) -> Result<Self, ConfigError> {
        Self::nearcast_of(data_dir, listen, &env::of_process())
    }

    /// [`nearcast`](Self::nearcast) with what `env` sets.
    ///
    /// # Errors
    /// A value that cannot be used, a variable that overrides no key, and one that means nothing where
    /// no other nodes are: none is passed over in silence.
    pub fn nearcast_of(
        data_dir: PathBuf,
        listen: SocketAddr,
        env: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let source = Source { file: Path::new(NO_FILE), env };
        let table =
            |name: &str, keys| TableReader::open(source, name.to_owned(), keys, toml::Table::new());
        refuse_unknown_variables(source)?;
        refuse_useless_variables(source, &data_dir)?;
        let mut config = Self::nearcast(data_dir, listen);
        let mut cluster = table("cluster", CLUSTER_KEYS)?;
        cluster.duration("max-clock-ahead", &mut config.cluster.max_clock_ahead)?;
        cluster.duration("publish-timeout", &mut config.cluster.publish_timeout)?;
        if let Some(durability) = cluster.optional("durability")? {
            config.cluster.durability = durability;
        }
        config.limits = Limits::read(table("limits", Limits::KEYS)?, 0)?;
        config.storage = Storage::read(table("storage", Storage::KEYS)?)?;
        config.wamp = Wamp::read(table("wamp", Wamp::KEYS)?)?;
        config.web = Web::read(source, table("web", Web::KEYS)?)?;
        // A person watches this terminal; RUST_LOG=info shows more.
        let quiet = LogConfig { filter: "warn".to_owned(), ..LogConfig::default() };
        config.log = log(table("log", LOG_KEYS)?, quiet)?;
        check::check_limits(&config.limits, source)?;
        Ok(config)
    }
}

/// What would seem to hold, and does not.
fn refuse_useless_variables(source: Source<'_>, data_dir: &Path) -> Result<(), ConfigError> {
    let set = |table: &str, key: &str| {
        let variable = env::variable(table, key);
        source.env.get(&variable).map(|value| (variable, value.as_str()))
    };
    // Images set it for whatever runs in them.
    if let Some((variable, value)) = set("cluster", "data-dir")
        && Path::new(value) != data_dir
    {
        let problem = format!("is {value}, and nearcast keeps its data in {}", data_dir.display());
        let fix = "give it as --data-dir (VIXEN_DATA_DIR), or unset it";
        return Err(source.refuse(variable, problem, fix));
    }
    if let Some((variable, value)) = set("access", "open")
        && value != "true"
    {
        let problem = "has no effect: nearcast is open to whoever can connect";
        let fix = "unset it, or run the nodes of a cluster with --config FILE and [[realm]] tables";
        return Err(source.refuse(variable, problem, fix));
    }
    let is_used = |key: &str| key == "data-dir" || OF_USE.contains(&key);
    let of_cluster = CLUSTER_KEYS.iter().filter(|key| !is_used(key)).map(|key| ("cluster", key));
    let of_tls = TlsFiles::CLIENTS_KEYS.iter().map(|key| (TlsFiles::CLIENTS, key));
    let of_links = TlsFiles::LINKS_KEYS.iter().map(|key| (TlsFiles::LINKS, key));
    let mut useless = of_cluster.chain(of_tls).chain(of_links);
    match useless.find_map(|(table, key)| set(table, key)) {
        None => Ok(()),
        Some((variable, _value)) => Err(source.refuse(
            variable,
            "has no effect on nearcast, which is all nodes in one process, without TLS",
            "unset it, or run the nodes of a cluster with --config FILE",
        )),
    }
}
