//! Other entries: what links to them bring is the dealer's, and what the dealer says to them goes by their links
//! (`docs/design/027-calls.md`).

use std::collections::BTreeMap;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use vixen_broker::dealer::{self, Link, PeerWord};
use vixen_broker::registrar::{self, EntryLink};
use vixen_core::id::OwnerId;
use vixen_core::name::NodeName;
use vixen_core::wire::{CallMessage, Message, NodeMessage};
use vixen_core::words::Absence;
use vixen_runtime::link::{Dialling, Haste, LinkId, LinkSender};

use super::super::run::EntryNode;
use super::CallEffects;
use super::links::{EntryLinks, NewLink};
use super::standing::{Standing, Told};

/// The entries that are linked, and those that are dialled.
#[derive(Debug)]
pub(in crate::node) struct Entries {
    links: EntryLinks,
    /// How other entries stand, as they say themselves.
    standings: BTreeMap<OwnerId, Standing>,
    /// What they were told of this one.
    told: Told,
}

impl Entries {
    /// Of the entry `own`, which is linked to nobody yet.
    pub(in crate::node) fn new(own: OwnerId) -> Self {
        Self { links: EntryLinks::new(own), standings: BTreeMap::new(), told: Told::default() }
    }

    /// The next moment at which other entries are to be told something without an event.
    pub(in crate::node) const fn due_at(&self) -> Option<Instant> {
        self.told.due_at()
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
        fx: &mut CallEffects,
    ) {
        let Some(name) = self.links.get(link).map(|linked| linked.name.clone()) else { return };
        let new = NewLink { link, name: name.clone(), sender, is_dialled };
        if self.entries.links.up(owner, new)
            && let Some(link) = self.entries.links.present(owner, link)
        {
            // Of the link before, whose end is not told apart from this one's.
            self.entries.standings.remove(&owner);
            let standing = CallMessage::from(self.calls.standing());
            self.entries.links.send(link, [(standing.into(), Haste::Now)]);
            let name = name.as_str().into();
            self.calls.step_dealer(dealer::Input::LinkUp { link, name }, fx);
            self.calls.entry_link(owner, EntryLink::Up, fx);
        }
        self.tell_entries_linked();
    }

    pub(in crate::node) fn on_entry_down(
        &mut self,
        owner: OwnerId,
        link: LinkId,
        reason: String,
        fx: &mut CallEffects,
    ) {
        if let Some(link) = self.entries.links.down(owner, link, reason) {
            self.entries.standings.remove(&owner);
            self.calls.step_dealer(dealer::Input::LinkDown { link }, fx);
            self.calls.entry_link(owner, EntryLink::Down, fx);
        }
        self.tell_entries_linked();
    }

    pub(in crate::node) fn on_entry_silence(
        &mut self,
        owner: OwnerId,
        link: LinkId,
        is_silent: bool,
        fx: &mut CallEffects,
    ) {
        if let Some(link) = self.entries.links.fall_silent(owner, link, is_silent) {
            self.calls.step_dealer(dealer::Input::LinkSilent { link, is_silent }, fx);
            let link = if is_silent { EntryLink::Silent } else { EntryLink::HeardAgain };
            self.calls.entry_link(owner, link, fx);
        }
        self.tell_entries_linked();
    }

    pub(in crate::node) fn on_entry(
        &mut self,
        owner: OwnerId,
        link: LinkId,
        messages: Vec<Message>,
        fx: &mut CallEffects,
    ) {
        // Else of a link that another one has replaced.
        let Some(present) = self.entries.links.present(owner, link) else { return };
        for message in messages {
            match message {
                Message::Call(message) => {
                    if let CallMessage::CallStanding {
                        life,
                        is_ready,
                        is_draining,
                        applied_below,
                    } = message
                    {
                        let standing = Standing { life, is_ready, is_draining, applied_below };
                        self.entries.standings.insert(owner, standing);
                        let input = registrar::Input::Standing { owner, applied_below };
                        self.calls.step_registrar(input, fx);
                    }
                    if let Some(input) = dealer::Input::heard(present, message) {
                        self.calls.step_dealer(input, fx);
                    }
                }
                // It has said so by coming.
                Message::Node(NodeMessage::Heartbeat) => {}
                other => {
                    let name = self.links.get(link).map(|linked| linked.name.clone());
                    name.iter().for_each(|name| self.on_stranger(name, &other));
                }
            }
        }
    }

    /// The dealer is told what waits for links, and which of them take nothing more: before it is asked whether there
    /// is room.
    pub(in crate::node) fn note_waiting(&mut self, fx: &mut CallEffects) {
        for link in self.entries.links.take_ended() {
            self.calls.step_dealer(dealer::Input::LinkDown { link }, fx);
        }
        for (link, bytes) in self.entries.links.take_waiting() {
            self.calls.step_dealer(dealer::Input::LinkWaiting { link, bytes }, fx);
        }
    }

    /// Other entries are told how this one stands, where that is news, and then what the dealer has for them.
    pub(super) fn tell_entries(&mut self, words: Vec<(Link, PeerWord)>) {
        let Self { entries, calls, .. } = self;
        let standing = calls.standing();
        if let Some(haste) = entries.told.news(Instant::now(), standing) {
            for link in entries.links.all().collect::<Vec<_>>() {
                entries.links.send(link, [(CallMessage::from(standing).into(), haste)]);
            }
        }
        let mut by_link: Vec<(Link, Vec<(Message, Haste)>)> = Vec::new();
        for (link, word) in words {
            let message = (CallMessage::from(word).into(), Haste::Now);
            match by_link.iter_mut().find(|(to, _)| *to == link) {
                Some((_, messages)) => messages.push(message),
                None => by_link.push((link, vec![message])),
            }
        }
        for (link, messages) in by_link {
            entries.links.send(link, messages);
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
