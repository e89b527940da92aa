//! Other entries, as this one is linked with them (`docs/design/027-calls.md`). The dealer has no part in it yet: entries
//! say how they stand, and refuse what they are asked to call.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::sync::watch;

use vixen_core::id::{OwnerId, Position};
use vixen_core::name::NodeName;
use vixen_core::wire::{CallMessage, InvokeRefusal, Message, NodeMessage};
use vixen_core::words::Absence;
use vixen_runtime::link::{Dialling, Haste, LinkId, LinkSender};

use super::super::run::EntryNode;
use super::links::{EntryLinks, NewLink};

/// Number of the life that a process begins with.
const FIRST_LIFE: u32 = 1;

/// The entries that are linked, and those that are dialled.
#[derive(Debug)]
pub(in crate::node) struct Entries {
    links: EntryLinks,
    /// How other entries stand, as they say themselves.
    standings: BTreeMap<OwnerId, Standing>,
}

/// What an entry says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Standing {
    life: u32,
    is_ready: bool,
    is_draining: bool,
    applied_below: Position,
}

impl Entries {
    /// Of the entry `own`, which is linked to nobody yet.
    pub(in crate::node) const fn new(own: OwnerId) -> Self {
        Self { links: EntryLinks::new(own), standings: BTreeMap::new() }
    }

    /// What this entry says of itself.
    const fn standing() -> CallMessage {
        CallMessage::CallStanding {
            life: FIRST_LIFE,
            is_ready: false,
            is_draining: false,
            applied_below: Position(0),
        }
    }
}

impl EntryNode {
    /// What the dialler of the entry `name` is to do, from now on.
    pub(crate) fn expect_entry(&mut self, name: NodeName) -> watch::Receiver<Dialling> {
        self.entries.links.expect(name)
    }

    pub(in crate::node) fn on_entry_up(
        &mut self,
        owner: OwnerId,
        link: LinkId,
        sender: LinkSender,
        is_dialled: bool,
    ) {
        let Some(name) = self.links.get(link).map(|linked| linked.name.clone()) else { return };
        if self.entries.links.up(owner, NewLink { link, name, sender, is_dialled }) {
            // Of the link before, whose end is not told apart from this one's.
            self.entries.standings.remove(&owner);
            self.entries.links.send(owner, [(Entries::standing().into(), Haste::Now)]);
        }
        self.tell_entries_linked();
    }

    pub(in crate::node) fn on_entry_down(&mut self, owner: OwnerId, link: LinkId, reason: String) {
        if self.entries.links.down(owner, link, reason) {
            self.entries.standings.remove(&owner);
        }
        self.tell_entries_linked();
    }

    pub(in crate::node) fn on_entry_silence(
        &mut self,
        owner: OwnerId,
        link: LinkId,
        is_silent: bool,
    ) {
        self.entries.links.fall_silent(owner, link, is_silent);
        self.tell_entries_linked();
    }

    pub(in crate::node) fn on_entry(
        &mut self,
        owner: OwnerId,
        link: LinkId,
        messages: Vec<Message>,
    ) {
        // Of a link that another one has replaced.
        if !self.entries.links.is_current(owner, link) {
            return;
        }
        for message in messages {
            match message {
                Message::Call(message) => self.on_call(owner, message),
                // It has said so by coming.
                Message::Node(NodeMessage::Heartbeat) => {}
                other => {
                    let name = self.links.get(link).map(|linked| linked.name.clone());
                    name.iter().for_each(|name| self.on_stranger(name, &other));
                }
            }
        }
    }

    fn on_call(&mut self, from: OwnerId, message: CallMessage) {
        match message {
            CallMessage::CallStanding { life, is_ready, is_draining, applied_below } => {
                let standing = Standing { life, is_ready, is_draining, applied_below };
                self.entries.standings.insert(from, standing);
            }
            CallMessage::Invoke { number, .. } => {
                let refused = CallMessage::RefuseInvoke { number, reason: InvokeRefusal::NotReady };
                self.entries.links.send(from, [(refused.into(), Haste::Now)]);
            }
            // Of calls that are over, or never were.
            CallMessage::InvokeMore { .. }
            | CallMessage::RefuseInvoke { .. }
            | CallMessage::Answer { .. }
            | CallMessage::CancelInvoke { .. } => {}
        }
    }

    fn tell_entries_linked(&self) {
        self.metrics.entries_linked(self.entries.links.heard());
    }
    /// The entries that are linked, and those that are dialled.
    pub(in crate::node) fn entries_status(&self) -> Vec<Value> {
        let links = &self.entries.links;
        let linked = links.iter().map(|(owner, entry)| {
            let standing = self.entries.standings.get(&owner);
            json!({
                "peer": entry.name,
                "owner": owner.to_string(),
                "up": true,
                "silent": entry.is_silent,
                "dialled": entry.is_dialled,
                "waiting_bytes": entry.waiting_bytes(),
                "standing": standing.map(|standing| json!({
                    "life": standing.life,
                    "ready": standing.is_ready,
                    "draining": standing.is_draining,
                    "applied_below": standing.applied_below.0,
                })),
                "last_down": links.last_down(&entry.name),
            })
        });
        let missed = links.missed().map(|(name, last_down)| {
            let refused = match self.links.absence(name) {
                Some(Absence::Refused { why }) => Some(why.to_string()),
                Some(_) | None => None,
            };
            json!({ "peer": name, "up": false, "refused": refused, "last_down": last_down })
        });
        linked.chain(missed).collect()
    }
}
