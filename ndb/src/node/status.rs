//! The status page of an ndb node.

use serde_json::{Value, json};

use vixen_core::id::{NdbId, Position};
use vixen_core::name::NodeName;
use vixen_core::wire::{PeerId, Retained};

use super::NdbNode;

/// Pending segments listed at most.
const LISTED_MAX: usize = 100;

impl NdbNode {
    pub(super) fn status(&self) -> Value {
        let core = &self.core;
        let (reader, replica, room) = (core.reader(), core.replica(), core.room());
        let frontier = reader.frontier();
        let roster = &self.options.roster;
        let marks = frontier.watermarks();
        let watermarks: serde_json::Map<String, Value> =
            marks.map(|(id, marks)| (roster.sync(id).into(), json!(marks.floor.0))).collect();
        json!({
            "node": self.options.name,
            "role": "ndb",
            "group": self.options.id.group.0,
            "place": self.options.id.member,
            "store": self.store_id().to_string(),
            "durability": if self.options.fsync { "fsync" } else { "memory" },
            "ready": self.handle.readiness().text(),
            "quorum": {
                "needed": self.options.membership.quorum(),
                "up": core.feeds_up(),
                "members": self.options.membership.sync().len(),
            },
            "links": self.links_status(),
            "next_position": reader.next_position().0,
            "delivered": frontier.delivered().0,
            "sigma": frontier.sigma().0,
            "watermarks": watermarks,
            "elected_waiting": frontier.waiting(),
            "chain": replica.chain().to_string(),
            "pending_total": replica.pending_count(),
            "pending": self.pending_status(),
            "applied": core.applied().0,
            "order_catch_up": self.catch_up_status(),
            "first_position": self.store.base().next.0,
            "standing": core.standing().name(),
            "days": self.days_status(),
            "retention": self.retention_status(),
            "disk": {
                "free_bytes": room.free,
                "reserve_bytes": room.reserve,
                "is_full": room.is_low,
                "stalled_ms": core.disk_stalled_since().map(|since| since.elapsed().as_millis()),
            },
            "catch_up": self.bytes_status(),
            "audit": self.audit_status(),
            "scrub": self.scrub_status(),
            "missing_segments": core.wanted(),
            "segments_nowhere": self.redundancy().nowhere_status(),
            "awaited_segments": core.awaited(),
            "incoming_bytes": replica.incoming_bytes(),
            "writing_bytes": core.writing_bytes(),
            "unwritten_rows": core.waiting_rows(),
            "tail_cache_bytes": self.tails.log().bytes(),
            "tails": self.tails_status(),
        })
    }

    /// All links that are up, and the nodes that should have one and have none.
    fn links_status(&self) -> Vec<Value> {
        let roster = &self.options.roster;
        let up = self.links.iter().map(|(link, linked)| {
            let owner = match linked.peer {
                PeerId::Entry { owner } => Some(owner.to_string()),
                PeerId::Sync { .. } | PeerId::Ndb { .. } => None,
            };
            json!({
                "peer": linked.name,
                "owner": owner,
                "up": true,
                "silent": self.links.is_silent(link),
                "waiting_bytes": linked.sender.waiting_bytes(),
                "last_down": self.last_down.get(&linked.name),
            })
        });
        let is_up = |name: &NodeName| self.links.values().any(|linked| linked.name == *name);
        let own = self.options.id;
        let membership = &self.options.membership;
        let peers = membership.group(own.group).iter().filter(|ndb| **ndb != own);
        let peers = peers.map(|ndb| roster.ndb(*ndb));
        let wanted = membership.sync().iter().map(|id| roster.sync(*id)).chain(peers);
        let down = wanted.filter(|name| !is_up(name)).map(
            |name| json!({ "peer": name, "up": false, "last_down": self.last_down.get(&name) }),
        );
        up.chain(down).collect()
    }

