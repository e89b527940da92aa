//! When to ask which peer for missing segments.
//!
//! ```text
//!        grace, room, a peer           blob
//! waiting ------------------> asked ---------> got
//!         <------------------
//!      lacks it, is silent, or gone
//! ```
//! A node that was away may lack very many segments. Only so many are asked for at a time: no peer
//! is flooded, and nothing is asked for again because its turn had not come yet.
//!
//! Invariants:
//! - L1: what is wanted waits, or is asked of one peer; never both.
//! - L2: no more is asked for at a time than the bound.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use vixen_core::id::{NdbId, SegmentId};

/// A placed segment is usually on its way from its entry: that gets this long.
const GRACE: Duration = Duration::from_millis(10);
/// Pause before a segment that a peer lacks is asked for again; doubles up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// A peer that is silent for longer is not waited for.
const ANSWER_MAX: Duration = Duration::from_secs(2);
/// So long a segment may be on its way from its entry, also where no peer has it.
const NOWHERE_AFTER: Duration = Duration::from_secs(5);
/// Segments in one request.
const BATCH: usize = 64;
/// Segments asked for and not answered: two requests keep a peer busy.
const ASKED_MAX: usize = 2 * BATCH;

#[derive(Clone, Copy, Debug)]
struct Want {
    /// When it was wanted first.
    since: Instant,
    /// When its state ends; its key in `waiting` or `asked`.
    at: Instant,
    /// How often it was asked for.
    tries: u32,
    asked: Option<NdbId>,
}

/// The missing segments, and the peers that may have them.
#[derive(Debug, Default)]
pub(crate) struct Fetch {
    wanted: BTreeMap<SegmentId, Want>,
    /// By when they may be asked for.
    waiting: BTreeSet<(Instant, SegmentId)>,
    /// By when the peer's time is over.
    asked: BTreeSet<(Instant, SegmentId)>,
    peers: BTreeSet<NdbId>,
    /// Which peers have said that they lack a segment, since their last link came up.
    lacked: BTreeMap<SegmentId, BTreeSet<NdbId>>,
}

impl Fetch {
    pub(crate) fn want(&mut self, segment: SegmentId, now: Instant) {
        if !self.wanted.contains_key(&segment) {
            self.put(segment, Want { since: now, at: now + GRACE, tries: 0, asked: None });
        }
    }

    pub(crate) fn got(&mut self, segment: SegmentId) {
        self.lacked.remove(&segment);
        self.take(segment);
    }

    /// A peer does not have them: another is asked after a pause.
    pub(crate) fn lacks(&mut self, peer: NdbId, segments: &[SegmentId], now: Instant) {
        for segment in segments {
            if self.wanted.get(segment).is_some_and(|want| want.asked == Some(peer)) {
                self.lacked.entry(*segment).or_default().insert(peer);
                self.retry(*segment, now);
            }
        }
    }

    /// Segments that are at no node of a group with `others` nodes beside this one: each has said that
    /// it lacks them, and their entries have had time to bring them. One that is not there may have them.
    pub(crate) fn nowhere(&self, others: usize, now: Instant) -> impl Iterator<Item = SegmentId> {
        let is_lacked = move |segment| {
            others == 0 || self.lacked.get(segment).is_some_and(|peers| peers.len() >= others)
        };
        let is_late = move |want: &Want| want.since + NOWHERE_AFTER <= now;
        let nowhere =
            self.wanted.iter().filter(move |(segment, want)| is_late(want) && is_lacked(*segment));
        nowhere.map(|(segment, _)| *segment)
    }

    /// A peer came up: it may have what others lacked.
    pub(crate) fn peer_up(&mut self, peer: NdbId, now: Instant) {
        self.peers.insert(peer);
        self.lacked.values_mut().for_each(|peers| _ = peers.remove(&peer));
        let pausing = self.waiting.iter().map(|(_, segment)| *segment);
        let pausing: Vec<_> = pausing.filter(|segment| self.tries_of(*segment) > 0).collect();
        for segment in pausing {
            self.wait_until(segment, now);
        }
    }

