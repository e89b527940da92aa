//! What a group of segments is in the journal.
//!
//! ```text
//! version of rows u8 | length u32 | metas (postcard) | blob | blob | …        length: of the metas, big-endian
//! ```
//! The blobs stand in the order of the metas, each of `meta.bytes`. Each is checked against its meta when it is read.

use bytes::Bytes;

use vixen_core::segment::{Blob, SegmentMeta};

use crate::store::StoreError;

/// The version of what this page says.
const VERSION: u8 = 1;
const PREFIX_BYTES: usize = 5;

/// All of a record but the blobs.
pub(super) fn head_of(metas: &[SegmentMeta]) -> Result<Vec<u8>, StoreError> {
    let mut head = vec![VERSION, 0, 0, 0, 0];
    head = postcard::to_extend(metas, head).map_err(StoreError::Encode)?;
    let length = u32::try_from(head.len() - PREFIX_BYTES).unwrap_or(u32::MAX);
    head[1..PREFIX_BYTES].copy_from_slice(&length.to_be_bytes());
    Ok(head)
}

/// The segments of a record; of each the bytes, if they are what its meta says.
///
/// # Errors
/// When it has another version, or was not made here.
pub(in crate::store) fn segments_of(
    body: Vec<u8>,
) -> Result<Vec<(SegmentMeta, Option<Blob>)>, StoreError> {
    let body = Bytes::from(body);
    let malformed = || StoreError::JournalRecord;
    let prefix = body.first_chunk::<PREFIX_BYTES>().ok_or_else(malformed)?;
    let [version, length @ ..] = *prefix;
    if version != VERSION {
        return Err(StoreError::JournalVersion(version));
    }
    let length = usize::try_from(u32::from_be_bytes(length)).unwrap_or(usize::MAX);
    let end = length.checked_add(PREFIX_BYTES).ok_or_else(malformed)?;
    let metas = body.get(PREFIX_BYTES..end).ok_or_else(malformed)?;
    let metas: Vec<SegmentMeta> = postcard::from_bytes(metas).map_err(|_| malformed())?;
    let mut at = end;
    let mut segments = Vec::with_capacity(metas.len());
    for meta in metas {
        let next = at.saturating_add(meta.bytes as usize);
        if next > body.len() {
            return Err(malformed());
        }
        let blob = Blob::from_bytes(body.slice(at..next));
        let is_whole = blob.verify(&meta).is_ok();
        segments.push((meta, is_whole.then_some(blob)));
        at = next;
    }
    if at == body.len() { Ok(segments) } else { Err(malformed()) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use vixen_core::id::{Digest, MapVersion, OwnerId, SegmentId, Seq, Shard};

    fn meta(seq: u64, blob: &[u8]) -> SegmentMeta {
        let owner = OwnerId(uuid::Uuid::from_u128(0x0102));
        let bytes = u32::try_from(blob.len()).expect("short");
        SegmentMeta {
            id: SegmentId { owner, seq: Seq(seq) },
            shard: Shard(5),
            map: MapVersion(2),
            count: 3,
            bytes,
            digest: Digest::of(&[blob]),
        }
    }

    /// Golden: a journal that is on disk stays readable.
    #[test]
    fn records_never_change_their_bytes() {
        let metas = [meta(7, b"one"), meta(300, b"three")];
        let mut body = head_of(&metas).expect("encodes");
        body.extend_from_slice(b"onethree");
        let owner = [&[16][..], &[0; 14], &[1, 2]].concat();
        let one = [&owner[..], &[7, 5, 2, 3, 3], &metas[0].digest.0].concat();
        let three = [&owner[..], &[0xac, 2, 5, 2, 3, 5], &metas[1].digest.0].concat();
        let wanted = [&[1, 0, 0, 0, 78, 2][..], &one, &three, b"onethree"].concat();
        assert_eq!(body, wanted);
        // They are no blobs: the metas are given back, and not the bytes.
        let read = segments_of(body.clone()).expect("reads");
        assert_eq!(read, metas.map(|meta| (meta, None)));
        for cut in 0..body.len() {
            segments_of(body[..cut].to_vec()).expect_err("cut");
        }
        body.push(0);
        assert!(matches!(segments_of(body), Err(StoreError::JournalRecord)));
        assert!(matches!(segments_of(vec![2; 9]), Err(StoreError::JournalVersion(2))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic(
            mut noise in prop::collection::vec(any::<u8>(), 0..200),
            length in 0_u8..60,
        ) {
            let _read = segments_of(noise.clone());
            noise.splice(0..0, [VERSION, 0, 0, 0, length]);
            let _read = segments_of(noise);
        }
    }
}