    /// Which feeds wait for which stamp, and whose rows of the order are waited for.
    fn catch_up_status(&self) -> Value {
        let roster = &self.options.roster;
        let waiting = self.core.reader().waiting_feeds();
        if waiting.is_empty() {
            return Value::Null;
        }
        let feeds: serde_json::Map<String, Value> =
            waiting.iter().map(|(feed, to)| (roster.sync(*feed).into(), json!(to.0))).collect();
        json!({
            "feeds_wait_for": feeds,
            "asked": self.core.reader().asked().map(|peer| roster.ndb(peer)),
        })
    }

    /// The days of the store, oldest first.
    fn days_status(&self) -> Vec<Value> {
        let line = |(day, bytes): (vixen_core::time::UtcDay, u64)| json!({ "day": day.to_string(), "bytes": bytes });
        self.store.day_bytes().into_iter().map(line).collect()
    }

    /// Placed segments whose bytes are still to come, and how fast they do.
    fn bytes_status(&self) -> Value {
        let report = self.core.catch_up();
        json!({
            "segments_to_go": report.segments,
            "bytes_to_go": report.bytes,
            "segments_per_second": report.per_second,
            "seconds_to_go": report.seconds_to_go,
            "order_rows_in_repair": self.core.repairs(),
            "mending_writes": self.core.mending(),
        })
    }

    /// The comparisons of this node's order with those of the others.
    fn audit_status(&self) -> Value {
        let peers: serde_json::Map<String, Value> = self
            .core
            .compared()
            .iter()
            .map(|(peer, compared)| {
                let differs_at = compared.differs_at.map(|at| at.0);
                let line = json!({ "agreed_to": compared.agreed_to.0, "differs_at": differs_at });
                (self.options.roster.ndb(*peer).into(), line)
            })
            .collect();
        json!({
            "alarm": self.core.compared().values().any(|compared| compared.differs_at.is_some()),
            "distrusted_from": self.core.distrusted_from().map(|position| position.0),
            "peers": peers,
        })
    }

    fn scrub_status(&self) -> Value {
        let progress = *self.scrub.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        json!({
            "passes": progress.passes,
            "position": progress.position.0,
            "segments": progress.segments,
            "bytes": progress.bytes,
            "findings": progress.findings,
        })
    }

    fn pending_status(&self) -> Vec<Value> {
        let line = |(meta, is_durable): (vixen_core::segment::SegmentMeta, bool)| {
            let waits_for = if self.core.is_expiring(meta.id) {
                "a majority of sync nodes to say that its entry was away for too long"
            } else if is_durable {
                "its place: the vote, or a watermark of a majority of feeds"
            } else {
                "the group commit"
            };
            json!({
                "segment": meta.id.to_string(),
                "messages": meta.count,
                "bytes": meta.bytes,
                "waits_for": waits_for,
            })
        };
        let missing = self.core.replica().missing().values().map(|lost| {
            let meta = lost.meta;
            json!({
                "segment": meta.id.to_string(),
                "messages": meta.count,
                "bytes": meta.bytes,
                "waits_for": "its bytes, from the entry or a peer of the group",
            })
        });
        self.core.replica().pending().map(line).chain(missing).take(LISTED_MAX).collect()
    }

    /// What the group keeps, and why.
    fn retention_status(&self) -> Value {
        let state = self.core.retention();
        let line = |(peer, retained): (&NdbId, &Retained)| {
            let (first, keep_from) = (retained.first.0, retained.keep_from.to_string());
            let line = json!({ "first_position": first, "keep_from": keep_from });
            (self.options.roster.ndb(*peer).into(), line)
        };
        let peers: serde_json::Map<_, _> = state.peers.iter().map(line).collect();
        json!({
            "keep_from": state.keep_from.to_string(),
            "agreed": state.agreed.to_string(),
            "needed": state.needed,
            "peers": peers,
        })
    }

    fn tails_status(&self) -> Vec<Value> {
        let head = self.tails.log().head().0.0;
        let line = |(link, cursor): (_, Position)| {
            let peer = self.links.get(link).map(|linked| &linked.name);
            json!({
                "link": format!("{link}"),
                "reader": peer,
                "next_position": cursor.0,
                "lag": head.saturating_sub(cursor.0),
            })
        };
        self.tails.cursors().map(line).collect()
    }
}
