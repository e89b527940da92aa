//! The store with its journal: what is there after the process was killed, at any write.

use std::collections::BTreeSet;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use super::*;
use crate::store::arrivals::{Appender, Out};
use crate::store::write::TRIMMED_PREFIX;
use vixen_runtime::journal::{BLOCK_BYTES, JOURNAL_FILE, Journal, JournalError};

/// Some blocks, so that they are taken again and again.
const SMALL: u64 = 24 * BLOCK_BYTES as u64;
const ASIDE: &str = "journal.refused";

/// A store with its journal, and the two threads of its writer, each at hand.
struct Node {
    bench: Bench,
    appender: Option<Appender>,
    /// For LMDB, in order.
    work: Vec<Out>,
    /// Segments that were told to be durable.
    told: BTreeSet<SegmentId>,
}

fn open_with(dir: &Path, fsync: bool, bytes: u64, now: WallTime) -> Result<Node, StoreError> {
    let options = StoreOptions { fsync, ..options() };
    let store = Arc::new(Store::open_with(dir, options, bytes, now)?);
    let memory = Memory::recover(&store)?;
    let appender = store.take_journal().map(|journal| Appender::new(Arc::clone(&store), journal));
    let bench = Bench { store, memory };
    Ok(Node { bench, appender, work: Vec::new(), told: BTreeSet::new() })
}

fn open(dir: &Path) -> Node {
    open_with(dir, true, SMALL, at(0, 0)).expect("opens")
}

impl Node {
    /// As the first thread does.
    fn give(&mut self, jobs: impl IntoIterator<Item = Job>) {
        let jobs: Vec<Job> = jobs.into_iter().collect();
        let Self { appender, work, told, .. } = self;
        let mut take = |out| match out {
            Out::Durable(committed) => told.extend(committed.stored),
            other => work.push(other),
        };
        match appender {
            Some(appender) => appender.take(jobs, &mut take).expect("appends"),
            None => take(Out::Jobs(jobs)),
        }
    }

    /// As the second does.
    fn work(&mut self, now: WallTime) {
        for work in std::mem::take(&mut self.work) {
            match work {
                Out::Durable(_) => unreachable!("is told"),
                Out::Arrived(arrived) => self.bench.store.arrived(arrived),
                Out::Jobs(jobs) => {
                    self.told.extend(self.bench.commit(&jobs, now).stored);
                }
            }
        }
    }

    fn checkpoint(&mut self, everything: bool, now: WallTime) {
        let Bench { store, memory } = &mut self.bench;
        store.checkpoint(memory, everything, now).expect("writes");
    }

    /// What no day has yet.
    fn waiting(&self) -> Vec<SegmentMeta> {
        self.bench.store.arrivals().metas().collect()
    }

    fn temporary(&self) -> BTreeSet<SegmentId> {
        self.bench.recovered().temporary.iter().map(|meta| meta.id).collect()
    }

    fn blob(&self, segment: SegmentId) -> Option<Blob> {
        self.bench.store.any_blob(segment).expect("reads")
    }

    fn applied(&self) -> u64 {
        self.bench.store.journal_row().expect("reads").expect("there is one").applied().0
    }
}

/// What the process leaves if it is killed now, in another directory. Dropped days, which a thread
/// deletes meanwhile and a start would delete, are not in it.
fn killed(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("dir");
    for entry in std::fs::read_dir(dir).expect("reads") {
        let (name, path) = entry.map(|e| (e.file_name(), e.path())).expect("an entry");
        if name.to_string_lossy().starts_with(TRIMMED_PREFIX) {
            continue;
        }
        let data = path.join(lmdb::DATA_FILE);
        if data.exists() {
            std::fs::create_dir(copy.path().join(&name)).expect("a directory");
            let to = copy.path().join(&name).join(lmdb::DATA_FILE);
            std::fs::copy(data, to).expect("copies");
        } else if name == JOURNAL_FILE {
            std::fs::copy(path, copy.path().join(name)).expect("copies");
        }
    }
    copy
}

