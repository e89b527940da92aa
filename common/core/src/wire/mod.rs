//! Messages between nodes, and the frames that carry them.
//!
//! The names of the tier messages are those of the blueprint; `docs/protocol.md` lists who sends
//! each, to whom, and what is on disk before it leaves. Encoding is postcard: the order of the
//! variants is their wire number, so new ones go at the end and none is reused.

mod conduct;
mod frame;
#[cfg(test)]
mod golden;
mod hello;
mod nowhere;
mod speakers;
mod terms;
mod versions;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::id::{
    Ballot, Digest, GroupId, OwnerId, Position, SegmentId, Seq, Shard, Stamp, StoreId,
};
use crate::segment::{Challenger, Elected, Proposal, SegmentMeta, Topic, TopicPattern};
use crate::time::{UtcDay, WallTime};

pub use conduct::{Misconduct, judge};
pub use frame::{FRAME_BYTES_MAX, FrameError, decode_frame, encode_message};
pub use hello::{
    Assent, Exchange, Greeting, Hello, PeerId, Refusal, Welcome, proof_holds, proof_of,
};
pub use nowhere::Nowhere;
pub use terms::{Difference, Party, Terms};
pub use versions::{SPOKEN, Versions};

/// Everything nodes say to each other after HELLO. Any message may arrive twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// entry → ndb: a segment is open and its messages will follow.
    BeginAdvanceSegment {
        /// The new segment.
        segment: SegmentId,
        /// Where its owner placed it.
        shard: Shard,
    },
    /// entry → ndb: the next messages of an open segment.
    KeepAdvanceHistory {
        /// The open segment.
        segment: SegmentId,
        /// Offset of the first record in it: 0 for the first KEEP, then what came before.
        offset: u32,
        /// Topics that this KEEP adds to the segment's table.
        topics: Vec<Topic>,
        /// Number of records.
        count: u32,
        /// Packed records.
        records: Bytes,
    },
    /// entry → ndb: the segment is complete; store it and ask for its draft.
    AdvanceSegmentOver {
        /// What it became.
        meta: SegmentMeta,
    },
    /// ndb → entry: the segment arrived whole in memory; the next may close.
    TrimAdvanceSegment {
        /// The segment.
        segment: SegmentId,
    },
    /// ndb → entry: the segment was not taken, for good reason.
    RefuseAdvanceSegment {
        /// The segment.
        segment: SegmentId,
        /// Why.
        reason: RefuseReason,
    },
    /// ndb → sync: the segment is on this node's disk.
    GenerateDraft {
        /// The segment.
        meta: SegmentMeta,
    },
    /// sync → coordinator: stage one, a promise and what was accepted before it.
    PickChallenger {
        /// The segment.
        meta: SegmentMeta,
        /// The ballot promised.
        ballot: Ballot,
        /// The stamp this node promises for the segment.
        draft: Stamp,
        /// A group of which this node counted W durable votes.
        group: GroupId,
        /// What it accepted at the highest ballot, if anything.
        accepted: Option<(Ballot, Challenger)>,
    },
    /// coordinator → sync: stage two, accept this. It is also the coordinator's own vote.
    ElectSegment {
        /// The value and its ballot.
        proposal: Proposal,
    },
    /// sync → sync: this node has accepted the proposal, durably.
    Vote {
        /// The value and its ballot.
        proposal: Proposal,
    },
    /// sync → sync: a higher ballot begins; promise it and say what you accepted.
    Prepare {
        /// The segment.
        meta: SegmentMeta,
        /// The ballot, above 0.
        ballot: Ballot,
    },
    /// sync → coordinator: promised to a higher ballot already.
    Reject {
        /// The segment.
        segment: SegmentId,
        /// The ballot promised.
        promised: Ballot,
    },
    /// sync → sync, on a new link: how far this node knows each owner's elected segments without
    /// a gap. The peer answers with everything it knows beyond.
    SyncDigest {
        /// Owner and the highest seq up to which all are known elected.
        owners: Vec<(OwnerId, Seq)>,
    },
    /// reader → sync: send the feed, from the elected segments above `after` on.
    FollowFeed {
        /// The reader knows everything elected up to here.
        after: Stamp,
    },
    /// sync → reader or sync: this segment is elected.
    AdvanceSegmentResolved {
        /// The outcome.
        elected: Elected,
    },
    /// sync → reader: no segment unknown to this feed will be elected at or below `stamp` with
    /// this node's draft.
    Watermark {
        /// The promise.
        stamp: Stamp,
    },
    /// entry → ndb: open this link's tail, replacing any before. With what came of INTEREST_PART since
    /// the last FOLLOW_TAIL or CHANGE_INTEREST of the link.
    FollowTail {
        /// First position wanted; `None`: from the present end of the order.
        from: Option<Position>,
        /// Topics wanted: those of any of the patterns.
        topics: Vec<TopicPattern>,
    },
    /// entry → ndb: change the topics of the tail, with what came of INTEREST_PART before it; answered
    /// when all of it holds.
    ChangeInterest {
        /// Rising number of the change, echoed.
        version: u64,
        /// Patterns wanted from now on.
        add: Vec<TopicPattern>,
        /// Patterns no longer wanted.
        remove: Vec<TopicPattern>,
    },
    /// ndb → entry: the tail is open. Positions from `next` on will follow.
    TailOpened {
        /// The first position this tail will carry.
        next: Position,
        /// Head of the order at this node: all segments up to this stamp are placed…
        head_stamp: Stamp,
        /// …and this is the position after them.
        head_next: Position,
    },
    /// ndb → entry: every segment from here on is filtered by the changed interest.
    InterestChanged {
        /// Of the `ChangeInterest`.
        version: u64,
        /// The next position of the tail: what stands before it was judged by the interest before.
        next: Position,
    },
    /// ndb → entry: canonical messages of one segment, in order.
    TailSegment(TailSegment),
    /// ndb → entry: nothing of interest stood before this position.
    TailPosition {
        /// The next position of the tail.
        next: Position,
    },
    /// ndb → ndb: send the blobs of these segments.
    FetchSegments {
        /// The segments.
        segments: Vec<SegmentId>,
    },
    /// ndb → ndb: a blob that was asked for.
    SegmentBlob {
        /// The segment.
        segment: SegmentId,
        /// Its bytes; the receiver knows its meta from the order and verifies them.
        blob: Bytes,
    },
    /// ndb → ndb: not held here (yet).
    SegmentsMissing {
        /// The segments asked for and not held.
        segments: Vec<SegmentId>,
    },
    /// sync → sync, first on each link: how far the sender's store is, so that a peer that remembers
    /// better notices a store that was wiped, copied or rolled back. Said again before whatever
    /// depends on a commit.
    SyncStanding {
        /// Random number of this process, for telling two copies of one store apart.
        run: u64,
        /// Commits of the store so far; each start of a node makes one.
        commits: u64,
    },
    /// sync → sync: the standing contradicts what this node remembers; it takes no further message.
    SyncRefused {
        /// What contradicts.
        reason: StandingRefusal,
    },
    /// sync → sync: whether the sender lacks links to W ndb nodes of a group, or was stalled, and so
    /// cannot do its part of the vote for now: others do not wait for it.
    SyncAside {
        /// It cannot.
        is_aside: bool,
    },
    /// sync → sync: all segments of this owner up to `contiguous` are elected, and forgotten here
    /// because W ndb nodes of their groups have applied them.
    OwnerSettled {
        /// The owner.
        owner: OwnerId,
        /// The last of them.
        contiguous: Seq,
        /// Its stamp, or one above it and below that of the next.
        stamp: Stamp,
        /// Elections up to here are forgotten: feeds from before it cannot be served.
        trimmed_to: Stamp,
    },
    /// ndb → sync: this node has the order durably up to here.
    OrderApplied {
        /// Stamp of the last segment whose row of the order is on disk.
        stamp: Stamp,
    },
    /// sync → ndb: no draft is needed for this segment.
    DraftAnswered {
        /// The segment.
        segment: SegmentId,
        /// Why not.
        answer: DraftAnswer,
    },
    /// sync → reader: the feed cannot go on from the stamp asked for; elections up to `to` are
    /// forgotten. Take the order from an ndb node, then follow again from there.
    FeedTrimmed {
        /// Everything elected up to here is placed at W ndb nodes of its group.
        to: Stamp,
    },
    /// reader → ndb: send rows of the order, from the segment that begins at `from` on.
    FetchOrder {
        /// The next position of the reader.
        from: Position,
    },
    /// ndb → reader: rows of the order that are on disk here; none if it ends before `first`.
    OrderRows {
        /// Position of the first message of the first row: what was asked for.
        first: Position,
        /// Segments in the order, without a gap.
        rows: Vec<Elected>,
    },
    /// ndb → any: whether the sender takes new segments; first on each link, and on each change.
    NdbStanding {
        /// What it can do.
        standing: NdbStanding,
    },
    /// ndb → ndb of its group, on a new link and while they stay unresolved: the digest of what the
    /// sender has on disk without a place.
    OfferSegments {
        /// What they are. The receiver fetches those it lacks.
        segments: Vec<SegmentMeta>,
    },
    /// ndb → ndb: hash of the sender's order up to a position, to be compared.
    ChainAt {
        /// The position after the last row hashed.
        next: Position,
        /// Its chain.
        chain: Digest,
    },
    /// ndb → reader: the order that was asked for begins later here; what is before was dropped by
    /// retention.
    OrderTrimmed {
        /// What was asked for.
        asked: Position,
        /// Where the order goes on from.
        base: OrderBase,
    },
    /// entry → ndb: send one batch of stored messages.
    ReadHistory {
        /// Names the answer; the reader's choice.
        request: u64,
        /// What to send.
        query: HistoryQuery,
    },
    /// ndb → entry: messages of one segment, in the direction of the query.
    HistorySegment {
        /// Of the `ReadHistory`.
        request: u64,
        /// The messages, in ascending order within the segment whatever the direction.
        segment: TailSegment,
    },
    /// ndb → entry: the batch is complete.
    HistoryEnd {
        /// Of the `ReadHistory`.
        request: u64,
        /// How it ended.
        end: HistoryEnd,
    },
    /// entry → ndb: say when this segment, which was sent just before, is on disk.
    AwaitDurable {
        /// The segment.
        segment: SegmentId,
    },
    /// ndb → entry: a segment that was asked for is on this node's disk.
    SegmentDurable {
        /// The segment.
        segment: SegmentId,
    },
    /// ndb → ndb of its group, on a new link and when it changes: what the sender keeps.
    Retaining {
        /// What it says.
        retained: Retained,
    },
    /// ndb → ndb of its group: send rows of the order that end where the receiver's order begins.
    FetchOrderBefore {
        /// The first position that the sender of this has.
        before: Position,
    },
    /// ndb → ndb: rows of the order up to a position; none if the order here does not reach below it.
    OrderBefore {
        /// What was asked for: the position after the last row.
        before: Position,
        /// Where the first row begins, and what it is chained to.
        base: OrderBase,
        /// Segments in the order, without a gap.
        rows: Vec<Elected>,
    },
    /// sync → sync, on a new link and while something waits: the sender's clock is far ahead of its
    /// wall time, so it has no lower stamp to give.
    SyncClock {
        /// Where its clock is, durably.
        stamp: Stamp,
    },
    /// any → any, again and again, from the main loop of the sender: it lives, and has nothing else to
    /// say.
    Heartbeat,
    /// entry → sync: how far can the order go that anybody may have been told of by now?
    AskReached {
        /// Names the answer; rising.
        request: u64,
    },
    /// sync → entry: the highest stamp accepted or known elected here. Of the answers of a quorum,
    /// the highest is at or above all that was placed anywhere before the first of them was asked.
    Reached {
        /// Of the `AskReached`.
        request: u64,
        /// The stamp.
        stamp: Stamp,
    },
    /// any → any, and nothing after it: the peer has said what was not its to say.
    LinkRefused {
        /// What it was.
        misconduct: Misconduct,
    },
    /// entry → ndb: patterns of the FOLLOW_TAIL or CHANGE_INTEREST that comes after it on this link, in
    /// any number of parts. Nothing holds until that has come: an interest may be larger than a frame.
    InterestPart {
        /// Patterns wanted.
        add: Vec<TopicPattern>,
        /// Patterns no longer wanted.
        remove: Vec<TopicPattern>,
    },
    /// sync → any: the sender's disk has no room for votes, and it takes none of what it is sent. When
    /// there is room it ends the link: what is unresolved is said again on the next.
    SyncDiskFull,
    /// sync → any, every second: the time that the sender would stamp with now.
    SyncTime {
        /// Its wall time, or that of its clock, if it is later.
        time: WallTime,
        /// Stamps further ahead of its wall time it does not use.
        ahead_ms_max: u64,
    },
    /// sync → sync: this owner is forgotten here, and the sender takes no part in its votes any more.
    OwnerForgotten {
        /// The owner.
        owner: OwnerId,
        /// Elections up to here are forgotten, and with them all of the owner that were known here.
        trimmed_to: Stamp,
    },
    /// ndb → any, on each change, and on a new link where there are any: what is at no node of the
    /// sender's group.
    NdbNowhere {
        /// What it says.
        nowhere: Nowhere,
    },
}

