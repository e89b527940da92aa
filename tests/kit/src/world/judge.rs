//! The judge: what clients were told, held against what may be.
//!
//! It knows one order, that of the first reader that places a segment, and what each segment says, and
//! asserts after each turn, in these words:
//! - *there is one order*: whoever places a segment places it where all others do, dense from 1 on;
//! - *one value*: a segment is elected with one stamp into one group, and no stamp twice;
//! - *held*: what is elected into a group, W of its nodes have had on disk, with this content;
//! - *once*: a message stands in the order once at most, and only if it was published;
//! - *own order*: messages of one session stand in the order in which it published them;
//! - *real time*: what was acknowledged to anybody, or known elected anywhere, before a message was sent
//!   or its segment made, stands before it;
//! - *truly acknowledged*: the position and the id of an answer are those of the message;
//! - *read*: what sync nodes have forgotten, somebody has placed;
//! - *known*: how far the order goes, any quorum of sync nodes knows that is asked from then on;
//! - *gapless*: a subscriber gets each message that it wants once, in order, across cuts of its
//!   connection; what retention has dropped meanwhile is the only exception, and it is told.
//!
//! And when faults are over: *nothing acknowledged is missing* (but what was only on disk while weeks went by), and everything comes to an end.

use std::collections::{BTreeMap, BTreeSet};

use vixen_broker::api::{AckLevel, SessionId};
use vixen_core::id::{Ballot, NdbId, OwnerId, PermanentId, Position, SegmentId, Stamp};
use vixen_core::order::Placed;
use vixen_core::segment::{Challenger, Elected, Proposal, SegmentMeta, Topic, TopicPattern};

use super::io::{Counted, Fact, Mark, Name};

/// A message that was sent.
#[derive(Debug)]
struct Sent {
    session: SessionId,
    level: AckLevel,
    /// What was acknowledged before it was sent ends before this.
    floor: Position,
    is_answered: bool,
    is_given_up: bool,
    place: Option<Position>,
}

/// A message in its place.
#[derive(Debug)]
pub(super) struct Stored {
    pub(super) mark: Mark,
    pub(super) topic: Topic,
}

/// What a subscriber wants, and what it has.
#[derive(Debug)]
pub(super) struct Plant {
    pub(super) pattern: TopicPattern,
    /// Everything that it wants from here on must come; unknown until its first subscription stands.
    pub(super) next: Option<Position>,
    /// Its session began with whatever there is, and the groups drop each by itself: what is dropped is
    /// not missed.
    pub(super) begins_anywhere: bool,
    pub(super) events: u64,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Judge {
    /// W.
    write_quorum: usize,
    /// Who has ever had a segment on disk.
    held: BTreeMap<SegmentMeta, BTreeSet<NdbId>>,
    order: Vec<Placed>,
    stored: Vec<Stored>,
    /// What segments say, and the newest stamp that was known elected anywhere when each was made.
    contents: BTreeMap<SegmentMeta, (Stamp, Vec<(Topic, Mark)>)>,
    /// What was proposed in which ballot.
    proposals: BTreeMap<(SegmentId, Ballot), Challenger>,
    elected: BTreeMap<SegmentId, Elected>,
    stamps: BTreeMap<Stamp, SegmentId>,
    sent: BTreeMap<Mark, Sent>,
    /// The last place of a message of each session.
    last: BTreeMap<SessionId, (u32, Position)>,
    /// After everything that was acknowledged.
    acknowledged_to: Position,
    given_up: BTreeSet<OwnerId>,
    /// On disk, of owners that were forgotten before: their entries send these again, if they are there.
    expired: BTreeSet<Mark>,
    pub(super) plants: Vec<Plant>,
    /// Retention has dropped up to here, somewhere.
    pub(super) trimmed_to: Position,
    pub(super) counts: BTreeMap<Counted, u64>,
}

impl Judge {
    /// Of an order whose segments so many nodes have on disk.
    pub(super) fn new(write_quorum: usize) -> Self {
        Self { write_quorum, ..Self::default() }
    }

    /// A subscriber that begins with whatever there is, or with what is published from some time on.
    pub(super) fn add_plant(&mut self, pattern: TopicPattern, begins_anywhere: bool) {
        let next = begins_anywhere.then_some(Position::FIRST);
        self.plants.push(Plant { pattern, next, begins_anywhere, events: 0 });
    }

    pub(super) fn published(&mut self, session: SessionId, mark: Mark, level: AckLevel) {
        let sent = Sent {
            session,
            level,
            floor: self.acknowledged_to,
            is_answered: false,
            is_given_up: false,
            place: None,
        };
        assert!(self.sent.insert(mark, sent).is_none(), "numbers are used once");
    }

