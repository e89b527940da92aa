//! How much memory a node may take: the sum of its limits.
//!
//! Nothing is measured here. Each part is a number of things that a limit allows, times what one of
//! them holds at most; what a thing costs beside its bytes (maps, queues, buffers of sockets that the
//! process has) stands at it, rounded up. Memory of the kernel and mapped pages of stores do not
//! count: the sum is to be compared with `RssAnon` of `/proc/PID/status`.
//!
//! ```text
//!   bound = BASE + (sum of parts) × 5/4
//! ```
//! The quarter is what the allocator keeps of what was freed, and the rounding of its sizes.

use std::collections::BTreeSet;
use std::fmt;

use vixen_core::tier::Tier;

use crate::address::WideBlock;
use crate::config::{Config, Limits, Quota, RealmConfig};

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Code, runtime, tables of metrics, caches of LMDB, and the derivation at the start of an entry.
const BASE_BYTES: u64 = 96 * MIB;
/// A session's own: its task, buffers of WebSocket and TLS, what it knows of itself.
const SESSION_BYTES: u64 = 64 * KIB;
/// A subscription beside its text, in the entry.
const SUBSCRIPTION_BYTES: u64 = 1536;
/// Reads of the past under way at an entry, and what each holds: a batch in hand and one asked for.
const READS_MAX: u64 = 64;
const READ_BYTES: u64 = 4 * MIB;
/// What comes in a frame of a link and waits to be taken.
const INBOX_BYTES: u64 = 32 * MIB;
/// A topic that a quota knows: a digest of 8 bytes, in a tree whose nodes may be half full.
const QUOTA_TOPIC_BYTES: u64 = 32;
/// A user that has a quota, beside the topics: names, and what was published of late.
const QUOTA_USER_BYTES: u64 = KIB;
/// What is remembered for a session of answers of its authorizer, in trees whose nodes may be half full: 256 that are
/// kept, of 104 bytes each by question and by end, and 1,024 failures of 40 bytes. Options of 32 questions under way,
/// of 4 KiB.
const ASKED_SESSION_BYTES: u64 = 2 * (256 * 104 + 1024 * 40) + 32 * 4 * KIB;
/// Questions that wait for one procedure that decides, twice the bound of its turns, and those under way: each with the
/// call that it is.
const DECIDER_BYTES: u64 = 2 * 16 * MIB + 2 * MIB;
/// What is counted for a topic and a row in the tail cache is less than what they take.
const TAIL_CACHE_FACTOR: u64 = 7;

/// One limit's part of the bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Which limits, as in `limits.sessions-max × limits.subscriber-buffer-bytes-max`.
    pub limits: String,
    /// What it is for.
    pub what: &'static str,
    /// Bytes at most.
    pub bytes: u64,
}

/// What a node may take.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemoryBound {
    /// The parts, as documented.
    pub parts: Vec<Part>,
}

fn part(limits: impl Into<String>, what: &'static str, count: usize, each: u64) -> Part {
    Part { limits: limits.into(), what, bytes: (count as u64).saturating_mul(each) }
}

impl MemoryBound {
    /// Of a node of `tier`.
    #[must_use]
    pub fn of(config: &Config, tier: Tier) -> Self {
        let links = match tier {
            // Those of entries are not known; as many as the file has are counted, and one.
            Tier::Sync | Tier::Ndb => {
                config.sync.len() + config.ndb_members().count() + config.entries.len() + 1
            }
            // With those to other entries, where some have a place to be dialled: whoever has none dials them, and
            // so may one that the file has not.
            Tier::Entry => {
                let are_linked = config.entries.iter().any(|entry| entry.link.is_some());
                let entries = if are_linked { config.entries.len() } else { 0 };
                config.sync.len() + config.ndb_members().count() + entries
            }
        };
        let limits = &config.limits;
        let mut parts = vec![
            part("", "the process itself", 1, BASE_BYTES),
            part(
                format!("limits.link-queue-bytes-max × {links} links"),
                "what waits for peers",
                links,
                limits.link_queue_bytes_max as u64 + INBOX_BYTES / 8,
            ),
            part(
                "limits.unfinished-bytes-max × 4",
                "input that is not whole, in buffers that double, with those that are being ended",
                4,
                limits.unfinished_bytes_max as u64,
            ),
        ];
        match tier {
            Tier::Sync => {}
            Tier::Ndb => parts.extend(Self::of_ndb(limits, config.entries.len() + 1)),
            Tier::Entry => {
                parts.extend(Self::of_entry(limits));
                parts.extend(quotas(&config.realms));
                parts.extend(deciders(&config.realms, limits.sessions_max));
            }
        }
        Self { parts }
    }

