use super::*;
use crate::store::inspect::Inspector;

#[test]
fn a_reopened_store_gives_back_segments_order_and_chain() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    assert_eq!(bench.recovered(), Recovered::default());
    let id = bench.store.store_id();
    let ((a, blob_a), (b, _), (c, blob_c)) = (segment(1, 3), segment(2, 2), segment(3, 1));
    let mut order = Order::new();
    let jobs = [
        temporary(a, &blob_a),
        temporary(c, &blob_c),
        order.place(a, stamp(0, 10), Body::Stored),
        order.place(b, stamp(0, 20), Body::Missing),
    ];
    bench.commit(&jobs, at(0, 30));
    let bench = bench.reopen(dir.path(), at(0, 40));
    assert_eq!(bench.store.store_id(), id);
    let recovered = bench.recovered();
    assert_eq!(recovered.temporary, [c]);
    let lost = Lost { meta: b, first: Position(4), stamp: stamp(0, 20) };
    assert_eq!(recovered.missing, [lost]);
    assert_eq!(recovered.owners, [(a.id.owner, Seq(2))]);
    assert_eq!((recovered.head.stamp, recovered.head.next), (stamp(0, 20), Position(6)));
    assert_eq!(recovered.head.chain, order.chain);
    assert_eq!(bench.store.head(), order.head());
    assert_eq!(bench.placed_blob(stamp(0, 10), &a), Some(blob_a));
    assert_eq!(bench.placed_blob(stamp(0, 20), &b), None);
    assert_eq!(bench.store.any_blob(c.id).expect("reads"), Some(blob_c));
    assert_eq!(bench.rows(Position(2)), order.rows);
    assert_eq!(bench.rows(Position(4)), order.rows[1..]);
    assert_eq!(bench.rows(Position(6)), []);
    let from = |from, limit| bench.store.order_from(Position(from), limit).expect("reads");
    assert_eq!(from(1, 9), order.elected_from(Position(1)));
    assert_eq!(from(1, 1), [order.rows[0].1.elected]);
    assert_eq!(from(4, 9), [order.rows[1].1.elected]);
    for no_beginning in [2, 3, 6] {
        assert_eq!(from(no_beginning, 9), []);
    }
    let before = |next| bench.store.row_before(Position(next)).expect("reads");
    assert_eq!(before(4), Some(order.rows[0].1));
    assert_eq!(before(6), Some(order.rows[1].1));
    for no_end in [0, 1, 2, 3, 5, 7] {
        assert_eq!(before(no_end), None);
    }
}

#[tokio::test]
async fn the_writer_reports_each_commit_and_ends_when_it_is_dropped() {
    let dir = tempfile::tempdir().expect("dir");
    let store = Arc::new(Store::open(dir.path(), options(), at(0, 0)).expect("opens"));
    let (writer, mut reports) = Writer::start(Arc::clone(&store)).expect("thread");
    let (meta, blob) = segment(1, 2);
    let mut order = Order::new();
    let place = order.place(meta, stamp(0, 5), Body::Stored);
    assert!(writer.write(vec![temporary(meta, &blob), place]));
    let report = reports.recv().await.expect("a report").expect("a commit");
    assert_eq!((report.stored, report.rows), (vec![meta.id], 1));
    assert_eq!(report.placed_to, Some((stamp(0, 5), Position(3))));
    assert_eq!(store.rows_from(Position(1), 9).expect("reads"), order.rows);
    writer.finish();
    assert!(reports.recv().await.is_none());
}

#[test]
fn damaged_bytes_are_never_given_out() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let (meta, _) = segment(1, 1);
    let (_, other) = segment(1, 2);
    let place = Order::new().place(meta, stamp(0, 5), Body::Stored);
    bench.commit(&[temporary(meta, &other), place], at(0, 6));
    let read = bench.store.placed_blob(stamp(0, 5), &meta);
    assert!(matches!(read, Err(StoreError::Damaged(id)) if id == meta.id));
}

