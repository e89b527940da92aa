//! What a linked peer may say: its tier's messages, about its own segments.
//!
//! HELLO has proved which tier the peer is of, and, with names in certificates, which node. Here it is
//! held to that: an entry neither votes nor elects nor answers reads, and opens no segments of other
//! entries. A message that is not the peer's to say ends the link, with the reason in its last word,
//! [`LinkRefused`](super::NodeMessage::LinkRefused).

use serde::{Deserialize, Serialize};

use crate::id::{SegmentId, Seq};
use crate::segment::SegmentMeta;
use crate::tier::Tier;
use crate::wire::{
    DraftMessage, FeedMessage, Message, PeerId, PublishMessage, ReplicaMessage, VoteMessage,
};

/// What a peer has said that was not its to say. Why its link ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum Misconduct {
    /// A message of other tiers.
    #[error("{message} is nothing that {} says to {}", .from.one(), .to.one())]
    OtherTier {
        /// Which.
        message: String,
        /// Of the one who said it.
        from: Tier,
        /// Of the one who got it.
        to: Tier,
    },
    /// A segment of another entry than the one that was proved.
    #[error("{message} is about a segment of another entry")]
    OtherOwner {
        /// Which.
        message: String,
    },
    /// What ndb nodes of one group say to each other, from another group.
    #[error("{message} is for the ndb nodes of one group")]
    OtherGroup {
        /// Which.
        message: String,
    },
    /// A segment that no owner has: they count from 1.
    #[error("{message} is about a segment without a number")]
    NoSeq {
        /// Which.
        message: String,
    },
    /// A life, a call, a registration or a session that there cannot be: they count from 1.
    #[error("{message} is about something without a number")]
    NoNumber {
        /// Which.
        message: String,
    },
    /// A text that is longer than any that nodes say.
    #[error("{message} has a text that is too long")]
    TooLong {
        /// Which.
        message: String,
    },
}

impl Misconduct {
    /// Label of metrics.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::OtherTier { .. } => "tier",
            Self::OtherOwner { .. } => "owner",
            Self::OtherGroup { .. } => "group",
            Self::NoSeq { .. } => "seq",
            Self::NoNumber { .. } => "number",
            Self::TooLong { .. } => "length",
        }
    }
}

/// Whether `message` is for `peer` to say to `own`.
///
/// # Errors
/// Why not.
pub fn judge(own: &PeerId, peer: &PeerId, message: &Message) -> Result<(), Misconduct> {
    let (from, to) = (peer.tier(), own.tier());
    let name = || message.name().to_owned();
    if !message.is_said(from, to) {
        return Err(Misconduct::OtherTier { message: name(), from, to });
    }
    if has_no_seq(message) {
        return Err(Misconduct::NoSeq { message: name() });
    }
    if matches!(message, Message::Call(message) if message.has_no_number()) {
        return Err(Misconduct::NoNumber { message: name() });
    }
    if matches!(message, Message::Call(message) if message.is_too_long()) {
        return Err(Misconduct::TooLong { message: name() });
    }
    match (peer, message) {
        (
            PeerId::Entry { owner },
            Message::Publish(
                PublishMessage::BeginAdvanceSegment { segment, .. }
                | PublishMessage::KeepAdvanceHistory { segment, .. }
                | PublishMessage::AwaitDurable { segment }
                | PublishMessage::AdvanceSegmentOver { meta: SegmentMeta { id: segment, .. } },
            ),
        ) if !segment.owner.is_of_entry(*owner) => Err(Misconduct::OtherOwner { message: name() }),
        (
            PeerId::Ndb { id, .. },
            Message::Replica(
                ReplicaMessage::OfferSegments { .. } | ReplicaMessage::Retaining { .. },
            ),
        ) if !is_of_group(own, id.group) => Err(Misconduct::OtherGroup { message: name() }),
        _ => Ok(()),
    }
}

