//! Rules broken on purpose: the simulation must notice each.

use vixen_kit::mutations::Mutation;
use vixen_vote::Rules;

/// A rule that is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// Rows of votes are not read at a restart.
    DraftsForgotten,
    /// The ceiling of the clock is not read at a restart.
    ClockForgotten,
    /// Messages leave, and then a crash takes the rows they depend on.
    ReplyBeforeCommit,
    /// A rule inside of the vote.
    Vote(Mutation),
}

impl Mutant {
    /// Rules that a node keeps around its vote.
    const OF_NODES: [Self; 3] =
        [Self::DraftsForgotten, Self::ClockForgotten, Self::ReplyBeforeCommit];

    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let of_the_vote = Mutation::ALL.into_iter().map(|(_, mutation)| Self::Vote(mutation));
        Self::OF_NODES.into_iter().chain(of_the_vote)
    }

    /// The rules that votes go by.
    pub(crate) fn rules(mutant: Option<Self>) -> &'static dyn Rules {
        Mutation::rules_of(match mutant {
            Some(Self::Vote(mutation)) => Some(mutation),
            Some(Self::DraftsForgotten | Self::ClockForgotten | Self::ReplyBeforeCommit) | None => {
                None
            }
        })
    }
}
