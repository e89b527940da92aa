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
    NodeName, Secret, Secrets, Storage, SyncMember, TlsFiles, Wamp, Web, check, env, realm, text,
};

/// What errors name in place of a file.
const NO_FILE: &str = "nearcast";
/// Of `[cluster]`, what is of use without other nodes.
const OF_USE: &[&str] = &["durability", "max-clock-ahead", "publish-timeout"];
/// What a file for nearcast may have.
const FILE_KEYS: &[&str] =
    &["realm", "access", "cluster", "limits", "storage", "wamp", "web", "log"];
/// What makes a file one of a cluster.
const OF_NODES: [&str; 3] = ["sync", "ndb-group", "entry"];

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
        refuse_unknown_variables(source)?;
        refuse_closed(source)?;
        let mut root = TableReader::open(source, String::new(), FILE_KEYS, toml::Table::new())?;
        Self::nearcast_with(source, &mut root, (data_dir, listen), 0)
    }

    /// [`nearcast`](Self::nearcast) with what the file at `path` and the process environment set.
    ///
    /// # Errors
    /// What [`nearcast_parse`](Self::nearcast_parse) refuses, and a file that cannot be read.
    pub fn nearcast_load(
        path: &Path,
        data_dir: PathBuf,
        listen: SocketAddr,
    ) -> Result<Self, ConfigError> {
        let text = text::read(path, "give a file with [[realm]] tables, or none")?;
        Self::nearcast_parse(&text, path, (data_dir, listen), &env::of_process())
    }

    /// The same of `text`, the content of `file`: realms and users, and the tables that any node has; of `[cluster]`
    /// what is of use without other nodes. The file says who may do what, or that everybody may do everything.
    ///
    /// # Errors
    /// As [`nearcast_of`](Self::nearcast_of), and the file of a cluster.
    pub fn nearcast_parse(
        text: &str,
        file: &Path,
        (data_dir, listen): (PathBuf, SocketAddr),
        env: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let source = Source { file, env };
        let table = toml::from_str::<toml::Table>(text)
            .map_err(|error| ConfigError::syntax(file, text, &error))?;
        refuse_unknown_variables(source)?;
        if let Some(key) = OF_NODES.into_iter().find(|key| table.contains_key(*key)) {
            return Err(source.refuse(
                key,
                "describes nodes of a cluster, and without --node (VIXEN_NODE) all of vixen is one process",
                "say by --node ID which of the nodes this is, or take sync, ndb-group and entry out",
            ));
        }
        let mut root = TableReader::open(source, String::new(), FILE_KEYS, table)?;
        let realms = root.tables("realm", "[[realm]]", realm::REALM_KEYS)?.into_iter();
        let realms: Vec<_> =
            realms.map(|table| realm::realm(source, table)).collect::<Result<_, _>>()?;
        let access = Access::read(root.table("access", Access::KEYS)?)?;
        let config = Self::nearcast_with(source, &mut root, (data_dir, listen), realms.len())?;
        let config = Self { realms, access, ..config };
        realm::check(&config.realms, source)?;
        access.check(&config.realms, source)?;
        access.check_said(&config.realms, source)?;
        Ok(config)
    }

    fn nearcast_with(
        source: Source<'_>,
        root: &mut TableReader<'_>,
        (data_dir, listen): (PathBuf, SocketAddr),
        realms: usize,
    ) -> Result<Self, ConfigError> {
        refuse_useless_variables(source, &data_dir)?;
        let mut config = Self::nearcast(data_dir, listen);
        let mut cluster = root.table("cluster", OF_USE)?;
        cluster.duration("max-clock-ahead", &mut config.cluster.max_clock_ahead)?;
        cluster.duration("publish-timeout", &mut config.cluster.publish_timeout)?;
        if let Some(durability) = cluster.optional("durability")? {
            config.cluster.durability = durability;
        }
        let limits = root.table("limits", Limits::KEYS)?;
        config.unset_limits = limits.unset();
        config.limits = Limits::read(limits, realms)?;
        config.storage = Storage::read(root.table("storage", Storage::KEYS)?)?;
        config.wamp = Wamp::read(root.table("wamp", Wamp::KEYS)?)?;
        config.web = Web::read(source, root.table("web", Web::KEYS)?)?;
        // A person watches this terminal; RUST_LOG=info shows more.
        let quiet = LogConfig { filter: "warn".to_owned(), ..LogConfig::default() };
        config.log = log(root.table("log", LOG_KEYS)?, quiet)?;
        check::check_limits(&config.limits, source)?;
        Ok(config)
    }
}

/// Without a file that says who may do what, there is nothing else than open.
fn refuse_closed(source: Source<'_>) -> Result<(), ConfigError> {
    let variable = env::variable("access", "open");
    if source.env.get(&variable).is_none_or(|value| value == "true") {
        return Ok(());
    }
    let problem = "has no effect: nearcast is open to whoever can connect";
    let fix = "unset it, or give a file with [[realm]] tables by --config FILE";
    Err(source.refuse(variable, problem, fix))
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
