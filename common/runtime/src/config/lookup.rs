//! Finding one's own place in the configuration.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use vixen_core::id::{GroupId, NdbId, SyncId};
use vixen_core::membership::Membership;
use vixen_core::roster::Roster;
use vixen_core::tier::Tier;
use vixen_core::wire::Terms;

use super::error::ConfigError;
use super::{Config, EntryLink, EntryMember, NdbGroup, NdbMember, NodeName, SyncMember};

impl Config {
    /// The sync node called `id`.
    ///
    /// # Errors
    /// [`ConfigError::UnknownNode`] with the names that exist, [`ConfigError::OtherTier`], or
    /// [`ConfigError::Key`] for a secret that it needs and the file lacks.
    pub fn sync_member(&self, id: &NodeName) -> Result<&SyncMember, ConfigError> {
        let member = self.sync.iter().find(|member| member.id == *id).ok_or_else(|| {
            let known = self.sync.iter().map(|member| &member.id);
            self.unknown("sync", "sync.id", "add a [[sync]] table".to_owned(), id, known)
        })?;
        self.check_secrets(Tier::Sync)?;
        Ok(member)
    }

    /// The ndb node called `id`, and the id that messages use for it.
    ///
    /// # Errors
    /// [`ConfigError::UnknownNode`] with the names that exist, [`ConfigError::OtherTier`], or
    /// [`ConfigError::Key`] for a secret that it needs and the file lacks.
    pub fn ndb_member(&self, id: &NodeName) -> Result<(NdbId, &NdbMember), ConfigError> {
        let member = self.ndb_members().find(|(_, member)| member.id == *id).ok_or_else(|| {
            let known = self.ndb_members().map(|(_, member)| &member.id);
            let fix = "add a [[ndb-group.member]] table".to_owned();
            self.unknown("ndb", "ndb-group.member.id", fix, id, known)
        })?;
        self.check_secrets(Tier::Ndb)?;
        Ok(member)
    }

    /// The entry called `id`. `listen`, from `--listen`, wins over the file; an entry that is not
    /// in the file needs it, and needs nothing else.
    ///
    /// # Errors
    /// [`ConfigError::UnknownNode`] when the file does not list it and `listen` is `None`;
    /// [`ConfigError::OtherTier`] when the name is one of another tier.
    pub fn entry_member(
        &self,
        id: &NodeName,
        listen: Option<SocketAddr>,
    ) -> Result<EntryMember, ConfigError> {
        let listed = self.entries.iter().find(|member| member.id == *id);
        let member = match (listed, listen) {
            (Some(member), None) => Ok(member.clone()),
            (Some(member), Some(listen)) => Ok(EntryMember { listen, ..member.clone() }),
            (None, Some(listen)) if self.tier_of(id).is_none() => {
                Ok(EntryMember { id: id.clone(), listen, admin_listen: None, link: None })
            }
            (None, Some(_) | None) => {
                let known = self.entries.iter().map(|member| &member.id);
                let fix = format!(
                    "add an [[entry]] table, or make {id} an entry without one by --listen, for \
                     example --listen 0.0.0.0:9031"
                );
                Err(self.unknown("entry", "entry.id", fix, id, known))
            }
        }?;
        self.check_secrets(Tier::Entry)?;
        Ok(member)
    }

    /// Whether a node of `tier` finds the secrets here that it needs.
    fn check_secrets(&self, tier: Tier) -> Result<(), ConfigError> {
        let Some(key) = self.cluster.secrets.lacking(tier) else { return Ok(()) };
        let file = self.file.clone().unwrap_or_default();
        let problem = format!("is missing, and {} proves its links with it", tier.one());
        let fix = format!(
            "set {key}, or {key}-file to a file that this user can read, or secret for all tiers"
        );
        Err(ConfigError::key(&file, format!("cluster.{key}"), problem, fix))
    }

    /// What all sync and ndb nodes are called.
    #[must_use]
    pub fn roster(&self) -> Roster {
        let sync = self.sync.iter().map(|member| (member.sync_id(), member.id.clone()));
        let ndb = self.ndb_members().map(|(id, member)| (id, member.id.clone()));
        Roster::new(sync, ndb)
    }

