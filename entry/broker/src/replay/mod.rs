//! Replay: what one subscriber gets, from the past and live, without a gap and without a repeat.
//!
//! ```text
//!           replay: reads of the store                        live
//!   |--------------------------------------------|------------------------->  positions
//!   after                                       from (Joined)
//! ```
//! A subscription that begins in the past is read from the store, batch by batch, each when the
//! subscriber has taken the one before. At the end of what is stored it joins: the core names a
//! position from which on everything comes live, the replay is read up to there, and nothing else
//! is taken meanwhile. A subscriber that takes live events too slowly is left out by the core from
//! some position on: that makes a replay of everything it has live, from that position.
//!
//! Invariants:
//! - F1: positions of one subscription rise strictly, whatever is read or sent again.
//! - F2: a subscription is live, or in exactly one replay.
//! - F3: nothing live is taken while the last part of a replay is read.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use vixen_core::id::{PermanentId, Position};
use vixen_core::segment::{Receiver, TopicPattern};
use vixen_core::wire::{HistoryPlace, TailSegment};

use crate::api::{After, JoinId, Subscribe, SubscribeMode, SubscriptionId};
use crate::event::{Built, EventBatch, Target, build};
use crate::history::{Bound, Direction, HistoryError, HistoryRequest, RefPoint, Start};

/// Messages of one read at most.
const READ_MESSAGES_MAX: u64 = 16_384;

/// Topics and patterns of one read at most: they go to ndb nodes in one message.
const REPLAY_PATTERNS_BYTES_MAX: usize = 4 << 20;

/// Of these, patterns that are no exact topics. A message is an event for each that matches it, and all
/// of them may: what a read brings is up to so many times as much.
const REPLAY_OVERLAPS_MAX: usize = 8;

/// Before the order is looked at again that has not reached its tails.
const PAUSE_BEHIND: Duration = Duration::from_millis(10);
/// Before a read is tried again that failed; it has waited long itself.
const PAUSE_FAILED: Duration = Duration::from_secs(1);

/// What a read brought.
#[derive(Debug)]
pub struct ReadPart {
    /// In order.
    pub segments: Vec<TailSegment>,
    /// Everything wanted before it was read.
    pub next: Position,
    /// Whether it ends where the order ended, or where it was to end.
    pub is_complete: bool,
}

/// What a step of a subscriber owes, in this order.
#[derive(Debug, Default)]
pub struct Effects {
    /// These subscriptions stand: what they wanted could be read.
    pub announce: Vec<SubscriptionId>,
    /// Events, of which [`Subscriber::take`] tells which are sent.
    pub batches: Vec<EventBatch>,
    /// Messages of a later version among them, which this one cannot judge: nobody gets them.
    pub left_out: usize,
    /// Ask the core to join.
    pub join: Option<(JoinId, Vec<SubscriptionId>)>,
    /// These are over: they got what they wanted.
    pub ended: Vec<SubscriptionId>,
    /// These cannot begin.
    pub refused: Vec<(SubscriptionId, HistoryError)>,
    /// What the subscriber was to get next is gone: it cannot go on.
    pub lost: Option<HistoryError>,
    /// Before the next read.
    pub pause: Option<Duration>,
    /// Why it is tried again.
    pub failed: Option<HistoryError>,
}

#[derive(Debug)]
struct Subscription {
    pattern: TopicPattern,
    is_live: bool,
    /// F1: nothing before it is taken.
    next: Position,
    /// Nor before this. The order of this entry may not have come to it yet.
    begin: Option<PermanentId>,
    /// Events that it still wants.
    left: Option<u64>,
    is_announced: bool,
}

#[derive(Debug)]
struct Replay {
    start: Start,
    /// What the subscriber has named, until a read has found it.
    named: Option<RefPoint>,
    subscriptions: Vec<SubscriptionId>,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Up to the end of what is stored.
    Reading,
    /// Up to here, and then it is over.
    Snapshot { until: Position },
    /// The core was asked.
    Joining(JoinId),
    /// Up to here, and then live.
    Last { until: Position },
}

