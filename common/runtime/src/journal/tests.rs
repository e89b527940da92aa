//! What a journal gives back: after cuts at every byte, flips of every byte, laps, and torn writes drawn at random.

use std::collections::VecDeque;

use proptest::prelude::*;

use super::*;
use format::Damage;

const STORE: StoreId = StoreId(uuid::Uuid::from_u128(7));
const SECTOR_BYTES: usize = 512;

fn header(blocks: u32) -> Header {
    Header { id: JournalId([5; 16]), store: STORE, blocks }
}

/// A file in memory, written as [`Journal`] writes.
struct Image {
    header: Header,
    file: Vec<u8>,
    ring: Ring,
    last: Sequence,
}

impl Image {
    fn new(blocks: u32) -> Self {
        let header = header(blocks);
        let mut file = vec![0; blocks as usize * BLOCK_BYTES];
        file[..BLOCK_BYTES].copy_from_slice(&header.encode());
        Self { header, file, ring: Ring::new(blocks), last: Sequence(0) }
    }

    /// Where it is, if there is a place.
    fn append(&mut self, body: &[u8]) -> Option<std::ops::Range<usize>> {
        let block = self.ring.place(blocks_of(body.len()))?;
        let mut whole = vec![0; HEAD_BYTES];
        whole.extend_from_slice(body);
        self.last = self.last.next();
        self.header.checks().seal(block, self.last, &mut whole);
        self.ring.take(block, blocks_of(body.len()));
        let at = block as usize * BLOCK_BYTES;
        self.file[at..at + whole.len()].copy_from_slice(&whole);
        Some(at..at + whole.len())
    }

    fn read(&self, applied: u64) -> Result<Vec<Vec<u8>>, Damage> {
        bodies(&self.file, &self.header, applied)
    }
}

fn bodies(file: &[u8], header: &Header, applied: u64) -> Result<Vec<Vec<u8>>, Damage> {
    let found = records(file, header, Sequence(applied))?;
    Ok(found.into_iter().map(|found| file[found.body].to_vec()).collect())
}

/// Three records of one, two and one block.
fn three() -> (Image, Vec<Vec<u8>>, Vec<std::ops::Range<usize>>) {
    let mut image = Image::new(8);
    let wanted = vec![vec![1; 300], vec![2; 5_000], vec![3; 700]];
    let places = wanted.iter().map(|body| image.append(body).expect("a place")).collect();
    (image, wanted, places)
}

#[test]
fn a_record_that_is_cut_at_any_byte_is_not_there_and_those_before_are() {
    let (image, wanted, places) = three();
    let place = places[2].clone();
    let whole_from = HEAD_BYTES + wanted[2].len();
    // As a new file has it, and one that had something else there in an earlier lap.
    for before in [0, 0xa5] {
        for kept in 0..=place.len() {
            let mut file = image.file.clone();
            file[place.start + kept..place.end].fill(before);
            let read = bodies(&file, &image.header, 0).expect("a torn tail is no damage");
            assert_eq!(read, wanted[..if kept >= whole_from { 3 } else { 2 }], "cut at {kept}");
        }
    }
}

#[test]
fn a_flipped_byte_is_damage_where_a_later_record_is_and_else_cuts_the_last() {
    let (image, wanted, places) = three();
    for (number, place) in places.iter().enumerate() {
        let used = place.start..place.start + HEAD_BYTES + wanted[number].len();
        for at in place.clone() {
            let mut file = image.file.clone();
            file[at] ^= 1 << (at % 8);
            let read = bodies(&file, &image.header, 0);
            if !used.contains(&at) {
                assert_eq!(read.as_ref(), Ok(&wanted), "{at} is behind a record");
            } else if number == 2 {
                assert_eq!(read.expect("cut").as_slice(), &wanted[..2], "flipped at {at}");
            } else {
                // That of the next to last is told by the head of the last.
                let missing = Sequence(number as u64 + 1);
                assert_eq!(read.expect_err("damage").missing, missing, "flipped at {at}");
            }
        }
    }
}

#[test]
fn damage_of_the_last_two_is_noticed_by_a_head_and_not_where_there_is_none() {
    let (image, wanted, places) = three();
    let mut file = image.file.clone();
    file[places[1].start + HEAD_BYTES] ^= 1;
    file[places[2].start + HEAD_BYTES] ^= 1;
    let damage = bodies(&file, &image.header, 0).expect_err("both bodies are damaged");
    assert_eq!(damage, Damage { missing: Sequence(2), later: Sequence(3) });
    // Peers who were told of more commits than this notice it (DESIGN §4 rule 9).
    file[places[1].start] ^= 1;
    file[places[2].start] ^= 1;
    assert_eq!(bodies(&file, &image.header, 0).expect("cut").as_slice(), &wanted[..1]);
}

#[test]
fn a_hole_is_damage_and_what_is_applied_needs_not_be_there() {
    let (mut image, wanted, places) = three();
    image.file[places[1].clone()].fill(0);
    let damage = image.read(0).expect_err("a hole");
    assert_eq!(damage, Damage { missing: Sequence(2), later: Sequence(3) });
    assert_eq!(image.read(2).expect("applied").as_slice(), &wanted[2..]);
    assert_eq!(image.read(3), Ok(Vec::new()));
}

