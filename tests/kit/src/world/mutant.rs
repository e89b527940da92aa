//! Rules broken on purpose, from outside of the machines: the World must notice each.

use vixen_core::order::Reads;
use vixen_vote::Rules;

use crate::mutations::{Misreading, Mutation};

/// Where a rule is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mutant {
    /// A rule inside of the vote.
    Vote(Mutation),
    /// A rule of those who read the order.
    Reader(Misreading),
    /// Reader: acceptances at different ballots, and in the fast round, are counted together.
    BallotsAddUp,
    /// Feeds: what is accepted and pending is not told on a new feed.
    NewFeedForgets,
    /// Vote: rows of votes are not read at a restart.
    DraftsForgotten,
    /// Vote: the ceiling of the clock is not read at a restart.
    ClockForgotten,
    /// Vote: messages leave, and then a crash takes the rows they depend on.
    ReplyBeforeCommit,
    /// Segmenter: a group that has a segment in memory counts as one that has it on disk.
    TrimIsDurable,
    /// Segmenter: what a new link has lost is not sent again.
    NothingIsSentAgain,
    /// Segmenter: answers name the position after that of the message.
    AnswersOneOff,
    /// Replica, R1: drafts are asked for before the commit.
    DraftBeforeCommit,
    /// Replica: segments without a place are not read at a restart.
    TemporaryForgotten,
    /// Store: damaged bytes are given out.
    DamageUnnoticed,
    /// Order: a feed is followed from the watermark on, not from what is delivered.
    FollowsFromAhead,
    /// Delivery: a tail says that it has gone by one position more than it has.
    TailGoesBy,
    /// Delivery, D3: a tail that is not followed any more is taken for the one that is.
    StaleTailCounts,
    /// Resume: who takes events too slowly is left out, and not told.
    LagUnsaid,
    /// Resume: a join names an earlier position than the first that comes live.
    JoinedTooEarly,
    /// Resume: live events are taken while the last part of a replay is read.
    LiveBeforeLast,
}

impl Mutant {
    /// Rules around the vote, and those of the other machines.
    const OTHERS: [Self; 17] = [
        Self::BallotsAddUp,
        Self::NewFeedForgets,
        Self::DraftsForgotten,
        Self::ClockForgotten,
        Self::ReplyBeforeCommit,
        Self::TrimIsDurable,
        Self::NothingIsSentAgain,
        Self::AnswersOneOff,
        Self::DraftBeforeCommit,
        Self::TemporaryForgotten,
        Self::DamageUnnoticed,
        Self::FollowsFromAhead,
        Self::TailGoesBy,
        Self::StaleTailCounts,
        Self::LagUnsaid,
        Self::JoinedTooEarly,
        Self::LiveBeforeLast,
    ];

    /// All that are looked for here.
    pub fn all() -> impl Iterator<Item = Self> {
        // The first takes an election at a ballot between two of other owners, the other a home that is asked by all others and
        // dies in its commit: hundreds of seeds had none, and the model has both.
        let is_rare = |mutation: &Mutation| {
            matches!(mutation, Mutation::AcceptLeavesClock | Mutation::ElectBeforePromise)
        };
        let of_the_vote = Mutation::ALL.into_iter().map(|(_, mutation)| mutation);
        let of_the_vote = of_the_vote.filter(move |mutation| !is_rare(mutation)).map(Self::Vote);
        // That takes a home that dies in its commit, and a reader that is behind: a test of the vote has it.
        let of_readers = Misreading::ALL.into_iter().map(|(_, misreading)| misreading);
        let of_readers = of_readers.filter(|misreading| *misreading != Misreading::LostCounts);
        let of_readers = of_readers.map(Self::Reader);
        of_the_vote.chain(of_readers).chain(Self::OTHERS)
    }

    /// The rules that readers of the order go by.
    pub(super) fn reads(mutant: Option<Self>) -> &'static dyn Reads {
        Misreading::rules_of(match mutant {
            Some(Self::Reader(misreading)) => Some(misreading),
            _ => None,
        })
    }

    /// The rules that votes go by.
    pub(super) fn rules(mutant: Option<Self>) -> &'static dyn Rules {
        match mutant {
            Some(Self::Vote(mutation)) => mutation.rules(),
            _ => Mutation::rules_of(None),
        }
    }
}
