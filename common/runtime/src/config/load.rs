//! From text to [`Config`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::error::ConfigError;
use super::read::{Source, TableReader};
use super::secrets::Secrets;
use super::value::{Address, Count, Filter};
use super::{
    Access, ClusterConfig, Config, Durability, EntryLink, EntryMember, Limits, LogConfig,
    LogFormat, NdbGroup, NdbMember, NodeName, Storage, SyncMember, TlsFiles, Wamp, Web, check, env,
    realm, suggest, text,
};

const ROOT_KEYS: &[&str] = &[
    "cluster",
    "sync",
    "ndb-group",
    "entry",
    "realm",
    "access",
    TlsFiles::CLIENTS,
    TlsFiles::LINKS,
    "limits",
    "storage",
    "wamp",
    "web",
    "log",
];
pub(super) const CLUSTER_KEYS: &[&str] = &[
    "name",
    "secret",
    "secret-file",
    "sync-secret",
    "sync-secret-file",
    "ndb-secret",
    "ndb-secret-file",
    "entry-secret",
    "entry-secret-file",
    "durability",
    "data-dir",
    "write-quorum",
    "max-clock-ahead",
    "publish-timeout",
];
pub(super) const SYNC_KEYS: &[&str] = &["id", "lane", "address", "listen"];
const GROUP_KEYS: &[&str] = &["member"];
pub(super) const MEMBER_KEYS: &[&str] = &["id", "address", "listen"];
pub(super) const ENTRY_KEYS: &[&str] =
    &["id", "listen", "admin-listen", "link-address", "link-listen"];
pub(super) const LOG_KEYS: &[&str] = &["filter", "format"];

/// Default of `max-clock-ahead` and of `publish-timeout`.
pub(super) const TEN_SECONDS: Duration = Duration::from_secs(10);

impl Config {
    /// Reads the file at `path` and the overrides of the process environment.
    ///
    /// # Errors
    /// Anything that would keep a node from working, with file, key and fix.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = text::read(path, "give the cluster's vixen.toml with --config or VIXEN_CONFIG")?;
        Self::parse(&text, path, &env::of_process())
    }

    /// Reads `text`, the content of `file`, with the overrides in `env`. `file` is used in errors
    /// and as the start of relative paths; it is not opened.
    ///
    /// # Errors
    /// As for [`load`](Self::load).
    pub fn parse(
        text: &str,
        file: &Path,
        env: &BTreeMap<String, String>,
    ) -> Result<Self, ConfigError> {
        let source = Source { file, env };
        let table = toml::from_str::<toml::Table>(text)
            .map_err(|error| ConfigError::syntax(file, text, &error))?;
        refuse_unknown_variables(source)?;
        let mut root = TableReader::open(source, String::new(), ROOT_KEYS, table)?;
        let [tls, cluster_tls] = TlsFiles::read(source, &mut root)?;
        let realms: Vec<_> = root
            .tables("realm", "[[realm]]", realm::REALM_KEYS)?
            .into_iter()
            .map(|table| realm::realm(source, table))
            .collect::<Result<_, _>>()?;
        let limits = root.table("limits", Limits::KEYS)?;
        let config = Self {
            file: Some(file.to_owned()),
            cluster: cluster(source, root.table("cluster", CLUSTER_KEYS)?)?,
            sync: root
                .tables("sync", "[[sync]]", SYNC_KEYS)?
                .into_iter()
                .map(sync_member)
                .collect::<Result<_, _>>()?,
            ndb_groups: root
                .tables("ndb-group", "[[ndb-group]]", GROUP_KEYS)?
                .into_iter()
                .map(ndb_group)
                .collect::<Result<_, _>>()?,
            entries: root
                .tables("entry", "[[entry]]", ENTRY_KEYS)?
                .into_iter()
                .map(|table| entry_member(source, table))
                .collect::<Result<_, _>>()?,
            access: Access::read(root.table("access", Access::KEYS)?)?,
            tls,
            cluster_tls,
            unset_limits: limits.unset(),
            limits: Limits::read(limits, realms.len())?,
            realms,
            storage: Storage::read(root.table("storage", Storage::KEYS)?)?,
            wamp: Wamp::read(root.table("wamp", Wamp::KEYS)?)?,
            web: Web::read(source, root.table("web", Web::KEYS)?)?,
            log: log(root.table("log", LOG_KEYS)?, LogConfig::default())?,
        };
        check::check(&config, source)?;
        Ok(config)
    }
}

