//! Hearing: since when nothing came from an entry, or it has had no link, as other entries ask (`AskHeard`).
//!
//! ```text
//!        heard       heard        link down
//! --------|-----------|---------------|----------------> time
//!                     <-- silent_ms -->                    linked: since something came
//!                                     <-- silent_ms -->    else: since there is no link
//! ```
//! A quorum of such answers ends the registrations of an entry (`docs/design/027-calls.md`), so they never say more
//! silence than there was: what a node has not listened to is not silence.
//!
//! Invariants:
//! - E1: `silent_ms` of an answer is at most the time since something came from that owner, or without a link of it.
//! - E2: nothing is answered of an owner that was not heard since the node listens, before it has listened for as long
//!   as makes an owner gone.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Instant;

use vixen_core::id::OwnerId;
use vixen_core::wire::{FeedMessage, GONE_SILENT_MS, GONE_UNLINKED_MS};

/// Owners without a link that are remembered; of those before them it is known that they had none since.
const GONE_MAX: usize = 1024;

/// See the module. `L` is what a driver knows a link by.
#[derive(Debug)]
pub struct Hearing<L> {
    /// It has listened since, and knows of all whose last link has ended since.
    since: Instant,
    owner_of: BTreeMap<L, OwnerId>,
    linked: BTreeMap<OwnerId, Linked<L>>,
    gone: BTreeMap<OwnerId, Gone>,
    /// Owners in the order in which their last link ended; one that came back is in it still.
    ended: VecDeque<(Instant, OwnerId)>,
}

#[derive(Debug)]
struct Linked<L> {
    links: BTreeSet<L>,
    heard: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Gone {
    heard: Instant,
    ended: Instant,
}

impl<L: Ord + Copy> Hearing<L> {
    /// Of a node that begins to listen.
    #[must_use]
    pub const fn new(now: Instant) -> Self {
        Self {
            since: now,
            owner_of: BTreeMap::new(),
            linked: BTreeMap::new(),
            gone: BTreeMap::new(),
            ended: VecDeque::new(),
        }
    }

    /// A link of an entry came up: it has just spoken.
    pub fn up(&mut self, link: L, owner: OwnerId, now: Instant) {
        self.gone.remove(&owner);
        self.owner_of.insert(link, owner);
        let new = || Linked { links: BTreeSet::new(), heard: now };
        let linked = self.linked.entry(owner).or_insert_with(new);
        linked.links.insert(link);
        linked.heard = now;
    }

    /// Something came on a link.
    pub fn heard(&mut self, link: L, now: Instant) {
        let owner = self.owner_of.get(&link);
        if let Some(linked) = owner.and_then(|owner| self.linked.get_mut(owner)) {
            linked.heard = now;
        }
    }

    /// A link is gone.
    pub fn down(&mut self, link: L, now: Instant) {
        let Some(owner) = self.owner_of.remove(&link) else { return };
        let Some(linked) = self.linked.get_mut(&owner) else { return };
        linked.links.remove(&link);
        if !linked.links.is_empty() {
            return;
        }
        let heard = linked.heard;
        self.linked.remove(&owner);
        self.gone.insert(owner, Gone { heard, ended: now });
        self.ended.push_back((now, owner));
        if self.ended.len() > GONE_MAX
            && let Some((ended, oldest)) = self.ended.pop_front()
        {
            self.since = self.since.max(ended);
            // Its end may be a later one.
            if self.gone.get(&oldest).is_some_and(|gone| gone.ended == ended) {
                self.gone.remove(&oldest);
            }
        }
    }

    /// The node did not listen until now.
    pub fn deaf_until(&mut self, now: Instant) {
        self.since = now;
    }

