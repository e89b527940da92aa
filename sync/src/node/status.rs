//! The status page of a sync node.

use tokio::time::Instant;

use vixen_core::id::OwnerId;
use vixen_core::name::NodeName;
use vixen_core::wire::PeerId;
use vixen_runtime::clock::wall_time;
use vixen_runtime::link::LinkId;

use super::SyncNode;
use vixen_vote::{FeedReport, PendingReport, VoteReport};

impl SyncNode {
    pub(super) fn status(&self) -> serde_json::Value {
        let roster = &self.options.roster;
        let redundancy = self.redundancy();
        let now = wall_time();
        let report = self.orderer.report(now);
        let (order_ahead_ms, clock_ahead_ms) = self.leads_ms(now);
        let pending: Vec<_> =
            report.pending.iter().map(|pending| self.pending_line(pending)).collect();
        let homes: Vec<_> = report
            .homes
            .iter()
            .map(|(owner, home)| {
                serde_json::json!({
                    "owner": owner.to_string(),
                    "entry": self.entry_name(*owner),
                    "home": roster.sync(*home),
                })
            })
            .collect();
        let applied: Vec<_> = self
            .retention
            .nodes()
            .iter()
            .map(|(id, stamp)| serde_json::json!({"ndb": roster.ndb(*id), "stamp": stamp.0}))
            .collect();
        serde_json::json!({
            "node": self.options.name,
            "role": "sync",
            "lane": self.options.id.0,
            "store": self.store_id().to_string(),
            "durability": if self.options.fsync { "fsync" } else { "memory" },
            "ready": self.handle.readiness().text(),
            "quorum": {
                "needed": redundancy.sync.needed,
                "up": redundancy.sync.up(),
                "members": redundancy.sync.members,
            },
            "links": self.links_report(&report),
            "joined": self.peers.has_joined(),
            "aside": self.health.is_aside(),
            "commits": self.store.commits(),
            "hedge_ms": report.hedge_ms,
            "clock": report.clock.0,
            "newest_elected": report.newest_elected.0,
            "clocks": self.clock_line(),
            "order_ahead_ms": order_ahead_ms,
            "clock_ahead_ms": clock_ahead_ms,
            "watermark": report.watermark.map(|stamp| stamp.0),
            "unsettled_since_restart": report.unsettled,
            "owners": report.owners,
            "homes": homes,
            "pending_total": report.pending_total,
            "pending": pending,
            "trimmed_to": self.trimmed_to().0,
            "applied": applied,
            "feeds": self.feeds_report(),
            "segments_nowhere": redundancy.nowhere_status(),
            "disk": self.room.report(),
            "unwritten_rows": self.commits.rows(),
        })
    }
}

impl SyncNode {
    /// Of each peer: whether it is there, and what is known of it.
    fn links_report(&self, report: &VoteReport) -> Vec<serde_json::Value> {
        let roster = &self.options.roster;
        self.options
            .membership
            .sync_peers(self.options.id)
            .map(|id| {
                let link = self.peers.link(id);
                let linked = link.and_then(|link| self.links.get(link));
                serde_json::json!({
                    "peer": roster.sync(id),
                    "up": link.is_some(),
                    "silent": link.is_some_and(|link| self.links.is_silent(link)),
                    "taken": self.peers.has_taken(id),
                    "suspected": report.suspected.contains(&id),
                    "commits": self.commits.standing(id).map(|standing| standing.commits),
                    "store": self.peers.store(id).map(|store| store.to_string()),
                    "waiting_bytes": linked.map(|linked| linked.sender.waiting_bytes()),
                    "last_down": self.last_down.get(&id),
                })
            })
            .collect()
    }

    fn pending_line(&self, pending: &PendingReport) -> serde_json::Value {
        let roster = &self.options.roster;
        let from: Vec<_> = pending.waits_for.nodes().iter().map(|id| roster.sync(*id)).collect();
        serde_json::json!({
            "segment": pending.segment.to_string(),
            "entry": self.entry_name(pending.segment.owner),
            "draft": pending.draft.map(|draft| draft.0),
            "promised": pending.promised.0,
            "coordinator": roster.sync(pending.coordinator),
            "age_ms": pending.age_ms.max(self.retries.age_ms(pending.segment, Instant::now().into_std())),
            "waits_for": pending.waits_for.text(roster),
            "waits_for_kind": pending.waits_for.kind(),
            "waits_for_nodes": from,
        })
    }

    fn feeds_report(&self) -> Vec<serde_json::Value> {
        let line = |feed: FeedReport<LinkId>| {
            let linked = self.links.get(feed.link);
            serde_json::json!({
                "link": feed.link.to_string(),
                "reader": linked.map(|linked| &linked.name),
                "reading_from_store": feed.is_reading,
                "told_watermark": feed.told.0,
                "waiting_bytes": linked.map(|linked| linked.sender.waiting_bytes()),
            })
        };
        self.feeds.report().map(line).collect()
    }

    /// What the entry of an owner is called, while it is linked.
    fn entry_name(&self, wanted: OwnerId) -> Option<&NodeName> {
        let is_wanted = |peer| matches!(peer, PeerId::Entry { owner } if wanted.is_of_entry(owner));
        self.links.values().find(|linked| is_wanted(linked.peer)).map(|linked| &linked.name)
    }
}
