//! Links to other entries: one a pair, whoever has dialled it.
//!
//! While entries know each other by the configuration alone, both of a pair dial; who is linked already does not. Where both
//! have dialled at the same time, the link that the lower owner id has dialled stays: both ends find the same.
//!
//! Invariants:
//! - L1: an entry, by its owner id, has at most one present link, and what comes on another counts for nothing.
//! - L2: the dialler of a name is paused exactly while an entry of that name is linked.
//! - L3: what was to be said on a link is said on no other one.

use std::collections::BTreeMap;

use tokio::sync::watch;

use vixen_broker::dealer::Link;
use vixen_core::id::OwnerId;
use vixen_core::name::NodeName;
use vixen_core::wire::Message;
use vixen_runtime::link::{Dialling, Haste, LinkId, LinkSender};

/// See the module.
#[derive(Debug)]
pub(super) struct EntryLinks {
    own: OwnerId,
    linked: BTreeMap<OwnerId, Linked>,
    /// Links that have been present.
    last: u64,
    diallers: BTreeMap<NodeName, watch::Sender<Dialling>>,
    /// Why the last link to an entry that is dialled ended.
    last_downs: BTreeMap<NodeName, String>,
}

/// A link that came up.
#[derive(Debug)]
pub(super) struct NewLink {
    pub(super) link: LinkId,
    pub(super) name: NodeName,
    pub(super) sender: LinkSender,
    /// By this entry.
    pub(super) is_dialled: bool,
}

/// An entry with its present link.
#[derive(Debug)]
pub(super) struct Linked {
    link: LinkId,
    /// Which of all links that have been present: later ones have higher numbers.
    number: u64,
    pub(super) name: NodeName,
    sender: LinkSender,
    pub(super) is_dialled: bool,
    /// Nothing comes on it.
    pub(super) is_silent: bool,
    /// Something may wait for it.
    may_wait: bool,
    end: End,
}

/// How far the end of a link has come, where that is noticed by sending before the link has told it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    None,
    /// It has taken nothing more.
    Noticed,
    /// Whoever sends has been told.
    Told,
}

impl Linked {
    /// Bytes that wait for it.
    pub(super) fn waiting_bytes(&self) -> usize {
        self.sender.waiting_bytes()
    }
}

impl EntryLinks {
    pub(super) const fn new(own: OwnerId) -> Self {
        Self {
            own,
            linked: BTreeMap::new(),
            last: 0,
            diallers: BTreeMap::new(),
            last_downs: BTreeMap::new(),
        }
    }

    /// The entry `name` is dialled. What its dialler is to do, from now on.
    pub(super) fn expect(&mut self, name: NodeName) -> watch::Receiver<Dialling> {
        let dialling = if self.is_linked(&name) { Dialling::Paused } else { Dialling::On };
        let (wish, wished) = watch::channel(dialling);
        self.diallers.insert(name, wish);
        wished
    }

    /// Takes a new link to the entry `owner`. `false` when the one that it has stays.
    pub(super) fn up(&mut self, owner: OwnerId, new: NewLink) -> bool {
        let NewLink { link, name, sender, is_dialled } = new;
        if self.linked.get(&owner).is_some_and(|old| self.stays(owner, old, is_dialled)) {
            sender.close("both have dialled, and the other link stays");
            return false;
        }
        self.last += 1;
        let linked = Linked {
            link,
            number: self.last,
            name: name.clone(),
            sender,
            is_dialled,
            is_silent: false,
            may_wait: false,
            end: End::None,
        };
        if let Some(old) = self.linked.insert(owner, linked) {
            old.sender.close("replaced by another link");
            self.direct(&old.name);
        }
        self.direct(&name);
        true
    }

    /// Whether the link `old` is to stay although there is a new one to that entry.
    fn stays(&self, owner: OwnerId, old: &Linked, is_new_dialled: bool) -> bool {
        // Who dials anew has lost the one before, whether that has been noticed here or not.
        let is_race = old.is_dialled != is_new_dialled && !old.is_silent;
        let is_by_lower = (self.own < owner) == old.is_dialled;
        is_race && is_by_lower
    }