    /// What its nodes must have alike.
    #[must_use]
    pub fn terms(&self) -> Terms {
        let members =
            |group: &NdbGroup| group.members.iter().map(|member| member.id.clone()).collect();
        Terms {
            write_quorum: self.cluster.write_quorum,
            durability: self.cluster.durability,
            sync: self.sync.iter().map(|node| (node.sync_id(), node.id.clone())).collect(),
            groups: self.ndb_groups.iter().map(members).collect(),
            segment_bytes_max: self.limits.segment_bytes_max as u64,
        }
    }

    /// Who votes and who stores.
    #[must_use]
    pub fn membership(&self) -> Membership {
        let mut groups = vec![Vec::new(); self.ndb_groups.len()];
        for (id, _) in self.ndb_members() {
            groups[usize::from(id.group.0)].push(id);
        }
        let sync = self.sync.iter().map(SyncMember::sync_id);
        Membership::first(sync, groups, self.cluster.write_quorum)
    }

    /// What the ndb node that messages call `id` is called here.
    #[must_use]
    pub fn ndb_name(&self, id: NdbId) -> Option<&NodeName> {
        let group = self.ndb_groups.get(usize::from(id.group.0))?;
        group.members.get(usize::from(id.member)).map(|member| &member.id)
    }

    /// Where the node called `id` keeps its store.
    #[must_use]
    pub fn node_dir(&self, id: &NodeName) -> PathBuf {
        self.cluster.data_dir.join(id.as_str())
    }

    /// All ndb nodes, with the ids that messages use for them.
    pub fn ndb_members(&self) -> impl Iterator<Item = (NdbId, &NdbMember)> {
        // Loading refuses more groups and members than these ids can count.
        (0..).zip(&self.ndb_groups).flat_map(|(group, members)| {
            (0..)
                .zip(&members.members)
                .map(move |(member, found)| (NdbId { group: GroupId(group), member }, found))
        })
    }

    /// The tier that has a node of this name: with its article, and as programs are called.
    fn tier_of(&self, id: &NodeName) -> Option<(&'static str, &'static str)> {
        if self.sync.iter().any(|member| member.id == *id) {
            Some(("a sync", "sync"))
        } else if self.ndb_members().any(|(_, member)| member.id == *id) {
            Some(("an ndb", "ndb"))
        } else if self.entries.iter().any(|member| member.id == *id) {
            Some(("an entry", "entry"))
        } else {
            None
        }
    }

    /// Why no node of the tier `wanted`, whose names `known` are, is called `id`.
    fn unknown<'a>(
        &self,
        wanted: &'static str,
        key: &'static str,
        fix: String,
        id: &NodeName,
        known: impl Iterator<Item = &'a NodeName>,
    ) -> ConfigError {
        let (file, node) = (self.file.clone().unwrap_or_default(), id.to_string());
        let known: Vec<_> = known.map(NodeName::as_str).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        if let Some((tier, program)) = self.tier_of(id) {
            let command = format!("`vixen-{program} --config {} --node {id}`", file.display());
            let wanted = format!("{wanted} nodes: {known}").into();
            return ConfigError::OtherTier { file, node, tier, command, wanted };
        }
        ConfigError::UnknownNode { file, key, fix, node, known }
    }
}

impl SyncMember {
    /// The id that messages use for it.
    #[must_use]
    pub const fn sync_id(&self) -> SyncId {
        SyncId(self.lane.index())
    }

    /// What to bind: `listen`, else `address`, whose host name is resolved then.
    #[must_use]
    pub fn bind_address(&self) -> String {
        self.listen.map_or_else(|| self.address.clone(), |listen| listen.to_string())
    }
}

impl NdbMember {
    /// What to bind: `listen`, else `address`, whose host name is resolved then.
    #[must_use]
    pub fn bind_address(&self) -> String {
        self.listen.map_or_else(|| self.address.clone(), |listen| listen.to_string())
    }
}