/// Whether a segment that would be stored or voted on by it has no number. It would count as elected with the
/// first one of its owner, and be pending for ever.
fn has_no_seq(message: &Message) -> bool {
    let is_none = |segment: &SegmentId| segment.seq < Seq::FIRST;
    match message {
        Message::Publish(
            PublishMessage::BeginAdvanceSegment { segment, .. }
            | PublishMessage::KeepAdvanceHistory { segment, .. },
        )
        | Message::Vote(VoteMessage::Reject { segment, .. }) => is_none(segment),
        Message::Publish(PublishMessage::AdvanceSegmentOver { meta })
        | Message::Draft(DraftMessage::GenerateDraft { meta })
        | Message::Vote(
            VoteMessage::PickChallenger { meta, .. }
            | VoteMessage::Prepare { meta, .. }
            | VoteMessage::ProposeFast { meta, .. }
            | VoteMessage::VoteFast { meta, .. },
        ) => is_none(&meta.id),
        Message::Vote(VoteMessage::ElectSegment { proposal } | VoteMessage::Vote { proposal }) => {
            is_none(&proposal.meta.id)
        }
        Message::Feed(FeedMessage::AdvanceSegmentResolved { elected }) => is_none(&elected.meta.id),
        Message::Feed(FeedMessage::SegmentAccepted { acceptance }) => is_none(&acceptance.meta.id),
        Message::Replica(ReplicaMessage::OfferSegments { segments }) => {
            segments.iter().any(|meta| is_none(&meta.id))
        }
        Message::Replica(
            ReplicaMessage::OrderRows { rows, .. } | ReplicaMessage::OrderBefore { rows, .. },
        ) => rows.iter().any(|row| is_none(&row.meta.id)),
        _ => false,
    }
}

