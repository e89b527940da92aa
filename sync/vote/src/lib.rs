//! The vote: one sync node's part in electing the stamp and the group of every segment.
//!
//! Source: DESIGN §4 rules 1 to 8; `docs/protocol.md`. Per segment it is single-decree Paxos
//! (Lamport, *Paxos Made Simple*, 2001) on the value `(stamp, group)`, whose first phase also
//! collects drafts.
//!
//! ```text
//!                 Orderer: Input -> Effects
//!       what to do when: stage one and two, take-over, reserves, links
//!    ____________|___________|____________|_____________
//!    Acceptor    Coordinator      Learner               rules.rs: the decisions
//!    rows,       ballots that     votes counted;
//!    clock,      it leads         Owners: what is elected
//!    watermark
//!    Eligibility (durable votes)  Bound (rule 8)  Hedges, Presence (pace, never safety)
//! ```
//! Each machine owns its state and keeps its invariants; [`Orderer`] is all of the vote that a driver
//! sees. What it owes goes through [`Commits`], which says when it is written and what leaves then. What a
//! node keeps of peers and readers beside the vote is in `peers`, pure as well.

mod acceptor;
mod bound;
mod clock;
mod commit;
mod coordinator;
mod effects;
mod eligibility;
mod hedge;
mod learner;
mod orderer;
mod owners;
mod peers;
mod presence;
mod recorded;
mod rules;
mod watermark;

pub use acceptor::VoteState;
pub use commit::{Batch, Commits, Disk, LAZY_WRITE};
pub use effects::{After, Drop, Effects, Election, Envelope, Recovered, Write};
pub use orderer::{Input, Orderer, PendingReport, VoteOptions, VoteReport, Waiting, WaitsFor};
pub use owners::{OWNER_IDLE_MS, OwnerRow};
pub use peers::{
    CaughtUp, Elections, FeedReport, Feeds, Health, Heard, Hearing, Known, Look, Outbox, Peers,
    READ_ON, Retention, Retries, Standing, Standings, answer, caught_up,
};
pub use recorded::{
    COMMITS, CommitInput, CommitOutcome, CommitStart, ORDERER, OrdererStart, VotePlayer, Witness,
};
pub use rules::{Pick, Proven, Rules};
