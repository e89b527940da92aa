//! Actions and what comes of them, for people.

use std::fmt::Write as _;

use vixen_core::id::{Lane, SegmentId, Stamp, SyncId};
use vixen_core::segment::Proposal;
use vixen_vote::Input;

use crate::cluster::Cluster;
use crate::event::Event;
use crate::instance::NODES;
use crate::node::WALL;
use crate::state::{Action, State};

impl Cluster {
    /// The path, a line an action, each with what the nodes then tell.
    pub(crate) fn describe_path(&self, path: Vec<(State, Option<Action>)>) -> String {
        let mut text = String::new();
        let mut actions = path.iter().map(|(_, action)| *action);
        for (number, states) in path.windows(2).enumerate() {
            let Some(Some(action)) = actions.next() else { break };
            let _infallible = writeln!(text, "{:>4}  {}", number + 1, self.describe(action));
            for line in self.told(&states[0].0, &states[1].0) {
                let _infallible = writeln!(text, "          -> {line}");
            }
        }
        text
    }

    fn describe(&self, action: Action) -> String {
        match action {
            Action::Store { node, segment } => {
                let id = self.tables.segments()[segment].id;
                format!("sync{node}: GENERATE_DRAFT {}", self.name(id))
            }
            Action::Deliver(number) => {
                let parcel = self.tables.parcel(number);
                let Event::Input(input) = &parcel.event else { return "no message".to_owned() };
                format!("sync{}: {}", parcel.to, self.message(input))
            }
            Action::Overdue { node, segment } => {
                let id = self.tables.segments()[segment].id;
                format!("sync{node}: the hedge delay of {} ends", self.name(id))
            }
            Action::Hear { node, peer } => format!("sync{node}: hears sync{peer}"),
            Action::Crash { node, elections, votes } => {
                let votes = if votes { "waiting votes written" } else { "waiting votes lost" };
                format!("sync{node}: crash, {votes}, {elections} waiting elections written")
            }
            Action::Tear { node, parcel } => {
                let parcel = self.tables.parcel(parcel);
                let Event::Input(input) = &parcel.event else { return "no message".to_owned() };
                format!("sync{node}: {}, and dies before the commit", self.message(input))
            }
            Action::Jump { node } => format!("sync{node}: its wall time is set"),
            Action::Restart { node } => format!("sync{node}: restart"),
            Action::LinkUp { a, b } => format!("sync{a} and sync{b}: link up"),
            Action::LinkDown { node, peer } => format!("sync{node}: link to sync{peer} down"),
        }
    }

    fn message(&self, input: &Input) -> String {
        match input {
            Input::PickChallenger { from, meta, ballot, draft, accepted, .. } => {
                let accepted = accepted.map_or(String::new(), |(ballot, challenger)| {
                    format!(", accepted {} at ballot {ballot}", stamp(challenger.stamp))
                });
                let name = self.name(meta.id);
                let draft = stamp(*draft);
                format!(
                    "sync{} PICK_CHALLENGER {name} ballot {ballot}, draft {draft}{accepted}",
                    from.0
                )
            }
            Input::ElectSegment { from, proposal } => {
                self.proposal(*from, "ELECT_SEGMENT", proposal)
            }
            Input::Vote { from, proposal } => self.proposal(*from, "VOTE", proposal),
            Input::Prepare { from, meta, ballot } => {
                format!("sync{} PREPARE {} ballot {ballot}", from.0, self.name(meta.id))
            }
            Input::ProposeFast { from, meta, challenger } => {
                let (name, at) = (self.name(meta.id), stamp(challenger.stamp));
                format!("sync{} PROPOSE_FAST {name} at {at}", from.0)
            }
            Input::VoteFast { from, meta, ballot, challenger } => {
                let (name, at) = (self.name(meta.id), stamp(challenger.stamp));
                format!("sync{} VOTE_FAST {name} at {at}, promised {ballot}", from.0)
            }
            Input::GenerateDraft { meta, .. } => format!("GENERATE_DRAFT {}", self.name(meta.id)),
            Input::Overdue { segment } => {
                format!("the hedge delay of {} ends", self.name(*segment))
            }
            Input::Reject { from, segment, promised } => {
                format!("sync{} REJECT {}, promised {promised}", from.0, self.name(*segment))
            }
            Input::Resolved { elected } => {
                format!("RESOLVED {} at {}", self.name(elected.meta.id), stamp(elected.stamp()))
            }
            Input::Digest { from, owners } => {
                let owners = owners
                    .iter()
                    .map(|(owner, seq)| self.name(SegmentId { owner: *owner, seq: *seq }));
                format!("sync{} DIGEST {}", from.0, owners.collect::<Vec<_>>().join(" "))
            }
            other => format!("{other:?}"),
        }
    }

    fn proposal(&self, from: SyncId, kind: &str, proposal: &Proposal) -> String {
        let name = self.name(proposal.meta.id);
        let at = stamp(proposal.challenger.stamp);
        format!("sync{} {kind} {name} ballot {} at {at}", from.0, proposal.ballot)
    }

    /// What readers hear in the step between two states.
    fn told(&self, before: &State, after: &State) -> Vec<String> {
        let mut lines = Vec::new();
        for node in 0..NODES {
            let feeds = [before, after]
                .map(|state| self.tables.feed(self.tables.facts(state.nodes)[node].feed));
            for elected in feeds[1].elected.difference(&feeds[0].elected) {
                let name = self.name(elected.meta.id);
                lines.push(format!("sync{node} elects {name} at {}", stamp(elected.stamp())));
            }
            for accepted in feeds[1].votes.difference(&feeds[0].votes) {
                let (name, at) = (self.name(accepted.meta.id), stamp(accepted.challenger.stamp));
                let ballot = accepted.ballot.map_or("fast".to_owned(), |b| format!("ballot {b}"));
                lines.push(format!("sync{node} tells {name} accepted at {at}, {ballot}"));
            }
            if let Some(marks) = feeds[1].marks.filter(|marks| feeds[0].marks != Some(*marks)) {
                let [floor, clock, since] = [marks.floor, marks.clock, marks.since].map(stamp);
                lines.push(format!("sync{node} tells floor {floor}, clock {clock} since {since}"));
            }
            if feeds[1].has_fallen && !feeds[0].has_fallen {
                lines.push(format!("sync{node} tells a lower watermark than before"));
            }
        }
        lines
    }

    /// A letter for the owner, and the number: `A1`.
    fn name(&self, id: SegmentId) -> String {
        let mut owners: Vec<_> = self.tables.segments().iter().map(|meta| meta.id.owner).collect();
        owners.dedup();
        let at = owners.iter().position(|owner| *owner == id.owner);
        let letter = at.and_then(|at| "ABCD".chars().nth(at)).unwrap_or('?');
        format!("{letter}{}", id.seq)
    }
}

/// Milliseconds beyond the wall time, counter and lane.
fn stamp(stamp: Stamp) -> String {
    let base = Lane::new(0).map_or(Stamp::ZERO, |lane| Stamp::at(WALL, lane));
    if stamp < base {
        return if stamp == Stamp::ZERO { "zero" } else { "below 0ms" }.to_owned();
    }
    let beyond_ms = stamp.wall_time().millis_since(WALL);
    let counter = stamp.0 >> 6 & 0xffff;
    format!("{beyond_ms}ms.{counter}.{}", stamp.lane().index())
}