    /// A peer is gone, and what it was asked for is asked of another.
    pub(crate) fn peer_down(&mut self, peer: NdbId, now: Instant) {
        self.peers.remove(&peer);
        let asked = self.asked.iter().map(|(_, segment)| *segment);
        let of_peer = |segment: &SegmentId| self.wanted.get(segment)?.asked;
        let lost: Vec<_> = asked.filter(|segment| of_peer(segment) == Some(peer)).collect();
        for segment in lost {
            self.wait_until(segment, now);
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.wanted.len()
    }

    /// When to call [`take_due`](Self::take_due); `None` while there is nothing to do.
    pub(crate) fn due_at(&self) -> Option<Instant> {
        let has_room = self.asked.len() + BATCH <= ASKED_MAX;
        let can_ask = has_room && !self.peers.is_empty();
        let next = self.waiting.first().filter(|_| can_ask);
        [next, self.asked.first()].into_iter().flatten().map(|(at, _)| *at).min()
    }

    /// What to ask whom now, at most one request a peer.
    pub(crate) fn take_due(&mut self, now: Instant) -> BTreeMap<NdbId, Vec<SegmentId>> {
        while let Some((_, segment)) = self.asked.first().copied().filter(|(at, _)| *at <= now) {
            self.retry(segment, now);
        }
        let peers: Vec<_> = self.peers.iter().copied().collect();
        let room = if peers.is_empty() { 0 } else { ASKED_MAX - self.asked.len().min(ASKED_MAX) };
        let due = self.waiting.iter().take_while(|(at, _)| *at <= now).take(room);
        let due: Vec<_> = due.map(|(_, segment)| *segment).collect();
        let mut requests: BTreeMap<NdbId, Vec<SegmentId>> = BTreeMap::new();
        for segment in due {
            // Neighbours go to different peers, and each try goes to the next peer.
            let Some(want) = self.wanted.get(&segment).copied() else { continue };
            let tries = want.tries;
            let turn = segment.seq.0.wrapping_add(u64::from(tries));
            let Ok(turn) = usize::try_from(turn % peers.len() as u64) else { continue };
            let request = requests.entry(peers[turn]).or_default();
            if request.len() < BATCH {
                request.push(segment);
                let asked = Some(peers[turn]);
                let at = now + ANSWER_MAX;
                self.put(segment, Want { at, tries: tries + 1, asked, ..want });
            }
        }
        self.check();
        requests
    }

    pub(crate) fn tries_of(&self, segment: SegmentId) -> u32 {
        self.wanted.get(&segment).map_or(0, |want| want.tries)
    }

    fn retry(&mut self, segment: SegmentId, now: Instant) {
        let doubled = self.tries_of(segment).saturating_sub(1).min(8);
        let pause = PAUSE_MIN * 2u32.saturating_pow(doubled);
        self.wait_until(segment, now + pause.min(PAUSE_MAX));
    }

    fn wait_until(&mut self, segment: SegmentId, at: Instant) {
        if let Some(want) = self.take(segment) {
            self.put(segment, Want { at, asked: None, ..want });
        }
    }

    fn take(&mut self, segment: SegmentId) -> Option<Want> {
        let want = self.wanted.remove(&segment)?;
        self.waiting.remove(&(want.at, segment));
        self.asked.remove(&(want.at, segment));
        Some(want)
    }

    fn put(&mut self, segment: SegmentId, want: Want) {
        self.take(segment);
        let queue = if want.asked.is_some() { &mut self.asked } else { &mut self.waiting };
        queue.insert((want.at, segment));
        self.wanted.insert(segment, want);
    }

    fn check(&self) {
        let queued = self.waiting.len() + self.asked.len();
        assert_eq!(self.wanted.len(), queued, "L1: what is wanted waits, or is asked for");
        assert!(self.asked.len() <= ASKED_MAX, "L2: no more is asked for than the bound");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use vixen_core::id::GroupId;

    fn peer(member: u8) -> NdbId {
        NdbId { group: GroupId(0), member }
    }

    fn segment(seq: u64) -> SegmentId {
        sample::segment(1, seq)
    }

    /// Wants segments `0..count` of peers 1 and 2.
    fn wanting(now: Instant, count: u64) -> Fetch {
        let mut fetch = Fetch::default();
        fetch.peer_up(peer(1), now);
        fetch.peer_up(peer(2), now);
        (0..count).for_each(|seq| fetch.want(segment(seq), now));
        fetch
    }

    #[test]
    fn a_segment_is_asked_for_after_its_grace_and_then_elsewhere() {
        let now = Instant::now();
        let mut fetch = wanting(now, 1);
        assert_eq!(fetch.due_at(), Some(now + GRACE));
        assert!(fetch.take_due(now).is_empty());
        let now = now + GRACE;
        assert_eq!(fetch.take_due(now), BTreeMap::from([(peer(1), vec![segment(0)])]));
        fetch.lacks(peer(2), &[segment(0)], now);
        assert_eq!(fetch.due_at(), Some(now + ANSWER_MAX), "it was not peer 2 that was asked");
        fetch.lacks(peer(1), &[segment(0)], now);
        let now = now + PAUSE_MIN;
        assert_eq!(fetch.take_due(now), BTreeMap::from([(peer(2), vec![segment(0)])]));
        fetch.got(segment(0));
        assert_eq!((fetch.due_at(), fetch.len()), (None, 0));
    }

    #[test]
    fn only_so_many_are_asked_for_until_some_have_come() {
        let now = Instant::now();
        let mut fetch = wanting(now, 1000);
        let now = now + GRACE;
        let requests = fetch.take_due(now);
        assert_eq!(requests.values().map(Vec::len).collect::<Vec<_>>(), [BATCH, BATCH]);
        assert_eq!(fetch.due_at(), Some(now + ANSWER_MAX));
        assert!(fetch.take_due(now).is_empty());
        requests[&peer(1)].iter().for_each(|segment| fetch.got(*segment));
        assert_eq!(fetch.due_at(), Some(now));
        let again = fetch.take_due(now);
        assert_eq!(again.values().map(Vec::len).sum::<usize>(), BATCH);
        assert!(again.values().flatten().all(|segment| !requests[&peer(2)].contains(segment)));
    }

    #[test]
    fn a_segment_is_nowhere_only_when_all_others_have_said_so_and_it_had_time_to_come() {
        let begin = Instant::now();
        let mut fetch = wanting(begin, 1);
        let late = begin + NOWHERE_AFTER;
        let nowhere = |fetch: &Fetch, others, now| fetch.nowhere(others, now).count();
        assert_eq!(nowhere(&fetch, 0, begin), 0, "its entry may bring it");
        assert_eq!(nowhere(&fetch, 0, late), 1, "there is nobody to ask");
        let mut now = begin + GRACE;
        for asked in [peer(1), peer(2)] {
            assert_eq!(nowhere(&fetch, 2, late), 0, "nobody has asked {asked:?}");
            assert!(fetch.take_due(now).contains_key(&asked));
            fetch.lacks(asked, &[segment(0)], now);
            now += PAUSE_MAX;
        }
        assert_eq!(nowhere(&fetch, 2, now), 0);
        assert_eq!(nowhere(&fetch, 3, late), 0, "the third is not there");
        assert_eq!(nowhere(&fetch, 2, late), 1);
        // Its disk may have been put back.
        fetch.peer_up(peer(2), late);
        assert_eq!(nowhere(&fetch, 2, late), 0);
        fetch.got(segment(0));
        assert_eq!(nowhere(&fetch, 0, late), 0);
    }

    #[test]
    fn a_silent_peer_and_one_that_is_gone_are_not_waited_for() {
        let now = Instant::now();
        let mut fetch = wanting(now, 1);
        let now = now + GRACE;
        assert!(fetch.take_due(now).contains_key(&peer(1)));
        let now = now + ANSWER_MAX;
        assert!(fetch.take_due(now).is_empty());
        let now = now + PAUSE_MIN;
        assert!(fetch.take_due(now).contains_key(&peer(2)));
        fetch.peer_down(peer(2), now);
        assert!(fetch.take_due(now).contains_key(&peer(1)));
        fetch.peer_down(peer(1), now);
        assert_eq!(fetch.due_at(), None, "nobody to ask, no timer");
        fetch.peer_up(peer(2), now);
        assert!(fetch.take_due(now).contains_key(&peer(2)));
    }
}
