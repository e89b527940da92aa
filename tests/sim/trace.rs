//! Inputs as a person reads them.
//!
//! ```text
//!   1741 ms  node 4 takes pick of 3/10 from 1: ballot 2, draft 1733+0@1
//! ```
//! A segment is owner/seq, or owner:made/seq where entries make owners anew, in milliseconds since
//! the start; a stamp is its milliseconds since the start, its counter, and the lane that made it.

use vixen_core::id::{Ballot, SegmentId, Seq, Stamp};
use vixen_core::segment::{Challenger, Proposal};
use vixen_core::time::WallTime;
use vixen_vote::Input;

use crate::world::START;

/// Owners of the simulation have this number and those above it.
pub(crate) const FIRST_OWNER: u128 = 0x1000;
/// Where in its id the number of an owner is.
const NUMBER: u128 = 0xffff_ffff;

pub(crate) fn segment(id: SegmentId) -> String {
    let number = (id.owner.0.as_u128() & NUMBER).wrapping_sub(FIRST_OWNER);
    match id.owner.made_at() {
        Some(at) => format!("{number}:{}/{}", i128::from(at.0) - i128::from(START.0), id.seq.0),
        None => format!("{number}/{}", id.seq.0),
    }
}

pub(crate) fn stamp(stamp: Stamp, start: WallTime) -> String {
    let (counter, lane) = ((stamp.0 >> 6) & 0xffff, stamp.0 & 63);
    let ms = i128::from(stamp.wall_time().0) - i128::from(start.0);
    format!("{ms}+{counter}@{lane}")
}

fn accepted(accepted: Option<(Ballot, Challenger)>, start: WallTime) -> String {
    accepted.map_or_else(String::new, |(ballot, challenger)| {
        format!(", accepted {} at ballot {ballot}", stamp(challenger.stamp, start))
    })
}

fn proposal(proposal: &Proposal, start: WallTime) -> String {
    let Proposal { meta, ballot, challenger } = proposal;
    format!("{}: ballot {ballot}, stamp {}", segment(meta.id), stamp(challenger.stamp, start))
}

/// One line, without its end.
pub(crate) fn input(input: &Input, start: WallTime) -> String {
    match input {
        Input::GenerateDraft { from, meta } => {
            format!("generate draft of {} from {from:?}", segment(meta.id))
        }
        Input::PickChallenger { from, meta, ballot, draft, accepted: value, .. } => format!(
            "pick of {} from {}: ballot {ballot}, draft {}{}",
            segment(meta.id),
            from.0,
            stamp(*draft, start),
            accepted(*value, start)
        ),
        Input::ElectSegment { from, proposal: value } => {
            format!("elect from {} of {}", from.0, proposal(value, start))
        }
        Input::Vote { from, proposal: value } => {
            format!("vote from {} of {}", from.0, proposal(value, start))
        }
        Input::Prepare { from, meta, ballot } => {
            format!("prepare from {} of {}: ballot {ballot}", from.0, segment(meta.id))
        }
        Input::Reject { from, segment: id, promised } => {
            format!("reject from {} of {}: promised {promised}", from.0, segment(*id))
        }
        Input::Resolved { elected } => {
            format!("resolved {} at {}", segment(elected.meta.id), stamp(elected.stamp(), start))
        }
        Input::Digest { from, owners } => {
            let owners = owners
                .iter()
                .map(|(owner, seq)| segment(SegmentId { owner: *owner, seq: *seq }))
                .collect::<Vec<_>>();
            format!("digest from {}: {}", from.0, owners.join(" "))
        }
        Input::OwnerSettled { owner, row } => {
            let last = SegmentId { owner: *owner, seq: row.contiguous };
            format!("owner settled up to {} at {}", segment(last), stamp(row.stamp, start))
        }
        Input::Overdue { segment: id } => format!("overdue {}", segment(*id)),
        Input::PeerUp { peer } => format!("link up to {}", peer.0),
        Input::PeerDown { peer } => format!("link down to {}", peer.0),
        Input::PeerSilent { peer, is_silent } => format!("silent {}: {is_silent}", peer.0),
        Input::PeerAside { peer, is_aside } => format!("aside {}: {is_aside}", peer.0),
        Input::PeerClock { peer, clock } => {
            format!("clock of {}: {}", peer.0, stamp(*clock, start))
        }
        Input::Retry => "retry".to_owned(),
        Input::OwnerForgotten { from, owner } => {
            let first = SegmentId { owner: *owner, seq: Seq::FIRST };
            format!("owner of {} forgotten by {}", segment(first), from.0)
        }
        Input::ExpireOwners { .. } => "expire owners".to_owned(),
    }
}