#[test]
fn what_has_arrived_is_durable_before_lmdb_has_it_and_is_there_after_a_kill() {
    let dir = tempfile::tempdir().expect("dir");
    let mut node = open(dir.path());
    let ((a, blob_a), (b, blob_b)) = (segment(1, 1), segment(2, 3));
    node.give([temporary(a, &blob_a), temporary(b, &blob_b)]);
    assert_eq!(node.told, BTreeSet::from([a.id, b.id]));
    assert_eq!(node.blob(a.id), Some(blob_a.clone()), "a peer gets what was told of");
    node.work(at(0, 1));
    assert_eq!(dump(&node.bench.env(0), node.bench.env(0).temporary), []);
    assert_eq!(node.temporary(), node.told, "and recovered as well");
    let left = killed(dir.path());
    // Also when the start is killed before it has written to LMDB.
    for _ in 0..2 {
        let again = killed(left.path());
        let opened = open(again.path());
        assert_eq!(opened.temporary(), node.told);
        assert_eq!(opened.blob(a.id), Some(blob_a.clone()));
        assert_eq!(opened.blob(b.id), Some(blob_b.clone()));
        assert_eq!((opened.waiting(), opened.applied()), (vec![], 1), "LMDB has all");
    }
}

#[test]
fn a_place_takes_its_bytes_from_the_arrivals_and_the_journal_is_done_with_them() {
    for is_in_memory in [true, false] {
        let dir = tempfile::tempdir().expect("dir");
        let mut node = open(dir.path());
        let (meta, blob) = segment(1, 3);
        let mut order = Order::new();
        node.give([temporary(meta, &blob)]);
        node.work(at(0, 1));
        let body = if is_in_memory { Body::Memory(blob.clone()) } else { Body::Stored };
        // The day of its stamp is another than that of its arrival: no bytes are moved.
        node.give([order.place(meta, stamp(1, 5), body)]);
        node.work(at(0, 2));
        assert_eq!((node.waiting(), node.applied()), (vec![], 1));
        assert_eq!(node.bench.placed_blob(stamp(1, 5), &meta), Some(blob.clone()));
        assert_eq!(dump(&node.bench.env(0), node.bench.env(0).blobs), [], "written once");
        let scrubbed = node.bench.store.scrub(Position(1), None, u64::MAX).expect("reads");
        assert_eq!(scrubbed.findings, []);
        let left = killed(dir.path());
        let opened = open(left.path());
        assert_eq!(opened.temporary(), BTreeSet::new());
        assert_eq!(opened.bench.placed_blob(stamp(1, 5), &meta), Some(blob));
    }
}

#[test]
fn what_the_vote_decided_otherwise_is_not_taken_and_does_not_wait() {
    let dir = tempfile::tempdir().expect("dir");
    let mut node = open(dir.path());
    let ((a, blob_a), (other, _)) = (segment(1, 1), segment(1, 2));
    let (b, blob_b) = segment_of(2, 1, &["t"]);
    let mut order = Order::new();
    node.give([temporary(a, &blob_a), temporary(b, &blob_b)]);
    node.give([
        order.place(other, stamp(0, 5), Body::Missing),
        order.place(b, stamp(0, 6), Body::Elsewhere),
    ]);
    node.work(at(0, 9));
    assert_eq!((node.waiting(), node.applied()), (vec![], 1));
    assert_eq!(node.bench.placed_blob(stamp(0, 5), &other), None);
    assert_eq!(node.bench.recovered().missing.len(), 1);
    assert_eq!(node.blob(b.id), None);
    // Of one that counts as missing, and has arrived just so, the bytes are taken.
    let (c, blob_c) = segment_of(3, 1, &["t"]);
    node.give([temporary(c, &blob_c), order.place(c, stamp(0, 7), Body::Missing)]);
    node.work(at(0, 9));
    assert_eq!(node.bench.placed_blob(stamp(0, 7), &c), Some(blob_c));
    assert_eq!(node.bench.recovered().missing.len(), 1);
}

#[test]
fn what_is_dropped_does_not_wait_and_what_comes_after_it_under_its_id_does() {
    let dir = tempfile::tempdir().expect("dir");
    let mut node = open(dir.path());
    let (meta, blob) = segment(1, 1);
    node.give([temporary(meta, &blob), Job::Drop(meta.id)]);
    node.work(at(0, 1));
    assert_eq!((node.waiting(), node.temporary()), (vec![], BTreeSet::new()));
    // That it was dropped is said with the next checkpoint: until then it may come back.
    assert_eq!(node.applied(), 0);
    assert_eq!(open(killed(dir.path()).path()).temporary(), BTreeSet::from([meta.id]));
    node.checkpoint(true, at(0, 1));
    assert_eq!(node.applied(), 1);
    assert_eq!(open(killed(dir.path()).path()).temporary(), BTreeSet::new());
    // In one batch, in either order.
    node.give([temporary(meta, &blob), Job::Drop(meta.id), temporary(meta, &blob)]);
    node.work(at(0, 2));
    assert_eq!(node.waiting(), [meta]);
    node.give([Job::Drop(meta.id), temporary(meta, &blob)]);
    node.work(at(0, 3));
    assert_eq!(node.waiting(), [meta]);
    assert_eq!(open(killed(dir.path()).path()).temporary(), BTreeSet::from([meta.id]));
}