    fn of_ndb(limits: &Limits, entries: usize) -> Vec<Part> {
        vec![
            part(
                format!("limits.tail-cache-bytes-max × {TAIL_CACHE_FACTOR}"),
                "recent segments for tails",
                1,
                (limits.tail_cache_bytes_max as u64).saturating_mul(TAIL_CACHE_FACTOR),
            ),
            part(
                format!("limits.interest-bytes-max × {entries} entries"),
                "what entries want of the tails",
                entries,
                (limits.interest_bytes_max as u64).saturating_mul(2),
            ),
            part("", "segments that are not on disk yet", 1, 128 * MIB),
        ]
    }

    fn of_entry(limits: &Limits) -> Vec<Part> {
        let sessions = limits.sessions_max;
        vec![
            part("limits.sessions-max", "sessions and streams", sessions, SESSION_BYTES),
            part(
                "limits.connections-max, beyond sessions-max",
                "connections that are no session",
                limits.connections_max.saturating_sub(sessions),
                SESSION_BYTES,
            ),
            part(
                "limits.sessions-max × limits.subscriber-buffer-bytes-max",
                "events that wait for clients to read",
                sessions,
                limits.subscriber_buffer_bytes_max as u64,
            ),
            part(
                "limits.sessions-max × limits.subscriptions-per-session-max",
                "subscriptions",
                sessions.saturating_mul(limits.subscriptions_per_session_max),
                SUBSCRIPTION_BYTES,
            ),
            part(
                "limits.interest-bytes-max × 4",
                "topics and patterns, here and on their way",
                4,
                limits.interest_bytes_max as u64,
            ),
            part(
                "limits.entry-unacknowledged-bytes-max × 3",
                "publishes on their way, with their segments",
                3,
                limits.entry_unacknowledged_bytes_max as u64,
            ),
            part("64 reads", "reads of the past", 1, READS_MAX * READ_BYTES),
            part(
                "limits.history-answers-max",
                "answers of /history on their way",
                limits.history_answers_max,
                READ_BYTES,
            ),
        ]
    }

    /// All of it, in bytes.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        let sum = self.parts.iter().fold(0_u64, |sum, part| sum.saturating_add(part.bytes));
        sum.saturating_add(sum / 4)
    }
}

/// What is remembered for quotas: of realms, and of users. Those without a name are one for each
/// address, and one for each site of IPv6 with as many topics as eight.
fn quotas(realms: &[RealmConfig]) -> Vec<Part> {
    let topics = |quota: &Quota| quota.topics_kept().unwrap_or(0);
    let of_realms = realms.iter().map(|realm| topics(&realm.quota)).sum::<u64>();
    let (mut users, mut of_users) = (0, 0_u64);
    let mut topics_of_address = 0;
    for realm in realms {
        let quota_of = |role: &String| {
            let role = realm.roles.iter().find(|known| known.name == *role);
            role.map(|role| role.quota).filter(|quota| !quota.is_unlimited())
        };
        for quota in realm.users.iter().filter_map(|user| quota_of(&user.role)) {
            users += 1;
            of_users = of_users.saturating_add(topics(&quota));
        }
        if let Some(quota) = realm.anonymous.as_ref().and_then(quota_of) {
            users = Quota::USERS_MAX;
            topics_of_address = topics(&quota).max(topics_of_address);
        }
    }
    // All realms together remember so many users, and no more.
    let of_addresses = topics_of_address
        .saturating_mul(WideBlock::SHARES as u64)
        .saturating_mul(Quota::USERS_MAX as u64);
    let users = (users.min(Quota::USERS_MAX) as u64).saturating_mul(QUOTA_USER_BYTES);
    let topics = of_users.saturating_add(of_addresses).saturating_mul(QUOTA_TOPIC_BYTES);
    let parts = [
        ("realm.quota", "topics of late, by realm", of_realms.saturating_mul(QUOTA_TOPIC_BYTES)),
        ("realm.role.quota × users", "their topics of late", users.saturating_add(topics)),
    ];
    let parts = parts.into_iter().filter(|(_, _, bytes)| *bytes > 0);
    parts.map(|(limits, what, bytes)| Part { limits: limits.to_owned(), what, bytes }).collect()
}

