//! History: reading stored messages in the one order, from all groups at once.
//!
//! ```text
//!   group0: ReadHistory -> HistorySegment* HistoryEnd --\
//!   group1: ReadHistory -> HistorySegment* HistoryEnd ---+-- merge by position --> HistoryItem*
//!   group2: ReadHistory -> HistorySegment* HistoryEnd --/
//! ```
//! Each group holds its own share of the segments, and each ndb node knows the order of all. A read
//! asks one node of each group for a batch at a time, and gives out what no other group can still
//! precede. It asks no faster than its consumer takes: per group at most one batch is ready and one
//! on its way.
//!
//! A forward read ends at the position that was next when it began. Going on from there with what
//! comes live is the part of `feed`.
//!
//! Invariants:
//! - H1: positions given out by a read rise, or fall when it reads backward, strictly.
//! - H2: a message is given out only when every group has sent all it has before it; so nothing is
//!   left out, whatever replica answers, and whatever is asked again.
//! - H3: what a node says that was not asked for, or contradicts what it said, changes nothing.

mod end;
mod merge;
mod pages;
mod place;
mod read;
mod source;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use vixen_core::id::{GroupId, NdbId, OwnerId, PermanentId, Position};
use vixen_core::membership::Membership;
use vixen_core::roster::Roster;
use vixen_core::segment::TopicPattern;
use vixen_core::time::WallTime;
use vixen_core::wire::{HistoryEnd, HistoryPlace, Message, TailSegment};

pub use end::{End, Known, Verdict};
pub use pages::{Page, Pages, end_of, first_of, messages_of};
pub use place::{ParseRefPointError, RefPoint};
use read::Read;

/// Items that a consumer may leave waiting.
pub const ITEMS_WAITING_MAX: usize = 4;
/// Segments are given out in items of about so many bytes.
const ITEM_BYTES: usize = 256 << 10;
/// Reads at a time; each holds some MiB.
const READS_MAX: usize = 64;

/// What does not change while an entry runs.
#[derive(Clone, Debug)]
pub struct HistoryOptions {
    /// This entry; spreads entries over the replicas.
    pub owner: OwnerId,
    /// Who stores; at least one group.
    pub membership: Membership,
    /// What they are called.
    pub roster: Roster,
}

/// One read, among those of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReadId(pub u32);

/// Towards what a read goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// From old to new.
    #[default]
    Forward,
    /// From new to old.
    Backward,
}

/// Where a read begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// At the oldest message there is. Backward it is the same as the place
    /// [`HistoryPlace::End`].
    Anywhere,
    /// At this place, inclusive. It is an error when retention has dropped it.
    At(HistoryPlace),
}

/// Where a read ends at the latest: forward before it; backward with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bound {
    /// A position.
    Position(Position),
    /// A permanent id, of a message or not.
    Id(PermanentId),
}

/// Which stored messages are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HistoryRequest {
    /// Where to begin.
    pub start: Start,
    /// Whether towards the past.
    pub direction: Direction,
    /// Where to end, besides the end of the order as it is now.
    pub until: Option<Bound>,
    /// Topics wanted: those of any of the patterns.
    pub topics: Vec<TopicPattern>,
    /// No more messages than this; `None`: all.
    pub limit: Option<u64>,
    /// What the reader has named: a place that it was told. Beyond the end of the order, or of
    /// another one, it is an error.
    pub named: Option<RefPoint>,
}

/// What a read gives out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HistoryItem {
    /// Messages in the order of reading; within a segment they ascend whatever the direction. At
    /// least one.
    Segments(Vec<TailSegment>),
    /// Everything was given out. Last.
    End {
        /// Forward: where the next message can stand at the earliest that was not given out.
        next: Position,
    },
    /// It does not go on. Last.
    Failed(HistoryError),
}