impl EntryMember {
    /// `--link-address` and `--link-listen` win over the file.
    ///
    /// # Errors
    /// [`ConfigError::Argument`] when nothing says which address others dial, or when it is to listen where it does for
    /// something else.
    pub fn with_link(
        mut self,
        address: Option<String>,
        listen: Option<SocketAddr>,
    ) -> Result<Self, ConfigError> {
        let refuse = |argument, problem| {
            let example = "--link-address e1.example:9061 --link-listen 0.0.0.0:9061".to_owned();
            ConfigError::Argument { argument, problem, example }
        };
        let (has_address, has_listen) = (address.is_some(), listen.is_some());
        let of_file = self.link.take();
        let in_file = of_file.as_ref().map(|link| link.address.clone());
        let listen = listen.or_else(|| of_file.and_then(|link| link.listen));
        self.link = address.or(in_file).map(|address| EntryLink { address, listen });
        if self.link.is_none() && listen.is_some() {
            let problem = "means nothing without an address that other entries dial".to_owned();
            return Err(refuse("--link-listen (VIXEN_LINK_LISTEN)", problem));
        }
        if self.link.as_ref().is_some_and(|link| link.bind_port() == 0) {
            let problem = "port 0 is any: other entries have to know it".to_owned();
            return Err(refuse("--link-listen (VIXEN_LINK_LISTEN)", problem));
        }
        let Some((key, port)) = self.link_clash() else { return Ok(self) };
        let link = self.link.as_ref().filter(|link| link.listen.is_some());
        let of_link = if link.is_some() { "link-listen" } else { "link-address" };
        // Whatever was given here, the file is good by itself.
        let (argument, other) = if has_listen {
            ("--link-listen (VIXEN_LINK_LISTEN)", key)
        } else if has_address {
            ("--link-address (VIXEN_LINK_ADDRESS)", key)
        } else if key == "listen" {
            ("--listen (VIXEN_LISTEN)", of_link)
        } else {
            ("--admin-listen (VIXEN_ADMIN_LISTEN)", of_link)
        };
        let problem = format!("port {port} is also that of {other}: links need their own");
        Err(refuse(argument, problem))
    }

    /// The key of what listens on the port of links as well, and that port.
    pub(super) fn link_clash(&self) -> Option<(&'static str, u16)> {
        let link = self.link.as_ref()?;
        let clashes = |other: SocketAddr| {
            let is_same = |at: &SocketAddr| {
                at.ip().is_unspecified() || other.ip().is_unspecified() || at.ip() == other.ip()
            };
            link.bind_port() == other.port() && link.bind_addresses().iter().any(is_same)
        };
        let others = [("listen", Some(self.listen)), ("admin-listen", self.admin_listen)];
        let clash = others.into_iter().find(|(_, other)| other.is_some_and(clashes))?;
        Some((clash.0, link.bind_port()))
    }
}

impl EntryLink {
    /// What to bind, the first that can be: `listen`, else the port of `address` on all addresses of the machine. A
    /// host name may stand for addresses of both kinds; where the machine has no IPv6, it has those of IPv4.
    #[must_use]
    pub fn bind_addresses(&self) -> Vec<SocketAddr> {
        if let Some(listen) = self.listen {
            return vec![listen];
        }
        let (v4, v6) = (Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into());
        let host = self.address.rsplit_once(':').map_or("", |(host, _)| host);
        let all: &[IpAddr] = if host.starts_with('[') {
            &[v6]
        } else if host.parse::<Ipv4Addr>().is_ok() {
            &[v4]
        } else {
            &[v6, v4]
        };
        all.iter().map(|ip| (*ip, self.bind_port()).into()).collect()
    }

    /// The port of all of them.
    #[must_use]
    pub fn bind_port(&self) -> u16 {
        // What is no address was refused when it was read.
        let port = self.address.rsplit_once(':').and_then(|(_, port)| port.parse().ok());
        self.listen.map_or_else(|| port.unwrap_or_default(), |listen| listen.port())
    }
}
