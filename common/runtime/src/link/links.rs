//! The links of a node: whom they lead to, and who is silent.
//!
//! What every tier does alike is done here: beats go out, silence is noticed, told in the log and in
//! `vixen_link_up`, and ended; what it means for the tier is for its node.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use metrics::{counter, describe_counter, describe_gauge, gauge};

use vixen_core::id::GroupId;
use vixen_core::name::NodeName;
use vixen_core::roster::Roster;
use vixen_core::wire::{Message, NodeMessage, Nowhere, PeerId};
use vixen_core::words::Absence;

use super::liveness::{Due, Liveness};
use super::{LinkId, Linked};

/// A loop that comes so late to its beat has been paused, or its disk or machine is slow.
const STALL: Duration = Duration::from_millis(200);
/// Longer stalls are worth a line of the log.
const STALL_SAID: Duration = Duration::from_secs(1);

/// What the silence of a peer means to its node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is silent: count it as absent.
    Silent,
    /// It is heard again.
    Back,
}

/// See the module doc.
#[derive(Debug)]
pub struct Links {
    name: NodeName,
    roster: Roster,
    all: BTreeMap<LinkId, Linked>,
    liveness: Liveness,
    /// Since when nodes without a link are silent: their links were closed for it.
    silent: BTreeMap<NodeName, Instant>,
    /// Why nodes without a link have none, where somebody answers there.
    refused: BTreeMap<NodeName, Arc<str>>,
    /// Why peers cannot do their part, as they say themselves.
    unable: BTreeMap<LinkId, &'static str>,
    /// What is at no node of the group of an ndb node, as it says itself.
    nowhere: BTreeMap<LinkId, Nowhere>,
}

impl Links {
    /// No links yet, at the node `name`.
    #[must_use]
    pub fn new(name: NodeName, roster: Roster, now: Instant) -> Self {
        describe_gauge!(
            "vixen_link_up",
            "1 while the sync or ndb node `peer` is linked to this node and heard, else 0"
        );
        describe_counter!("vixen_link_messages_sent_total", "Messages sent to nodes of a tier");
        describe_counter!(
            "vixen_link_frames_sent_total",
            "Frames sent to nodes of a tier, each of one message or several"
        );
        describe_counter!(
            "vixen_link_writes_total",
            "Times that frames which waited for a link were written to it"
        );
        describe_counter!("vixen_common_silences_total", "Times a linked node fell silent");
        let links = Self {
            name,
            roster,
            all: BTreeMap::new(),
            liveness: Liveness::new(now),
            silent: BTreeMap::new(),
            refused: BTreeMap::new(),
            unable: BTreeMap::new(),
            nowhere: BTreeMap::new(),
        };
        let peers: Vec<_> = links.roster.names().cloned().collect();
        peers.iter().for_each(|peer| links.tell_gauge(peer));
        links
    }

    /// A link came up.
    pub fn up(&mut self, link: LinkId, linked: Linked, now: Instant) {
        let name = linked.name.clone();
        self.all.insert(link, linked);
        self.liveness.up(link, now);
        self.refused.remove(&name);
        if let Some(since) = self.silent.remove(&name) {
            say_back(&name, now, since);
        }
        self.tell_gauge(&name);
    }

    /// A node cannot be dialled; why, where somebody answers there.
    pub fn failed(&mut self, name: NodeName, refusal: Option<String>) {
        match refusal {
            Some(why) => self.refused.insert(name, why.into()),
            None => self.refused.remove(&name),
        };
    }

    /// A link is gone.
    pub fn down(&mut self, link: LinkId) {
        let was_closing = self.liveness.is_closing(link);
        self.liveness.down(link);
        self.unable.remove(&link);
        self.nowhere.remove(&link);
        let Some(gone) = self.all.remove(&link) else { return };
        if !was_closing {
            // Its system has spoken for it: it is down now, and no more silent.
            self.silent.remove(&gone.name);
        }
        self.tell_gauge(&gone.name);
        // Others may have to do without it from now on.
        self.flush();
    }

    /// The peer of a link says why it cannot do its part, or that it can (`None`).
    pub fn set_unable(&mut self, link: LinkId, why: Option<&'static str>) {
        match why.filter(|_| self.all.contains_key(&link)) {
            Some(why) => self.unable.insert(link, why),
            None => self.unable.remove(&link),
        };
    }

    /// The ndb node of a link says what is at no node of its group.
    pub fn set_nowhere(&mut self, link: LinkId, nowhere: Nowhere) {
        if nowhere.segments > 0 && self.all.contains_key(&link) {
            self.nowhere.insert(link, nowhere);
        } else {
            self.nowhere.remove(&link);
        }
    }

    /// What is at no node of its group, as those say that are linked.
    #[must_use]
    pub fn nowhere(&self) -> BTreeMap<GroupId, Nowhere> {
        let mut all = BTreeMap::<_, Nowhere>::new();
        for (link, nowhere) in &self.nowhere {
            if let Some(PeerId::Ndb { id, .. }) = self.get(*link).map(|linked| linked.peer) {
                let group = all.entry(id.group).or_default();
                *group = group.or(*nowhere);
            }
        }
        all
    }

