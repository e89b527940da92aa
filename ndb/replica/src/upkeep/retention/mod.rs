//! What the group keeps of the past: a day goes when a majority of it would drop it, and a node that
//! has less than its peers takes it back from them.
//!
//! Each node tells its group which days may go by its own settings, and where its order begins. Why a
//! majority and not W: with W = 1 a single node would decide for itself, with W = R a dead one would
//! fill the disks of all others. See `docs/design/008-days.md`.

mod policy;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use vixen_core::id::{NdbId, Position};
use vixen_core::segment::Elected;
use vixen_core::time::{UtcDay, WallTime};
use vixen_core::wire::{OrderBase, Retained};

use crate::rows::OrderRow;
pub use policy::RetentionPolicy;
use policy::trim_to;

/// A peer that was asked has so long to answer; then it is another one's turn.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// See the module doc.
#[derive(Debug)]
pub(crate) struct Retention {
    policy: RetentionPolicy,
    /// A majority of the group.
    quorum: usize,
    peers: BTreeMap<NdbId, Retained>,
    /// What peers were told last.
    told: Option<Retained>,
    /// Days before this one went by agreement since the start.
    dropped_to: UtcDay,
    /// Where the order is known to begin at peers; on disk as well.
    noted: Option<Position>,
    /// Rows before this position were asked for, then.
    asked: Option<(Position, Instant)>,
    turn: usize,
    /// Days before this one would go, if a majority agreed; for the log.
    waits_to_drop: Option<UtcDay>,
}

/// The days of a store, and where its order begins and ends.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Days<'d> {
    /// The days, each with its bytes, oldest first.
    pub(crate) days: &'d [(UtcDay, u64)],
    pub(crate) base: OrderBase,
    pub(crate) head: OrderBase,
}

/// What a look at the days asks for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Looked {
    /// To the group.
    pub(crate) tell: Option<Retained>,
    /// Days before this one go.
    pub(crate) trim: Option<UtcDay>,
    /// Days before this one would go: they wait for a majority, since now.
    pub(crate) waits: Option<UtcDay>,
}

/// What is done about what the group keeps and this node does not have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct TakeBack {
    /// Peers have the order from here on: that is to be remembered.
    pub(crate) note: Option<Position>,
    /// Who is asked for what is before the order here.
    pub(crate) ask: Option<NdbId>,
}

impl Retention {
    pub(crate) const fn new(policy: RetentionPolicy, quorum: usize) -> Self {
        Self {
            policy,
            quorum,
            peers: BTreeMap::new(),
            told: None,
            dropped_to: UtcDay(0),
            noted: None,
            asked: None,
            turn: 0,
            waits_to_drop: None,
        }
    }

    /// What a peer keeps; whether that is news.
    pub(crate) fn said(&mut self, peer: NdbId, retained: Retained) -> bool {
        self.peers.insert(peer, retained) != Some(retained)
    }

    pub(crate) fn gone(&mut self, peer: NdbId) {
        self.peers.remove(&peer);
    }

    /// The order begins elsewhere: what peers have beyond is to be seen anew.
    pub(crate) const fn forget_noted(&mut self) {
        self.noted = None;
    }

    /// The order begins earlier than it did, as was asked for.
    pub(crate) const fn extended(&mut self) {
        self.asked = None;
    }

    /// What a new peer of the group has to know.
    pub(crate) const fn told(&self) -> Option<Retained> {
        self.told
    }

    /// What each peer has said.
    pub(crate) const fn peers(&self) -> &BTreeMap<NdbId, Retained> {
        &self.peers
    }

    /// How many of the group must agree.
    pub(crate) const fn quorum(&self) -> usize {
        self.quorum
    }

    /// The day that this node keeps from, by what it told last.
    pub(crate) fn keep_from(&self) -> UtcDay {
        self.told.map_or(UtcDay(0), |told| told.keep_from)
    }

    /// Before which day a majority of the group, this node among it, would drop everything.
    pub(crate) fn agreed(&self, own: UtcDay) -> UtcDay {
        let mut votes: Vec<_> = self.peers.values().map(|peer| peer.keep_from).collect();
        votes.push(own);
        votes.sort_unstable_by(|a, b| b.cmp(a));
        votes.get(self.quorum - 1).map_or(UtcDay(0), |agreed| own.min(*agreed))
    }

