//! What is broken on purpose, to see that the checker notices.

use vixen_core::order::Reads;
use vixen_vote::Rules;

use vixen_kit::mutations::{Misreading, Mutation};

/// One broken rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Inside the vote.
    Vote(Mutation),
    /// Of those who read the order.
    Reader(Misreading),
    /// Readers count what was accepted at different ballots, and in the fast round, together.
    BallotsAddUp,
    /// What is accepted and pending is not told on a new feed.
    NewFeedForgets,
    /// Readers are told what is accepted before that is on disk.
    ToldBeforeCommit,
    /// A restart loses the drafts of pending segments, and tells a watermark at once.
    DraftsForgottenAtRestart,
    /// A restart begins at clock zero.
    ClockNotRestored,
    /// Messages leave before the rows of their step are on disk.
    ReplyBeforeCommit,
    /// Of these only votes in the fast round.
    FastVoteBeforeCommit,
    /// Of these only votes for what a coordinator has proposed.
    VoteBeforeCommit,
    /// The home says its value in the fast round before its vote for the segment before is on disk.
    FastBeforePrevious,
}

impl Fault {
    /// Faults of a node around its vote, by the names of the command line.
    const OF_NODES: [(&'static str, Self); 9] = [
        ("ballots-add-up", Self::BallotsAddUp),
        ("new-feed-forgets", Self::NewFeedForgets),
        ("told-before-commit", Self::ToldBeforeCommit),
        ("drafts-forgotten-at-restart", Self::DraftsForgottenAtRestart),
        ("clock-not-restored", Self::ClockNotRestored),
        ("reply-before-commit", Self::ReplyBeforeCommit),
        ("fast-vote-before-commit", Self::FastVoteBeforeCommit),
        ("vote-before-commit", Self::VoteBeforeCommit),
        ("fast-before-previous", Self::FastBeforePrevious),
    ];

    /// All, by the names of the command line.
    pub(crate) fn all() -> Vec<(&'static str, Self)> {
        let of_the_vote = Mutation::ALL.map(|(name, mutation)| (name, Self::Vote(mutation)));
        let of_readers = Misreading::ALL.map(|(name, broken)| (name, Self::Reader(broken)));
        of_the_vote.into_iter().chain(of_readers).chain(Self::OF_NODES).collect()
    }

    /// The rules that readers go by.
    pub(crate) fn reads(fault: Option<Self>) -> &'static dyn Reads {
        Misreading::rules_of(match fault {
            Some(Self::Reader(misreading)) => Some(misreading),
            _ => None,
        })
    }

    /// The rules that votes go by.
    pub(crate) fn rules(fault: Option<Self>) -> &'static dyn Rules {
        Mutation::rules_of(match fault {
            Some(Self::Vote(mutation)) => Some(mutation),
            _ => None,
        })
    }
}