    /// Something came on a link; the change, if its peer was silent.
    pub fn heard(&mut self, link: LinkId, now: Instant) -> Option<Change> {
        let since = self.liveness.heard(link, now)?;
        let name = self.all.get(&link)?.name.clone();
        self.silent.remove(&name);
        say_back(&name, now, since);
        self.tell_gauge(&name);
        Some(Change::Back)
    }

    /// How late this turn of the node's loop is, where that is a stall: say it, and count it. Whoever
    /// was not listened to is not called silent for it. Call it first in each turn.
    pub fn stalled(&mut self, now: Instant) -> Option<Duration> {
        let late = self.liveness.late(now);
        if late < STALL {
            return None;
        }
        self.liveness.forgive(now);
        if late >= STALL_SAID {
            tracing::warn!(
                stalled_s = format!("{:.1}", late.as_secs_f64()),
                "this node was stalled: it was paused, or its machine or disk is slow"
            );
        }
        Some(late)
    }

    /// This node does not listen at present: nobody is called silent for that.
    pub fn forgive(&mut self, now: Instant) {
        self.liveness.forgive(now);
    }

    /// When to call [`take_due`](Self::take_due).
    #[must_use]
    pub const fn due_at(&self) -> Instant {
        self.liveness.due_at()
    }

    /// Beats, and notices silence: the links whose peers fell silent.
    pub fn take_due(&mut self, now: Instant) -> Vec<LinkId> {
        let mut silent = Vec::new();
        for due in self.liveness.take_due(now, |link| sent_at(&self.all, link)) {
            match due {
                Due::Beat { link } => {
                    let Some(linked) = self.all.get(&link) else { continue };
                    let _down_follows = linked.sender.send(Message::Node(NodeMessage::Heartbeat));
                }
                Due::Silent { link, since } => {
                    let Some(linked) = self.all.get(&link) else { continue };
                    counter!("vixen_common_silences_total").increment(1);
                    let silent_ms = millis(now, since);
                    tracing::warn!(
                        peer = %linked.name, silent_ms,
                        "peer is silent: it counts as absent until it is heard again"
                    );
                    let name = linked.name.clone();
                    if !matches!(linked.peer, PeerId::Entry { .. }) {
                        self.silent.insert(name.clone(), since);
                    }
                    self.tell_gauge(&name);
                    silent.push(link);
                }
                Due::Close { link, since } => {
                    let Some(linked) = self.all.get(&link) else { continue };
                    let seconds = now.saturating_duration_since(since).as_secs();
                    linked.sender.close(&format!("silent for {seconds} s"));
                }
            }
        }
        if !silent.is_empty() {
            self.flush();
        }
        silent
    }

    /// What waits on any link for company goes now: somebody may wait for it from now on.
    pub fn flush(&self) {
        self.all.values().for_each(|linked| linked.sender.flush());
    }

    /// A link that is up.
    #[must_use]
    pub fn get(&self, link: LinkId) -> Option<&Linked> {
        self.all.get(&link)
    }

    /// All links that are up, with their ids.
    pub fn iter(&self) -> impl Iterator<Item = (LinkId, &Linked)> {
        self.all.iter().map(|(link, linked)| (*link, linked))
    }

    /// All links that are up.
    pub fn values(&self) -> impl Iterator<Item = &Linked> {
        self.all.values()
    }

    /// All links that are up and heard.
    pub fn heard_values(&self) -> impl Iterator<Item = &Linked> {
        let heard = self.all.iter().filter(|(link, _)| !self.liveness.is_silent(**link));
        heard.map(|(_, linked)| linked)
    }

    /// Whether the peer of a link is silent.
    #[must_use]
    pub fn is_silent(&self, link: LinkId) -> bool {
        self.liveness.is_silent(link)
    }

    /// How a node is missed; `None` while it is linked, heard and able, and for this node itself.
    #[must_use]
    pub fn absence(&self, name: &NodeName) -> Option<Absence> {
        let unable = || {
            let mut all = self.unable.iter();
            all.find(|(link, _)| self.get(**link).is_some_and(|linked| linked.name == *name))
        };
        self.gone(name).or_else(|| unable().map(|(_, why)| Absence::Unable(why)))
    }

    /// How a node cannot be reached.
    fn gone(&self, name: &NodeName) -> Option<Absence> {
        if *name == self.name || self.heard_values().any(|linked| linked.name == *name) {
            return None;
        }
        if let Some(why) = self.refused.get(name) {
            return Some(Absence::Refused { why: Arc::clone(why) });
        }
        let since = self.silent.get(name).copied();
        Some(since.map_or(Absence::Down, |since| Absence::Silent { since }))
    }

    fn tell_gauge(&self, name: &NodeName) {
        let is_listed = *name != self.name && self.roster.has(name);
        // Entries come under any names.
        if is_listed {
            let is_up = self.gone(name).is_none();
            gauge!("vixen_link_up", "peer" => String::from(name.clone())).set(if is_up {
                1.0
            } else {
                0.0
            });
        }
    }
}

fn sent_at(all: &BTreeMap<LinkId, Linked>, link: LinkId) -> Option<Instant> {
    all.get(&link).map(|linked| linked.sender.sent_at())
}

fn say_back(name: &NodeName, now: Instant, since: Instant) {
    tracing::info!(peer = %name, silent_ms = millis(now, since), "peer is heard again");
}

fn millis(now: Instant, since: Instant) -> u64 {
    u64::try_from(now.saturating_duration_since(since).as_millis()).unwrap_or(u64::MAX)
}
