//! The status page of an ndb node.

use serde_json::{Value, json};
use tokio::time::Instant;

use vixen_core::name::NodeName;
use vixen_core::wire::PeerId;

use super::NdbNode;

/// Pending segments listed at most.
const LISTED_MAX: usize = 100;

impl NdbNode {
    pub(super) fn status(&self) -> Value {
        let frontier = self.reader.frontier();
        let roster = &self.options.roster;
        let marks = frontier.watermarks().iter();
        let watermarks: serde_json::Map<String, Value> =
            marks.map(|(id, w)| (roster.sync(*id).into(), json!(w.0))).collect();
        json!({
            "node": self.options.name,
            "role": "ndb",
            "group": self.options.id.group.0,
            "place": self.options.id.member,
            "store": self.store_id().to_string(),
            "durability": if self.options.fsync { "fsync" } else { "memory" },
            "ready": self.handle.readiness().text(),
            "quorum": {
                "needed": self.feeds_needed(),
                "up": self.feeds_up(),
                "members": self.options.membership.sync().len(),
            },
            "links": self.links_status(),
            "next_position": self.reader.next_position().0,
            "delivered": frontier.delivered().0,
            "sigma": frontier.sigma().0,
            "watermarks": watermarks,
            "elected_waiting": frontier.waiting(),
            "chain": self.replica.chain().to_string(),
            "pending_total": self.replica.pending_count(),
            "pending": self.pending_status(),
            "applied": self.applied.0,
            "order_catch_up": self.catch_up_status(),
            "first_position": self.store.base().next.0,
            "standing": self.standing.name(),
            "days": self.days_status(),
            "retention": self.retention_status(),
            "disk": {
                "free_bytes": self.room.free(),
                "reserve_bytes": self.room.reserve(),
                "is_full": self.room.is_low(),
                "stalled_ms": self.disk_wait.stalled_for(Instant::now()).map(|owed| owed.as_millis()),
            },
            "catch_up": self.bytes_status(),
            "audit": self.audit_status(),
            "scrub": self.scrub_status(),
            "missing_segments": self.fetching.len(),
            "segments_nowhere": self.redundancy().nowhere_status(),
            "awaited_segments": self.awaited.len(),
            "incoming_bytes": self.replica.incoming_bytes(),
            "writing_bytes": self.writing_bytes,
            "unwritten_rows": self.unwritten.rows(),
            "tail_cache_bytes": self.log.bytes(),
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
        let waiting = self.reader.waiting_feeds();
        if waiting.is_empty() {
            return Value::Null;
        }
        let feeds: serde_json::Map<String, Value> =
            waiting.iter().map(|(feed, to)| (roster.sync(*feed).into(), json!(to.0))).collect();
        json!({
            "feeds_wait_for": feeds,
            "asked": self.reader.asked().map(|peer| roster.ndb(peer)),
        })
    }

    /// The days of the store, oldest first.
    fn days_status(&self) -> Vec<Value> {
        let line = |(day, bytes): (vixen_core::time::UtcDay, u64)| json!({ "day": day.to_string(), "bytes": bytes });
        self.store.day_bytes().into_iter().map(line).collect()
    }

    /// Placed segments whose bytes are still to come, and how fast they do.
    fn bytes_status(&self) -> Value {
        let report = self.progress.report();
        json!({
            "segments_to_go": report.segments,
            "bytes_to_go": report.bytes,
            "segments_per_second": report.per_second,
            "seconds_to_go": report.seconds_to_go,
            "order_rows_in_repair": self.care.repairs(),
            "mending_writes": self.mending + self.unwritten.mending(),
        })
    }

    /// The comparisons of this node's order with those of the others.
    fn audit_status(&self) -> Value {
        let peers: serde_json::Map<String, Value> = self
            .audit
            .peers()
            .iter()
            .map(|(peer, compared)| {
                let differs_at = compared.differs_at.map(|at| at.0);
                let line = json!({ "agreed_to": compared.agreed_to.0, "differs_at": differs_at });
                (self.options.roster.ndb(*peer).into(), line)
            })
            .collect();
        json!({
            "alarm": self.audit.differing().next().is_some(),
            "distrusted_from": self.audit.distrusted_from().map(|position| position.0),
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
            let waits_for = if self.expired.contains_key(&meta.id) {
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
        let missing = self.replica.missing().values().map(|lost| {
            let meta = lost.meta;
            json!({
                "segment": meta.id.to_string(),
                "messages": meta.count,
                "bytes": meta.bytes,
                "waits_for": "its bytes, from the entry or a peer of the group",
            })
        });
        self.replica.pending().map(line).chain(missing).take(LISTED_MAX).collect()
    }

    fn tails_status(&self) -> Vec<Value> {
        let head = self.log.head().0;
        let line = |(link, tail): (&_, &crate::tail::TailHandle)| {
            let peer = self.links.get(*link).map(|linked| &linked.name);
            let cursor = tail.cursor();
            json!({
                "link": format!("{link}"),
                "reader": peer,
                "next_position": cursor.0,
                "lag": head.0.saturating_sub(cursor.0),
            })
        };
        self.tails.iter().map(line).collect()
    }
}
