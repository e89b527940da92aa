//! One recording: the marks that segments leave in it.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::time::Instant;

use anyhow::bail;
use rustc_hash::FxHashMap;

use vixen_broker::segmenter::{self, SEGMENTER, Segmenter};
use vixen_core::id::{SegmentId, SyncId};
use vixen_core::recording::{Head, Machine, Moment, Now, Recording, RecordingError, read};
use vixen_core::tier::Tier;
use vixen_core::wire::{Message, PublishMessage};
use vixen_replica::{self as ndb, CORE, NdbCore};
use vixen_vote::{COMMITS, CommitInput, Input as VoteInput, ORDERER, Orderer, OrdererStart};

/// Nanoseconds of wall time, the same at all nodes of a machine.
pub(super) type WallNs = u64;
/// Nanoseconds of a millisecond.
const MS: u64 = 1_000_000;

/// What happened to a segment at a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) enum Mark {
    /// Entry: its first message came.
    Opened,
    /// Entry: it is closed, and on its way to ndb nodes.
    Closed,
    /// Ndb node: all of it is there.
    Whole,
    /// Ndb node: it is on its disk.
    Durable,
    /// Sync node: one more ndb node has it on its disk.
    Kept,
    /// Sync node: the home proposes.
    Proposed,
    /// Sync node: this one has voted for what the home has proposed.
    Voted(SyncId),
    /// Sync node: anything of a ballot.
    Balloted,
    /// Entry: it has its place.
    Placed,
}

/// One recording.
#[derive(Debug)]
pub(super) struct NodeTrace {
    pub(super) name: String,
    pub(super) tier: Tier,
    /// Which one of the sync nodes.
    pub(super) sync: Option<SyncId>,
    /// What each segment had here, in the order of time.
    marks: FxHashMap<SegmentId, Vec<(WallNs, Mark)>>,
    /// When it took an input, and whether it wrote then, in the order of time.
    pub(super) inputs: Vec<(WallNs, bool)>,
}

/// Of an input, which segments have what.
type Marked = Vec<(SegmentId, Mark)>;

impl NodeTrace {
    /// Reads a recording, up to where it ends.
    pub(super) fn read(path: &Path) -> anyhow::Result<Self> {
        let mut recording = Recording::open(BufReader::new(File::open(path)?))?;
        let header = recording.header().clone();
        let mut machines = Machines::new(header.tier);
        let mut marked: Vec<(u64, Marked)> = Vec::new();
        let mut inputs = Vec::new();
        // The wall clock tells whole milliseconds: the latest begin that any of them allows is nearest.
        let mut begun: WallNs = 0;
        loop {
            let entry = match recording.next_entry() {
                Ok(Some(entry)) => entry,
                Ok(None) | Err(RecordingError::Torn { .. }) => break,
                Err(error) => bail!(error),
            };
            match entry.head {
                Head::Start { machine, at } => machines.begin(machine, at, entry.body())?,
                Head::Input { machine, at } => {
                    begun = begun.max((at.wall.0 * MS).saturating_sub(at.since_ns));
                    let (marks, writes) = machines.input(machine, at, entry.body())?;
                    inputs.push((at.since_ns, writes));
                    if !marks.is_empty() {
                        marked.push((at.since_ns, marks));
                    }
                }
                Head::Effects(_) | Head::End(_) => {}
            }
        }
        let mut marks: FxHashMap<_, Vec<(WallNs, Mark)>> = FxHashMap::default();
        for (since, those) in marked.into_iter().chain(machines.late) {
            for (segment, mark) in those {
                marks.entry(segment).or_default().push((begun + since, mark));
            }
        }
        inputs.iter_mut().for_each(|(at, _)| *at += begun);
        inputs.sort_unstable();
        marks.values_mut().for_each(|marks| marks.sort_unstable());
        let sync = machines.sync;
        Ok(Self { name: header.node, tier: header.tier, sync, marks, inputs })
    }

    /// A trace of these marks.
    #[cfg(test)]
    pub(super) fn of_marks(
        name: &str,
        (tier, sync): (Tier, Option<SyncId>),
        marks: impl IntoIterator<Item = (SegmentId, Vec<(WallNs, Mark)>)>,
        inputs: Vec<(WallNs, bool)>,
    ) -> Self {
        Self { name: name.to_owned(), tier, sync, marks: marks.into_iter().collect(), inputs }
    }

    fn of(&self, segment: SegmentId) -> &[(WallNs, Mark)] {
        self.marks.get(&segment).map_or(&[], Vec::as_slice)
    }

    /// When a segment had this here, in the order of time.
    pub(super) fn times(&self, segment: SegmentId, mark: Mark) -> impl Iterator<Item = WallNs> {
        self.of(segment).iter().filter(move |(_, of)| *of == mark).map(|(at, _)| *at)
    }

    /// When it heard of votes for a segment's proposal, and whose they were.
    pub(super) fn votes(&self, segment: SegmentId) -> impl Iterator<Item = (WallNs, SyncId)> {
        self.of(segment).iter().filter_map(|(at, mark)| match mark {
            Mark::Voted(from) => Some((*at, *from)),
            _ => None,
        })
    }

