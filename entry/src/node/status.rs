//! The status page of an entry.

use serde_json::{Value, json};

use vixen_broker::segmenter::Unresolved;
use vixen_core::id::GroupId;
use vixen_core::name::NodeName;
use vixen_core::time::WallTime;

use super::peers::Peers;
use super::quorum::standing_name;
use super::run::EntryNode;

/// Most unresolved segments listed; all are counted.
const SEGMENTS_LISTED_MAX: usize = 100;

impl EntryNode {
    pub(super) fn status(&self, now: WallTime) -> Value {
        let quorum = self.quorum();
        let roster = &self.options.roster;
        let mut links = links_of(&self.sync, |id| roster.sync(id));
        links.extend(links_of(&self.ndb, |id| roster.ndb(id)));
        let groups = (0..).zip(&quorum.groups).map(|(id, group): (u16, _)| {
            let linked = group.linked.iter();
            let standings: serde_json::Map<_, _> = linked
                .map(|(ndb, standing)| (roster.ndb(*ndb).into(), json!(standing_name(*standing))))
                .collect();
            json!({
                "group": id,
                "up": group.up(),
                "willing": group.willing(),
                "stalled": self.segmenter.is_stalled(GroupId(id)),
                "needed": quorum.write_quorum,
                "standings": standings,
            })
        });
        let unresolved = self.segmenter.unresolved_segments().take(SEGMENTS_LISTED_MAX);
        json!({
            "node": self.options.name,
            "role": "entry",
            "owner": self.segmenter.owner().to_string(),
            "durability": self.options.durability.to_string(),
            "ready": self.handle.readiness().text(),
            "quorum": {
                "sync": { "up": quorum.sync_up, "needed": quorum.sync_needed },
                "ndb": groups.collect::<Vec<_>>(),
            },
            "links": links,
            "entries": self.entries_status(),
            "segments_nowhere": self.redundancy().nowhere_status(),
            "positions": self.positions(),
            "order_catch_up": self.catch_up(),
            "tails": self.tails(),
            "delivery": self.merge(),
            "sessions": self.sessions.len(),
            "subscriptions": self.delivery.subscriptions(),
            "calls": self.calls.status(tokio::time::Instant::now().into_std()),
            "registrations": self.calls.registrations(),
            "view": self.calls.view_status(),
            "lives": self.calls.lives(),
            "unacknowledged_bytes": self.segmenter.unacknowledged_bytes(),
            "unresolved_total": self.segmenter.unresolved(),
            "unresolved": unresolved.map(|segment| self.segment(now, &segment)).collect::<Vec<_>>(),
        })
    }

    fn positions(&self) -> Value {
        let Some(reader) = &self.reader else { return Value::Null };
        let (frontier, roster) = (reader.frontier(), &self.options.roster);
        let marks = frontier.watermarks();
        let watermarks: serde_json::Map<_, _> =
            marks.map(|(id, marks)| (roster.sync(id).into(), json!(marks.floor.0))).collect();
        json!({
            "next": reader.next_position().0,
            "delivered": frontier.delivered().0,
            "sigma": frontier.sigma().0,
            "elected_not_placed": frontier.waiting(),
            "watermarks": watermarks,
        })
    }

    /// Which feeds wait for which stamp, and whose rows of the order are waited for.
    fn catch_up(&self) -> Value {
        let Some(reader) = &self.reader else { return Value::Null };
        let (waiting, roster) = (reader.waiting_feeds(), &self.options.roster);
        if waiting.is_empty() {
            return Value::Null;
        }
        let feeds: serde_json::Map<_, _> =
            waiting.iter().map(|(feed, to)| (roster.sync(*feed).into(), json!(to.0))).collect();
        json!({
            "feeds_wait_for": feeds,
            "asked": reader.asked().map(|ndb| roster.ndb(ndb)),
        })
    }

    fn tails(&self) -> Vec<Value> {
        let head = self.reader.as_ref().map(|reader| reader.next_position().0);
        let tails = self.delivery.tails().map(|tail| {
            let next = tail.next.map(|next| next.0);
            json!({
                "group": tail.group.0,
                "node": tail.at.map(|at| self.options.roster.ndb(at)),
                "next": next,
                "lag": head.zip(next).map(|(head, next)| head.saturating_sub(next)),
            })
        });
        tails.collect()
    }

    /// How far subscribers are, and what they wait for.
    fn merge(&self) -> Value {
        // Without subscribers nothing is delivered, and so nothing is behind.
        let has_subscribers = self.delivery.subscriptions() > 0;
        let next = self.delivery.passed().filter(|_| has_subscribers);
        let waits_for = self.delivery.waits_for().filter(|_| has_subscribers);
        json!({
            "next": next.map(|next| next.0),
            "segments_waiting": self.delivery.waiting(),
            "waits_for_group": waits_for.map(|(group, _)| group.0),
        })
    }

    fn segment(&self, now: WallTime, segment: &Unresolved) -> Value {
        let needed = self.options.membership.write_quorum();
        let waits_for = if segment.trims.len() < needed {
            let have = self.options.roster.ndb_list(&segment.trims);
            let have = if have.is_empty() { "none" } else { &have };
            format!("{needed} trims of group {}: have {have}", segment.group)
        } else {
            "vote".to_owned()
        };
        json!({
            "segment": segment.meta.id.to_string(),
            "group": segment.group.0,
            "own_group": segment.meta.map.group_of(segment.meta.shard).0,
            "messages": segment.meta.count,
            "bytes": segment.meta.bytes,
            "age_ms": now.millis_since(segment.opened_at),
            "waits_for": waits_for,
        })
    }
}

fn links_of<K: Ord + Copy>(peers: &Peers<K>, name_of: impl Fn(K) -> NodeName) -> Vec<Value> {
    let each = peers.iter().map(|(id, peer)| {
        json!({
            "peer": name_of(*id),
            "up": peer.is_up(),
            "silent": peer.is_silent,
            "waiting_bytes": peer.waiting_bytes(),
            "last_down": peer.last_down,
        })
    });
    each.collect()
}