/// Why a read fails.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// As many are under way as an entry serves.
    #[error("{max} reads are under way, as many as an entry serves at a time")]
    Busy {
        /// The bound.
        max: usize,
    },
    /// The entry does not know the order yet.
    #[error("no ndb node has told this entry where the order stands")]
    NotReady,
    /// What comes next was dropped by retention.
    #[error("trimmed, first position is {first}")]
    Trimmed {
        /// The first position that is left.
        first: Position,
    },
    /// What the reader has named is beyond the end of the order.
    #[error("the order ends at position {end}: what is named is beyond it")]
    Beyond {
        /// The last position; 0 without any.
        end: Position,
    },
    /// The permanent id that the reader has named is of no message that it may mean.
    #[error(
        "no message of this realm has that permanent id, though the order, which ends at position \
         {end}, has passed it: it may be of another order"
    )]
    NotOfThisOrder {
        /// The last position.
        end: Position,
    },
    /// Whether what the reader has named is beyond the end cannot be told.
    #[error("where the order ends cannot be told within {waited_ms} ms: too few sync nodes answer")]
    EndUnknown {
        /// How long it was asked for.
        waited_ms: u64,
    },
    /// A group gave nothing for too long.
    #[error("nothing from group {group} ({nodes}) within {waited_ms} ms: {trouble}")]
    Unavailable {
        /// The group.
        group: GroupId,
        /// Its nodes by name.
        nodes: String,
        /// How long it was waited for.
        waited_ms: u64,
        /// What happened last.
        trouble: Trouble,
    },
    /// The entry stops.
    #[error("this entry is shutting down")]
    Stopped,
}

impl HistoryError {
    /// The last position of the order, where the error is about that.
    #[must_use]
    pub const fn end(&self) -> Option<Position> {
        match self {
            Self::Beyond { end } | Self::NotOfThisOrder { end } => Some(*end),
            Self::Busy { .. }
            | Self::NotReady
            | Self::Trimmed { .. }
            | Self::EndUnknown { .. }
            | Self::Unavailable { .. }
            | Self::Stopped => None,
        }
    }

    /// Label of the metric.
    #[must_use]
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Busy { .. } => "busy",
            Self::NotReady => "not_ready",
            Self::Trimmed { .. } => "trimmed",
            Self::Beyond { .. } => "beyond_end",
            Self::NotOfThisOrder { .. } => "not_of_this_order",
            Self::EndUnknown { .. } => "end_unknown",
            Self::Unavailable { .. } => "unavailable",
            Self::Stopped => "stopped",
        }
    }
}

/// Why a group's node gives nothing at present.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// No node of the group is connected.
    NotLinked,
    /// The node asked did not answer in time.
    Silent,
    /// The link to the node asked went down.
    LinkLost,
    /// The order of the node ends before that of the entry.
    Behind,
    /// The node waits for a segment from a peer.
    Missing,
    /// The node cannot read its store, or answered what cannot be.
    Failed,
}

impl std::fmt::Display for Trouble {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::NotLinked => "no ndb node of it is connected",
            Self::Silent => "the ndb node that was asked does not answer",
            Self::LinkLost => "the link to the ndb node that was asked went down",
            Self::Behind => "each ndb node that was asked is behind the order",
            Self::Missing => "a segment is missing at each ndb node that was asked",
            Self::Failed => "no ndb node that was asked can read what it stored",
        })
    }
}

/// Everything that can happen to history.
#[derive(Debug)]
pub enum Input {
    /// A read begins. Its consumer has room for [`ITEMS_WAITING_MAX`] items and one last.
    Open {
        /// The new read.
        read: ReadId,
        /// What is wanted.
        request: HistoryRequest,
        /// The next position of the order at this entry: where the read ends.
        next: Position,
    },
    /// The consumer of a read took an item.
    Took {
        /// The read.
        read: ReadId,
    },
    /// The consumer of a read is gone.
    Cancel {
        /// The read.
        read: ReadId,
    },
    /// A new link to an ndb node.
    NdbUp {
        /// The node.
        ndb: NdbId,
    },
    /// The link to an ndb node is gone.
    NdbDown {
        /// The node.
        ndb: NdbId,
    },
    /// `HistorySegment` of an ndb node.
    Segment {
        /// The node.
        from: NdbId,
        /// Of the `ReadHistory`.
        request: u64,
        /// The messages.
        segment: TailSegment,
    },
    /// `HistoryEnd` of an ndb node.
    End {
        /// The node.
        from: NdbId,
        /// Of the `ReadHistory`.
        request: u64,
        /// How the batch ended.
        end: HistoryEnd,
    },
    /// All that waited has been stepped, or the time of [`History::timeout_at`] came: ask, and give
    /// out.
    Flush,
}

/// What the driver owes after a step.
#[derive(Debug, Default)]
pub struct Effects {
    /// Messages to ndb nodes.
    pub sends: Vec<(NdbId, Message)>,
    /// Words to consumers, in this order for each; the read is over after the last one.
    pub items: Vec<(ReadId, HistoryItem)>,
    /// What happened, for metrics and the log.
    pub notes: Vec<Note>,
}