    /// Everything is asserted here.
    pub(super) fn take(&mut self, who: Name, fact: Fact) {
        match fact {
            Fact::Elected(elected) => self.on_elected(who, elected),
            Fact::Placed(placed) => self.on_placed(who, placed),
            Fact::Contradiction(what) => panic!("one order: {who:?}: {what}"),
            Fact::Closed { meta, messages } => {
                let newest = self.stamps.last_key_value().map_or(Stamp::ZERO, |(stamp, _)| *stamp);
                let known = self.contents.entry(meta);
                let (_, known) = known.or_insert_with(|| (newest, messages.clone()));
                assert!(*known == messages, "a segment says one thing");
            }
            Fact::GivenUp { owner } => {
                self.given_up.insert(owner);
            }
            Fact::Answered { mark, level, place } => self.on_answered(mark, level, place),
            Fact::NotAnswered { mark } => {
                let sent = self.sent.get_mut(&mark).expect("it was sent");
                sent.is_given_up = true;
            }
            Fact::Event { plant, position, mark } => self.on_event(plant, position, mark),
            Fact::Begins { plant, from } => {
                self.plants[plant].next.get_or_insert(from);
            }
            Fact::Dropped { plant, first } => {
                assert!(first <= self.trimmed_to, "gapless: nothing was dropped up to {first}");
                let next = &mut self.plants[plant].next;
                *next = (*next).max(Some(first));
            }
            Fact::Held(metas) => {
                let Name::Ndb(id) = who else { unreachable!("storage nodes have segments") };
                for meta in metas {
                    self.held.entry(meta).or_default().insert(id);
                }
            }
            Fact::Forgotten { to } => {
                let placed_to = self.placed_to();
                assert!(
                    to <= placed_to,
                    "read: forgotten up to {to}, and placed up to {placed_to}"
                );
            }
            Fact::Expired { segment } => {
                let of_segment = self.contents.iter().filter(|(meta, _)| meta.id == segment);
                let marks = of_segment.flat_map(|(_, (_, messages))| messages);
                let marks: Vec<Mark> = marks.map(|(_, mark)| *mark).collect();
                self.expired.extend(marks);
            }
            Fact::Trimmed { first } => self.trimmed_to = self.trimmed_to.max(first),
            Fact::Count(counted) => *self.counts.entry(counted).or_default() += 1,
        }
    }

    /// A coordinator says what is to be accepted.
    pub(super) fn on_proposal(&mut self, who: Name, proposal: &Proposal) {
        let Proposal { meta, ballot, challenger } = *proposal;
        let said = *self.proposals.entry((meta.id, ballot)).or_insert(challenger);
        assert_eq!(said, challenger, "one value a ballot: {who:?} proposes {} twice", meta.id);
    }

    fn on_elected(&mut self, who: Name, elected: Elected) {
        let (id, stamp) = (elected.meta.id, elected.stamp());
        if let Some(known) = self.elected.get(&id) {
            assert_eq!(
                *known, elected,
                "one value: {id} is elected with two, the other at {who:?}"
            );
            return;
        }
        let other = self.stamps.insert(stamp, id);
        assert_eq!(other, None, "one value: {id} and another are elected at {stamp}");
        let made = self.contents.get(&elected.meta).map(|(newest, _)| *newest);
        let newest = made.expect("what is elected was made by an entry");
        assert!(
            stamp > newest,
            "real time: {id} is elected at {stamp}, and made after {newest} was"
        );
        let group = elected.challenger.group;
        let held = self.held.get(&elected.meta).into_iter().flatten();
        let held = held.filter(|node| node.group == group).count();
        assert!(
            held >= self.write_quorum,
            "held: {id} is elected into {group}, where {held} have it"
        );
        self.elected.insert(id, elected);
        let neighbours = [id.previous().map(|previous| (previous, id)), Some((id, id.next()))];
        for (earlier, later) in neighbours.into_iter().flatten() {
            if let (Some(a), Some(b)) = (self.elected.get(&earlier), self.elected.get(&later)) {
                assert!(a.stamp() < b.stamp(), "own order: {later} is elected below {earlier}");
            }
        }
    }

    fn on_placed(&mut self, who: Name, placed: Placed) {
        let at = self.order.partition_point(|known| known.first < placed.first);
        if let Some(known) = self.order.get(at) {
            assert_eq!(*known, placed, "one order: {who:?} places differently");
            return;
        }
        let Placed { first, elected } = placed;
        assert_eq!(first, self.end(), "one order: {who:?} leaves a gap, or overlaps");
        let id = elected.meta.id;
        assert!(
            !self.given_up.contains(&id.owner),
            "once: {id} gets its place, and goes on under another owner"
        );
        self.on_elected(who, elected);
        let (_, messages) = &self.contents[&elected.meta];
        let messages = messages.clone();
        assert_eq!(messages.len(), usize::try_from(elected.meta.count).expect("few"));
        self.order.push(placed);
        for (offset, (topic, mark)) in (0..).zip(messages) {
            self.on_stored(first.plus(offset), topic, mark);
        }
    }

    fn on_stored(&mut self, position: Position, topic: Topic, mark: Mark) {
        let sent = self.sent.get_mut(&mark).expect("once: nobody has published it");
        assert_eq!(sent.place, None, "once: {mark:?} stands at {position} as well");
        assert!(
            position >= sent.floor,
            "real time: {mark:?} stands at {position}, and what stands before {} was acknowledged \
             when it was sent",
            sent.floor
        );
        sent.place = Some(position);
        let last = self.last.insert(sent.session, (mark.number, position));
        assert!(
            last.is_none_or(|(number, _)| number < mark.number),
            "own order: {mark:?} stands at {position}, after {last:?} of the same session"
        );
        self.stored.push(Stored { mark, topic });
    }