/// What procedures that decide cost: those who are asked about, and each procedure that is asked.
fn deciders(realms: &[RealmConfig], sessions: usize) -> Vec<Part> {
    let of_realm = |realm: &RealmConfig| {
        let authorizers = realm.roles.iter().filter_map(|role| role.authorizer.clone());
        authorizers.chain(realm.authenticator.clone()).collect::<BTreeSet<_>>().len()
    };
    let procedures: usize = realms.iter().map(of_realm).sum();
    let mut roles = realms.iter().flat_map(|realm| &realm.roles);
    let asked = if roles.any(|role| role.authorizer.is_some()) { sessions } else { 0 };
    let (limits, what) =
        ("limits.sessions-max, with realm.role.authorizer", "answers of authorizers");
    let parts = [
        part(limits, what, asked, ASKED_SESSION_BYTES),
        part(
            format!("{procedures} of realm.role.authorizer and realm.authenticator"),
            "questions to procedures that decide",
            procedures,
            DECIDER_BYTES,
        ),
    ];
    parts.into_iter().filter(|part| part.bytes > 0).collect()
}

/// For people, the largest part first; the first line has the number for programs.
impl fmt::Display for MemoryBound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.bytes();
        writeln!(f, "memory at most {} ({bytes} bytes of RssAnon), of which:", size(bytes))?;
        let mut parts: Vec<_> = self.parts.iter().collect();
        parts.sort_by_key(|part| std::cmp::Reverse(part.bytes));
        for part in parts {
            let limits = if part.limits.is_empty() { "fixed" } else { &part.limits };
            writeln!(f, "{:>10}  {}: {limits}", size(part.bytes), part.what)?;
        }
        let quarter = bytes - bytes / 5 * 4;
        write!(f, "{:>10}  what the allocator keeps: a quarter of the above", size(quarter))
    }
}