/// Damaged bytes were dropped and fetched ones stored in one commit: what leaves goes last, and took them with it.
#[test]
fn what_is_stored_after_it_was_dropped_stays() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let (meta, blob) = segment(1, 1);
    bench.commit(&[temporary(meta, &blob)], at(0, 5));
    bench.commit(&[Job::Drop(meta.id), temporary(meta, &blob)], at(0, 6));
    let held = |bench: &Bench| {
        let recovered = bench.store.recover().expect("reads");
        recovered.temporary.contains(&meta)
    };
    assert!(held(&bench));
    bench.commit(&[Job::Drop(meta.id)], at(0, 7));
    assert!(!held(&bench));
}

#[test]
fn a_chain_tells_orders_apart() {
    let ((a, _), (b, _)) = (segment(1, 1), segment(2, 1));
    let chain = |order: [Elected; 2]| {
        order.iter().fold(Digest::default(), |chain, row| OrderRow::chained(chain, *row).chain)
    };
    let (x, y) = (elected(a, Stamp(1), 0), elected(b, Stamp(2), 0));
    assert_ne!(chain([x, y]), chain([y, x]));
    assert_eq!(chain([x, y]), chain([x, y]));
}

/// Stored numbers and layouts never change; a new layout needs a new format version.
#[test]
fn keys_and_rows_are_golden() {
    let id = SegmentId { owner: owner(0x0102_0304), seq: Seq(5) };
    let meta = SegmentMeta {
        id,
        shard: Shard(6),
        map: MapVersion(1),
        count: 7,
        bytes: 300,
        digest: Digest([8; 16]),
    };
    let row = OrderRow { elected: elected(meta, Stamp(9), 0), chain: Digest([10; 16]) };
    let mut key = [0; 24];
    key[12..16].copy_from_slice(&[1, 2, 3, 4]);
    key[23] = 5;
    // A UUID is written with its length, 16; 300 is 0xAC 0x02 as a varint, 258 0x82 0x02.
    let mut stored_meta = vec![16];
    stored_meta.extend_from_slice(&key[..16]);
    stored_meta.extend_from_slice(&[5, 6, 1, 7, 0xac, 2]);
    stored_meta.extend_from_slice(&[8; 16]);
    let mut stored_row = stored_meta.clone();
    stored_row.extend_from_slice(&[9, 0]);
    stored_row.extend_from_slice(&[10; 16]);
    let mut stored_lost = stored_meta.clone();
    stored_lost.extend_from_slice(&[0x82, 2, 9]);
    // Every value is followed by the first 8 bytes of the hash of its key and itself.
    let checked = |key: &[u8], value: &[u8]| {
        let check = Digest::of(&[key, value]).0;
        (key.to_vec(), [value, &check[..8]].concat())
    };

    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let (waiting, blob) = segment_of(2, 1, &["t"]);
    let jobs = [
        Job::Place(Place { first: Position(258), row, body: Body::Missing }),
        temporary(waiting, &blob),
    ];
    bench.commit(&jobs, at(0, 0));
    // Stamp 9 is of the first day there is a stamp of.
    let first_day: UtcDay = "2020-01-01".parse().expect("a date");
    let env = Arc::clone(&bench.store.days().envs[&first_day]);
    let at_258 = [0, 0, 0, 0, 0, 0, 1, 2];
    assert_eq!(dump(&env, env.order), [checked(&at_258, &stored_row)]);
    assert_eq!(dump(&env, env.missing), [checked(&key, &stored_lost)]);
    assert_eq!(dump(&env, env.owners), [checked(&key[..16], &[5, 9])]);
    let [(stored_key, stored)] = &dump(&bench.env(0), bench.env(0).temporary)[..] else {
        panic!("one temporary segment")
    };
    assert_eq!(stored_key[..], waiting.id.to_key());
    let value = postcard::to_stdvec(&waiting).expect("encodes");
    assert_eq!(*stored, checked(stored_key, &value).1);
    assert_eq!(checked(b"key", b"value").1, b"value\xd6\xe3\x6e\xc4\x5a\x77\xad\x91");
}