    /// Takes the end of a link; which one it was, if it was a present one.
    pub(super) fn down(&mut self, owner: OwnerId, link: LinkId, reason: String) -> Option<Link> {
        let ended = self.present(owner, link)?;
        let gone = self.linked.remove(&owner)?;
        if self.diallers.contains_key(&gone.name) {
            self.last_downs.insert(gone.name.clone(), reason);
        }
        self.direct(&gone.name);
        Some(ended)
    }

    /// Nothing comes on a link any more, or something comes again. Which one it is, if it is a present one.
    pub(super) fn fall_silent(
        &mut self,
        owner: OwnerId,
        link: LinkId,
        is_silent: bool,
    ) -> Option<Link> {
        let found = self.present(owner, link)?;
        self.linked.get_mut(&owner)?.is_silent = is_silent;
        Some(found)
    }

    /// The link, if it is the present one to the entry.
    pub(super) fn present(&self, owner: OwnerId, link: LinkId) -> Option<Link> {
        let linked = self.linked.get(&owner).filter(|linked| linked.link == link)?;
        Some(Link { peer: owner, number: linked.number })
    }

    /// Whether another link than this one is the present one to the entry.
    pub(super) fn is_spare(&self, owner: OwnerId, link: LinkId) -> bool {
        self.linked.get(&owner).is_some_and(|linked| linked.link != link)
    }

    /// All present links.
    pub(super) fn all(&self) -> impl Iterator<Item = Link> {
        self.linked.iter().map(|(owner, linked)| Link { peer: *owner, number: linked.number })
    }

    /// Sends, if the link is still the present one to its entry; all of it in one frame. What a broken link loses is
    /// lost; that it is broken is told by [`take_ended`](Self::take_ended), and by its own end.
    pub(super) fn send(
        &mut self,
        link: Link,
        messages: impl IntoIterator<Item = (Message, Haste)>,
    ) {
        let linked = self.linked.get_mut(&link.peer);
        if let Some(linked) = linked.filter(|linked| linked.number == link.number) {
            let is_sent = linked.sender.send_all(messages).is_ok();
            if !is_sent && linked.end == End::None {
                linked.end = End::Noticed;
            }
            linked.may_wait = is_sent;
        }
    }

    /// Bytes that wait for a link; `None`: it is none, or takes nothing more.
    pub(super) fn waiting_bytes(&self, link: Link) -> Option<usize> {
        let linked = self.linked.get(&link.peer);
        let linked =
            linked.filter(|linked| linked.number == link.number && linked.end == End::None);
        linked.map(Linked::waiting_bytes)
    }

    /// Ends a link, if it is the present one to its entry. It tells its end itself.
    pub(super) fn close(&self, link: Link, reason: &str) {
        let linked = self.linked.get(&link.peer);
        if let Some(linked) = linked.filter(|linked| linked.number == link.number) {
            linked.sender.close(reason);
        }
    }

    /// Present links that have taken nothing more, each once: their own end may come much later, behind all that they
    /// have brought.
    pub(super) fn take_ended(&mut self) -> Vec<Link> {
        let ended = self.linked.iter_mut().filter(|(_, linked)| linked.end == End::Noticed);
        let ended = ended.map(|(owner, linked)| {
            linked.end = End::Told;
            Link { peer: *owner, number: linked.number }
        });
        ended.collect()
    }

    /// What waits for links, as far as that may have changed.
    pub(super) fn take_waiting(&mut self) -> Vec<(Link, usize)> {
        let changed = self.linked.iter_mut().filter(|(_, linked)| linked.may_wait);
        let waiting = changed.map(|(owner, linked)| {
            let bytes = linked.waiting_bytes();
            linked.may_wait = bytes > 0;
            (Link { peer: *owner, number: linked.number }, bytes)
        });
        waiting.collect()
    }

    /// How many entries are linked and heard.
    pub(super) fn heard(&self) -> usize {
        self.linked.values().filter(|linked| !linked.is_silent).count()
    }

    /// All that are linked.
    pub(super) fn iter(&self) -> impl Iterator<Item = (OwnerId, &Linked)> {
        self.linked.iter().map(|(owner, linked)| (*owner, linked))
    }

