//! What the group keeps of the past: a day goes when a majority of it would drop it, and a node that
//! has less than its peers takes it back from them.
//!
//! Each node tells its group which days may go by its own settings, and where its order begins. Why a
//! majority and not W: with W = 1 a single node would decide for itself, with W = R a dead one would
//! fill the disks of all others. See `docs/design/008-days.md`.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::time::Instant;

use vixen_core::id::{NdbId, Position};
use vixen_core::segment::Elected;
use vixen_core::time::UtcDay;
use vixen_core::wire::{Message, OrderBase, PeerId, Retained};
use vixen_runtime::clock::wall_time;
use vixen_runtime::link::LinkId;

use super::{NdbError, NdbNode};
use crate::store::{Extended, Job, Retention, trim_to};
use vixen_replica::OrderRow;

/// Rows in one answer.
const ROWS_MAX: usize = 2_048;
/// No more are asked for while so many placed segments lack their bytes.
const MISSING_MAX: usize = 2 * ROWS_MAX;
/// A peer that was asked has so long to answer; then it is another one's turn.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// See the module doc.
#[derive(Debug)]
pub(super) struct Retaining {
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

impl Retaining {
    pub(super) const fn new(quorum: usize) -> Self {
        Self {
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

    pub(super) fn gone(&mut self, peer: NdbId) {
        self.peers.remove(&peer);
    }

    /// The order begins elsewhere: what peers have beyond is to be seen anew.
    pub(super) fn forget_noted(&mut self) {
        self.noted = None;
    }

    /// Before which day a majority of the group, this node among it, would drop everything.
    fn agreed(&self, own: UtcDay) -> UtcDay {
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
}

impl NdbNode {
    const fn retention(&self) -> Retention {
        Retention { age: self.options.retention_age, bytes: self.options.retention_bytes }
    }

    /// Tells the group what this node would keep, and drops what the group agrees to.
    pub(super) fn retain(&mut self) -> Result<(), NdbError> {
        let days = self.store.day_bytes();
        self.metrics.store_bytes(days.iter().map(|(_, bytes)| bytes).sum());
        let ordered_to = self.store.head().stamp.wall_time();
        let now = wall_time().min(ordered_to);
        let wish = self.retention().keep_from(now, UtcDay::of(ordered_to), &days);
        let wish = wish.max(self.retaining.dropped_to);
        let retained = Retained { first: self.store.base().next, keep_from: wish };
        if self.retaining.told != Some(retained) {
            self.retaining.told = Some(retained);
            let group = self.options.id.group;
            let is_meant =
                |peer: &PeerId| matches!(peer, PeerId::Ndb { id, .. } if id.group == group);
            self.tell(is_meant, &Message::Retaining { retained });
        }
        let agreed = self.retaining.agreed(wish);
        if let Some(keep_from) = trim_to(agreed, &days) {
            self.retaining.dropped_to = agreed;
            self.retaining.waits_to_drop = None;
            return self.hand_over(vec![Job::Trim { keep_from }]);
        }
        let waits_to_drop = trim_to(wish, &days);
        if waits_to_drop != self.retaining.waits_to_drop {
            self.retaining.waits_to_drop = waits_to_drop;
            if let Some(keep_from) = waits_to_drop {
                tracing::info!(
                    %keep_from,
                    "days before this one would go, and stay until a majority of the group agrees"
                );
            }
        }
        Ok(())
    }

    /// What a new peer of the group has to know.
    pub(super) fn told_retained(&self) -> Option<Message> {
        self.retaining.told.map(|retained| Message::Retaining { retained })
    }

    pub(super) fn on_retaining(&mut self, from: NdbId, retained: Retained) {
        if self.retaining.peers.insert(from, retained) != Some(retained) {
            self.care.look_at_retention(Instant::now());
        }
    }

    /// Asks a peer for rows from before the order begins here, while the group keeps some.
    pub(super) fn ask_for_kept(&mut self) -> Result<(), NdbError> {
        let (base, now) = (self.store.base(), Instant::now());
        let is_asked = self.retaining.asked.is_some_and(|(before, at)| {
            before == base.next && now.saturating_duration_since(at) < ANSWER_MAX
        });
        // What an owner has placed stands beside its first row here.
        let has_rows = self.store.head().next > base.next;
        let is_bounded = self.options.retention_bytes.is_some();
        let Some((first, peer)) = self.retaining.kept(base.next, is_bounded) else {
            return Ok(());
        };
        let dropped = UtcDay::of(base.stamp.wall_time());
        if is_asked || !has_rows || self.retaining.told.is_none_or(|r| dropped < r.keep_from) {
            return Ok(());
        }
        if self.retaining.noted != Some(first) {
            self.retaining.noted = Some(first);
            tracing::warn!(
                position = %base.next, %first,
                "the order begins here, and earlier at peers of the group: what is between is fetched"
            );
            self.hand_over(vec![Job::KeptByGroup(first)])?;
        }
        if self.replica.missing().len() > MISSING_MAX || self.room.is_low() || !self.may_fetch() {
            return Ok(());
        }
        if self.retaining.asked.is_some_and(|(before, _)| before == base.next) {
            self.retaining.turn = self.retaining.turn.wrapping_add(1);
        }
        self.retaining.asked = Some((base.next, now));
        if let Some(sender) = self.senders_of_peer(peer).next() {
            let _down_follows = sender.send(Message::FetchOrderBefore { before: base.next });
        }
        Ok(())
    }

    /// Answers a peer that has dropped more than this node, outside the loop.
    pub(super) fn serve_order_before(&self, link: LinkId, before: Position) {
        let Some(linked) = self.links.get(link) else { return };
        let (sender, store) = (linked.sender.clone(), std::sync::Arc::clone(&self.store));
        let trusted_to = self.trusted_to.load(std::sync::atomic::Ordering::Relaxed);
        let rows_max = if before.0 <= trusted_to { ROWS_MAX } else { 0 };
        tokio::spawn(async move {
            let read = move || store.order_before(before, rows_max);
            let (base, rows) = match tokio::task::spawn_blocking(read).await {
                Ok(Ok(read)) => read,
                Ok(Err(error)) => {
                    tracing::error!(position = %before, %error, "cannot read the order for a peer");
                    return;
                }
                Err(_node_ended) => return,
            };
            let answer = Message::OrderBefore { before, base, rows };
            let _link_is_down = sender.send_paced(answer).await;
        });
    }

    /// Takes what was asked for; what is too old to stay is left out.
    pub(super) fn on_order_before(
        &mut self,
        before: Position,
        mut base: OrderBase,
        mut rows: Vec<Elected>,
    ) -> Result<(), NdbError> {
        let is_asked = self.retaining.asked.is_some_and(|(asked, _)| asked == before);
        let keep_from = self.retaining.told.map_or(UtcDay(0), |told| told.keep_from);
        if !is_asked || before != self.store.base().next {
            return Ok(());
        }
        let is_old = |row: &&Elected| UtcDay::of(row.stamp().wall_time()) < keep_from;
        let old = rows.iter().take_while(is_old).count();
        for row in rows.drain(..old) {
            let chain = OrderRow::chained(base.chain, row).chain;
            base = OrderBase { next: base.next.plus(row.meta.count), stamp: row.stamp(), chain };
        }
        if rows.is_empty() { Ok(()) } else { self.hand_over(vec![Job::Extend { base, rows }]) }
    }

    /// The order begins earlier now; its bytes there are to come.
    pub(super) fn on_extended(&mut self, extended: Extended) -> Result<(), NdbError> {
        let now = Instant::now();
        for lost in extended.lost {
            self.replica.lose(lost);
            self.fetching.want(lost.meta.id, now);
        }
        self.metrics.reader.rows_fetched.increment(extended.rows as u64);
        self.metrics.first_position(extended.base.next);
        tracing::info!(position = %extended.base.next, "the order begins here now, as at peers");
        self.retaining.asked = None;
        self.care.look_at_retention(now);
        self.ask_for_kept()
    }

    /// For the status page.
    pub(super) fn retention_status(&self) -> serde_json::Value {
        let own = self.retaining.told.map_or(UtcDay(0), |told| told.keep_from);
        let line = |(peer, retained): (&NdbId, &Retained)| {
            let (first, keep_from) = (retained.first.0, retained.keep_from.to_string());
            let line = serde_json::json!({ "first_position": first, "keep_from": keep_from });
            (self.options.roster.ndb(*peer).into(), line)
        };
        let peers: serde_json::Map<_, _> = self.retaining.peers.iter().map(line).collect();
        serde_json::json!({
            "keep_from": own.to_string(),
            "agreed": self.retaining.agreed(own).to_string(),
            "needed": self.retaining.quorum,
            "peers": peers,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use vixen_core::id::GroupId;
    use vixen_core::membership::Membership;

    fn peer(member: u8) -> NdbId {
        NdbId { group: GroupId(0), member }
    }

    fn retaining(members: u8, peers: &[(u8, u64, u32)]) -> Retaining {
        let quorum = Membership::sized(3, [members], 2).group_majority(GroupId(0));
        let mut retaining = Retaining::new(quorum);
        for (member, first, keep_from) in peers {
            let retained = Retained { first: Position(*first), keep_from: UtcDay(*keep_from) };
            retaining.peers.insert(peer(*member), retained);
        }
        retaining
    }

    #[test]
    fn a_day_goes_when_a_majority_of_the_group_and_the_node_itself_would_drop_it() {
        let agreed = |members, peers: &[(u8, u32)], own| {
            let peers: Vec<_> = peers.iter().map(|(peer, day)| (*peer, 1, *day)).collect();
            retaining(members, &peers).agreed(UtcDay(own)).0
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
        let mut all = retaining(3, &[(1, 1, 0), (2, 5, 0)]);
        assert_eq!(all.kept(Position(9), true), Some((Position(1), peer(1))));
        all.turn += 1;
        assert_eq!(all.kept(Position(9), false), Some((Position(1), peer(2))));
        assert_eq!(all.kept(Position(4), false), Some((Position(1), peer(1))));
        assert_eq!(all.kept(Position(4), true), None, "one of three keeps more than most");
        assert_eq!(all.kept(Position(1), false), None);
        all.gone(peer(1));
        assert_eq!(all.kept(Position(4), false), None);
    }
}
