use super::*;
use crate::replica::{Body, Place};
use vixen_common::id::{GroupId, MapVersion, Shard, Stamp};
use vixen_common::segment::Topic;
use vixen_common::segment::{Challenger, Elected, Encoding, Record, RecordFlags, SegmentBuilder};

const BYTES_MAX: u64 = 64 << 20;

fn segment(seq: u64, count: u32) -> (SegmentMeta, Blob) {
    let owner = OwnerId(uuid::Uuid::from_u128(1));
    let mut builder =
        SegmentBuilder::new(SegmentId { owner, seq: Seq(seq) }, Shard(0), MapVersion(1));
    for _ in 0..count {
        let record = Record {
            topic: 0,
            encoding: Encoding::Json,
            flags: RecordFlags::default(),
            session: 1,
            payload: b"[1]",
        };
        builder.push(&Topic::new("r", "t"), record);
    }
    let chunk = builder.close();
    (chunk.meta, Blob::assemble(&chunk.topics, &[&chunk.records]))
}

fn elected(meta: SegmentMeta, stamp: u64) -> Elected {
    Elected { meta, challenger: Challenger { stamp: Stamp(stamp), group: GroupId(0) } }
}

async fn write(store: &Arc<Store>, jobs: Vec<Job>) {
    let (writer, mut reports) = Writer::start(Arc::clone(store)).expect("thread");
    assert!(writer.write(jobs));
    reports.recv().await.expect("a report").expect("a commit");
    writer.finish();
}

use std::sync::Arc;

#[tokio::test]
async fn a_reopened_store_gives_back_segments_order_and_chain() {
    let dir = tempfile::tempdir().expect("dir");
    let store = Arc::new(Store::open(dir.path(), GroupId(0), BYTES_MAX, true).expect("opens"));
    assert_eq!(store.recover().expect("reads"), Recovered::default());
    let id = store.store_id();
    let ((a, blob_a), (b, _), (c, blob_c)) = (segment(1, 3), segment(2, 2), segment(3, 1));
    let row_a = OrderRow::chained(Digest::default(), elected(a, 10));
    let row_b = OrderRow::chained(row_a.chain, elected(b, 20));
    let stored = |meta, blob: &Blob| {
        Job::Store(replica::Store { meta, blob: blob.clone(), mark: Mark::Temporary })
    };
    let jobs = vec![
        stored(a, &blob_a),
        stored(c, &blob_c),
        Job::Place(Place { first: Position(1), row: row_a, body: Body::Stored }),
        Job::Place(Place { first: Position(4), row: row_b, body: Body::Missing }),
    ];
    write(&store, jobs).await;
    drop(store);
    let store =
        Arc::new(Store::open(dir.path(), GroupId(0), BYTES_MAX, true).expect("opens again"));
    assert_eq!(store.store_id(), id);
    let recovered = store.recover().expect("reads");
    assert_eq!(recovered.temporary, [c]);
    assert_eq!(recovered.missing, [b]);
    assert_eq!(recovered.owners, [(a.id.owner, Seq(2))]);
    assert_eq!((recovered.head_stamp, recovered.head_next), (Stamp(20), Position(6)));
    assert_eq!(recovered.chain, row_b.chain);
    assert_eq!(store.blob(&a).expect("reads"), Some(blob_a));
    assert_eq!(store.blob(&b).expect("reads"), None);
    let rows = store.rows_from(Position(2), 9).expect("reads");
    assert_eq!(rows, [(Position(1), row_a), (Position(4), row_b)]);
    assert_eq!(store.rows_from(Position(4), 9).expect("reads"), [(Position(4), row_b)]);
    assert_eq!(store.rows_from(Position(6), 9).expect("reads"), []);
    let order = |from, limit| store.order_from(Position(from), limit).expect("reads");
    assert_eq!(order(1, 9), [row_a.elected, row_b.elected]);
    assert_eq!(order(1, 1), [row_a.elected]);
    assert_eq!(order(4, 9), [row_b.elected]);
    for no_beginning in [0, 2, 3, 6] {
        assert_eq!(order(no_beginning, 9), []);
    }
}