/// What an ndb node keeps of the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retained {
    /// The first position that it has.
    pub first: Position,
    /// By its settings and its time, days before this one may go.
    pub keep_from: UtcDay,
}

/// What is said of a node whose disk is full, whatever its tier.
pub const DISK_FULL: &str = "disk full";

/// Whether an ndb node takes new segments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum NdbStanding {
    /// It does.
    Willing,
    /// Its disk has no more than the reserve left. It serves what it has.
    DiskFull,
    /// It follows too few sync nodes to take part.
    NoFeeds,
    /// Its disk does not answer: what it is sent waits in memory.
    DiskStalled,
}

impl NdbStanding {
    /// Why it takes none; `None`: it does.
    #[must_use]
    pub const fn unable(self) -> Option<&'static str> {
        match self {
            Self::Willing => None,
            Self::DiskFull | Self::NoFeeds | Self::DiskStalled => Some(self.name()),
        }
    }

    /// Label of metrics, and a word for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Willing => "willing",
            Self::DiskFull => DISK_FULL,
            Self::NoFeeds => "too few sync nodes connected",
            Self::DiskStalled => "disk does not answer",
        }
    }
}

/// Where an order begins whose rows before are dropped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderBase {
    /// Position of the first message that is left, or will be.
    pub next: Position,
    /// Stamp of the last segment before it.
    pub stamp: Stamp,
    /// The chain up to it.
    pub chain: Digest,
}