fn is_of_group(own: &PeerId, group: crate::id::GroupId) -> bool {
    matches!(own, PeerId::Ndb { id, .. } if id.group == group)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{Digest, GroupId, MapVersion, NdbId, OwnerId, Position, Shard};
    use crate::id::{StoreId, SyncId};
    use crate::segment::Content;
    use crate::wire::{AnswerKind, CallMessage, Cancellation, Disclosed, DropMode, InvokeFlags};
    use bytes::Bytes;

    /// An entry gave one to storage nodes after its first: it was pending for ever, and the sync nodes that had
    /// voted on it did not start again.
    #[test]
    fn a_segment_without_a_number_is_nobodys_to_speak_of() {
        let owner = OwnerId(uuid::Uuid::from_u128(1));
        let store = StoreId(uuid::Uuid::from_u128(2));
        let entry = PeerId::Entry { owner };
        let ndb = PeerId::Ndb { id: NdbId { group: GroupId(0), member: 0 }, store };
        let sync = PeerId::Sync { id: SyncId(0), store };
        let meta = |seq| SegmentMeta {
            id: SegmentId { owner, seq: Seq(seq) },
            shard: Shard(0),
            map: MapVersion(1),
            count: 1,
            bytes: 1,
            digest: Digest([0; 16]),
        };
        let over = |seq| PublishMessage::AdvanceSegmentOver { meta: meta(seq) }.into();
        let draft = |seq| DraftMessage::GenerateDraft { meta: meta(seq) }.into();
        assert_eq!(
            (judge(&ndb, &entry, &over(1)), judge(&sync, &ndb, &draft(1))),
            (Ok(()), Ok(()))
        );
        for (own, peer, message) in [(&ndb, &entry, over(0)), (&sync, &ndb, draft(0))] {
            let told = judge(own, peer, &message).expect_err("refused");
            assert_eq!(told.reason(), "seq", "{told}");
        }
    }

    #[test]
    fn entries_speak_of_calls_with_entries_alone_and_by_numbers_that_there_are() {
        let uuid = uuid::Uuid::from_u128;
        let [one, other] = [1, 2].map(|n| PeerId::Entry { owner: OwnerId(uuid(n)) });
        let sync = PeerId::Sync { id: SyncId(0), store: StoreId(uuid(3)) };
        let standing = |life| {
            let (is_ready, is_draining, applied_below) = (true, false, Position(0));
            CallMessage::CallStanding { life, is_ready, is_draining, applied_below }.into()
        };
        let invoke_at = |session, registration, place| {
            let (number, timeout_ms) = (1, None);
            let [registration, place] = [registration, place].map(Position);
            let (procedure, caller, passthru) = (None, None, None);
            let (flags, content, payload) = (InvokeFlags(0), Content::Raw, Bytes::new());
            CallMessage::Invoke {
                number,
                registration,
                place,
                session,
                procedure,
                caller,
                timeout_ms,
                flags,
                passthru,
                content,
                payload,
            }
            .into()
        };
        let invoke = |session| invoke_at(session, 1, 1);
        let cancel = |number| {
            CallMessage::CancelInvoke { number, what: Cancellation::Drop(DropMode::Skip) }.into()
        };
        let reason = |own, peer, message| judge(own, peer, &message).map_err(|told| told.reason());
        assert_eq!(reason(&one, &other, standing(1)), Ok(()));
        assert_eq!(reason(&one, &other, cancel(1)), Ok(()));
        assert_eq!(reason(&one, &other, standing(0)), Err("number"));
        assert_eq!(reason(&one, &other, cancel(0)), Err("number"));
        for (session, told) in
            [(0, Err("number")), (1, Ok(())), (1 << 53, Ok(())), ((1 << 53) + 1, Err("number"))]
        {
            assert_eq!(reason(&one, &other, invoke(session)), told, "{session}");
        }
        for (registration, place, told) in
            [(0, 1, Err("number")), (5, 4, Err("number")), (5, 5, Ok(())), (5, 9, Ok(()))]
        {
            let invoke = invoke_at(1, registration, place);
            assert_eq!(reason(&one, &other, invoke), told, "{registration} {place}");
        }
        assert_eq!(reason(&one, &sync, standing(1)), Err("tier"));
        assert_eq!(reason(&sync, &one, cancel(1)), Err("tier"));
    }

    /// They stay with the call for as long as that is open.
    #[test]
    fn texts_of_calls_are_no_longer_than_entries_write_them() {
        let uuid = uuid::Uuid::from_u128;
        let [one, other] = [1, 2].map(|n| PeerId::Entry { owner: OwnerId(uuid(n)) });
        let invoke = |uri: usize, authid: usize, authrole: usize| -> Message {
            let who = Disclosed {
                session: 1,
                authid: "a".repeat(authid),
                authrole: "r".repeat(authrole),
            };
            CallMessage::Invoke {
                number: 1,
                registration: Position(1),
                place: Position(1),
                session: 1,
                procedure: Some("p".repeat(uri).into()),
                caller: Some(Box::new(who)),
                timeout_ms: None,
                flags: InvokeFlags(0),
                passthru: None,
                content: Content::Raw,
                payload: Bytes::new(),
            }
            .into()
        };
        let error = |uri: usize| -> Message {
            let kind = AnswerKind::Error { uri: "e".repeat(uri).into() };
            let (callee, passthru, content) = (None, None, Content::Raw);
            let payload = Bytes::new();
            CallMessage::Answer { number: 1, kind, callee, passthru, content, payload }.into()
        };
        let (uri, name) = (64 << 10, 16 << 10);
        for good in [invoke(uri, name, name), error(uri)] {
            assert_eq!(judge(&one, &other, &good), Ok(()));
        }
        let long = [
            invoke(uri + 1, name, name),
            invoke(uri, name + 1, name),
            invoke(uri, name, name + 1),
            error(uri + 1),
        ];
        for message in long {
            let told = judge(&one, &other, &message).map_err(|told| told.reason());
            assert_eq!(told, Err("length"));
        }
    }
}