    /// Those that are dialled and not linked, with why their last link ended.
    pub(super) fn missed(&self) -> impl Iterator<Item = (&NodeName, Option<&str>)> {
        let missed = self.diallers.keys().filter(|name| !self.is_linked(name));
        missed.map(|name| (name, self.last_down(name)))
    }

    /// Why the last link to an entry that is dialled ended.
    pub(super) fn last_down(&self, name: &NodeName) -> Option<&str> {
        self.last_downs.get(name).map(String::as_str)
    }

    fn is_linked(&self, name: &NodeName) -> bool {
        self.linked.values().any(|linked| linked.name == *name)
    }

    /// Tells the dialler of a name what it is to do now.
    fn direct(&self, name: &NodeName) {
        let dialling = if self.is_linked(name) { Dialling::Paused } else { Dialling::On };
        if let Some(wish) = self.diallers.get(name) {
            wish.send_replace(dialling);
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::mpsc;

    use vixen_core::wire::PeerId;
    use vixen_runtime::link::{End as LinkEnd, LinkEvent, join};

    use super::*;

    const LOW: OwnerId = OwnerId(uuid::Uuid::from_u128(1));
    const HIGH: OwnerId = OwnerId(uuid::Uuid::from_u128(2));

    fn name(text: &str) -> NodeName {
        text.parse().expect("a name")
    }

    /// A link in memory to E2, and what the other end of it sees.
    async fn link(is_dialled: bool) -> (NewLink, mpsc::Receiver<LinkEvent>) {
        let (near, mut events) = mpsc::channel::<LinkEvent>(16);
        let (far, far_events) = mpsc::channel(16);
        let end = |inbox| LinkEnd { peer: PeerId::Entry { owner: HIGH }, name: name("E2"), inbox };
        tokio::spawn(join(end(near), end(far), 1 << 20));
        let Some(LinkEvent::Up { link, name, sender, .. }) = events.recv().await else {
            panic!("the link comes up first");
        };
        (NewLink { link, name, sender, is_dialled }, far_events)
    }

    /// Links E2 from the point of view of `own`: first one, then another; which one stays.
    async fn race(own: OwnerId, other: OwnerId, first_is_dialled: bool) -> (bool, EntryLinks) {
        let mut links = EntryLinks::new(own);
        let (first, _far) = link(first_is_dialled).await;
        let (second, _far) = link(!first_is_dialled).await;
        let (first_link, second_link) = (first.link, second.link);
        assert!(links.up(other, first));
        let is_taken = links.up(other, second);
        assert_eq!(links.present(other, second_link).is_some(), is_taken);
        assert_eq!(links.present(other, first_link).is_some(), !is_taken);
        let spares = [first_link, second_link].map(|link| links.is_spare(other, link));
        assert_eq!(spares, [is_taken, !is_taken]);
        (is_taken != first_is_dialled, links)
    }

    /// Whatever comes first, at either end: the link that stays is the one that the lower has dialled.
    #[tokio::test]
    async fn of_two_links_of_a_pair_both_ends_keep_that_of_the_lower_owner() {
        for first_is_dialled in [true, false] {
            let (is_own_dialled, links) = race(LOW, HIGH, first_is_dialled).await;
            assert!(is_own_dialled, "the lower keeps what it has dialled");
            assert_eq!(links.heard(), 1);
            let (is_own_dialled, _) = race(HIGH, LOW, first_is_dialled).await;
            assert!(!is_own_dialled, "the higher keeps what the other has dialled");
        }
    }

    #[tokio::test]
    async fn who_dials_anew_or_is_silent_on_the_old_link_is_believed_to_have_lost_it() {
        let mut links = EntryLinks::new(LOW);
        let (old, _far) = link(true).await;
        let (again, _far) = link(true).await;
        assert!(links.up(HIGH, old) && links.up(HIGH, again));
        let (by_the_other, _far) = link(false).await;
        let silent = links.linked[&HIGH].link;
        assert!(links.fall_silent(HIGH, silent, true).is_some());
        assert_eq!(links.heard(), 0);
        assert!(links.up(HIGH, by_the_other));
        assert_eq!(links.heard(), 1);
        assert_eq!(links.down(HIGH, silent, "late".to_owned()), None, "it was replaced");
        assert_eq!(links.heard(), 1);
    }

    /// L3, and what waits for a link is that link's.
    #[tokio::test]
    async fn nothing_of_a_link_is_said_on_the_one_that_replaces_it() {
        let mut links = EntryLinks::new(LOW);
        let ((before, _far), (after, mut far)) = (link(true).await, link(true).await);
        assert!(links.up(HIGH, before));
        let old: Vec<_> = links.all().collect();
        assert!(links.up(HIGH, after));
        let new: Vec<_> = links.all().collect();
        assert!(old[0].number < new[0].number);
        let beat = || [(Message::Node(vixen_core::wire::NodeMessage::Heartbeat), Haste::Now)];
        links.send(old[0], beat());
        assert_eq!(links.take_waiting(), []);
        links.send(new[0], beat());
        links.send(new[0], beat());
        let told = links.take_waiting();
        assert!(matches!(told[..], [(link, 1..)] if link == new[0]), "{told:?}");
        let mut heard = 0;
        while heard < 2 {
            match far.recv().await.expect("linked") {
                LinkEvent::Messages { messages, .. } => heard += messages.len(),
                LinkEvent::Up { .. } => {}
                other => panic!("{other:?}"),
            }
        }
        assert_eq!(heard, 2);
    }

    /// Calls went into its queue, which was nobody's any more, until the link had told its end itself.
    #[tokio::test]
    async fn a_link_that_takes_nothing_more_is_ended_before_it_says_so() {
        let mut links = EntryLinks::new(LOW);
        let (one, _far) = link(true).await;
        let (at, sender) = (one.link, one.sender.clone());
        assert!(links.up(HIGH, one));
        let present: Vec<_> = links.all().collect();
        let beat = || [(Message::Node(vixen_core::wire::NodeMessage::Heartbeat), Haste::Now)];
        links.send(present[0], beat());
        assert_eq!(links.take_ended(), []);
        sender.close("the queue passed its bound");
        links.send(present[0], beat());
        assert_eq!(links.take_ended(), present);
        links.send(present[0], beat());
        assert_eq!((links.take_ended(), links.take_waiting()), (vec![], vec![]));
        let ended = links.down(HIGH, at, "the queue passed its bound".to_owned());
        assert_eq!(ended, Some(present[0]), "what it brings is told until then");
        // The next one is not ended with it.
        let (next, _far) = link(true).await;
        assert!(links.up(HIGH, next));
        let present: Vec<_> = links.all().collect();
        links.send(present[0], beat());
        assert_eq!(links.take_ended(), []);
    }

    #[tokio::test]
    async fn a_dialler_is_paused_while_its_entry_is_linked() {
        let mut links = EntryLinks::new(LOW);
        let wish = links.expect(name("E2"));
        let wished = || *wish.borrow();
        assert_eq!(wished(), Dialling::On);
        let (one, _far) = link(false).await;
        let at = one.link;
        assert!(links.up(HIGH, one));
        assert_eq!((wished(), links.missed().count()), (Dialling::Paused, 0));
        assert!(links.down(HIGH, at, "closed by the peer".to_owned()).is_some());
        assert!(!links.is_spare(HIGH, at), "there is no other one");
        assert_eq!(wished(), Dialling::On);
        let missed: Vec<_> = links.missed().collect();
        assert_eq!(missed, [(&name("E2"), Some("closed by the peer"))]);
    }

    /// It was started again before its old process was known to be gone.
    #[tokio::test]
    async fn two_lives_of_one_name_have_a_link_each() {
        let mut links = EntryLinks::new(OwnerId(uuid::Uuid::from_u128(3)));
        let wish = links.expect(name("E2"));
        let ((before, _far), (after, _after_far)) = (link(true).await, link(false).await);
        let gone = before.link;
        assert!(links.up(LOW, before) && links.up(HIGH, after));
        assert_eq!(links.heard(), 2);
        assert!(links.down(LOW, gone, "silent for 10 s".to_owned()).is_some());
        assert_eq!((links.heard(), *wish.borrow()), (1, Dialling::Paused));
    }
}
