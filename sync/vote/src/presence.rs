//! Presence: which peers can be counted on to coordinate and to vote, as this node sees it.
//!
//! A peer is absent when its link is down, which is known at once, when nothing has come on it for so
//! long that it counts as *silent*, when it has said that it stands
//! *aside* because it cannot do its part, or when it is *suspected*: it did not do its part of a segment within the hedge delay. Suspicion of a silent peer ends with
//! its next message; of one that speaks and yet does not do its part, or whose stamps are wild,
//! after [`SUSPICION_MS`], and of one whose vote was late after [`LATE_MS`]. Being wrong costs an extra ballot, never safety: who is absent only
//! decides whom this node asks (`docs/design/005-take-over.md`).

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::id::SyncId;
use vixen_core::time::WallTime;

/// How long a peer that speaks is passed over once it failed at its part.
const SUSPICION_MS: u64 = 1_000;
/// The same of one whose vote of the fast round was late. A disk that is late once should not cost a second of ballots,
/// and one that always is should hold up few segments.
const LATE_MS: u64 = 250;

/// See the module doc.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Presence {
    linked: BTreeSet<SyncId>,
    /// Of these, those from which nothing comes: they count as if they had no link.
    silent: BTreeSet<SyncId>,
    /// Of these, those that cannot do their part for now.
    aside: BTreeSet<SyncId>,
    heard: BTreeMap<SyncId, WallTime>,
    /// Suspected peers, and the earliest time at which a message clears them.
    suspected: BTreeMap<SyncId, WallTime>,
}

impl Presence {
    pub(super) fn link_up(&mut self, peer: SyncId) {
        self.linked.insert(peer);
        self.silent.remove(&peer);
        self.aside.remove(&peer);
        self.suspected.remove(&peer);
    }

    /// The peer says whether it can do its part.
    pub(super) fn stand_aside(&mut self, peer: SyncId, is_aside: bool) {
        if is_aside {
            self.aside.insert(peer);
        } else {
            self.aside.remove(&peer);
        }
    }

    pub(super) fn link_down(&mut self, peer: SyncId) {
        self.linked.remove(&peer);
        self.silent.remove(&peer);
        self.suspected.remove(&peer);
    }

    /// Nothing comes from the peer any more, or something comes again.
    pub(super) fn fall_silent(&mut self, peer: SyncId, is_silent: bool) {
        if is_silent && self.linked.contains(&peer) {
            self.silent.insert(peer);
        } else {
            self.silent.remove(&peer);
        }
    }

    /// Takes note of a message.
    pub(super) fn heard(&mut self, now: WallTime, peer: SyncId) {
        self.heard.insert(peer, now);
        // A time further off than any suspicion was set before wall time was turned back.
        let is_over = |until: &WallTime| *until <= now || until.millis_since(now) > SUSPICION_MS;
        if self.suspected.get(&peer).is_some_and(is_over) {
            self.suspected.remove(&peer);
        }
    }

    /// Passes over a peer that has not done its part of a segment that began at `since`.
    pub(super) fn suspect(&mut self, now: WallTime, peer: SyncId, since: WallTime) {
        let spoke = self.heard.get(&peer).is_some_and(|heard| *heard > since);
        let until = if spoke { now.plus_millis(SUSPICION_MS) } else { now };
        self.suspected.insert(peer, until);
    }

    /// Passes over a peer whose stamps are wild, whatever it says meanwhile.
    pub(super) fn pass_over(&mut self, now: WallTime, peer: SyncId) {
        self.suspected.insert(peer, now.plus_millis(SUSPICION_MS));
    }

    /// Does without the votes of a peer for a while, whatever it says meanwhile.
    pub(super) fn be_late(&mut self, now: WallTime, peer: SyncId) {
        let until = self.suspected.entry(peer).or_default();
        *until = now.plus_millis(LATE_MS).max(*until);
    }

    /// Whether nothing came from the peer after `since`.
    pub(super) fn is_silent(&self, peer: SyncId, since: WallTime) -> bool {
        self.heard.get(&peer).is_none_or(|heard| *heard <= since)
    }

