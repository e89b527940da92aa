//! Frames between nodes.

use bytes::Bytes;
use vixen_core::id::{Ballot, Digest, GroupId, MapVersion, OwnerId, SegmentId, Seq, Shard, Stamp};
use vixen_core::segment::{Challenger, SegmentMeta};
use vixen_core::wire::{FrameReader, FrameWriter, Message, VoteMessage};

use crate::Case;

/// Of one frame.
pub(crate) const MESSAGES: usize = 16;

fn votes() -> Vec<Message> {
    let owner = OwnerId(uuid::Uuid::from_u128(1));
    let vote = |seq| {
        let meta = SegmentMeta {
            id: SegmentId { owner, seq: Seq(seq) },
            shard: Shard(3),
            map: MapVersion(1),
            count: 20,
            bytes: 4_000,
            digest: Digest([7; 16]),
        };
        let challenger = Challenger { stamp: Stamp(1 << 60 | seq), group: GroupId(0) };
        Message::Vote(VoteMessage::VoteFast { meta, ballot: Ballot(0), challenger })
    };
    (1..).map(vote).take(MESSAGES).collect()
}

fn written(votes: &[Message]) -> Vec<Bytes> {
    let mut writer = FrameWriter::default();
    votes.iter().for_each(|vote| writer.push(vote.clone()));
    writer.take().collect()
}

/// A frame of votes is written.
pub(crate) fn write() -> Case {
    let votes = votes();
    Box::new(move || written(&votes).iter().map(Bytes::len).sum())
}

/// The same frame is read.
pub(crate) fn read() -> Case {
    let parts = written(&votes());
    Box::new(move || {
        let mut reader = FrameReader::default();
        let mut read = 0;
        for part in &parts {
            let messages = reader.take(part.clone()).expect("a frame");
            read += messages.map_or(0, |messages| messages.len());
        }
        read
    })
}