/// A place in the order to read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HistoryPlace {
    /// A position.
    Position(Position),
    /// A permanent id, or the first that a time can have: the nearest message in the direction of
    /// reading, itself included.
    Id {
        /// Its stamp.
        stamp: Stamp,
        /// Its offset in the segment.
        offset: u32,
    },
    /// The end of the order, for reading backward.
    End,
}

/// One batch of stored messages.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryQuery {
    /// Where to begin, inclusive.
    pub from: HistoryPlace,
    /// Whether to read towards the past.
    pub is_backward: bool,
    /// Where to end: forward, the position after the last wanted; backward, the lowest wanted.
    pub until: Option<Position>,
    /// Topics wanted: those of any of the patterns.
    pub topics: Vec<TopicPattern>,
    /// No more messages than this are sent; the last segment is cut to it.
    pub messages_max: u32,
    /// Segments are sent until they have about so many bytes.
    pub bytes_max: u32,
}

/// How a batch of history ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum HistoryEnd {
    /// Everything of this node's group from the beginning up to here was sent: forward, positions
    /// below `next`; backward, positions above it. `next` is where the following batch begins.
    Next {
        /// See above.
        next: Position,
        /// The order of this node ends here, or its `until` was reached: there is no more for now.
        is_end: bool,
    },
    /// Where it was to begin, retention has dropped the order. Nothing was sent.
    Trimmed {
        /// The first position that is left.
        first: Position,
    },
    /// A segment cannot be given at present: it is on its way from a peer. Everything before it was
    /// sent. Another node of the group may have it.
    Unavailable {
        /// Where the following batch begins.
        next: Position,
    },
    /// The node cannot read its store, or does not trust its order from here on.
    Failed,
}