/// Three digits and a unit.
fn size(bytes: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "for people")]
    let mut value = bytes as f64;
    let mut unit = "B";
    for next in ["KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            break;
        }
        value /= 1024.0;
        unit = next;
    }
    if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Credential, EntryLink, RoleConfig, UserConfig};

    fn nearcast() -> Config {
        Config::nearcast("unused".into(), ([127, 0, 0, 1], 0).into())
    }

    #[test]
    fn every_limit_that_bounds_memory_moves_the_bound() {
        type Change = fn(&mut Limits);
        let changes: [(&str, Tier, Change); 10] = [
            ("unfinished", Tier::Sync, |l| l.unfinished_bytes_max *= 2),
            ("connections", Tier::Entry, |l| l.connections_max *= 2),
            ("history-answers", Tier::Entry, |l| l.history_answers_max *= 2),
            ("sessions-max", Tier::Entry, |l| l.sessions_max *= 2),
            ("subscriber-buffer", Tier::Entry, |l| l.subscriber_buffer_bytes_max *= 2),
            ("subscriptions", Tier::Entry, |l| l.subscriptions_per_session_max *= 2),
            ("unacknowledged", Tier::Entry, |l| l.entry_unacknowledged_bytes_max *= 2),
            ("interest", Tier::Ndb, |l| l.interest_bytes_max *= 2),
            ("tail-cache", Tier::Ndb, |l| l.tail_cache_bytes_max *= 2),
            ("link-queue", Tier::Sync, |l| l.link_queue_bytes_max *= 2),
        ];
        for (name, tier, change) in changes {
            let mut config = nearcast();
            let before = MemoryBound::of(&config, tier).bytes();
            change(&mut config.limits);
            assert!(MemoryBound::of(&config, tier).bytes() > before, "{name}");
        }
    }

    /// Those of realms, of users, and of whoever has no name: at most as many as are remembered.
    #[test]
    fn topics_that_quotas_remember_are_part_of_the_bound() {
        let quota = |topics_max| Quota { topics_max, ..Quota::UNLIMITED };
        let role = |name: &str, topics_max| RoleConfig {
            name: name.to_owned(),
            permissions: Vec::new(),
            quota: quota(topics_max),
            authorizer: None,
        };
        let user = |authid: &str| UserConfig {
            authid: authid.to_owned(),
            role: "user".to_owned(),
            credential: Credential::Cryptosign(Vec::new()),
        };
        let realm = |of_realm, of_user, of_guest| RealmConfig {
            name: "realm1".to_owned(),
            roles: vec![role("user", of_user), role("guest", of_guest)],
            users: vec![user("alice"), user("bob")],
            anonymous: Some("guest".to_owned()),
            quota: quota(of_realm),
            authenticator: None,
            auth_timeout: RealmConfig::AUTH_TIMEOUT,
            auth_cache: RealmConfig::AUTH_CACHE,
        };
        let bytes = |realms: Vec<RealmConfig>| {
            let mut config = nearcast();
            config.realms = realms;
            let bound = |tier| MemoryBound::of(&config, tier);
            assert_eq!(
                bound(Tier::Ndb),
                MemoryBound::of(&nearcast(), Tier::Ndb),
                "of entries alone"
            );
            let sum = |parts: &[Part]| parts.iter().map(|part| part.bytes).sum::<u64>();
            sum(&bound(Tier::Entry).parts) - sum(&MemoryBound::of(&nearcast(), Tier::Entry).parts)
        };
        assert_eq!(bytes(vec![realm(None, None, None)]), 0, "without quotas nothing is remembered");
        assert_eq!(bytes(vec![realm(Some(1_000), None, None)]), 1_000 * 32);
        assert_eq!(bytes(vec![realm(None, Some(10), None)]), 2 * (10 * 32 + KIB));
        let guests = (1 << 16) * (8 * 10 * 32 + KIB);
        assert_eq!(bytes(vec![realm(None, None, Some(10))]), guests);
        let two = vec![realm(None, None, Some(10)), realm(None, None, Some(9))];
        assert_eq!(bytes(two), guests, "all realms together remember so many");
        let mut new_ones = realm(None, None, None);
        new_ones.quota.topics_per_second = Some(1);
        assert_eq!(bytes(vec![new_ones]), (1 << 14) * 32, "new ones are told from others");
    }

    /// Each procedure once, and all sessions where there is somebody to ask about one.
    #[test]
    fn what_waits_for_procedures_that_decide_is_part_of_the_bound() {
        let role = |authorizer: Option<&str>| RoleConfig {
            name: "user".to_owned(),
            permissions: Vec::new(),
            quota: Quota::UNLIMITED,
            authorizer: authorizer.map(str::to_owned),
        };
        let realm = |authorizers: &[Option<&str>], authenticator: Option<&str>| RealmConfig {
            name: "realm1".to_owned(),
            roles: authorizers.iter().map(|authorizer| role(*authorizer)).collect(),
            users: Vec::new(),
            anonymous: None,
            quota: Quota::UNLIMITED,
            authenticator: authenticator.map(str::to_owned),
            auth_timeout: RealmConfig::AUTH_TIMEOUT,
            auth_cache: RealmConfig::AUTH_CACHE,
        };
        let bytes = |realms: Vec<RealmConfig>| {
            let mut config = nearcast();
            config.limits.sessions_max = 1_000;
            let sum = |config: &Config| {
                let parts = MemoryBound::of(config, Tier::Entry).parts;
                parts.iter().map(|part| part.bytes).sum::<u64>()
            };
            let without = sum(&config);
            config.realms = realms;
            sum(&config) - without
        };
        assert_eq!(bytes(vec![realm(&[None], None)]), 0);
        assert_eq!(bytes(vec![realm(&[None], Some("a.login"))]), DECIDER_BYTES);
        let asked = 1_000 * ASKED_SESSION_BYTES;
        let twice = realm(&[Some("a.may"), Some("a.may"), None], None);
        assert_eq!(bytes(vec![twice.clone()]), asked + DECIDER_BYTES, "one procedure");
        assert_eq!(bytes(vec![twice.clone(), twice]), asked + 2 * DECIDER_BYTES, "of each realm");
    }

    /// One has no address and dials, and one that is in no file may.
    #[test]
    fn links_of_all_entries_are_part_of_the_bound_where_some_are_dialled() {
        let mut config = nearcast();
        config.entries = vec![config.entries[0].clone(); 3];
        let queues = |config: &Config| MemoryBound::of(config, Tier::Entry).parts[1].limits.clone();
        assert_eq!(queues(&config), "limits.link-queue-bytes-max × 2 links");
        let address = "e1.example:9061".to_owned();
        config.entries[0].link = Some(EntryLink { address, listen: None });
        assert_eq!(queues(&config), "limits.link-queue-bytes-max × 5 links");
    }

    #[test]
    fn the_text_has_the_sum_and_each_part_with_its_limits() {
        let bound = MemoryBound::of(&nearcast(), Tier::Entry);
        let text = bound.to_string();
        assert!(text.contains(&format!("({} bytes of RssAnon)", bound.bytes())), "{text}");
        for part in &bound.parts {
            assert!(text.contains(&part.limits), "{text}");
        }
        assert_eq!((size(1536), size(64 << 20)), ("1.5 KiB".to_owned(), "64 MiB".to_owned()));
        let absurd = MemoryBound { parts: vec![part("x", "y", usize::MAX, u64::MAX); 2] };
        assert_eq!(absurd.bytes(), u64::MAX);
    }
}