#[test]
fn what_waits_for_long_goes_to_temporary_and_what_came_lately_stays() {
    let dir = tempfile::tempdir().expect("dir");
    let mut node = open(dir.path());
    let (meta, blob) = segment(1, 1);
    let before = Instant::now();
    node.give([temporary(meta, &blob)]);
    node.work(at(0, 1));
    let due = |node: &Node| node.bench.store.arrivals().due_at();
    let came = due(&node).expect("something waits") - Duration::from_secs(1);
    assert!(before <= came && came <= Instant::now(), "a second after it came");
    node.checkpoint(false, at(0, 1));
    assert_eq!((node.waiting(), node.applied()), (vec![meta], 0));
    node.checkpoint(true, at(0, 1));
    assert_eq!((node.waiting(), node.applied(), due(&node)), (vec![], 1, None));
    assert_eq!(node.temporary(), BTreeSet::from([meta.id]));
    // And from there to its place, as ever.
    let place = Order::new().place(meta, stamp(0, 5), Body::Memory(blob.clone()));
    node.give([place]);
    node.work(at(0, 9));
    assert_eq!(node.bench.placed_blob(stamp(0, 5), &meta), Some(blob));
    assert_eq!(node.temporary(), BTreeSet::new());
}

#[test]
fn a_journal_half_full_leads_to_a_checkpoint_of_the_oldest_and_a_full_one_to_lmdb() {
    let dir = tempfile::tempdir().expect("dir");
    let mut node = open(dir.path());
    let mut told = BTreeSet::new();
    for seq in 1..=40 {
        let (meta, blob) = segment_with(1, seq, &["t"], &[b'x'; 5_000]);
        node.give([temporary(meta, &blob)]);
        told.insert(meta.id);
        // The first has no place for the last ones: they are LMDB's.
        if seq > 20 {
            node.work(at(0, seq));
            let is_due =
                node.bench.store.arrivals().due_at().is_some_and(|at| at <= Instant::now());
            if is_due {
                node.checkpoint(false, at(0, seq));
                assert!(node.applied() > 0 && !node.waiting().is_empty(), "the oldest half");
            }
        }
        assert!(node.told.is_subset(&told));
    }
    node.work(at(0, 50));
    assert_eq!((&node.told, node.temporary()), (&told, told.clone()));
    // One that never has a place.
    let (meta, blob) = segment_with(2, 1, &["t"], &vec![b'x'; 1 << 17]);
    node.give([temporary(meta, &blob)]);
    assert!(!node.told.contains(&meta.id), "not before LMDB has it");
    node.work(at(0, 51));
    told.insert(meta.id);
    let left = killed(dir.path());
    let opened = open(left.path());
    assert_eq!((opened.temporary(), opened.blob(meta.id)), (told, Some(blob)));
}

/// A store with three records, of which LMDB has none; and its segments.
fn three(dir: &Path) -> Vec<(SegmentMeta, Blob)> {
    let mut node = open(dir);
    let segments: Vec<_> = (1..=3).map(|seq| segment(seq, 1)).collect();
    for (meta, blob) in &segments {
        node.give([temporary(*meta, blob)]);
    }
    segments
}

#[test]
fn a_bit_flipped_anywhere_in_the_journal_leads_to_no_wrong_byte_and_to_a_start() {
    let dir = tempfile::tempdir().expect("dir");
    let segments = three(dir.path());
    let journal = std::fs::read(dir.path().join(JOURNAL_FILE)).expect("reads");
    let used = (1..=3).flat_map(|block| block * BLOCK_BYTES..block * BLOCK_BYTES + 250);
    let mut lost = 0;
    for at_byte in (0..64).chain(used) {
        let left = killed(dir.path());
        let mut flipped = journal.clone();
        flipped[at_byte] ^= 1 << (at_byte % 8);
        std::fs::write(left.path().join(JOURNAL_FILE), flipped).expect("writes");
        let opened = open(left.path());
        for (meta, blob) in &segments {
            let found = opened.blob(meta.id);
            assert!(found.is_none() || found.as_ref() == Some(blob), "flipped at {at_byte}");
            lost += usize::from(found.is_none());
        }
        let found = opened.temporary().len();
        let is_header = at_byte < 64;
        assert!(found >= if is_header { 0 } else { 2 }, "{found} at {at_byte}");
        // A last record that is not whole was never answered for.
        let is_last = at_byte >= 3 * BLOCK_BYTES;
        let is_refused = left.path().join(ASIDE).exists();
        assert_eq!(is_refused, found < 3 && !is_last, "flipped at {at_byte}");
        drop(opened);
        let opened = open(left.path());
        assert_eq!(opened.temporary().len(), found, "and so ever after");
    }
    assert!(lost >= 3 * 64 + 3 * 100, "{lost}");
}

