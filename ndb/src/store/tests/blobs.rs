//! What a damaged page of a blob does not do to the pages of others.

use std::fs::File;
use std::os::unix::fs::FileExt as _;

use crate::store::inspect::Inspector;

use super::*;

/// Of LMDB: a page begins with its number (u64), padding and flags (u16 each), and, where it is the
/// first of a large value, the number of that value's pages (u32).
const PAGE_HEADER_BYTES: usize = 16;
const PAGES_AT: u64 = 12;

const SEGMENTS: u64 = 24;
/// Each takes three pages.
const PAYLOAD: [u8; 2_048] = [b'1'; 2_048];
const BLOB_PAGES: u32 = 3;

fn large(seq: u64) -> (SegmentMeta, Blob) {
    segment_with(1, seq, &["a", "b", "c", "d", "e"], &PAYLOAD)
}

fn file_of(env: &DayEnv) -> File {
    File::options().read(true).write(true).open(env.dir.join("data.mdb")).expect("opens")
}

/// Where the blob lies in the file of the day.
fn offset_of(env: &DayEnv, blob: &Blob) -> u64 {
    let file = std::fs::read(env.dir.join("data.mdb")).expect("reads");
    let found = file.windows(blob.as_bytes().len()).position(|bytes| bytes == blob.as_bytes());
    found.expect("it is there") as u64
}

/// Says in the blob's first page that it has `pages`, and damages the blob.
fn damage_first_page(env: &DayEnv, blob: &Blob, pages: u32) {
    let (file, at) = (file_of(env), offset_of(env, blob));
    let header = at - PAGE_HEADER_BYTES as u64;
    let mut told = [0; 4];
    file.read_exact_at(&mut told, header + PAGES_AT).expect("reads");
    assert_eq!(u32::from_ne_bytes(told), BLOB_PAGES, "the header is where it is looked for");
    file.write_all_at(&pages.to_ne_bytes(), header + PAGES_AT).expect("writes");
    file.write_all_at(b"?", at + blob.as_bytes().len() as u64 / 2).expect("writes");
}

struct Stored {
    bench: Bench,
    order: Order,
    segments: Vec<(SegmentMeta, Blob)>,
}

impl Stored {
    fn new(dir: &Path) -> Self {
        let mut stored =
            Self { bench: Bench::open(dir, at(0, 0)), order: Order::new(), segments: Vec::new() };
        stored.add(SEGMENTS);
        stored
    }

    fn add(&mut self, count: u64) {
        for _segment in 0..count {
            let n = self.segments.len() as u64 + 1;
            let segment = large(n);
            self.bench.put(&mut self.order, &segment, stamp(0, n));
            self.segments.push(segment);
        }
    }

    fn lost(&self, n: usize) -> Lost {
        let (first, row) = self.order.rows[n];
        Lost { meta: row.elected.meta, first, stamp: row.elected.stamp() }
    }

    /// As when a reader has found it damaged.
    fn lose(&mut self, n: usize) {
        let lost = Job::Lose(self.lost(n));
        self.bench.commit(&[lost], at(0, 1_000));
    }

    /// As when a peer has sent it.
    fn fill(&mut self, n: usize) {
        let Lost { first, stamp, .. } = self.lost(n);
        let (meta, blob) = self.segments[n].clone();
        let mark = Mark::Permanent { first, stamp };
        self.bench.commit(&[Job::Store(vixen_replica::Store { meta, blob, mark })], at(0, 1_000));
    }

    fn assert_whole(&self) {
        let step = self.bench.store.scrub(Position::FIRST, None, u64::MAX).expect("reads");
        assert_eq!(step.findings, []);
        assert_eq!(step.segments, self.segments.len() as u64);
        assert_eq!(self.bench.recovered().missing, []);
        for (n, (meta, blob)) in self.segments.iter().enumerate() {
            let stamp = self.lost(n).stamp;
            assert_eq!(self.bench.placed_blob(stamp, meta).as_ref(), Some(blob), "segment {n}");
        }
    }
}

#[test]
fn mending_a_blob_whose_first_page_is_damaged_gives_no_pages_of_others_away() {
    let dir = tempfile::tempdir().expect("dir");
    let mut stored = Stored::new(dir.path());
    // Its pages and those of some that lie behind it.
    damage_first_page(&stored.bench.env(0), &stored.segments[4].1, 8 * BLOB_PAGES);
    stored.lose(4);
    stored.fill(4);
    stored.add(SEGMENTS);
    stored.assert_whole();
    let mut stored = Stored { bench: stored.bench.reopen(dir.path(), at(0, 2_000)), ..stored };
    stored.add(1);
    stored.assert_whole();
}

#[test]
fn a_damaged_blob_is_mended_as_often_as_it_is_damaged() {
    let dir = tempfile::tempdir().expect("dir");
    let mut stored = Stored::new(dir.path());
    for _time in 0..4 {
        // The newest copy, the others are damaged already.
        damage_first_page(&stored.bench.env(0), &stored.segments[4].1, 8 * BLOB_PAGES);
        for _reader in 0..2 {
            stored.lose(4);
        }
        assert_eq!(stored.bench.recovered().missing, [stored.lost(4)]);
        stored.fill(4);
        stored.add(2);
        stored.assert_whole();
    }
}

#[test]
fn dropping_a_damaged_segment_without_a_place_gives_no_pages_of_others_away() {
    let dir = tempfile::tempdir().expect("dir");
    let mut stored = Stored::new(dir.path());
    let (meta, blob) = segment_with(2, 1, &["a", "b", "c", "d", "e"], &[b'2'; 2_048]);
    stored.bench.commit(&[temporary(meta, &blob)], at(0, 1_000));
    stored.add(SEGMENTS);
    damage_first_page(&stored.bench.env(0), &blob, 8 * BLOB_PAGES);
    stored.bench.commit(&[Job::Drop(meta.id)], at(0, 1_000));
    stored.add(SEGMENTS);
    stored.assert_whole();
    assert_eq!(stored.bench.recovered().temporary, []);
    // It comes again, and is whole.
    let (n, stamp) = (stored.segments.len(), stamp(0, 500));
    stored.segments.push((meta, blob.clone()));
    stored.bench.put(&mut stored.order, &(meta, blob), stamp);
    assert_eq!(stored.lost(n).stamp, stamp);
    stored.add(SEGMENTS);
    stored.assert_whole();
}

#[test]
fn a_backup_of_a_mended_store_is_whole() {
    let dir = tempfile::tempdir().expect("dir");
    let mut stored = Stored::new(dir.path());
    damage_first_page(&stored.bench.env(0), &stored.segments[4].1, 8 * BLOB_PAGES);
    stored.lose(4);
    stored.fill(4);
    let Stored { bench, order, segments } = stored;
    drop(bench);
    let to = tempfile::tempdir().expect("dir");
    let copy = to.path().join(day(0).to_string());
    std::fs::create_dir(&copy).expect("a directory");
    let inspector = Inspector::new(dir.path().to_owned(), BYTES_MAX);
    let opened = inspector.open(day(0)).expect("opens").expect("is there");
    opened.copy_to(&copy.join("data.mdb")).expect("copies");
    let bench = Bench::open(to.path(), at(0, 2_000));
    let mut stored = Stored { bench, order, segments };
    stored.assert_whole();
    stored.add(SEGMENTS);
    stored.assert_whole();
}