    /// What it can say of an owner, if anything; `now` is not after the last look whether the node was stalled.
    #[must_use]
    pub fn answer(&self, request: u64, owner: OwnerId, now: Instant) -> Option<FeedMessage> {
        let passed = |from: Instant| {
            u64::try_from(now.saturating_duration_since(from).as_millis()).unwrap_or(u64::MAX)
        };
        let is_linked = self.linked.contains_key(&owner);
        let listened_ms = passed(self.since);
        let (known, enough_ms) = match (self.linked.get(&owner), self.gone.get(&owner)) {
            (Some(linked), _) => (Some(linked.heard), GONE_SILENT_MS),
            // One that was silent on its link before that ended is so still.
            (None, Some(gone)) if passed(gone.heard.max(self.since)) >= GONE_SILENT_MS => {
                (Some(gone.heard), GONE_SILENT_MS)
            }
            (None, Some(gone)) => (Some(gone.ended), GONE_UNLINKED_MS),
            (None, None) => (None, GONE_UNLINKED_MS),
        };
        let silent_ms = match known.filter(|known| *known >= self.since) {
            Some(known) => passed(known),
            None if listened_ms >= enough_ms => listened_ms,
            None => return None,
        };
        Some(FeedMessage::Heard { request, is_linked, silent_ms })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn owner(n: u128) -> OwnerId {
        OwnerId(uuid::Uuid::from_u128(n))
    }

    /// Whether there is a link, and for how long it is silent.
    fn said(hearing: &Hearing<u32>, of: u128, now: Instant) -> Option<(bool, u64)> {
        hearing.answer(7, owner(of), now).map(|message| match message {
            FeedMessage::Heard { request: 7, is_linked, silent_ms } => (is_linked, silent_ms),
            other => panic!("{other:?}"),
        })
    }

    #[test]
    fn what_came_last_is_said_while_there_is_a_link_and_since_when_there_is_none() {
        let start = Instant::now();
        let mut hearing = Hearing::new(start);
        hearing.up(1, owner(1), start + 10 * MS);
        assert_eq!(said(&hearing, 1, start + 15 * MS), Some((true, 5)));
        hearing.heard(1, start + 100 * MS);
        assert_eq!(said(&hearing, 1, start + 2_000 * MS), Some((true, 1_900)));
        hearing.heard(1, start + 2_000 * MS);
        hearing.down(1, start + 2_900 * MS);
        assert_eq!(
            said(&hearing, 1, start + 3_000 * MS),
            Some((false, 100)),
            "its last word aside"
        );
        assert_eq!(
            said(&hearing, 1, start + 3_800 * MS),
            Some((false, 1_800)),
            "which was long ago"
        );
        hearing.up(2, owner(1), start + 4_000 * MS);
        assert_eq!(said(&hearing, 1, start + 4_000 * MS), Some((true, 0)));
    }

    /// A node that was dialled anew keeps its old link for a while.
    #[test]
    fn one_of_two_links_is_a_link() {
        let start = Instant::now();
        let mut hearing = Hearing::new(start);
        hearing.up(1, owner(1), start);
        hearing.up(2, owner(1), start + MS);
        hearing.down(1, start + 2 * MS);
        assert_eq!(said(&hearing, 1, start + 3 * MS), Some((true, 2)));
        hearing.heard(1, start + 3 * MS);
        hearing.heard(9, start + 3 * MS);
        assert_eq!(
            said(&hearing, 1, start + 3 * MS),
            Some((true, 2)),
            "not on a link that is gone"
        );
        hearing.down(2, start + 4 * MS);
        hearing.down(2, start + 5 * MS);
        assert_eq!(said(&hearing, 1, start + 6 * MS), Some((false, 2)));
    }

    #[test]
    fn a_node_that_has_just_begun_knows_nothing_of_those_that_it_has_not_heard() {
        let start = Instant::now();
        let mut hearing = Hearing::<u32>::new(start);
        assert_eq!(said(&hearing, 1, start + 499 * MS), None);
        assert_eq!(said(&hearing, 1, start + 500 * MS), Some((false, 500)));
        hearing.up(1, owner(2), start + 20 * MS);
        assert_eq!(said(&hearing, 2, start + 20 * MS), Some((true, 0)), "of this one it does");
    }

    /// It is paused, and all entries seem silent to it when it wakes.
    #[test]
    fn what_was_not_listened_to_is_no_silence() {
        let start = Instant::now();
        let mut hearing = Hearing::new(start);
        hearing.up(1, owner(1), start);
        hearing.up(2, owner(2), start);
        hearing.down(2, start + 10 * MS);
        let awake = start + 60_000 * MS;
        hearing.deaf_until(awake);
        for of in [1, 2, 3] {
            assert_eq!(said(&hearing, of, awake + 499 * MS), None, "{of}");
        }
        assert_eq!(said(&hearing, 1, awake + 1_799 * MS), None);
        assert_eq!(said(&hearing, 1, awake + 1_800 * MS), Some((true, 1_800)));
        assert_eq!(said(&hearing, 2, awake + 500 * MS), Some((false, 500)));
        hearing.heard(1, awake + 1_900 * MS);
        assert_eq!(said(&hearing, 1, awake + 1_901 * MS), Some((true, 1)));
    }

    #[test]
    fn those_that_are_forgotten_are_said_to_be_gone_for_no_longer_than_they_are() {
        let start = Instant::now();
        let mut hearing = Hearing::new(start);
        let at = |n: usize| start + MS * u32::try_from(n).expect("few");
        for n in 0..=GONE_MAX {
            let link = u32::try_from(n).expect("few");
            hearing.up(link, owner(n as u128), at(n));
            hearing.down(link, at(n));
        }
        assert_eq!((hearing.gone.len(), hearing.ended.len()), (GONE_MAX, GONE_MAX));
        let now = at(5_000);
        // The first was forgotten; what is said is true of it, and of those that never came.
        assert_eq!(said(&hearing, 0, now), Some((false, 5_000)));
        hearing.up(7, owner(1), at(5_001));
        hearing.down(7, at(5_002));
        assert_eq!(said(&hearing, 2, at(5_003)), Some((false, 5_001)));
        assert_eq!(said(&hearing, 1, at(5_003)), Some((false, 1)));
        let mut last = hearing;
        for n in 0..GONE_MAX {
            let link = u32::try_from(n).expect("few");
            last.up(link, owner(n as u128 + 9_000), at(6_000 + n));
            last.down(link, at(6_000 + n));
        }
        // Twice in the list: its later end holds, and is what it was forgotten with.
        assert_eq!(said(&last, 1, at(9_000)), Some((false, 9_000 - 5_002)));
    }

    mod property {
        use proptest::prelude::*;

        use super::*;

        proptest! {
            /// E1 and E2 against a list of all that happened.
            #[test]
            fn no_answer_says_more_silence_than_there_was(
                steps in proptest::collection::vec((0u8..6, 0u32..3, 0u64..700), 1..60),
            ) {
                let start = Instant::now();
                let (mut now, mut hearing) = (start, Hearing::new(start));
                let (mut deaf_ms, mut clock_ms) = (0, 0);
                let mut links = BTreeSet::new();
                // When something came from the owner last, and when it had its last link.
                let mut heard: Option<u64> = None;
                let mut linked_until: Option<u64> = None;
                for (step, link, ms) in steps {
                    now += Duration::from_millis(ms);
                    clock_ms += ms;
                    match step {
                        0 => {
                            hearing.up(link, owner(1), now);
                            links.insert(link);
                            heard = Some(clock_ms);
                        }
                        1 => {
                            hearing.heard(link, now);
                            if links.contains(&link) {
                                heard = Some(clock_ms);
                            }
                        }
                        2 => {
                            hearing.down(link, now);
                            if links.remove(&link) && links.is_empty() {
                                linked_until = Some(clock_ms);
                            }
                        }
                        3 => {
                            hearing.deaf_until(now);
                            deaf_ms = clock_ms;
                        }
                        _ => {}
                    }
                    let Some((is_linked, silent_ms)) = said(&hearing, 1, now) else { continue };
                    prop_assert_eq!(is_linked, !links.is_empty());
                    let since_heard = clock_ms - heard.unwrap_or(0);
                    let unlinked =
                        if is_linked { 0 } else { clock_ms - linked_until.unwrap_or(0) };
                    prop_assert!(silent_ms <= since_heard.max(unlinked), "E1");
                    prop_assert!(is_linked || silent_ms <= unlinked || silent_ms >= GONE_SILENT_MS);
                    let was_heard = heard.is_some_and(|at| at >= deaf_ms)
                        || linked_until.is_some_and(|at| at >= deaf_ms);
                    prop_assert!(was_heard || silent_ms <= clock_ms - deaf_ms, "E2");
                }
            }
        }
    }
}