/// See the module.
#[derive(Debug, Default)]
pub struct Subscriber {
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    /// The first one is read next.
    replays: VecDeque<Replay>,
    last_join: u64,
    is_reading: bool,
}

/// Where a replay begins, and the first position and id that it may get.
fn start_of(wanted: &Subscribe, live_from: Position) -> (Start, Position, Option<PermanentId>) {
    match wanted.after {
        None if wanted.is_snapshot => (Start::Anywhere, Position::FIRST, None),
        None => (Start::At(HistoryPlace::Position(live_from)), live_from, None),
        Some(After::Beginning) => (Start::Anywhere, Position::FIRST, None),
        Some(After::Point(point)) => {
            let bound = point.after();
            let (next, begin) = match bound {
                Bound::Position(position) => (position, None),
                Bound::Id(id) => (Position::FIRST, Some(id)),
            };
            (Start::At(bound.place()), next, begin)
        }
    }
}

impl Subscriber {
    /// The core has answered: the subscription is live from `live_from` on, unless more is wanted; the order ends at `end`. `true`: it stands at once.
    pub fn subscribed(
        &mut self,
        id: SubscriptionId,
        wanted: &Subscribe,
        live_from: Position,
        end: Position,
    ) -> bool {
        if let Some(known) = self.subscriptions.get(&id) {
            return known.is_announced;
        }
        let is_live = wanted.mode() == SubscribeMode::Live;
        let (start, next, begin) = start_of(wanted, live_from);
        let subscription = Subscription {
            pattern: wanted.pattern.clone(),
            is_live,
            next: if is_live { live_from } else { next },
            begin,
            left: wanted.limit,
            is_announced: is_live,
        };
        self.subscriptions.insert(id, subscription);
        if !is_live {
            let stage =
                if wanted.is_snapshot { Stage::Snapshot { until: end } } else { Stage::Reading };
            let named = match wanted.after {
                Some(After::Point(point)) => Some(point),
                Some(After::Beginning) | None => None,
            };
            self.replays.push_back(Replay { start, named, subscriptions: vec![id], stage });
        }
        is_live
    }

    /// The subscription is over. Whether there was one.
    pub fn remove(&mut self, id: SubscriptionId) -> bool {
        let is_known = self.subscriptions.remove(&id).is_some();
        for replay in &mut self.replays {
            replay.subscriptions.retain(|one| *one != id);
        }
        // The one that is being read stays in its place until the read is back.
        let kept = usize::from(self.is_reading);
        let mut index = 0;
        self.replays.retain(|replay| {
            index += 1;
            index <= kept || !replay.subscriptions.is_empty()
        });
        is_known
    }

    /// Whether there is such a subscription.
    pub fn has(&self, id: SubscriptionId) -> bool {
        self.subscriptions.contains_key(&id)
    }

    /// Subscriptions whose patterns do not pass.
    pub fn unlike(&self, may: impl Fn(&TopicPattern) -> bool) -> Vec<SubscriptionId> {
        let refused = self.subscriptions.iter().filter(|(_, known)| !may(&known.pattern));
        refused.map(|(id, _)| *id).collect()
    }

    /// Whether nothing is to be read any more.
    pub fn is_live(&self) -> bool {
        self.replays.is_empty()
    }

    /// Whether everything that comes live has to wait (F3).
    pub fn is_blocked(&self) -> bool {
        self.replays.iter().any(Replay::is_last)
    }

    /// The next read, if one is to be made. [`on_read`](Self::on_read) takes what it brings.
    pub fn next_read(&mut self) -> Option<HistoryRequest> {
        if self.is_reading {
            return None;
        }
        let last = self.replays.iter().position(Replay::is_last);
        let at = last.or_else(|| self.replays.iter().position(|replay| !replay.is_joining()))?;
        // Those that wait for the core go to the end.
        self.replays.rotate_left(at);
        let replay = self.replays.front()?;
        let patterns = replay.subscriptions.iter().filter_map(|id| self.subscriptions.get(id));
        let mut topics: Vec<_> = patterns.map(|known| known.pattern.clone()).collect();
        topics.sort_unstable();
        topics.dedup();
        let until = match replay.stage {
            Stage::Last { until } | Stage::Snapshot { until } => Some(Bound::Position(until)),
            Stage::Reading | Stage::Joining(_) => None,
        };
        let limit = READ_MESSAGES_MAX / overlaps_of(&topics) as u64;
        self.is_reading = true;
        Some(HistoryRequest {
            start: replay.start,
            direction: Direction::Forward,
            until,
            topics,
            limit: Some(limit),
            named: replay.named,
        })
    }