    /// Where the order begins at the peers that have more of it than this node, whose begins at `own`;
    /// with `by_majority` at as many as keep a day. And one of them, each in turn.
    fn kept(&self, own: Position, by_majority: bool) -> Option<(Position, NdbId)> {
        let more: Vec<_> = self.peers.iter().filter(|(_, peer)| peer.first < own).collect();
        let first = more.iter().map(|(_, peer)| peer.first).min()?;
        if by_majority && more.len() < self.quorum {
            return None;
        }
        more.get(self.turn % more.len()).map(|(peer, _)| (first, **peer))
    }

    /// Looks at the days: what this node would keep, and what goes since the group agrees.
    pub(crate) fn look(&mut self, now: WallTime, of: Days<'_>) -> Looked {
        let ordered_to = of.head.stamp.wall_time();
        let own = self.policy.keep_from(now.min(ordered_to), UtcDay::of(ordered_to), of.days);
        let own = own.max(self.dropped_to);
        let retained = Retained { first: of.base.next, keep_from: own };
        let is_news = self.told.replace(retained) != Some(retained);
        let tell = is_news.then_some(retained);
        let agreed = self.agreed(own);
        if let Some(keep_from) = trim_to(agreed, of.days) {
            self.dropped_to = agreed;
            self.waits_to_drop = None;
            return Looked { tell, trim: Some(keep_from), waits: None };
        }
        let waits_to_drop = trim_to(own, of.days);
        let is_news = std::mem::replace(&mut self.waits_to_drop, waits_to_drop) != waits_to_drop;
        Looked { tell, trim: None, waits: waits_to_drop.filter(|_| is_news) }
    }

    /// Asks a peer for rows from before the order begins here, while the group keeps some, and there
    /// is room for them.
    pub(crate) fn take_back(
        &mut self,
        now: Instant,
        base: OrderBase,
        head: OrderBase,
        has_room: bool,
    ) -> TakeBack {
        let mut all = TakeBack::default();
        let is_asked = self.asked.is_some_and(|(before, at)| {
            before == base.next && now.saturating_duration_since(at) < ANSWER_MAX
        });
        // What an owner has placed stands beside its first row here.
        let has_rows = head.next > base.next;
        let by_majority = self.policy.bytes.is_some();
        let Some((first, _)) = self.kept(base.next, by_majority) else { return all };
        let dropped = UtcDay::of(base.stamp.wall_time());
        if is_asked || !has_rows || self.told.is_none_or(|told| dropped < told.keep_from) {
            return all;
        }
        if self.noted != Some(first) {
            self.noted = Some(first);
            all.note = Some(first);
        }
        if has_room {
            // The one that was asked for them has not given them.
            if self.asked.is_some_and(|(before, _)| before == base.next) {
                self.turn = self.turn.wrapping_add(1);
            }
            self.asked = Some((base.next, now));
            all.ask = self.kept(base.next, by_majority).map(|(_, peer)| peer);
        }
        all
    }