#[test]
fn what_a_body_has_in_it_is_no_record() {
    let (mut image, _, places) = three();
    // A copy of a record with the next number, as it would be at its own place, lies at another.
    let mut forger = Image::new(8);
    for _ in 0..4 {
        forger.append(&[9; 10]).expect("a place");
    }
    let mut other = Image { header: Header { id: JournalId([6; 16]), ..header(8) }, ..forger };
    let mut body = vec![0; BLOCK_BYTES - HEAD_BYTES];
    body.extend_from_slice(&image.file[places[0].clone()]);
    let place = other.append(&[8; 10]).expect("a place");
    body.extend_from_slice(&other.file[place]);
    image.append(&body).expect("a place");
    let read = image.read(0).expect("no damage");
    assert_eq!((read.len(), read[3].as_slice()), (4, body.as_slice()));
    // Nor is anything of a journal that is not this one.
    assert_eq!(bodies(&image.file, &other.header, 0), Ok(Vec::new()));
}

/// What a disk may have of a write that nobody waited for: each sector as it was or as it was to be.
fn torn(before: &[u8], after: &[u8], kept: &[bool]) -> Vec<u8> {
    let mut file = before.to_vec();
    let changed = (0..before.len() / SECTOR_BYTES)
        .map(|sector| sector * SECTOR_BYTES..(sector + 1) * SECTOR_BYTES)
        .filter(|range| before[range.clone()] != after[range.clone()]);
    for (range, _) in changed.zip(kept.iter().cycle()).filter(|(_, kept)| **kept) {
        file[range.clone()].copy_from_slice(&after[range]);
    }
    file
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// Each case is a power cut, after laps of a small ring: all that was durable is there, in order, and of what was
    /// under way all or nothing.
    #[test]
    fn a_power_cut_takes_nothing_but_what_was_under_way(
        sizes in prop::collection::vec((0_usize..9_000, 0_usize..4), 1..40),
        kept in prop::collection::vec(any::<bool>(), 1..24),
    ) {
        let mut image = Image::new(12);
        let mut unapplied: VecDeque<Vec<u8>> = VecDeque::new();
        let mut applied = 0;
        let count = sizes.len();
        for (number, (size, releases)) in sizes.into_iter().enumerate() {
            let body: Vec<u8> = (0..size).map(|at| (at * 31 + number * 7).to_le_bytes()[0]).collect();
            let before = image.file.clone();
            if image.ring.place(blocks_of(size)).is_none() || releases == 0 {
                let mark = image.ring.mark();
                image.ring.release(mark);
                applied = image.last.0;
                unapplied.clear();
            }
            image.append(&body).expect("an empty ring has a place");
            if number + 1 == count {
                let file = torn(&before, &image.file, &kept);
                let read = bodies(&file, &image.header, applied).expect("no damage");
                let durable = unapplied.len();
                prop_assert!(read.len() == durable || read.len() == durable + 1);
                unapplied.push_back(body.clone());
                prop_assert!(read.iter().zip(&unapplied).all(|(read, wanted)| read == wanted));
            } else {
                unapplied.push_back(body);
            }
            prop_assert_eq!(image.read(applied).expect("no damage"), Vec::from(unapplied.clone()));
        }
    }

    #[test]
    fn any_file_is_read_without_a_panic(
        noise in prop::collection::vec(any::<u8>(), 0..3 * BLOCK_BYTES),
        at in 0_usize..6 * BLOCK_BYTES,
    ) {
        let (mut image, ..) = three();
        let end = (at + noise.len()).min(image.file.len());
        image.file[at..end].copy_from_slice(&noise[..end - at]);
        let _read = image.read(0);
        let _header = Header::decode(&noise);
    }
}

/// A new journal in a directory.
fn new(dir: &Path, blocks: u64) -> (JournalId, Journal) {
    let id = Journal::create(dir, STORE, blocks * BLOCK_BYTES as u64).expect("created");
    let (journal, read) = Journal::open(dir, STORE, id, Sequence(0)).expect("opened");
    assert_eq!(read, []);
    (id, journal)
}

fn open(dir: &Path, id: JournalId, applied: u64) -> Result<(Journal, Vec<Record>), JournalError> {
    Journal::open(dir, STORE, id, Sequence(applied))
}