    /// Takes what the last read brought.
    pub fn on_read(&mut self, outcome: Result<ReadPart, HistoryError>) -> Effects {
        self.is_reading = false;
        let mut fx = Effects::default();
        let Some(mut replay) = self.replays.pop_front() else { return fx };
        if replay.subscriptions.is_empty() {
            return fx;
        }
        let part = match outcome {
            Ok(part) => part,
            Err(error) => {
                self.on_failed(replay, error, &mut fx);
                return fx;
            }
        };
        for id in &replay.subscriptions {
            let Some(known) = self.subscriptions.get_mut(id) else { continue };
            if !std::mem::replace(&mut known.is_announced, true) {
                fx.announce.push(*id);
            }
        }
        for segment in &part.segments {
            let Built { batch, left_out, .. } = self.events_of(&replay, segment);
            fx.batches.push(batch);
            fx.left_out += left_out;
        }
        replay.start = Start::At(HistoryPlace::Position(part.next));
        replay.named = None;
        self.go_on(replay, &part, &mut fx);
        fx
    }

    /// What follows a read.
    fn go_on(&mut self, mut replay: Replay, part: &ReadPart, fx: &mut Effects) {
        match replay.stage {
            Stage::Snapshot { until } if part.is_complete || part.next >= until => {
                // The driver sends the batches before it ends them.
                fx.ended.extend(&replay.subscriptions);
            }
            Stage::Last { until } if part.next >= until => self.become_live(&replay),
            Stage::Reading if part.is_complete => {
                self.last_join += 1;
                let join = JoinId(self.last_join);
                replay.stage = Stage::Joining(join);
                fx.join = Some((join, replay.subscriptions.clone()));
                self.replays.push_back(replay);
            }
            // The last part goes on at once: everything waits for it. The order of this entry may
            // be behind its tails for a moment.
            Stage::Last { .. } => {
                fx.pause = part.is_complete.then_some(PAUSE_BEHIND);
                self.replays.push_front(replay);
            }
            Stage::Snapshot { .. } | Stage::Reading | Stage::Joining(_) => {
                self.replays.push_back(replay);
            }
        }
    }

    fn on_failed(&mut self, replay: Replay, error: HistoryError, fx: &mut Effects) {
        let is_new = |id: &SubscriptionId| {
            self.subscriptions.get(id).is_some_and(|known| !known.is_announced)
        };
        if replay.subscriptions.iter().any(is_new) {
            // A replay of the beginning has one subscription only.
            for id in replay.subscriptions {
                self.subscriptions.remove(&id);
                fx.refused.push((id, error.clone()));
            }
        } else if matches!(error, HistoryError::Trimmed { .. } | HistoryError::Stopped) {
            fx.lost = Some(error);
            self.replays.push_front(replay);
        } else {
            fx.pause = Some(PAUSE_FAILED);
            fx.failed = Some(error);
            self.replays.push_front(replay);
        }
    }

    fn become_live(&mut self, replay: &Replay) {
        for id in &replay.subscriptions {
            if let Some(known) = self.subscriptions.get_mut(id) {
                known.is_live = true;
            }
        }
    }

    fn events_of(&self, replay: &Replay, segment: &TailSegment) -> Built {
        let targets = segment.topics.iter().map(|topic| {
            let known = replay.subscriptions.iter();
            let known = known.filter_map(|id| Some((*id, self.subscriptions.get(id)?)));
            known
                .filter(|(_, known)| known.pattern.matches(topic))
                .map(|(subscription, known)| Target {
                    subscription,
                    names_topic: !known.pattern.is_exact(),
                })
                .collect()
        });
        build(segment, &targets.collect::<Vec<_>>())
    }