    /// What to write of the rows that a peer gave; what is too old to stay is left out. `None`: nothing,
    /// or it was not asked for what is `before`, where the order begins.
    pub(crate) fn take_rows(
        &self,
        before: Position,
        mut base: OrderBase,
        mut rows: Vec<Elected>,
    ) -> Option<(OrderBase, Vec<Elected>)> {
        self.asked.filter(|(asked, _)| *asked == before)?;
        let keep_from = self.keep_from();
        let is_old = |row: &&Elected| UtcDay::of(row.stamp().wall_time()) < keep_from;
        let old = rows.iter().take_while(is_old).count();
        for row in rows.drain(..old) {
            let chain = OrderRow::chained(base.chain, row).chain;
            base = OrderBase { next: base.next.plus(row.meta.count), stamp: row.stamp(), chain };
        }
        (!rows.is_empty()).then_some((base, rows))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;
    use vixen_core::id::{Digest, GroupId, Lane, Stamp};
    use vixen_core::membership::Membership;

    fn peer(member: u8) -> NdbId {
        NdbId { group: GroupId(0), member }
    }

    fn retention(members: u8, peers: &[(u8, u64, u32)]) -> Retention {
        let quorum = Membership::sized(3, [members], 2).group_majority(GroupId(0));
        let mut retention = Retention::new(RetentionPolicy::default(), quorum);
        for (member, first, keep_from) in peers {
            let retained = Retained { first: Position(*first), keep_from: UtcDay(*keep_from) };
            retention.peers.insert(peer(*member), retained);
        }
        retention
    }

    #[test]
    fn a_day_goes_when_a_majority_of_the_group_and_the_node_itself_would_drop_it() {
        let agreed = |members, peers: &[(u8, u32)], own| {
            let peers: Vec<_> = peers.iter().map(|(peer, day)| (*peer, 1, *day)).collect();
            retention(members, &peers).agreed(UtcDay(own)).0
        };
        assert_eq!(agreed(1, &[], 9), 9);
        assert_eq!(agreed(3, &[(1, 4), (2, 4)], 60), 4, "one wild clock decides nothing");
        assert_eq!(agreed(3, &[(1, 60), (2, 60)], 4), 4, "and nobody for a node itself");
        assert_eq!(agreed(3, &[(1, 60), (2, 3)], 7), 7);
        assert_eq!(agreed(3, &[(2, 8)], 9), 8, "a dead node does not keep the days of all");
        assert_eq!(agreed(3, &[], 9), 0, "alone it is no majority of three");
        assert_eq!(agreed(2, &[(1, 5)], 6), 5);
        assert_eq!(agreed(5, &[(1, 5), (2, 7), (3, 2)], 6), 5);
    }

    #[test]
    fn what_peers_have_kept_is_taken_back_from_each_of_them_in_turn() {
        let mut all = retention(3, &[(1, 1, 0), (2, 5, 0)]);
        assert_eq!(all.kept(Position(9), true), Some((Position(1), peer(1))));
        all.turn += 1;
        assert_eq!(all.kept(Position(9), false), Some((Position(1), peer(2))));
        assert_eq!(all.kept(Position(4), false), Some((Position(1), peer(1))));
        assert_eq!(all.kept(Position(4), true), None, "one of three keeps more than most");
        assert_eq!(all.kept(Position(1), false), None);
        all.gone(peer(1));
        assert_eq!(all.kept(Position(4), false), None);
    }

    fn base(next: u64, day: u32) -> OrderBase {
        let lane = Lane::new(0).expect("a lane");
        let stamp = Stamp::at(UtcDay(day).start().plus_millis(1), lane);
        OrderBase { next: Position(next), stamp, chain: Digest::default() }
    }

    #[test]
    fn a_node_tells_what_it_would_keep_once_and_drops_when_a_majority_would() {
        let mut all = retention(3, &[]);
        all.policy.age = Some(Duration::from_secs(24 * 60 * 60));
        let days = [(UtcDay(20_000), 1), (UtcDay(20_005), 1)];
        let of = Days { days: &days, base: base(1, 20_000), head: base(9, 20_005) };
        let now = UtcDay(20_006).start();
        let own = Retained { first: Position(1), keep_from: UtcDay(20_004) };
        let looked = Looked { tell: Some(own), trim: None, waits: Some(UtcDay(20_005)) };
        assert_eq!(all.look(now, of), looked);
        assert_eq!(all.look(now, of), Looked::default(), "said once");
        assert!(all.said(peer(1), own) && !all.said(peer(1), own));
        assert_eq!(all.look(now, of), Looked { trim: Some(UtcDay(20_005)), ..Looked::default() });
    }

    #[test]
    fn rows_are_asked_of_one_peer_at_a_time_and_of_the_next_when_it_is_silent() {
        let mut all = retention(3, &[(1, 1, 0), (2, 1, 0)]);
        let (base, head, t0) = (base(9, 20_000), base(20, 20_001), Instant::now());
        assert_eq!(all.take_back(t0, base, head, true), TakeBack::default(), "nothing is told yet");
        all.told = Some(Retained { first: Position(9), keep_from: UtcDay(0) });
        let noted = TakeBack { note: Some(Position(1)), ask: None };
        assert_eq!(all.take_back(t0, base, head, false), noted, "no room");
        let of = |member| TakeBack { note: None, ask: Some(peer(member)) };
        assert_eq!(all.take_back(t0, base, head, true), of(1));
        assert_eq!(all.take_back(t0, base, head, true), TakeBack::default());
        assert_eq!(all.take_back(t0 + ANSWER_MAX, base, head, true), of(2));
        let rows = vec![sample::elected(sample::meta(1, 1, 1), base.stamp.0)];
        assert_eq!(all.take_rows(Position(8), base, rows.clone()), None, "not asked for");
        assert_eq!(all.take_rows(Position(9), base, rows.clone()), Some((base, rows.clone())));
        all.told = Some(Retained { first: Position(9), keep_from: UtcDay(20_001) });
        assert_eq!(all.take_rows(Position(9), base, rows), None, "too old to stay");
        all.extended();
        assert_eq!(all.take_back(t0, base, head, true), TakeBack::default(), "dropped by its own");
    }
}