#[test]
fn a_record_that_is_cut_anywhere_is_not_there_and_those_before_are() {
    let dir = tempfile::tempdir().expect("dir");
    let segments = three(dir.path());
    let journal = std::fs::read(dir.path().join(JOURNAL_FILE)).expect("reads");
    let last = 3 * BLOCK_BYTES;
    for kept in (0..250).step_by(3).chain([300, BLOCK_BYTES]) {
        let left = killed(dir.path());
        let mut torn = journal.clone();
        torn[last + kept..].fill(0);
        std::fs::write(left.path().join(JOURNAL_FILE), torn).expect("writes");
        let mut opened = open(left.path());
        let found = opened.temporary().len();
        let is_whole = kept >= 200;
        assert!(found == 3 || (found == 2 && !is_whole), "cut at {kept}");
        assert!(!left.path().join(ASIDE).exists(), "in silence");
        // Its number is used again.
        let (meta, blob) = &segments[2];
        opened.give([temporary(*meta, blob)]);
        let again = open(killed(left.path()).path());
        assert_eq!((again.temporary().len(), again.blob(meta.id).as_ref()), (3, Some(blob)));
    }
}

#[test]
fn a_journal_that_is_missing_or_of_another_store_or_time_brings_nothing_in() {
    let dir = tempfile::tempdir().expect("dir");
    let segments = three(dir.path());
    let (other, older) = (tempfile::tempdir().expect("dir"), killed(dir.path()));
    three(other.path());
    let starts_without = |left: &Path, is_refused: bool| {
        let mut node = open(left);
        assert_eq!(node.temporary(), BTreeSet::new());
        assert_eq!(left.join(ASIDE).exists(), is_refused);
        // And goes on with one of its own.
        let (meta, blob) = &segments[0];
        node.give([temporary(*meta, blob)]);
        assert_eq!(open(killed(left).path()).temporary(), BTreeSet::from([meta.id]));
    };
    let missing = killed(dir.path());
    std::fs::remove_file(missing.path().join(JOURNAL_FILE)).expect("removed");
    starts_without(missing.path(), false);
    let foreign = killed(dir.path());
    std::fs::copy(other.path().join(JOURNAL_FILE), foreign.path().join(JOURNAL_FILE))
        .expect("copies");
    starts_without(foreign.path(), true);
    // One of this store, from before it had the present one.
    std::fs::remove_file(dir.path().join(JOURNAL_FILE)).expect("removed");
    drop(open(dir.path()));
    std::fs::copy(older.path().join(JOURNAL_FILE), dir.path().join(JOURNAL_FILE)).expect("copies");
    starts_without(dir.path(), true);
    // As a restore makes it.
    let restored = older;
    let id = open_with(restored.path(), false, SMALL, at(0, 0)).expect("opens").bench;
    let id = id.store.store_id();
    let in_journal = killed(restored.path());
    Journal::create(in_journal.path(), id, SMALL).expect("made");
    let node = open(in_journal.path());
    assert_eq!(node.temporary().len(), 3, "LMDB had them");
    assert!(!in_journal.path().join(ASIDE).exists());
}