#[tokio::test]
async fn damaged_bytes_are_never_given_out() {
    let dir = tempfile::tempdir().expect("dir");
    let store = Arc::new(Store::open(dir.path(), GroupId(0), BYTES_MAX, false).expect("opens"));
    let (meta, _) = segment(1, 1);
    let (_, other) = segment(1, 2);
    let damaged = replica::Store { meta, blob: other, mark: Mark::Temporary };
    write(&store, vec![Job::Store(damaged)]).await;
    assert!(matches!(store.blob(&meta), Err(StoreError::Damaged(id)) if id == meta.id));
}

#[test]
fn a_chain_tells_orders_apart() {
    let ((a, _), (b, _)) = (segment(1, 1), segment(2, 1));
    let chain = |order: [Elected; 2]| {
        order.iter().fold(Digest::default(), |chain, row| OrderRow::chained(chain, *row).chain)
    };
    let (x, y) = (elected(a, 1), elected(b, 2));
    assert_ne!(chain([x, y]), chain([y, x]));
    assert_eq!(chain([x, y]), chain([x, y]));
}

/// Stored numbers and layouts never change; a new layout needs a new format version.
#[tokio::test]
async fn keys_and_rows_are_golden() {
    let owner = OwnerId(uuid::Uuid::from_u128(0x0102_0304));
    let id = SegmentId { owner, seq: Seq(5) };
    let meta = SegmentMeta {
        id,
        shard: Shard(6),
        map: MapVersion(1),
        count: 7,
        bytes: 300,
        digest: Digest([8; 16]),
    };
    let row = OrderRow { elected: elected(meta, 9), chain: Digest([10; 16]) };
    let mut key = [0; 24];
    key[12..16].copy_from_slice(&[1, 2, 3, 4]);
    key[23] = 5;
    // A UUID is written with its length, 16; 300 is 0xAC 0x02 as a varint.
    let mut stored_meta = vec![16];
    stored_meta.extend_from_slice(&key[..16]);
    stored_meta.extend_from_slice(&[5, 6, 1, 7, 0xac, 2]);
    stored_meta.extend_from_slice(&[8; 16]);
    let mut stored_row = stored_meta.clone();
    stored_row.extend_from_slice(&[9, 0]);
    stored_row.extend_from_slice(&[10; 16]);

    let dir = tempfile::tempdir().expect("dir");
    let store = Arc::new(Store::open(dir.path(), GroupId(0), BYTES_MAX, false).expect("opens"));
    write(&store, vec![Job::Place(Place { first: Position(258), row, body: Body::Missing })]).await;
    let txn = store.env.read_txn().expect("reads");
    let only = |rows: Database<Raw, Raw>| {
        let rows: Vec<_> = rows.iter(&txn).expect("reads").map(|r| r.expect("a row")).collect();
        assert_eq!(rows.len(), 1);
        (rows[0].0.to_vec(), rows[0].1.to_vec())
    };
    assert_eq!(only(store.order), (vec![0, 0, 0, 0, 0, 0, 1, 2], stored_row));
    assert_eq!(only(store.missing), (key.to_vec(), stored_meta));
    assert_eq!(only(store.owners), (key[..16].to_vec(), vec![0, 0, 0, 0, 0, 0, 0, 5]));
}

#[tokio::test]
async fn bytes_of_a_placed_segment_end_its_being_missing_in_either_order() {
    for bytes_first in [true, false] {
        let dir = tempfile::tempdir().expect("dir");
        let store = Arc::new(Store::open(dir.path(), GroupId(0), BYTES_MAX, false).expect("opens"));
        let (meta, blob) = segment(1, 1);
        let row = OrderRow::chained(Digest::default(), elected(meta, 10));
        let place = Job::Place(Place { first: Position(1), row, body: Body::Missing });
        let bytes = Job::Store(replica::Store { meta, blob, mark: Mark::Permanent });
        let jobs = if bytes_first { [bytes, place] } else { [place, bytes] };
        for job in jobs {
            write(&store, vec![job]).await;
        }
        assert_eq!(store.recover().expect("reads").missing, []);
    }
}