#[test]
fn what_was_appended_is_there_until_it_is_applied() {
    let dir = tempfile::tempdir().expect("dir");
    let (id, mut journal) = new(dir.path(), 4);
    assert_eq!(journal.append(&[b"a"]).expect("a place"), Sequence(1));
    assert_eq!(journal.append(&[b""]).expect("a place"), Sequence(2));
    let mark = journal.mark();
    assert_eq!(journal.append(&[&[9; 60], &[9; 40]]).expect("a place"), Sequence(3));
    assert_eq!((journal.bytes(), journal.bytes_max()), (3 * 4_096, 3 * 4_096));
    assert!(matches!(journal.append(&[b"b"]), Err(AppendError::Full)));
    assert!(matches!(journal.append(&[&[0; 13_000]]), Err(AppendError::TooLong)));
    let record =
        |sequence, body: &[u8]| Record { sequence: Sequence(sequence), body: body.to_vec() };
    let (_, read) = open(dir.path(), id, 0).expect("opened");
    assert_eq!(read, [record(1, b"a"), record(2, b""), record(3, &[9; 100])]);
    journal.release(mark);
    // Past the end, before what is kept.
    assert_eq!(journal.append(&[b"b"]).expect("a place"), Sequence(4));
    let (mut journal, read) = open(dir.path(), id, 2).expect("opened");
    assert_eq!(read, [record(3, &[9; 100]), record(4, b"b")]);
    assert_eq!(journal.append(&[b"c"]).expect("a place"), Sequence(5));
    assert!(matches!(journal.append(&[b"d"]), Err(AppendError::Full)));
    journal.release(journal.mark());
    assert_eq!(journal.bytes(), 0);
}

#[test]
fn one_that_is_missing_or_another_or_damaged_is_told() {
    let dir = tempfile::tempdir().expect("dir");
    let (id, mut journal) = new(dir.path(), 4);
    for body in [b"a", b"b", b"c"] {
        journal.append(&[body]).expect("a place");
    }
    drop(journal);
    let path = dir.path().join(JOURNAL_FILE);
    let good = fs::read(&path).expect("reads");
    let error = |bytes: &[u8]| {
        fs::write(&path, bytes).expect("writes");
        open(dir.path(), id, 0).expect_err("refused")
    };
    let mut damaged = good.clone();
    damaged[BLOCK_BYTES + 3] ^= 1;
    assert!(matches!(error(&damaged), JournalError::Damaged { missing: 1, later: 3 | 2, .. }));
    for at in 0..64 {
        let mut damaged = good.clone();
        damaged[at] ^= 1;
        assert!(matches!(error(&damaged), JournalError::Header { .. }), "flipped at {at}");
    }
    assert!(matches!(error(&good[..good.len() - 1]), JournalError::Header { .. }));
    assert!(matches!(error(b""), JournalError::Header { .. }));
    fs::write(&path, &good).expect("writes");
    let other = Journal::open(dir.path(), STORE, JournalId([1; 16]), Sequence(0));
    assert!(matches!(other, Err(JournalError::Foreign { .. })));
    Journal::remove(dir.path()).expect("removed");
    let missing = open(dir.path(), id, 0).expect_err("missing");
    assert!(missing.to_string().contains("is missing"), "{missing}");
    assert!(!missing.is_of_room(dir.path()));
}

#[test]
fn a_look_tells_whole_records_from_those_that_are_not_and_takes_none_of_another_journal() {
    let dir = tempfile::tempdir().expect("dir");
    let (id, mut journal) = new(dir.path(), 8);
    for body in [&b"a"[..], b"b", b"c", b"d"] {
        journal.append(&[body]).expect("a place");
    }
    let look = Look::at(dir.path()).expect("reads");
    assert_eq!((look.id, look.store, look.newest), (id, STORE, Sequence(4)));
    assert_eq!(look.first_damaged(Sequence(0), Sequence(4)), None);
    let path = dir.path().join(JOURNAL_FILE);
    let mut bytes = fs::read(&path).expect("reads");
    bytes[2 * BLOCK_BYTES + HEAD_BYTES] ^= 1;
    fs::write(&path, bytes).expect("writes");
    let look = Look::at(dir.path()).expect("reads");
    assert_eq!(look.first_damaged(Sequence(0), look.newest), Some(Sequence(2)));
    // Written after the look before, or in the store already.
    assert_eq!(look.first_damaged(Sequence(0), Sequence(2)), None);
    assert_eq!(look.first_damaged(Sequence(2), look.newest), None);
    let bodies: Vec<_> = look.beyond(Sequence(1)).map(|record| record.body).collect();
    assert_eq!(bodies, [b"c", b"d"]);
    Journal::set_aside(dir.path()).expect("renamed");
    Journal::set_aside(dir.path()).expect("nothing there");
    assert!(matches!(Look::at(dir.path()), Err(JournalError::Missing { .. })));
}

#[test]
fn bytes_never_change() {
    let block = header(8).encode();
    assert_eq!(&block[..16], b"vixenjnl\x01\0\0\0\0\0\0\x08");
    assert_eq!(block[16..32], [5; 16]);
    assert_eq!(&block[32..48], STORE.0.as_bytes());
    let mut whole = vec![0; HEAD_BYTES];
    whole.extend_from_slice(b"body");
    header(8).checks().seal(3, Sequence(258), &mut whole);
    assert_eq!(whole.len(), BLOCK_BYTES);
    let wanted = "bf0c7d5de507aad3000000000000010200000004000000009409b37616b43dca91794a0d3306ff17626f64790000";
    assert_eq!(hex::encode(&whole[..HEAD_BYTES + 6]), wanted);
}