    /// The core has joined: everything from `from` on comes live.
    pub fn on_joined(&mut self, join: JoinId, from: Position) {
        let is_it = |replay: &Replay| replay.stage == Stage::Joining(join);
        let Some(at) = self.replays.iter().position(is_it) else { return };
        let Some(mut replay) = self.replays.remove(at) else { return };
        let reached = match replay.start {
            Start::At(HistoryPlace::Position(position)) => position,
            // A read has been made, and named a position.
            Start::At(_) | Start::Anywhere => Position::FIRST,
        };
        if reached >= from {
            self.become_live(&replay);
        } else {
            replay.stage = Stage::Last { until: from };
            // F3. A read that is under way belongs to the one in front, which stays there.
            self.replays.insert(usize::from(self.is_reading), replay);
        }
    }

    /// The core has left these out from `from` on.
    pub fn on_lagging(&mut self, from: Position, ids: &[SubscriptionId]) {
        let (mut left_out, mut bytes, mut overlaps) = (Vec::new(), 0, 0);
        for id in ids {
            let known = self.subscriptions.get_mut(id);
            if let Some(known) = known.filter(|known| known.is_live) {
                known.is_live = false;
                let own = known.pattern.realm.len() + known.pattern.uri.len();
                let may_overlap = !known.pattern.is_exact();
                let is_large = bytes > 0 && bytes + own > REPLAY_PATTERNS_BYTES_MAX;
                if is_large || (may_overlap && overlaps == REPLAY_OVERLAPS_MAX) {
                    self.replay_from(from, std::mem::take(&mut left_out));
                    (bytes, overlaps) = (0, 0);
                }
                left_out.push(*id);
                bytes += own;
                overlaps += usize::from(may_overlap);
            }
        }
        if !left_out.is_empty() {
            self.replay_from(from, left_out);
        }
    }

    fn replay_from(&mut self, from: Position, subscriptions: Vec<SubscriptionId>) {
        self.replays.push_back(Replay {
            start: Start::At(HistoryPlace::Position(from)),
            named: None,
            subscriptions,
            stage: Stage::Reading,
        });
    }

    /// Which events of a batch the subscriber gets, by index into [`EventBatch::events`]; `is_live`
    /// is false for those of [`Effects::batches`]. Subscriptions that got their last one go to
    /// `ended`.
    pub fn take(
        &mut self,
        batch: &EventBatch,
        is_live: bool,
        receiver: &Receiver<'_>,
        ended: &mut Vec<SubscriptionId>,
    ) -> Vec<usize> {
        assert!(!is_live || !self.is_blocked(), "F3: nothing live is taken during a last part");
        let mut taken = Vec::new();
        for (index, event) in batch.events().iter().enumerate() {
            let Some(known) = self.subscriptions.get_mut(&event.subscription) else { continue };
            let is_over = known.left == Some(0);
            let is_passed = batch.is_stored()
                && (event.position < known.next || batch.id_of(event) < known.begin);
            if is_over || is_passed || (is_live && !known.is_live) || !event.is_for(receiver) {
                continue;
            }
            if batch.is_stored() {
                known.next = event.position.plus(1);
            }
            if let Some(left) = &mut known.left {
                *left -= 1;
                if *left == 0 {
                    ended.push(event.subscription);
                }
            }
            taken.push(index);
        }
        taken
    }
}

/// How many of these patterns may match one topic, at least 1: exact ones are different.
#[must_use]
pub fn overlaps_of(patterns: &[TopicPattern]) -> usize {
    patterns.iter().filter(|pattern| !pattern.is_exact()).count().max(1)
}

impl Replay {
    const fn is_last(&self) -> bool {
        matches!(self.stage, Stage::Last { .. })
    }

    const fn is_joining(&self) -> bool {
        matches!(self.stage, Stage::Joining(_))
    }
}