#[test]
fn a_journal_that_was_refused_once_is_not_looked_for_though_the_start_made_no_other() {
    let dir = tempfile::tempdir().expect("dir");
    three(dir.path());
    let row_of = |left: &Path| {
        let day = DayEnv::open(left, day(0), None, BYTES_MAX, true);
        let (env, _store_id) = day.expect("opens");
        let txn = env.read().expect("reads");
        env.journal(&txn).expect("reads").expect("there is one")
    };
    for is_missing in [true, false] {
        let left = killed(dir.path());
        let path = left.path().join(JOURNAL_FILE);
        let mut bytes = std::fs::read(&path).expect("reads");
        bytes[2 * BLOCK_BYTES + 100] ^= 1;
        std::fs::write(&path, bytes).expect("writes");
        if is_missing {
            std::fs::remove_file(&path).expect("removed");
        }
        // In the way of the next one, as the end of the process would be.
        let in_the_way = left.path().join("journal.making");
        std::fs::create_dir(&in_the_way).expect("a directory");
        assert!(open_with(left.path(), true, SMALL, at(0, 0)).is_err());
        assert!(row_of(left.path()).is_closed(), "nothing is missed a second time");
        std::fs::remove_dir(&in_the_way).expect("removed");
        let node = open(left.path());
        assert_eq!(node.temporary().len(), if is_missing { 0 } else { 2 });
        assert_eq!(left.path().join(ASIDE).exists(), !is_missing);
        drop(node);
        assert!(!row_of(left.path()).is_closed());
    }
}

#[test]
fn a_journal_of_a_later_version_is_refused_with_its_store() {
    let dir = tempfile::tempdir().expect("dir");
    three(dir.path());
    let path = dir.path().join(JOURNAL_FILE);
    let mut bytes = std::fs::read(&path).expect("reads");
    bytes[8] = 2;
    let check = blake3_of(&bytes[..48]);
    bytes[48..64].copy_from_slice(&check);
    std::fs::write(&path, bytes).expect("writes");
    let refused = open_with(dir.path(), true, SMALL, at(0, 0)).err();
    let refused = refused.expect("is refused");
    assert!(matches!(refused, StoreError::Journal(JournalError::Format { found: 2, .. })));
    assert!(!refused.is_damage(), "nothing is to be rebuilt");
}

/// The check of a journal's header.
fn blake3_of(bytes: &[u8]) -> [u8; 16] {
    Digest::of(&[bytes]).0
}

#[test]
fn a_store_keeps_what_it_has_from_one_durability_to_the_other_and_back() {
    let dir = tempfile::tempdir().expect("dir");
    let mut node = open_with(dir.path(), false, SMALL, at(0, 0)).expect("opens");
    let ((a, blob_a), (b, blob_b)) = (segment(1, 1), segment(2, 1));
    node.give([temporary(a, &blob_a)]);
    node.work(at(0, 1));
    assert!(!dir.path().join(JOURNAL_FILE).exists());
    drop(node);
    let mut node = open(dir.path());
    node.give([temporary(b, &blob_b)]);
    let left = killed(dir.path());
    for fsync in [false, true, false, true] {
        let opened = open_with(left.path(), fsync, SMALL, at(0, 2)).expect("opens");
        assert_eq!(opened.temporary(), BTreeSet::from([a.id, b.id]));
        assert_eq!(opened.blob(b.id), Some(blob_b.clone()));
        assert_eq!(left.path().join(JOURNAL_FILE).exists(), fsync);
        assert!(!left.path().join(ASIDE).exists());
    }
}

#[test]
fn a_store_that_was_being_made_or_ended_without_its_journal_goes_on() {
    let dir = tempfile::tempdir().expect("dir");
    three(dir.path());
    let journal = std::fs::read(dir.path().join(JOURNAL_FILE)).expect("reads");
    let temporary = |left: &Path, fsync| {
        let node = open_with(left, fsync, SMALL, at(0, 0)).expect("opens");
        assert!(!left.join(ASIDE).exists());
        node.temporary().len()
    };
    assert_eq!(temporary(dir.path(), false), 3);
    // Ended but for the file: LMDB has all of it.
    std::fs::write(dir.path().join(JOURNAL_FILE), &journal).expect("writes");
    for fsync in [false, true] {
        let left = killed(dir.path());
        assert_eq!(temporary(left.path(), fsync), 3);
    }
    // Made, and LMDB does not say so yet.
    let new = tempfile::tempdir().expect("dir");
    let id = open_with(new.path(), false, SMALL, at(0, 0)).expect("opens").bench.store.store_id();
    Journal::create(new.path(), id, SMALL).expect("made");
    assert_eq!(temporary(new.path(), true), 0);
}

