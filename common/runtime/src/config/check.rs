//! What must hold between keys.

use std::collections::BTreeMap;

use vixen_core::wire::FRAME_BYTES_MAX;

use super::error::ConfigError;
use super::read::Source;
use super::{Config, EntryMember, Limits, NdbMember, NodeName, realm};

/// The largest ndb group. Each member stores every segment of its group: more copies cost more
/// than they protect.
const GROUP_MEMBERS_MAX: usize = 5;

/// The largest sync cluster: beyond it a vote waits for more answers and gains little.
const SYNC_MEMBERS_MAX: usize = 7;

/// Largest segment: it is one message between nodes, with its table of topics and what stands around
/// it.
const SEGMENT_BYTES_MAX: usize = FRAME_BYTES_MAX / 2;

pub(super) fn check(config: &Config, source: Source<'_>) -> Result<(), ConfigError> {
    check_sync(config, source)?;
    check_groups(config, source)?;
    check_ids(config, source)?;
    check_addresses(config, source)?;
    realm::check(&config.realms, source)?;
    config.access.check(&config.realms, source)?;
    check_limits(&config.limits, source)
}

fn check_sync(config: &Config, source: Source<'_>) -> Result<(), ConfigError> {
    let count = config.sync.len();
    let fix = format!("have 1, 3, 5 or {SYNC_MEMBERS_MAX} [[sync]] tables");
    if count == 0 {
        return Err(source.refuse("sync", "there is no sync node, so nothing gets an order", fix));
    }
    if count.is_multiple_of(2) {
        let problem = format!("{count} nodes survive the loss of no more than {} would", count - 1);
        return Err(source.refuse(
            "sync",
            problem,
            format!("an even number adds no safety: {fix}"),
        ));
    }
    if count > SYNC_MEMBERS_MAX {
        return Err(source.refuse("sync", format!("{count} nodes would slow every vote"), fix));
    }
    let mut lanes = BTreeMap::new();
    for (i, member) in config.sync.iter().enumerate() {
        if let Some(other) = lanes.insert(member.lane, &member.id) {
            return Err(source.refuse(
                format!("sync[{i}].lane"),
                format!("{} is also the lane of {other}", member.lane.index()),
                "give each sync node a lane from 0 to 63 of its own",
            ));
        }
    }
    Ok(())
}

fn check_groups(config: &Config, source: Source<'_>) -> Result<(), ConfigError> {
    if config.ndb_groups.is_empty() {
        return Err(source.refuse(
            "ndb-group",
            "there is no ndb group, so nothing can be stored",
            "add [[ndb-group]] with 1 to 5 [[ndb-group.member]]",
        ));
    }
    if u16::try_from(config.ndb_groups.len()).is_err() {
        let problem = format!("{} groups are too many", config.ndb_groups.len());
        return Err(source.refuse("ndb-group", problem, "have at most 65535"));
    }
    let quorum = usize::from(config.cluster.write_quorum);
    for (i, group) in config.ndb_groups.iter().enumerate() {
        let count = group.members.len();
        if !(1..=GROUP_MEMBERS_MAX).contains(&count) {
            return Err(source.refuse(
                format!("ndb-group[{i}].member"),
                format!("the group has {count} members"),
                format!("have 1 to {GROUP_MEMBERS_MAX} [[ndb-group.member]] tables in each group"),
            ));
        }
        let key = "cluster.write-quorum";
        let fix = format!("set it between 1 and {count}");
        if quorum == 0 {
            let problem = "0 would acknowledge what no disk has";
            return Err(source.refuse(key, problem, fix));
        }
        if quorum > count {
            let problem =
                format!("{quorum} of {count} members in ndb-group {i} can never be reached");
            return Err(source.refuse(key, problem, fix));
        }
    }
    Ok(())
}

/// The ndb members with their place in the file.
fn ndb_members(config: &Config) -> impl Iterator<Item = (String, &NdbMember)> {
    config.ndb_groups.iter().enumerate().flat_map(|(g, group)| {
        let place = move |m| format!("ndb-group[{g}].member[{m}]");
        group.members.iter().enumerate().map(move |(m, member)| (place(m), member))
    })
}

fn check_ids(config: &Config, source: Source<'_>) -> Result<(), ConfigError> {
    let sync = config.sync.iter().enumerate().map(|(i, m)| (format!("sync[{i}]"), &m.id));
    let ndb = ndb_members(config).map(|(place, m)| (place, &m.id));
    let entries = config.entries.iter().enumerate().map(|(i, m)| (format!("entry[{i}]"), &m.id));
    let mut seen: BTreeMap<&NodeName, String> = BTreeMap::new();
    for (place, id) in sync.chain(ndb).chain(entries) {
        if let Some(other) = seen.get(id) {
            return Err(source.refuse(
                format!("{place}.id"),
                format!("`{id}` is also {other}"),
                "give each node of all tiers an id of its own",
            ));
        }
        seen.insert(id, place);
    }
    Ok(())
}