/// Why a sync node takes no messages from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum StandingRefusal {
    /// It had another store before.
    OtherStore {
        /// The store that is remembered.
        remembered: StoreId,
    },
    /// Its store is older than it was.
    OlderStore {
        /// Commits that are remembered.
        remembered: u64,
    },
}

/// Why an ndb node gets no draft.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DraftAnswer {
    /// The segment is elected: the feed tells, or a peer's order if the feed has forgotten.
    Elected,
    /// The owner is unknown, and older than one that was forgotten: this node takes no part in its vote
    /// any more. From an ndb node to an entry: so many say this that the segment is never elected now.
    OwnerExpired,
}

/// Why an ndb node did not take a segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum RefuseReason {
    /// Messages before these did not arrive here: send the whole segment again.
    Gap,
    /// Bytes and meta disagree: send the whole segment again.
    Mismatch,
    /// The segment is larger than this node's limits; sending again will not help.
    TooLarge,
    /// The node takes no new segments at present, as its standing says: place it elsewhere.
    Unwilling,
}

/// Canonical messages of one segment, whole or filtered by interest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TailSegment {
    /// Position of the segment's offset 0.
    pub first: Position,
    /// Messages in the whole segment; the next segment begins `count` positions on.
    pub count: u32,
    /// The elected stamp.
    pub stamp: Stamp,
    /// The segment's topic table; records index into it.
    pub topics: Vec<Topic>,
    /// Offsets of the records below; empty when they are all of the segment.
    pub offsets: Vec<u32>,
    /// Packed records.
    pub records: Bytes,
}

