//! Messages between nodes, and the frames that carry them.
//!
//! Messages are of dialects, one a subject that two tiers speak about, each with versions of its own
//! ([`Dialect`]). The names of the tier messages are those of the blueprint; `docs/protocol.md` lists who sends
//! each, to whom, and what is on disk before it leaves. Encoding is postcard: the order of the
//! variants is their wire number, so new ones go at the end and none is reused.

mod call;
mod conduct;
mod dialects;
mod draft;
mod feed;
mod frame;
#[cfg(test)]
mod golden;
mod hello;
mod meta;
mod node;
mod nowhere;
mod publish;
mod read;
mod replica;
mod speakers;
mod terms;
mod versions;
mod vote;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

pub use call::{
    AnswerKind, CALL_URI_BYTES_MAX, CallMessage, Cancellation, Disclosed, DropMode, InvokeFlags,
    InvokeRefusal,
};
pub use conduct::{Misconduct, judge};
pub use dialects::{Dialect, Disagreement, Offer, Spoken, agree, offers};
pub use draft::{DraftAnswer, DraftMessage};
pub use feed::{FeedMessage, GONE_SILENT_MS, GONE_UNLINKED_MS, Marks};
pub use frame::{
    BODY_BYTES_MIN, FRAME_BYTES_MAX, FRAME_MESSAGES_MAX, FrameError, FrameReader, FrameWriter,
};
pub use hello::{
    Assent, Exchange, Greeting, Hello, PeerId, Refusal, Welcome, proof_holds, proof_of,
};
pub use meta::{
    META_ITEMS_MAX, META_NAME_BYTES_MAX, META_TEXT_BYTES_MAX, MetaFound, MetaHolders, MetaPart,
    MetaQuestion, MetaReply, MetaSession, MetaSubscription, MetaWhom,
};
pub use node::{DISK_FULL, NdbStanding, NodeMessage};
pub use nowhere::Nowhere;
pub use publish::{PublishMessage, RefuseReason};
pub use read::{HistoryEnd, HistoryPlace, HistoryQuery, ReadMessage, TailSegment};
pub use replica::{OrderBase, ReplicaMessage, Retained};
pub use terms::{Difference, Party, Terms};
pub use versions::{SPOKEN, Versions};
pub use vote::{StandingRefusal, VoteMessage};

/// What a message takes in a queue beside what it owns, roughly, in bytes.
const MESSAGE_BYTES: usize = 128;
/// What a topic or pattern takes in a list.
const TOPIC_BYTES: usize = 64;

/// Everything nodes say to each other after HELLO, by dialect: the order is that of [`Dialect`]. Any message may
/// arrive twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message {
    /// What nodes say of themselves.
    Node(NodeMessage),
    /// A segment that is being published.
    Publish(PublishMessage),
    /// What is to be elected.
    Draft(DraftMessage),
    /// The vote.
    Vote(VoteMessage),
    /// What is elected.
    Feed(FeedMessage),
    /// Messages that are to be read.
    Read(ReadMessage),
    /// Blobs and rows of the order.
    Replica(ReplicaMessage),
    /// Calls between entries.
    Call(CallMessage),
}

impl Message {
    /// What it is about.
    #[must_use]
    pub const fn dialect(&self) -> Dialect {
        match self {
            Self::Node(_) => Dialect::Node,
            Self::Publish(_) => Dialect::Publish,
            Self::Draft(_) => Dialect::Draft,
            Self::Vote(_) => Dialect::Vote,
            Self::Feed(_) => Dialect::Feed,
            Self::Read(_) => Dialect::Read,
            Self::Replica(_) => Dialect::Replica,
            Self::Call(_) => Dialect::Call,
        }
    }

    /// A short constant name for logs and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Node(message) => message.name(),
            Self::Publish(message) => message.name(),
            Self::Draft(message) => message.name(),
            Self::Vote(message) => message.name(),
            Self::Feed(message) => message.name(),
            Self::Read(message) => message.name(),
            Self::Replica(message) => message.name(),
            Self::Call(message) => message.name(),
        }
    }

    /// Bytes it takes in a queue, roughly: what it owns on the heap and a constant.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        let heap_bytes = match self {
            Self::Publish(message) => message.heap_bytes(),
            Self::Vote(message) => message.heap_bytes(),
            Self::Read(message) => message.heap_bytes(),
            Self::Replica(message) => message.heap_bytes(),
            Self::Call(message) => message.heap_bytes(),
            Self::Node(_) | Self::Draft(_) | Self::Feed(_) => 0,
        };
        MESSAGE_BYTES + heap_bytes
    }

    /// Bytes that are carried beside the head of a frame.
    const fn body_mut(&mut self) -> Option<&mut Bytes> {
        match self {
            Self::Publish(message) => message.body_mut(),
            Self::Read(message) => message.body_mut(),
            Self::Replica(message) => message.body_mut(),
            Self::Call(message) => message.body_mut(),
            Self::Node(_) | Self::Draft(_) | Self::Vote(_) | Self::Feed(_) => None,
        }
    }
}

/// A message of a dialect is one of all.
macro_rules! message_of {
    ($($dialect:ident($message:ty)),*) => {
        $(impl From<$message> for Message {
            fn from(message: $message) -> Self {
                Self::$dialect(message)
            }
        })*
    };
}

message_of!(
    Node(NodeMessage),
    Publish(PublishMessage),
    Draft(DraftMessage),
    Vote(VoteMessage),
    Feed(FeedMessage),
    Read(ReadMessage),
    Replica(ReplicaMessage),
    Call(CallMessage)
);
