//! When to ask which peer for missing segments.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use vixen_common::id::{NdbId, SegmentId};

/// A placed segment is usually on its way from its entry: that gets this long.
const GRACE: Duration = Duration::from_millis(10);
/// Pause before the same segment is asked for again; doubles up to the longest.
const PAUSE_MIN: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(1);
/// Segments in one request, and requests in one go.
const BATCH: usize = 64;
const REQUESTS_MAX: usize = 4;

#[derive(Clone, Copy, Debug)]
struct Want {
    at: Instant,
    tries: u32,
}

/// The missing segments, by when to ask for them.
#[derive(Debug, Default)]
pub(super) struct Fetching {
    wanted: BTreeMap<SegmentId, Want>,
    turn: usize,
}

impl Fetching {
    pub(super) fn want(&mut self, segment: SegmentId, now: Instant) {
        self.wanted.entry(segment).or_insert(Want { at: now + GRACE, tries: 0 });
    }

    pub(super) fn got(&mut self, segment: SegmentId) {
        self.wanted.remove(&segment);
    }

    /// A peer came up: it may have what others lacked.
    pub(super) fn hurry(&mut self, now: Instant) {
        self.wanted.values_mut().for_each(|want| want.at = want.at.min(now));
    }

    pub(super) fn len(&self) -> usize {
        self.wanted.len()
    }

    /// When to look again; nothing while no peer is there to ask.
    pub(super) fn due_at(&self) -> Option<Instant> {
        self.wanted.values().map(|want| want.at).min()
    }

    /// What to ask whom now: peers take turns.
    pub(super) fn take_due(
        &mut self,
        now: Instant,
        peers: &[NdbId],
    ) -> Vec<(NdbId, Vec<SegmentId>)> {
        let mut requests: Vec<(NdbId, Vec<SegmentId>)> = Vec::new();
        if peers.is_empty() {
            // Looked at again when a peer comes up.
            self.wanted.values_mut().for_each(|want| want.at = now + PAUSE_MAX);
            return requests;
        }
        for (segment, want) in &mut self.wanted {
            if want.at > now {
                continue;
            }
            if requests.last().is_none_or(|(_, segments)| segments.len() >= BATCH) {
                if requests.len() == REQUESTS_MAX {
                    break;
                }
                self.turn += 1;
                requests.push((peers[self.turn % peers.len()], Vec::new()));
            }
            if let Some((_, segments)) = requests.last_mut() {
                segments.push(*segment);
            }
            let pause = PAUSE_MIN * 2u32.saturating_pow(want.tries.min(8));
            *want = Want { at: now + pause.min(PAUSE_MAX), tries: want.tries + 1 };
        }
        requests
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vixen_common::id::{GroupId, OwnerId, Seq};

    fn peer(member: u8) -> NdbId {
        NdbId { group: GroupId(0), member }
    }

    fn segment(seq: u64) -> SegmentId {
        SegmentId { owner: OwnerId(uuid::Uuid::from_u128(1)), seq: Seq(seq) }
    }

    #[tokio::test]
    async fn a_segment_is_asked_for_after_its_grace_and_then_elsewhere() {
        let now = Instant::now();
        let mut fetching = Fetching::default();
        fetching.want(segment(1), now);
        let peers = [peer(1), peer(2)];
        assert!(fetching.take_due(now, &peers).is_empty());
        let first = fetching.take_due(now + GRACE, &peers);
        assert_eq!(first[0].1, [segment(1)]);
        assert!(fetching.take_due(now + GRACE, &peers).is_empty());
        let second = fetching.take_due(now + GRACE + PAUSE_MIN, &peers);
        assert_ne!(first[0].0, second[0].0);
        fetching.got(segment(1));
        assert_eq!(fetching.due_at(), None);
    }

    #[tokio::test]
    async fn many_segments_go_in_bounded_requests() {
        let now = Instant::now();
        let mut fetching = Fetching::default();
        (0..1000).for_each(|seq| fetching.want(segment(seq), now));
        let requests = fetching.take_due(now + GRACE, &[peer(1)]);
        assert_eq!(requests.len(), REQUESTS_MAX);
        assert!(requests.iter().all(|(_, segments)| segments.len() == BATCH));
    }
}