fn check_addresses(config: &Config, source: Source<'_>) -> Result<(), ConfigError> {
    let sync = config
        .sync
        .iter()
        .enumerate()
        .map(|(i, m)| (format!("sync[{i}].address"), m.address.clone()));
    let ndb = ndb_members(config).map(|(place, m)| (format!("{place}.address"), m.address.clone()));
    // On machines of their own several entries may all listen on 0.0.0.0 at one port, and port 0
    // is never the same twice.
    let listens = config.entries.iter().enumerate().flat_map(|(i, member)| {
        let admin = member.admin_listen.map(|admin| (format!("entry[{i}].admin-listen"), admin));
        // What others dial may be where it listens.
        let link = member.link.as_ref().and_then(|link| {
            let listen = link.listen.filter(|listen| listen.to_string() != link.address)?;
            Some((format!("entry[{i}].link-listen"), listen))
        });
        let clients = (format!("entry[{i}].listen"), member.listen);
        std::iter::once(clients).chain(admin).chain(link)
    });
    let entries = listens
        .filter(|(_, listen)| !listen.ip().is_unspecified() && listen.port() != 0)
        .map(|(place, listen)| (place, listen.to_string()));
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let links = config.entries.iter().enumerate().filter_map(|(i, member)| {
        let link = member.link.as_ref()?;
        Some((format!("entry[{i}].link-address"), link.address.clone()))
    });
    for (place, address) in sync.chain(ndb).chain(entries).chain(links) {
        if let Some(other) = seen.get(&address) {
            return Err(source.refuse(
                place,
                format!("{address} is also {other}"),
                "give each node an address and port of its own",
            ));
        }
        seen.insert(address, place);
    }
    for (i, member) in config.entries.iter().enumerate() {
        check_link_port(member, i, source)?;
    }
    Ok(())
}

/// Links of entries have a port of their own: that of clients takes none.
fn check_link_port(member: &EntryMember, i: usize, source: Source<'_>) -> Result<(), ConfigError> {
    if member.link.as_ref().is_some_and(|link| link.bind_port() == 0) {
        return Err(source.refuse(
            format!("entry[{i}].link-listen"),
            "port 0 is any: other entries have to know it".to_owned(),
            "write the port that they dial, or leave link-listen out",
        ));
    }
    let Some((other, port)) = member.link_clash() else { return Ok(()) };
    let has_listen = member.link.as_ref().is_some_and(|link| link.listen.is_some());
    let key = if has_listen { "link-listen" } else { "link-address" };
    Err(source.refuse(
        format!("entry[{i}].{key}"),
        format!("port {port} is also that of entry[{i}].{other}"),
        "give links between entries a port of their own",
    ))
}

pub(super) fn check_limits(limits: &Limits, source: Source<'_>) -> Result<(), ConfigError> {
    check_sizes(limits, source)?;
    if limits.interest_bytes_max > limits.link_queue_bytes_max / 2 {
        return Err(source.refuse(
            "limits.interest-bytes-max",
            format!(
                "{} bytes are more than half of link-queue-bytes-max ({}), and a new link is told all of \
                 it, beside what it carries else",
                limits.interest_bytes_max, limits.link_queue_bytes_max
            ),
            format!(
                "set it to {} or less, or raise link-queue-bytes-max",
                limits.link_queue_bytes_max / 2
            ),
        ));
    }
    check_shares(limits, source)?;
    check_connections(limits, source)?;
    if limits.keep_alive_timeout <= limits.keep_alive_interval {
        return Err(source.refuse(
            "limits.keep-alive-timeout",
            "leaves no time to answer a ping, which is sent after keep-alive-interval",
            "set it to a longer time than keep-alive-interval",
        ));
    }
    let store = limits.store_bytes_max;
    if store < 1 << 20 || !store.is_multiple_of(4096) {
        return Err(source.refuse(
            "limits.store-bytes-max",
            format!("{store} bytes cannot be the size of a map"),
            "set it to a multiple of 4KiB, at least 1MiB",
        ));
    }
    Ok(())
}

/// Messages of clients that the queue of a link has to hold.
const LINK_MESSAGES_MIN: usize = 4;

