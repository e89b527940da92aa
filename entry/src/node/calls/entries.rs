//! Other entries: what links to them bring is the dealer's, and what the dealer says to them goes by their links
//! (`docs/design/027-calls.md`).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;
use tokio::time::Instant;

use vixen_broker::dealer::{self, Link, PeerWord};
use vixen_broker::meta::{HearingInput, SurveyInput};
use vixen_broker::registrar::{self, EntryLink};
use vixen_core::id::OwnerId;
use vixen_core::name::NodeName;
use vixen_core::time::WallTime;
use vixen_core::wire::{CallMessage, Message, NodeMessage};
use vixen_core::words::Absence;
use vixen_runtime::link::{Dialling, Haste, LinkId, LinkSender};

use super::super::run::{Effects, EntryNode};
use super::CallEffects;
use super::links::{EntryLinks, NewLink};
use super::standing::{Standing, Told};

/// A link, and what people call the entry at its other end.
pub(in crate::node) type NamedLink = (Link, Arc<str>);

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

    /// Whether another link than this one is the present one to the entry: its end is that of none that counts.
    pub(in crate::node) fn is_spare(&self, owner: OwnerId, link: LinkId) -> bool {
        self.links.is_spare(owner, link)
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
        now: WallTime,
        (owner, link): (OwnerId, LinkId),
        sender: LinkSender,
        is_dialled: bool,
        fx: &mut Effects,
    ) {
        let Some(name) = self.links.get(link).map(|linked| linked.name.clone()) else { return };
        if !is_dialled {
            // Who dials says so itself.
            tracing::info!(peer = %name, "link accepted");
        }
        let new = NewLink { link, name: name.clone(), sender, is_dialled };
        if self.entries.links.up(owner, new)
            && let Some(link) = self.entries.links.present(owner, link)
        {
            // Of the link before, whose end is not told apart from this one's.
            self.entries.standings.remove(&owner);
            let standing = CallMessage::from(self.calls.standing());
            self.entries.links.send(link, [(standing.into(), Haste::Now)]);
            let name = name.as_str().into();
            self.calls.step_dealer(dealer::Input::LinkUp { link, name }, &mut fx.calls);
            self.calls.entry_link(owner, EntryLink::Up, &mut fx.calls);
            let before = Link { number: link.number - 1, ..link };
            self.step_surveys(SurveyInput::Lost { link: before }, &mut fx.calls);
            self.step_hearing(now, HearingInput::LinkUp { link }, fx);
        }
        self.tell_entries_linked();
    }

    pub(in crate::node) fn on_entry_down(
        &mut self,
        now: WallTime,
        (owner, link): (OwnerId, LinkId),
        reason: String,
        fx: &mut Effects,
    ) {
        if let Some(link) = self.entries.links.down(owner, link, reason) {
            self.entries.standings.remove(&owner);
            self.calls.step_dealer(dealer::Input::LinkDown { link }, &mut fx.calls);
            self.calls.entry_link(owner, EntryLink::Down, &mut fx.calls);
            self.step_surveys(SurveyInput::Lost { link }, &mut fx.calls);
            self.step_hearing(now, HearingInput::LinkDown { link }, fx);
        }
        self.tell_entries_linked();
    }

    pub(in crate::node) fn on_entry_silence(
        &mut self,
        now: WallTime,
        (owner, link): (OwnerId, LinkId),
        is_silent: bool,
        fx: &mut Effects,
    ) {
        if let Some(link) = self.entries.links.fall_silent(owner, link, is_silent) {
            self.calls.step_dealer(dealer::Input::LinkSilent { link, is_silent }, &mut fx.calls);
            if is_silent {
                self.step_surveys(SurveyInput::Lost { link }, &mut fx.calls);
            } else {
                self.across.heard_again();
            }
            self.step_hearing(now, HearingInput::LinkSilent { link, is_silent }, fx);
            let link = if is_silent { EntryLink::Silent } else { EntryLink::HeardAgain };
            self.calls.entry_link(owner, link, &mut fx.calls);
        }
        self.tell_entries_linked();
    }

    pub(in crate::node) fn on_entry(
        &mut self,
        now: WallTime,
        owner: OwnerId,
        link: LinkId,
        messages: Vec<Message>,
        fx: &mut Effects,
    ) {
        // Else of a link that another one has replaced.
        let Some(present) = self.entries.links.present(owner, link) else { return };
        for message in messages {
            match message {
                Message::Call(CallMessage::AskMeta { request, realm, asker, question }) => {
                    self.on_asked(now, present, (request, realm, asker), question, fx);
                }
                Message::Call(CallMessage::MetaAnswer { request, reply, is_last }) => {
                    let input = SurveyInput::Answered { link: present, request, reply, is_last };
                    self.step_surveys(input, &mut fx.calls);
                }
                Message::Call(
                    message @ (CallMessage::HearMeta { .. }
                    | CallMessage::SessionsAre { .. }
                    | CallMessage::SubscriptionsAre { .. }),
                ) => self.step_hearing(now, HearingInput::Heard { link: present, message }, fx),
                Message::Call(message) => self.on_call_message(present, message, &mut fx.calls),
                // It has said so by coming.
                Message::Node(NodeMessage::Heartbeat) => {}
                other => {
                    let name = self.links.get(link).map(|linked| linked.name.clone());
                    name.iter().for_each(|name| self.on_stranger(name, &other));
                }
            }
        }
    }

    fn on_call_message(&mut self, link: Link, message: CallMessage, fx: &mut CallEffects) {
        let owner = link.peer;
        if let CallMessage::CallStanding { life, is_ready, is_draining, applied_below } = message {
            let standing = Standing { life, is_ready, is_draining, applied_below };
            self.entries.standings.insert(owner, standing);
            let input = registrar::Input::Standing { owner, applied_below };
            self.calls.step_registrar(input, fx);
        }
        if let Some(input) = dealer::Input::heard(link, message) {
            self.calls.step_dealer(input, fx);
        }
    }

    /// Other entries that can be asked something, and the names of those that cannot.
    pub(in crate::node) fn asked_entries(&self) -> (Vec<NamedLink>, BTreeSet<Arc<str>>) {
        let links = &self.entries.links;
        let (mut entries, mut absent) = (Vec::new(), BTreeSet::new());
        let mut linked = BTreeSet::from([&self.options.name]);
        for (link, (_, entry)) in links.all().zip(links.iter()) {
            linked.insert(&entry.name);
            if !entry.is_silent && self.entry_has_room(link, 0) {
                entries.push((link, entry.name.as_str().into()));
            } else {
                absent.insert(entry.name.as_str().into());
            }
        }
        // One of a name that is linked has gone on as another life.
        let lives = self.calls.view().lives().map(|living| &living.facts.name);
        let lives = lives.filter(|name| !linked.contains(name));
        absent.extend(lives.map(|name| name.as_str().into()));
        (entries, absent)
    }

    /// Whether a link takes so much more of what is not a call: half of it is for those.
    pub(in crate::node) fn entry_has_room(&self, link: Link, bytes: usize) -> bool {
        let waiting = self.entries.links.waiting_bytes(link);
        let max = self.options.limits.link_queue_bytes_max / 2;
        waiting.is_some_and(|waiting| waiting.saturating_add(bytes) <= max)
    }

    /// Bytes that links take of what can be said later as well: a quarter of each is for that.
    pub(in crate::node) fn entry_rooms(&self) -> Vec<(Link, usize)> {
        let max = self.options.limits.link_queue_bytes_max / 4;
        let rooms = self.entries.links.all().map(|link| {
            let waiting = self.entries.links.waiting_bytes(link);
            (link, waiting.map_or(0, |waiting| max.saturating_sub(waiting)))
        });
        rooms.collect()
    }

    pub(in crate::node) fn say_to_entry(&mut self, link: Link, message: CallMessage) {
        self.entries.links.send(link, [(message.into(), Haste::Now)]);
    }

    /// An entry has said what it cannot mean: its link ends.
    pub(in crate::node) fn refuse_entry(&self, link: Link, why: &'static str) {
        self.metrics.messages_refused.increment(1);
        tracing::warn!(owner = %link.peer, why, "an entry says what it cannot mean: its link ends");
        self.entries.links.close(link, why);
    }

    /// The dealer is told what waits for links, and which of them take nothing more: before it is asked whether there
    /// is room.
    pub(in crate::node) fn note_waiting(&mut self, fx: &mut CallEffects) {
        for link in self.entries.links.take_ended() {
            self.calls.step_dealer(dealer::Input::LinkDown { link }, fx);
            self.step_surveys(SurveyInput::Lost { link }, fx);
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
