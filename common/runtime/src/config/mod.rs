//! The configuration file: one `vixen.toml` describes the cluster for every node.
//!
//! - [`Config::load`] reads the file and the process environment; [`Config::parse`] does the same
//!   with both given. What cannot work is refused here, before a node opens anything.
//! - Every key of the tables `cluster`, `access`, `tls`, `cluster-tls`, `limits`, `storage`, `wamp`, `web` and
//!   `log` can be overridden from the environment: `limits.frame-bytes-max` is
//!   `VIXEN_LIMITS_FRAME_BYTES_MAX`. For nearcast they stand in place of the file. Variables that Kubernetes sets for services are let pass.
//! - The commented example is `deploy/vixen.toml`, the table of all keys `docs/operations.md`.

mod access;
mod args;
mod changes;
mod check;
mod concerns;
mod env;
mod error;
mod limits;
mod listen;
mod load;
mod lookup;
mod nearcast;
mod read;
mod realm;
mod secret;
mod secrets;
mod storage;
mod strength;
mod suggest;
mod text;
mod tls;
mod value;
mod wamp;
mod web;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use vixen_core::id::Lane;
use vixen_core::name::{NodeName, ParseNodeNameError};

pub use access::Access;
pub use args::{NodeArgs, parse_args, parse_bytes};
pub use error::ConfigError;
pub use limits::{CallBounds, Limits};
pub use listen::{parse_address, parse_listen};
pub use realm::{
    AUTH_NAME_BYTES_MAX, Argon2Output, Credential, Kdf, PermissionConfig, RealmConfig, RoleConfig,
    Salting, ScramConfig, SecretKey, UserConfig,
};
pub use secret::Secret;
pub use secrets::{STRONG_BITS, SecretConcern, Secrets};
pub use storage::Storage;
pub use tls::TlsFiles;
pub use vixen_core::access::{Disclosure, Quota, UriCheck};
pub use vixen_core::durability::Durability;
pub use wamp::{CancelAnswers, Goodbye, Wamp};
pub use web::{
    AllowedHosts, AllowedOrigins, ClientAddressHeader, ParseHostError, ParseOriginError,
    TrustedProxies, Web,
};

/// The whole cluster, as every node of it sees it.
#[derive(Clone, Debug)]
pub struct Config {
    /// The file that was read; `None` in nearcast, which has none.
    pub file: Option<PathBuf>,
    /// Table `[cluster]`: what holds for all nodes.
    pub cluster: ClusterConfig,
    /// Tables `[[sync]]`: the voters, 1, 3, 5 or 7.
    pub sync: Vec<SyncMember>,
    /// Tables `[[ndb-group]]`: their place in the list, from 0, is their `GroupId`.
    pub ndb_groups: Vec<NdbGroup>,
    /// Tables `[[entry]]`: the entries that have a name and a place here. Others may join with
    /// `--listen`.
    pub entries: Vec<EntryMember>,
    /// Tables `[[realm]]`: who may log in and do what.
    pub realms: Vec<RealmConfig>,
    /// Table `[access]`: whether everyone may do everything in every realm, without any of them.
    pub access: Access,
    /// Table `[tls]`: clients connect by TLS. `None`, the default: they connect without.
    pub tls: Option<TlsFiles>,
    /// Table `[cluster-tls]`: so do nodes, and each end shows a certificate. `None`, the default:
    /// links are not encrypted.
    pub cluster_tls: Option<TlsFiles>,
    /// Table `[limits]`.
    pub limits: Limits,
    /// Its keys that nobody has set: their values may follow from others, and from how many realms there are.
    pub unset_limits: BTreeSet<&'static str>,
    /// Table `[storage]`.
    pub storage: Storage,
    /// Table `[wamp]`.
    pub wamp: Wamp,
    /// Table `[web]`.
    pub web: Web,
    /// Table `[log]`.
    pub log: LogConfig,
}

/// Table `[cluster]`.
#[derive(Clone, Debug)]
pub struct ClusterConfig {
    /// `name`: nodes of another cluster are refused by it. Required.
    pub name: String,
    /// `secret`, `sync-secret`, `ndb-secret`, `entry-secret`, or the content of the files that
    /// `secret-file` and so on name: prove that a node belongs here. At least 8 characters; one is
    /// required.
    pub secrets: Secrets,
    /// `durability`: what a node waits for before it answers. Default `fsync`.
    pub durability: Durability,
    /// `data-dir`: every node keeps its store in a folder of its own name in here. A relative path
    /// starts at the configuration file's folder. Required.
    pub data_dir: PathBuf,
    /// `write-quorum`: W, the ndb nodes of a group that must have a segment on disk before it is
    /// voted on. Required.
    pub write_quorum: u8,
    /// `max-clock-ahead`: stamps further beyond local wall time are not used. Default 10 s.
    pub max_clock_ahead: Duration,
    /// `publish-timeout`: how long an acknowledged publish waits for a quorum before it is
    /// answered with an error. Default 10 s.
    pub publish_timeout: Duration,
}

/// One `[[sync]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SyncMember {
    /// `id`: unique over all tiers.
    pub id: NodeName,
    /// `lane`: the lane of its stamps, `0..64`. It stays with the node for life.
    pub lane: Lane,
    /// `address`: `host:port` that others dial.
    pub address: String,
    /// `listen`: where the node listens. Default `address`; `None` when that is a host name, which
    /// is resolved when it is bound.
    pub listen: Option<SocketAddr>,
}

/// One `[[ndb-group]]` table: the nodes that hold the same segments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NdbGroup {
    /// Tables `[[ndb-group.member]]`, 1 to 5: their place in the list, from 0, is part of their
    /// `NdbId`.
    pub members: Vec<NdbMember>,
}

/// One `[[ndb-group.member]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NdbMember {
    /// `id`: unique over all tiers.
    pub id: NodeName,
    /// `address`: `host:port` that others dial.
    pub address: String,
    /// `listen`: where the node listens; as for [`SyncMember::listen`].
    pub listen: Option<SocketAddr>,
}

/// One `[[entry]]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryMember {
    /// `id`: unique over all tiers.
    pub id: NodeName,
    /// `listen`: the address of the client port; port 0 takes any free one.
    pub listen: SocketAddr,
    /// `admin-listen`: where `/status` and `/metrics` are, and then nowhere else. `None`, the
    /// default: on the client port.
    pub admin_listen: Option<SocketAddr>,
    /// `link-address` and `link-listen`: where other entries find it. `None`, the default: they do not dial it.
    pub link: Option<EntryLink>,
}

/// Where an entry is linked by others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EntryLink {
    /// `link-address`: `host:port` that other entries dial.
    pub address: String,
    /// `link-listen`: where it listens for them. Default: the port of `address`, on all addresses of the machine.
    pub listen: Option<SocketAddr>,
}

/// Table `[log]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct LogConfig {
    /// `filter`: directives such as `info,vixen_sync=debug`; `RUST_LOG` overrides it. Default
    /// `info`.
    pub filter: String,
    /// `format`: `text` or `json`. Default `text`.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self { filter: "info".to_owned(), format: LogFormat::Text }
    }
}

/// Form of a log line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// A line for people, prefixed with the node's name.
    Text,
    /// A JSON object a line, with the node's name in `node`.
    Json,
}

impl fmt::Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}