#[test]
fn a_day_that_goes_takes_nothing_of_the_journal_with_it() {
    let dir = tempfile::tempdir().expect("dir");
    let mut node = open(dir.path());
    let mut order = Order::new();
    let ((a, blob_a), (b, blob_b), (c, blob_c)) = (segment(1, 1), segment(2, 1), segment(3, 1));
    node.give([temporary(a, &blob_a), order.place(a, stamp(0, 5), Body::Memory(blob_a.clone()))]);
    node.work(at(0, 6));
    node.give([temporary(b, &blob_b)]);
    node.work(at(0, 7));
    node.checkpoint(true, at(0, 7));
    assert_eq!(node.applied(), 2);
    // Arrived before midnight, and has no place when its day goes.
    node.give([temporary(c, &blob_c)]);
    let jobs = [order.place(b, stamp(1, 5), Body::Memory(blob_b.clone()))];
    node.give(jobs);
    node.give([Job::Trim { keep_from: day(1) }]);
    node.work(at(1, 6));
    assert_eq!((node.bench.days(), node.applied()), (vec![day(1)], 2));
    let left = killed(dir.path());
    let opened = open_with(left.path(), true, SMALL, at(1, 7)).expect("opens");
    assert_eq!(opened.temporary(), BTreeSet::from([c.id]));
    assert_eq!(opened.blob(c.id), Some(blob_c));
    assert_eq!(opened.bench.placed_blob(stamp(1, 5), &b), Some(blob_b));
    assert!(!left.path().join(ASIDE).exists());
}

#[tokio::test]
async fn the_writer_tells_of_a_record_and_then_of_the_commit_with_its_place() {
    let dir = tempfile::tempdir().expect("dir");
    let options = StoreOptions { fsync: true, ..options() };
    let store = Store::open_with(dir.path(), options, SMALL, at(0, 0)).expect("opens");
    let store = Arc::new(store);
    let (writer, mut reports) = Writer::start(Arc::clone(&store)).expect("threads");
    let mut order = Order::new();
    let (mut ends, mut stored, mut rows, mut jobs) = (order.head(), 0, 0, 0);
    for seq in 1..=200 {
        let (meta, blob) = segment(seq, 1);
        let time = stamp(0, seq);
        let place = order.place(meta, time, Body::Memory(blob.clone()));
        assert!(writer.write(vec![temporary(meta, &blob), place]));
    }
    while rows < 200 {
        let report = reports.recv().await.expect("a report").expect("a commit");
        (stored, rows, jobs) =
            (stored + report.stored.len(), rows + report.rows, jobs + report.jobs);
        assert!(report.head.next >= ends.next, "the order on disk does not go back");
        assert!(rows <= stored, "bytes come before their places");
        ends = report.head;
    }
    assert_eq!((stored, jobs, ends), (200, 400, order.head()));
    let (meta, blob) = segment_of(2, 1, &["t"]);
    assert!(writer.write(vec![temporary(meta, &blob)]));
    writer.finish();
    // What waited is in LMDB when the node has ended.
    let report = reports.recv().await.expect("a report").expect("a commit");
    assert_eq!((report.stored, report.head), (vec![meta.id], order.head()));
    assert!(reports.recv().await.is_none() && store.arrivals().metas().next().is_none());
    assert_eq!(store.recover().expect("reads").temporary, [meta]);
}

/// What the disk of the one day says to each write.
fn set_full(store: &Store, is_full: bool) {
    let envs = store.days();
    envs.envs.values().for_each(|env| env.has_no_room.store(is_full, Ordering::Relaxed));
}

#[tokio::test]
async fn room_is_told_of_by_a_commit_that_leaves_nothing_for_the_checkpoint_that_found_none() {
    let dir = tempfile::tempdir().expect("dir");
    let options = StoreOptions { fsync: true, ..options() };
    // Of all days that the writer's clock may come to, the store's only one.
    let store = Store::open_with(dir.path(), options, SMALL, at(36_500, 0)).expect("opens");
    let store = Arc::new(store);
    let (writer, mut reports) = Writer::start(Arc::clone(&store)).expect("threads");
    set_full(&store, true);
    let mut order = Order::new();
    let (meta, blob) = segment(1, 1);
    assert!(writer.write(vec![temporary(meta, &blob)]));
    let report = reports.recv().await.expect("a report").expect("a record");
    assert_eq!(report.stored, [meta.id], "the journal has its room");
    while !writer.lacks_room() {
        tokio::task::yield_now().await;
    }
    // It is written to LMDB by its place, and not by the checkpoint that is tried again.
    let place = order.place(meta, stamp(36_500, 5), Body::Memory(blob.clone()));
    assert!(writer.write(vec![place]));
    set_full(&store, false);
    let report = reports.recv().await.expect("a report").expect("a commit");
    assert_eq!((report.rows, store.arrivals().due_at()), (1, None));
    assert!(!writer.lacks_room(), "the node takes more");
    writer.finish();
}

mod random;