    fn on_answered(&mut self, mark: Mark, level: AckLevel, place: Option<(Position, PermanentId)>) {
        let sent = self.sent.get_mut(&mark).expect("it was sent");
        // Who asked for less may get its place at once.
        let is_meant = level == sent.level || level == AckLevel::Canonical;
        assert!(is_meant, "truly acknowledged: {mark:?} is answered before its time");
        assert!(!sent.is_answered, "truly acknowledged: {mark:?} is answered twice");
        sent.is_answered = true;
        let Some((position, id)) = place else { return };
        assert_eq!(sent.place, Some(position), "truly acknowledged: {mark:?}");
        let at = self.order.partition_point(|known| known.first <= position) - 1;
        let Placed { first, elected } = self.order[at];
        let offset = u32::try_from(position.0 - first.0).expect("within a segment");
        let true_id = PermanentId { stamp: elected.stamp(), offset };
        assert_eq!(id, true_id, "truly acknowledged: the id of {mark:?}");
        self.acknowledged_to = self.acknowledged_to.max(position.plus(1));
    }

    fn on_event(&mut self, plant: usize, position: Position, mark: Mark) {
        let end = self.end();
        assert!(position < end, "an event of what has no place");
        let stored = &self.stored[index(position)];
        assert_eq!(stored.mark, mark, "gapless: another message stands at {position}");
        let missed = self.missed(plant, position);
        let wants = &mut self.plants[plant];
        assert!(wants.pattern.matches(&stored.topic), "an event that was not asked for");
        let next = wants.next.unwrap_or(position);
        assert!(position >= next, "gapless: plant {plant} gets {position} again, {next} is next");
        let may_miss = if wants.begins_anywhere { self.trimmed_to } else { Position(0) };
        if let Some(missed) = missed {
            assert!(
                missed < may_miss,
                "gapless: plant {plant} gets {position}, and has not got {missed}"
            );
        }
        wants.next = Some(position.plus(1));
        wants.events += 1;
    }

    /// The last message before `to` that the plant wants and has not got.
    fn missed(&self, plant: usize, to: Position) -> Option<Position> {
        let Plant { pattern, next, .. } = &self.plants[plant];
        let from = next.unwrap_or(to).min(to);
        let between = (from.0..to.0).map(Position).rev();
        let mut wanted = between.filter(|at| pattern.matches(&self.stored[index(*at)].topic));
        wanted.next()
    }

    /// After the last message.
    pub(super) fn end(&self) -> Position {
        Position(self.stored.len() as u64 + 1)
    }

    pub(super) fn segments(&self) -> usize {
        self.order.len()
    }

    /// The order: each segment in its place.
    pub(super) fn order(&self) -> &[Placed] {
        &self.order
    }

    /// What a subscriber would still get; `None` when it has all.
    pub(super) fn lacks(&self, plant: usize) -> Option<String> {
        let Some(next) = self.plants[plant].next else {
            return Some(format!("plant {plant} has not begun"));
        };
        let missed = self.missed(plant, self.end()).filter(|at| {
            // What was dropped before it began is not to be had.
            !(self.plants[plant].begins_anywhere && *at < self.trimmed_to)
        });
        missed.map(|at| format!("plant {plant} has all before {next}, and not {at}"))
    }

    /// Answers that were given must stand; `None` when they do.
    pub(super) fn missing(&self) -> Option<String> {
        let is_lost = |(mark, sent): &(&Mark, &Sent)| {
            sent.is_answered && sent.place.is_none() && !self.expired.contains(mark)
        };
        let lost = self.sent.iter().find(is_lost);
        lost.map(|(mark, _)| {
            format!("nothing acknowledged is missing: {mark:?} was acknowledged, and has no place")
        })
    }

    /// A message of a session that lives, which waits for its answer.
    pub(super) fn unanswered(&self, is_alive: impl Fn(SessionId) -> bool) -> Option<String> {
        let waits = |sent: &Sent| !sent.is_answered && !sent.is_given_up && is_alive(sent.session);
        let waiting = self.sent.iter().find(|(_, sent)| waits(sent));
        waiting.map(|(mark, sent)| format!("{mark:?} of {:?} is not answered", sent.session))
    }

    /// Whether a segment is known elected anywhere.
    pub(super) fn is_elected(&self, segment: SegmentId) -> bool {
        self.elected.contains_key(&segment)
    }

    /// Stamp of the last segment in the order.
    pub(super) fn placed_to(&self) -> Stamp {
        self.order.last().map_or(Stamp::ZERO, |placed| placed.elected.stamp())
    }

    pub(super) fn messages_sent(&self) -> usize {
        self.sent.len()
    }
}

fn index(position: Position) -> usize {
    usize::try_from(position.0 - 1).expect("few messages")
}