/// Numbers and positions of the topic index, as they lie on disk.
#[test]
fn the_topic_index_is_golden() {
    let dir = tempfile::tempdir().expect("dir");
    let mut bench = Bench::open(dir.path(), at(0, 0));
    let mut order = Order::new();
    bench.put(&mut order, &segment_of(1, 1, &["b", "a"]), stamp(0, 1));
    bench.put(&mut order, &segment_of(1, 2, &["a"]), stamp(0, 2));
    let env = bench.env(0);
    let digest = |parts: &[&[u8]], bytes: usize| Digest::of(parts).0[..bytes].to_vec();
    let checked = |key: &[u8], value: Vec<u8>| {
        let check = digest(&[key, &value], 8);
        (key.to_vec(), [value, check].concat())
    };
    // Number, realm and topic with their lengths, the hash of the name before.
    let (a, b, end) = (b"\xff\0\0\0\0r\0a", b"\xff\0\0\0\0r\0b", b"\xff\0\0\0\0\xff");
    let names = [
        checked(a, [b"\x01\x01r\x01a".to_vec(), vec![0; 8]].concat()),
        checked(b, [b"\x00\x01r\x01b".to_vec(), digest(&[a], 8)].concat()),
        checked(end, [b"\xff\xff\xff\xff\x0f\0\0".to_vec(), digest(&[b], 8)].concat()),
    ];
    assert_eq!(dump(&env, env.topics), names);
    let row = |number: u32, first: u64, before: u64| {
        let key = [&number.to_be_bytes()[..], &first.to_be_bytes()].concat();
        let before = before.to_be_bytes();
        let check = digest(&[&key, &before], 4);
        (key, [check, before.to_vec()].concat())
    };
    let rows = [row(0, 1, 0), row(0, u64::MAX, 1), row(1, 1, 0), row(1, 3, 1), row(1, u64::MAX, 3)];
    assert_eq!(dump(&env, env.topic_rows), rows);
    let index = dump(&env, env.meta).into_iter().find(|(key, _)| key == b"index");
    assert_eq!(index, Some(checked(b"index", vec![0, 0, 2])));
}

#[test]
fn bytes_of_a_placed_segment_end_its_being_missing_in_either_order() {
    for bytes_first in [true, false] {
        let dir = tempfile::tempdir().expect("dir");
        let mut bench = Bench::open(dir.path(), at(0, 0));
        let (meta, blob) = segment(1, 1);
        let place = Order::new().place(meta, stamp(0, 10), Body::Missing);
        let mark = Mark::Permanent { first: Position(1), stamp: stamp(0, 10) };
        let bytes = Job::Store(vixen_replica::Store { meta, blob: blob.clone(), mark });
        let jobs = if bytes_first { [bytes, place] } else { [place, bytes] };
        for job in jobs {
            bench.commit(&[job], at(0, 20));
        }
        assert_eq!(bench.recovered().missing, []);
        assert_eq!(bench.placed_blob(stamp(0, 10), &meta), Some(blob));
        let txn_free = bench.store.scrub(Position(1), None, u64::MAX).expect("reads");
        assert_eq!(txn_free.findings, [], "indexed as well");
    }
}

#[test]
fn a_store_of_the_time_before_days_is_refused() {
    let dir = tempfile::tempdir().expect("dir");
    std::fs::write(dir.path().join("data.mdb"), b"old").expect("writes");
    let opened = Store::open(dir.path(), options(), at(0, 0));
    assert!(matches!(opened, Err(StoreError::OldLayout { .. })));
}

/// What a power cut right after the making leaves.
#[test]
fn a_day_that_has_been_made_and_never_opened_can_be_looked_at() {
    let dir = tempfile::tempdir().expect("dir");
    DayEnv::make(dir.path(), day(0), None, false).expect("made");
    let inspector = Inspector::new(dir.path().to_owned(), BYTES_MAX);
    inspector.open(day(0)).expect("can be read").expect("is there");
    let bench = Bench::open(dir.path(), at(0, 0));
    assert_eq!(bench.recovered(), Recovered::default());
}