/// All variables that override something, and those that Kubernetes sets for services, may start
/// like one that does; nothing else may.
pub(super) fn refuse_unknown_variables(source: Source<'_>) -> Result<(), ConfigError> {
    let tables = [
        ("cluster", CLUSTER_KEYS),
        ("access", Access::KEYS),
        (TlsFiles::CLIENTS, TlsFiles::CLIENTS_KEYS),
        (TlsFiles::LINKS, TlsFiles::LINKS_KEYS),
        ("limits", Limits::KEYS),
        ("storage", Storage::KEYS),
        ("wamp", Wamp::KEYS),
        ("web", Web::KEYS),
        ("log", LOG_KEYS),
    ];
    let known =
        || tables.iter().flat_map(|(table, keys)| keys.iter().map(|key| env::variable(table, key)));
    let unknown = source.env.iter().find(|(name, value)| {
        env::is_override(name)
            && !known().any(|known| known == **name)
            && !env::is_service_link(name, value)
    });
    let Some((name, _value)) = unknown else { return Ok(()) };
    let table = name.split('_').take(2).collect::<Vec<_>>().join("_");
    let of_table: Vec<_> = known().filter(|known| known.starts_with(&table)).collect();
    let meant = suggest::did_you_mean(name, of_table.iter().map(String::as_str));
    let service = if env::is_named_as_service_link(name) {
        " (for a service of Kubernetes: enableServiceLinks: false)"
    } else {
        ""
    };
    Err(source.refuse(
        name,
        "is set in the environment but overrides no key",
        format!("{meant}unset it{service}, or use one of: {}", of_table.join(", ")),
    ))
}

fn cluster(source: Source<'_>, mut table: TableReader<'_>) -> Result<ClusterConfig, ConfigError> {
    let mut max_clock_ahead = TEN_SECONDS;
    let mut publish_timeout = TEN_SECONDS;
    table.duration("max-clock-ahead", &mut max_clock_ahead)?;
    table.duration("publish-timeout", &mut publish_timeout)?;
    let name: NodeName = table.required("name")?;
    let Count(write_quorum) = table.required("write-quorum")?;
    Ok(ClusterConfig {
        name: name.to_string(),
        secrets: Secrets::read(source, &mut table)?,
        durability: table.optional("durability")?.unwrap_or(Durability::Fsync),
        data_dir: beside(source.file, table.required("data-dir")?),
        write_quorum: u8::try_from(write_quorum).map_err(|_| {
            let problem = format!("no group has {write_quorum} members");
            source.refuse(table.place("write-quorum"), problem, "set it between 1 and 5")
        })?,
        max_clock_ahead,
        publish_timeout,
    })
}

fn sync_member(mut table: TableReader<'_>) -> Result<SyncMember, ConfigError> {
    let Address(address) = table.required("address")?;
    Ok(SyncMember {
        id: table.required("id")?,
        lane: table.required("lane")?,
        listen: table.optional("listen")?.or_else(|| address.parse().ok()),
        address,
    })
}

fn ndb_group(mut table: TableReader<'_>) -> Result<NdbGroup, ConfigError> {
    let members = table.tables("member", "[[ndb-group.member]]", MEMBER_KEYS)?;
    Ok(NdbGroup { members: members.into_iter().map(ndb_member).collect::<Result<_, _>>()? })
}

fn ndb_member(mut table: TableReader<'_>) -> Result<NdbMember, ConfigError> {
    let Address(address) = table.required("address")?;
    Ok(NdbMember {
        id: table.required("id")?,
        listen: table.optional("listen")?.or_else(|| address.parse().ok()),
        address,
    })
}

fn entry_member(
    source: Source<'_>,
    mut table: TableReader<'_>,
) -> Result<EntryMember, ConfigError> {
    let address = table.optional("link-address")?.map(|Address(address)| address);
    let listen = table.optional("link-listen")?;
    if address.is_none() && listen.is_some() {
        let fix = "set link-address to the host and port that other entries dial, or remove it";
        let problem = "means nothing without link-address";
        return Err(source.refuse(table.place("link-listen"), problem, fix));
    }
    Ok(EntryMember {
        id: table.required("id")?,
        listen: table.required("listen")?,
        admin_listen: table.optional("admin-listen")?,
        link: address.map(|address| EntryLink { address, listen }),
    })
}

/// What is not set stays as in `default`.
pub(super) fn log(
    mut table: TableReader<'_>,
    default: LogConfig,
) -> Result<LogConfig, ConfigError> {
    Ok(LogConfig {
        filter: table.optional("filter")?.map_or(default.filter, |Filter(filter)| filter),
        format: table.optional::<LogFormat>("format")?.unwrap_or(default.format),
    })
}

/// A path as the configuration file means it: relative to its own folder.
pub(super) fn beside(file: &Path, path: PathBuf) -> PathBuf {
    file.parent().map_or(path.clone(), |folder| folder.join(path))
}