/// Facts for metrics and the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// A node gave nothing; it is asked again, or another.
    Trouble {
        /// The read.
        read: ReadId,
        /// The node.
        from: NdbId,
        /// What happened.
        trouble: Trouble,
    },
    /// Messages were given out.
    GaveOut {
        /// How many.
        messages: u64,
    },
}

/// All reads of an entry. See the module.
#[derive(Debug)]
pub struct History {
    options: HistoryOptions,
    linked: BTreeSet<NdbId>,
    reads: BTreeMap<ReadId, Read>,
    /// Reads to which something happened since the last flush.
    touched: BTreeSet<ReadId>,
}

impl History {
    /// Nothing is read and nobody is linked.
    #[must_use]
    pub const fn new(options: HistoryOptions) -> Self {
        Self { options, linked: BTreeSet::new(), reads: BTreeMap::new(), touched: BTreeSet::new() }
    }

    /// Advances by one input. Never blocks and never fails.
    pub fn step(&mut self, now: WallTime, input: Input, fx: &mut Effects) {
        match input {
            Input::Open { read, request, next } => self.on_open(read, request, next, fx),
            Input::Took { read } => self.with(read, Read::took),
            Input::Cancel { read } => {
                self.reads.remove(&read);
            }
            Input::NdbUp { ndb } => {
                self.linked.insert(ndb);
                // A link that was replaced has lost what was asked on it.
                self.lose(ndb, fx);
            }
            Input::NdbDown { ndb } => {
                self.linked.remove(&ndb);
                self.lose(ndb, fx);
            }
            Input::Segment { from, request, segment } => {
                let read = read_of(request);
                self.with(read, |read| read.on_segment(now, from, request, segment, fx));
            }
            Input::End { from, request, end } => {
                let read = read_of(request);
                self.with(read, |read| read.on_end(now, from, request, end, fx));
            }
            Input::Flush => self.on_flush(now, fx),
        }
    }

    /// When [`Input::Flush`] is due without another input; `None` while nothing is waited for.
    #[must_use]
    pub fn timeout_at(&self) -> Option<WallTime> {
        self.reads.values().filter_map(Read::timeout_at).min()
    }

    /// Reads under way.
    #[must_use]
    pub fn reads(&self) -> usize {
        self.reads.len()
    }

    /// Bytes of the messages that were received and not given out yet.
    #[must_use]
    pub fn waiting_bytes(&self) -> usize {
        self.reads.values().map(Read::waiting_bytes).sum()
    }

    fn with(&mut self, read: ReadId, act: impl FnOnce(&mut Read)) {
        // The read may be over: late answers are normal.
        if let Some(state) = self.reads.get_mut(&read) {
            act(state);
            self.touched.insert(read);
        }
    }

    fn on_open(&mut self, id: ReadId, request: HistoryRequest, next: Position, fx: &mut Effects) {
        if self.reads.len() >= READS_MAX {
            let busy = HistoryError::Busy { max: READS_MAX };
            fx.items.push((id, HistoryItem::Failed(busy)));
            return;
        }
        self.reads.insert(id, Read::new(&self.options, id, request, next));
        self.touched.insert(id);
    }

    fn lose(&mut self, ndb: NdbId, fx: &mut Effects) {
        for (id, read) in &mut self.reads {
            read.on_link_changed(ndb, fx);
            self.touched.insert(*id);
        }
    }

    fn on_flush(&mut self, now: WallTime, fx: &mut Effects) {
        let is_due = |read: &Read| read.timeout_at().is_some_and(|at| at <= now);
        let due = self.reads.iter().filter(|(_, read)| is_due(read)).map(|(id, _)| *id);
        self.touched.extend(due);
        for id in std::mem::take(&mut self.touched) {
            let Some(read) = self.reads.get_mut(&id) else { continue };
            if read.flush(now, &self.linked, fx) {
                self.reads.remove(&id);
            }
        }
    }
}

/// The number of a `ReadHistory`: the read, and which of its questions it is.
fn request_of(read: ReadId, ask: u32) -> u64 {
    u64::from(read.0) << 32 | u64::from(ask)
}

fn read_of(request: u64) -> ReadId {
    ReadId(u32::try_from(request >> 32).unwrap_or(u32::MAX))
}