/// What has to hold one of what is within it.
fn check_sizes(limits: &Limits, source: Source<'_>) -> Result<(), ConfigError> {
    let message = ("message-bytes-max", limits.message_bytes_max);
    let segment = ("segment-bytes-max", limits.segment_bytes_max);
    let at_least = [
        (segment, message, "a message must fit a segment"),
        (("frame-bytes-max", limits.frame_bytes_max), message, "a message must fit a frame"),
        (
            ("unfinished-bytes-max", limits.unfinished_bytes_max),
            ("frame-bytes-max", limits.frame_bytes_max),
            "a frame must be able to come",
        ),
        (message, ("topic-bytes-max", limits.topic_bytes_max), "a topic is part of its message"),
        (
            ("session-unacknowledged-bytes-max", limits.session_unacknowledged_bytes_max),
            message,
            "a session must be able to send one message",
        ),
        (
            ("entry-unacknowledged-bytes-max", limits.entry_unacknowledged_bytes_max),
            message,
            "an entry must be able to take one message",
        ),
        (
            ("subscriber-buffer-bytes-max", limits.subscriber_buffer_bytes_max),
            message,
            "a subscriber must be able to get one message",
        ),
        (
            ("link-queue-bytes-max", limits.link_queue_bytes_max),
            segment,
            "a link must be able to carry one segment",
        ),
    ];
    for ((key, value), (lower_key, lower), why) in at_least {
        if value < lower {
            return Err(source.refuse(
                format!("limits.{key}"),
                format!("{value} bytes are less than {lower_key} ({lower}), but {why}"),
                format!("set it to {lower} or more, or lower {lower_key}"),
            ));
        }
    }
    // An answer goes on a link that is half full, and small words follow it: one that did not fit would end the link.
    let (queue, message) = (limits.link_queue_bytes_max, limits.message_bytes_max);
    let lower = message.saturating_mul(LINK_MESSAGES_MIN);
    if queue < lower {
        return Err(source.refuse(
            "limits.link-queue-bytes-max",
            format!(
                "{queue} bytes are less than four times message-bytes-max ({message}), but an answer must fit a link \
                 that is half full"
            ),
            format!("set it to {lower} or more, or lower message-bytes-max"),
        ));
    }
    if limits.segment_bytes_max > SEGMENT_BYTES_MAX {
        return Err(source.refuse(
            "limits.segment-bytes-max",
            format!("a segment of {} bytes fits no frame between nodes", limits.segment_bytes_max),
            "set it to 32MiB or less",
        ));
    }
    Ok(())
}

/// Shares of what subscriptions and testaments may take: none is more than the whole, and none so little that it is
/// nobody's.
fn check_shares(limits: &Limits, source: Source<'_>) -> Result<(), ConfigError> {
    let patterns = ("patterns-per-entry-max", limits.patterns_per_entry_max);
    let bytes = ("interest-bytes-max", limits.interest_bytes_max);
    let topic = limits.topic_interest_bytes_max();
    let session = (
        "patterns-per-session-max",
        limits.patterns_per_session_max,
        "a session must be able to have its own",
    );
    let topic =
        ("one topic, which has its realm and 64 bytes beside it", topic, "it would hold none");
    let calls = &limits.calls;
    let testaments = ("testaments-bytes-max", calls.testaments_bytes_max);
    let left = (
        "testaments-bytes-per-session-max",
        calls.testaments_bytes_per_session_max,
        "a session must be able to have its own",
    );
    let of_address = (
        "testaments-bytes-per-address-max",
        calls.testaments_bytes_per_address_max,
        testaments,
        left,
    );
    let shares = [
        of_address,
        ("patterns-per-address-max", limits.patterns_per_address_max, patterns, session),
        ("interest-bytes-per-address-max", limits.interest_bytes_per_address_max, bytes, topic),
        ("interest-bytes-per-realm-max", limits.interest_bytes_per_realm_max, bytes, topic),
    ];
    for (key, share, (whole_key, whole), (least_name, least, why)) in shares {
        if share > whole {
            return Err(source.refuse(
                format!("limits.{key}"),
                format!("{share} is more than {whole_key} ({whole}), of which it is a share"),
                format!("set it to {whole} or less, or raise {whole_key}"),
            ));
        }
        if share < least.min(whole) {
            return Err(source.refuse(
                format!("limits.{key}"),
                format!("{share} is less than {least_name} ({least}): {why}"),
                format!("set it to {} or more", least.min(whole)),
            ));
        }
    }
    Ok(())
}

fn check_connections(limits: &Limits, source: Source<'_>) -> Result<(), ConfigError> {
    let of_all = ("connections-max", limits.connections_max);
    let of_address = ("connections-per-address-max", limits.connections_per_address_max);
    let at_least = [
        (of_all, ("sessions-max", limits.sessions_max)),
        (of_address, ("sessions-per-address-max", limits.sessions_per_address_max)),
    ];
    for ((key, value), (lower_key, lower)) in at_least {
        if value < lower {
            return Err(source.refuse(
                format!("limits.{key}"),
                format!("{value} is less than {lower_key} ({lower}), and each is a connection"),
                format!("set it to {lower} or more, or lower {lower_key}"),
            ));
        }
    }
    Ok(())
}