impl Message {
    /// A short constant name for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::BeginAdvanceSegment { .. } => "begin_advance_segment",
            Self::KeepAdvanceHistory { .. } => "keep_advance_history",
            Self::AdvanceSegmentOver { .. } => "advance_segment_over",
            Self::TrimAdvanceSegment { .. } => "trim_advance_segment",
            Self::RefuseAdvanceSegment { .. } => "refuse_advance_segment",
            Self::GenerateDraft { .. } => "generate_draft",
            Self::PickChallenger { .. } => "pick_challenger",
            Self::ElectSegment { .. } => "elect_segment",
            Self::Vote { .. } => "vote",
            Self::Prepare { .. } => "prepare",
            Self::Reject { .. } => "reject",
            Self::SyncDigest { .. } => "sync_digest",
            Self::FollowFeed { .. } => "follow_feed",
            Self::AdvanceSegmentResolved { .. } => "advance_segment_resolved",
            Self::Watermark { .. } => "watermark",
            Self::AwaitDurable { .. } => "await_durable",
            Self::SegmentDurable { .. } => "segment_durable",
            Self::FollowTail { .. } => "follow_tail",
            Self::ChangeInterest { .. } => "change_interest",
            Self::TailOpened { .. } => "tail_opened",
            Self::InterestChanged { .. } => "interest_changed",
            Self::TailSegment(_) => "tail_segment",
            Self::TailPosition { .. } => "tail_position",
            Self::FetchSegments { .. } => "fetch_segments",
            Self::SegmentBlob { .. } => "segment_blob",
            Self::SegmentsMissing { .. } => "segments_missing",
            Self::SyncStanding { .. } => "sync_standing",
            Self::SyncRefused { .. } => "sync_refused",
            Self::SyncAside { .. } => "sync_aside",
            Self::OwnerSettled { .. } => "owner_settled",
            Self::OrderApplied { .. } => "order_applied",
            Self::DraftAnswered { .. } => "draft_answered",
            Self::FeedTrimmed { .. } => "feed_trimmed",
            Self::FetchOrder { .. } => "fetch_order",
            Self::OrderRows { .. } => "order_rows",
            Self::NdbStanding { .. } => "ndb_standing",
            Self::OfferSegments { .. } => "offer_segments",
            Self::ChainAt { .. } => "chain_at",
            Self::OrderTrimmed { .. } => "order_trimmed",
            Self::ReadHistory { .. } => "read_history",
            Self::HistorySegment { .. } => "history_segment",
            Self::HistoryEnd { .. } => "history_end",
            Self::Retaining { .. } => "retaining",
            Self::FetchOrderBefore { .. } => "fetch_order_before",
            Self::OrderBefore { .. } => "order_before",
            Self::SyncClock { .. } => "sync_clock",
            Self::SyncTime { .. } => "sync_time",
            Self::OwnerForgotten { .. } => "owner_forgotten",
            Self::NdbNowhere { .. } => "ndb_nowhere",
            Self::Heartbeat => "heartbeat",
            Self::AskReached { .. } => "ask_reached",
            Self::Reached { .. } => "reached",
            Self::LinkRefused { .. } => "link_refused",
            Self::InterestPart { .. } => "interest_part",
            Self::SyncDiskFull => "sync_disk_full",
        }
    }

    /// Bytes it takes in a queue, roughly: what it owns on the heap and a constant.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        const BASE: usize = 128;
        const TOPIC: usize = 64;
        BASE + match self {
            Self::KeepAdvanceHistory { topics, records, .. } => {
                topics.len() * TOPIC + records.len()
            }
            Self::SyncDigest { owners } => owners.len() * 24,
            Self::FollowTail { topics, .. } => topics.len() * TOPIC,
            Self::ChangeInterest { add, remove, .. } | Self::InterestPart { add, remove } => {
                (add.len() + remove.len()) * TOPIC
            }
            Self::TailSegment(tail) | Self::HistorySegment { segment: tail, .. } => {
                tail.topics.len() * TOPIC + tail.offsets.len() * 4 + tail.records.len()
            }
            Self::FetchSegments { segments } | Self::SegmentsMissing { segments } => {
                segments.len() * 24
            }
            Self::SegmentBlob { blob, .. } => blob.len(),
            Self::OrderRows { rows, .. } | Self::OrderBefore { rows, .. } => {
                size_of_val(rows.as_slice())
            }
            Self::OfferSegments { segments } => size_of_val(segments.as_slice()),
            Self::ReadHistory { query, .. } => query.topics.len() * TOPIC,
            Self::BeginAdvanceSegment { .. }
            | Self::AwaitDurable { .. }
            | Self::SegmentDurable { .. }
            | Self::AdvanceSegmentOver { .. }
            | Self::TrimAdvanceSegment { .. }
            | Self::RefuseAdvanceSegment { .. }
            | Self::GenerateDraft { .. }
            | Self::PickChallenger { .. }
            | Self::ElectSegment { .. }
            | Self::Vote { .. }
            | Self::Prepare { .. }
            | Self::Reject { .. }
            | Self::FollowFeed { .. }
            | Self::AdvanceSegmentResolved { .. }
            | Self::Watermark { .. }
            | Self::TailOpened { .. }
            | Self::InterestChanged { .. }
            | Self::TailPosition { .. }
            | Self::SyncStanding { .. }
            | Self::SyncRefused { .. }
            | Self::SyncAside { .. }
            | Self::SyncDiskFull
            | Self::OwnerSettled { .. }
            | Self::OwnerForgotten { .. }
            | Self::OrderApplied { .. }
            | Self::DraftAnswered { .. }
            | Self::FeedTrimmed { .. }
            | Self::FetchOrder { .. }
            | Self::NdbStanding { .. }
            | Self::NdbNowhere { .. }
            | Self::ChainAt { .. }
            | Self::OrderTrimmed { .. }
            | Self::Retaining { .. }
            | Self::FetchOrderBefore { .. }
            | Self::HistoryEnd { .. }
            | Self::SyncClock { .. }
            | Self::SyncTime { .. }
            | Self::Heartbeat
            | Self::AskReached { .. }
            | Self::Reached { .. }
            | Self::LinkRefused { .. } => 0,
        }
    }
}
