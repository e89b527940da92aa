//! The steps of the node's machines, which are recorded if somebody wants that.

use tokio::time::Instant;

use vixen_core::id::{Stamp, SyncId};
use vixen_core::recording::Now;
use vixen_core::time::WallTime;
use vixen_core::wire::StandingRefusal;
use vixen_runtime::clock::wall_time;
use vixen_runtime::recording::Recorder;
use vixen_vote::{
    COMMITS, CommitInput, CommitOutcome, CommitStart, Commits, Effects, Envelope, Input, ORDERER,
    OrdererStart, Recovered, Standing, VoteOptions, Witness,
};

use super::SyncNode;
use super::settle::Writer;
use crate::store::StoreError;

/// The machines begin with this.
pub(super) fn begin(
    recorder: &mut Recorder,
    options: &VoteOptions,
    recovered: &Recovered,
    (standings, is_counted): (&[(SyncId, Standing)], bool),
) {
    let now = || now_at(wall_time());
    recorder.begin(ORDERER, now, || OrdererStart {
        options: options.clone(),
        recovered: recovered.clone(),
    });
    recorder.begin(COMMITS, now, || CommitStart { standings: standings.to_vec(), is_counted });
}

fn now_at(wall: WallTime) -> Now {
    Now { wall, instant: Instant::now().into_std() }
}

impl SyncNode {
    /// A step of the vote.
    pub(super) fn step(&mut self, now: WallTime, input: Input, fx: &mut Effects) {
        let Self { recorder, orderer, .. } = self;
        let step = |input, fx: &mut Effects| orderer.step(now, input, fx);
        recorder.step(ORDERER, || now_at(now), input, fx, step);
    }

    /// What the steps of a turn owe goes to the commits, but for what has left before. What may leave then.
    pub(super) fn turn(
        &mut self,
        fx: Effects,
        early: &[Envelope],
        writes_all: bool,
    ) -> Result<Option<Effects>, StoreError> {
        let input = |wrote| CommitInput::Turn { writes_all, wrote };
        self.commit(input, early, |commits, now, disk| commits.turn(now, fx, writes_all, disk))
    }

    /// What found no room is tried once more. What may leave then.
    pub(super) fn try_again(&mut self) -> Result<Option<Effects>, StoreError> {
        self.commit(
            |wrote| CommitInput::GoOn { wrote },
            &[],
            |commits, now, disk| commits.go_on(now, disk),
        )
    }

    fn commit(
        &mut self,
        input: impl FnOnce(Option<bool>) -> CommitInput,
        early: &[Envelope],
        commit: impl FnOnce(
            &mut Commits,
            std::time::Instant,
            &mut Witness<Writer<'_>>,
        ) -> Result<Option<Effects>, StoreError>,
    ) -> Result<Option<Effects>, StoreError> {
        let now = now_at(wall_time());
        let looks = self.recorder.is_on();
        let (commits, writer) = self.writer();
        let mut witness = Witness::new(writer, looks);
        let leaves = commit(commits, now.instant, &mut witness)?;
        let seen = witness.into_seen();
        let (batch, wrote) =
            (seen.as_ref().map(|(batch, _)| batch), seen.as_ref().map(|(_, w)| *w));
        let outcome = CommitOutcome { batch, early, leaves: leaves.as_ref(), refusal: None };
        self.committed(now, &input(wrote), outcome);
        Ok(leaves)
    }

    /// A peer has forgotten elections up to here.
    pub(super) fn trim(&mut self, now: WallTime, trimmed_to: Stamp) {
        self.commits.trim(trimmed_to);
        self.committed(now_at(now), &CommitInput::Trim { trimmed_to }, CommitOutcome::default());
    }

    /// A peer has said how far its store is.
    pub(super) fn take_standing(
        &mut self,
        now: WallTime,
        peer: SyncId,
        said: Standing,
    ) -> Result<(), StandingRefusal> {
        let taken = self.commits.take_standing(peer, said);
        let outcome = CommitOutcome { refusal: taken.err(), ..CommitOutcome::default() };
        self.committed(now_at(now), &CommitInput::Standing { peer, said }, outcome);
        taken
    }

    fn committed(&mut self, now: Now, input: &CommitInput, outcome: CommitOutcome<'_>) {
        self.recorder.stepped(COMMITS, || now, input, &outcome);
    }
}