    /// All segments that have this here, and when they had it first.
    pub(super) fn all(&self, mark: Mark) -> impl Iterator<Item = (SegmentId, WallNs)> {
        self.marks
            .keys()
            .filter_map(move |segment| Some((*segment, self.times(*segment, mark).next()?)))
    }

    /// The longest time within `from..to` in which it took nothing, and whether it was writing.
    pub(super) fn standstill(&self, from: WallNs, to: WallNs) -> (u64, bool) {
        let begin = self.inputs.partition_point(|(at, _)| *at < from).saturating_sub(1);
        let within = self.inputs[begin..].iter().take_while(|(at, _)| *at < to);
        let mut longest = (0, false);
        let mut last: Option<(WallNs, bool)> = None;
        for (at, writes) in within.copied().chain([(to, false)]) {
            if let Some((before, was_writing)) = last {
                let still = at.saturating_sub(before.max(from));
                longest = longest.max((still, was_writing));
            }
            last = Some((at, writes));
        }
        longest
    }
}

/// What reads the inputs of a tier.
struct Machines {
    tier: Tier,
    base: Instant,
    sync: Option<SyncId>,
    segmenter: Option<Segmenter>,
    /// When the open segment got its first message.
    opened_at: Option<u64>,
    /// Of inputs before, with their times.
    late: Vec<(u64, Marked)>,
}

impl Machines {
    fn new(tier: Tier) -> Self {
        Self {
            tier,
            base: Instant::now(),
            sync: None,
            segmenter: None,
            opened_at: None,
            late: Vec::new(),
        }
    }

    fn begin(&mut self, machine: u8, at: Moment, body: &[u8]) -> anyhow::Result<()> {
        match (self.tier, machine) {
            (Tier::Entry, SEGMENTER) => {
                let start = read(Segmenter::NAME, body)?;
                self.segmenter = Some(Segmenter::begin(start, Now::of(self.base, at)));
            }
            (Tier::Sync, ORDERER) => {
                let start: OrdererStart = read(Orderer::NAME, body)?;
                self.sync = Some(start.options.id);
            }
            _ => {}
        }
        Ok(())
    }

    /// The marks that an input leaves, and whether the node writes after it.
    fn input(&mut self, machine: u8, at: Moment, body: &[u8]) -> anyhow::Result<(Marked, bool)> {
        match (self.tier, machine) {
            (Tier::Entry, SEGMENTER) => Ok((self.entry(at, read(Segmenter::NAME, body)?), false)),
            (Tier::Ndb, CORE) => Ok((of_ndb(read(NdbCore::NAME, body)?), false)),
            (Tier::Sync, ORDERER) => Ok((of_sync(read(Orderer::NAME, body)?), false)),
            (Tier::Sync, COMMITS) => Ok((Vec::new(), is_write(&read("commits", body)?))),
            _ => Ok((Vec::new(), false)),
        }
    }

    fn entry(&mut self, at: Moment, input: segmenter::Input) -> Marked {
        let mut marks = match &input {
            segmenter::Input::Placed { segment, .. } => vec![(*segment, Mark::Placed)],
            _ => Vec::new(),
        };
        let publishes =
            matches!(input, segmenter::Input::Publish { .. } | segmenter::Input::Write { .. });
        if publishes {
            self.opened_at.get_or_insert(at.since_ns);
        }
        let Some(segmenter) = &mut self.segmenter else { return marks };
        let mut fx = segmenter::Effects::default();
        segmenter.advance(input, Now::of(self.base, at), &mut fx);
        for note in fx.notes {
            if let segmenter::Note::Closed { meta } = note {
                let opened = self.opened_at.take().unwrap_or(at.since_ns);
                self.late.push((opened, vec![(meta.id, Mark::Opened)]));
                marks.push((meta.id, Mark::Closed));
            }
        }
        if publishes && self.opened_at.is_none() {
            self.opened_at = Some(at.since_ns);
        }
        marks
    }
}

fn of_ndb(input: ndb::Input) -> Marked {
    match input {
        ndb::Input::Said {
            message: Message::Publish(PublishMessage::AdvanceSegmentOver { meta }),
            ..
        } => vec![(meta.id, Mark::Whole)],
        ndb::Input::Committed(committed) => {
            committed.stored.into_iter().map(|segment| (segment, Mark::Durable)).collect()
        }
        _ => Vec::new(),
    }
}

fn of_sync(input: VoteInput) -> Marked {
    let marked = match input {
        VoteInput::GenerateDraft { meta, .. } => (meta.id, Mark::Kept),
        VoteInput::ProposeFast { meta, .. } => (meta.id, Mark::Proposed),
        VoteInput::VoteFast { from, meta, .. } => (meta.id, Mark::Voted(from)),
        VoteInput::PickChallenger { meta, .. } | VoteInput::Prepare { meta, .. } => {
            (meta.id, Mark::Balloted)
        }
        VoteInput::ElectSegment { proposal, .. } | VoteInput::Vote { proposal, .. } => {
            (proposal.meta.id, Mark::Balloted)
        }
        _ => return Vec::new(),
    };
    vec![marked]
}

const fn is_write(input: &CommitInput) -> bool {
    let wrote = match input {
        CommitInput::Turn { wrote, .. } | CommitInput::GoOn { wrote } => *wrote,
        CommitInput::Trim { .. } | CommitInput::Standing { .. } => None,
    };
    wrote.is_some()
}