    /// Whether the peer can be counted on.
    pub(super) fn is_present(&self, peer: SyncId) -> bool {
        self.is_linked(peer) && !self.aside.contains(&peer) && !self.suspected.contains_key(&peer)
    }

    /// Whether the peer has a link and is not silent, suspected or not.
    pub(super) fn is_linked(&self, peer: SyncId) -> bool {
        self.linked.contains(&peer) && !self.silent.contains(&peer)
    }

    /// Peers with a link that are not silent, suspected or not.
    pub(super) fn linked(&self) -> usize {
        self.linked.len() - self.silent.len()
    }

    /// Peers that can be counted on.
    pub(super) fn present(&self) -> usize {
        self.linked.iter().filter(|peer| self.is_present(**peer)).count()
    }

    /// Whether this node itself stands aside.
    pub(super) fn is_aside(&self, node: SyncId) -> bool {
        self.aside.contains(&node)
    }

    /// Peers that are passed over though they have a link, for the status page.
    pub(super) fn suspects(&self) -> impl Iterator<Item = SyncId> {
        self.suspected.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: SyncId = SyncId(1);

    #[test]
    fn a_silent_suspect_is_cleared_by_its_next_message() {
        let mut presence = Presence::default();
        presence.link_up(PEER);
        presence.suspect(WallTime(20), PEER, WallTime(10));
        assert!(!presence.is_present(PEER));
        presence.heard(WallTime(21), PEER);
        assert!(presence.is_present(PEER));
    }

    #[test]
    fn a_suspect_that_speaks_is_passed_over_for_a_while() {
        let mut presence = Presence::default();
        presence.link_up(PEER);
        presence.heard(WallTime(15), PEER);
        presence.suspect(WallTime(20), PEER, WallTime(10));
        presence.heard(WallTime(21), PEER);
        assert!(!presence.is_present(PEER));
        presence.heard(WallTime(20 + SUSPICION_MS), PEER);
        assert!(presence.is_present(PEER));
    }

    #[test]
    fn a_peer_that_was_late_is_passed_over_for_less_and_what_it_is_suspected_of_stays() {
        let mut presence = Presence::default();
        presence.link_up(PEER);
        presence.be_late(WallTime(20), PEER);
        presence.heard(WallTime(20 + LATE_MS - 1), PEER);
        assert!(!presence.is_present(PEER));
        presence.heard(WallTime(20 + LATE_MS), PEER);
        assert!(presence.is_present(PEER));
        presence.pass_over(WallTime(300), PEER);
        presence.be_late(WallTime(310), PEER);
        presence.heard(WallTime(310 + LATE_MS), PEER);
        assert!(!presence.is_present(PEER));
    }

    #[test]
    fn a_peer_that_stands_aside_is_absent_until_it_says_otherwise() {
        let mut presence = Presence::default();
        presence.link_up(PEER);
        presence.stand_aside(PEER, true);
        presence.heard(WallTime(5), PEER);
        assert!(!presence.is_present(PEER));
        presence.stand_aside(PEER, false);
        assert!(presence.is_present(PEER));
    }

    #[test]
    fn a_silent_peer_counts_as_if_it_had_no_link() {
        let mut presence = Presence::default();
        presence.fall_silent(PEER, true);
        presence.link_up(PEER);
        assert!(presence.is_present(PEER), "it had no link to be silent on");
        presence.fall_silent(PEER, true);
        assert!(!presence.is_present(PEER) && !presence.is_linked(PEER));
        assert_eq!((presence.linked(), presence.present()), (0, 0));
        presence.fall_silent(PEER, false);
        assert!(presence.is_present(PEER));
        presence.fall_silent(PEER, true);
        presence.link_up(PEER);
        assert!(presence.is_present(PEER), "a new link is a word");
    }

    #[test]
    fn a_new_link_clears_and_a_lost_one_is_absence() {
        let mut presence = Presence::default();
        assert!(!presence.is_present(PEER));
        presence.link_up(PEER);
        presence.pass_over(WallTime(20), PEER);
        presence.link_up(PEER);
        assert!(presence.is_present(PEER));
        presence.link_down(PEER);
        assert!(!presence.is_present(PEER));
    }
}
