//! The store with its journal: what is there after the process was killed, at any time.

use proptest::prelude::*;

use vixen_runtime::journal::{BLOCK_BYTES, JOURNAL_FILE, JournalError};

use super::*;

/// Some blocks, so that they are taken again and again.
const SMALL: u64 = 8 * BLOCK_BYTES as u64;

fn open_small(dir: &Path) -> Result<Store, StoreError> {
    Store::open_with(dir, BYTES_MAX, Some(SMALL), Instant::now())
}

/// What the process leaves if it is killed now, in another directory. No checkpoint may be running.
fn killed(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir().expect("dir");
    for name in [lmdb::DATA_FILE, JOURNAL_FILE] {
        if dir.join(name).exists() {
            std::fs::copy(dir.join(name), copy.path().join(name)).expect("copies");
        }
    }
    copy
}

/// All that a store gives back.
fn all(store: &Store) -> (String, Vec<Elected>, Vec<(SyncId, Standing)>, u64, Stamp) {
    (
        format!("{:?}", store.recover().expect("reads")),
        store.elected_after(Stamp::ZERO, usize::MAX).expect("reads"),
        store.standings().expect("reads"),
        store.commits(),
        store.trimmed_to(),
    )
}

#[test]
fn a_commit_is_there_after_the_process_was_killed() {
    let dir = tempfile::tempdir().expect("dir");
    let mut store = open(dir.path(), true).expect("opens");
    let row = OwnerRow { contiguous: Seq(1), stamp: Stamp(10) };
    commit(&mut store, [Write::Vote(voted(1, 1)), Write::Ceiling(Stamp(99))]);
    store.write_all(Instant::now()).expect("writes");
    commit(&mut store, [Write::Vote(voted(1, 2)), Write::Elected(elected(1, 1, 10), row)]);
    let standing = Standing { store: store.store_id(), run: 3, commits: 4 };
    let batch = Batch {
        standings: vec![(SyncId(2), standing)],
        trimmed_to: Some(Stamp(5)),
        ..Batch::default()
    };
    store.commit(&batch, None, Instant::now()).expect("commits");
    let wanted = all(&store);
    let left = killed(dir.path());
    // Also when the start is killed before it has written to LMDB.
    for _ in 0..2 {
        let again = killed(left.path());
        let opened = open(again.path(), true).expect("opens again");
        assert_eq!(all(&opened), wanted);
        assert_eq!((opened.store_id(), opened.commits()), (store.store_id(), 3));
        assert!(opened.journaled.as_ref().is_some_and(Journaled::is_empty), "LMDB has all");
    }
    // Votes that were elected since the last checkpoint have never been LMDB's.
    assert_eq!(store.pending().expect("reads"), 1);
}

#[test]
fn a_store_without_its_journal_or_with_that_of_another_time_is_refused() {
    let dir = tempfile::tempdir().expect("dir");
    let mut store = open_small(dir.path()).expect("opens");
    commit(&mut store, [Write::Vote(voted(1, 1))]);
    let left = killed(dir.path());
    std::fs::remove_file(left.path().join(JOURNAL_FILE)).expect("removed");
    let refused = open(left.path(), true).err();
    assert!(matches!(refused, Some(StoreError::Journal(JournalError::Missing { .. }))));
    // An older file of LMDB: what it lacks is not in the journal any more.
    let older = killed(dir.path());
    for seq in 2..30 {
        commit(&mut store, [Write::Vote(voted(1, seq))]);
    }
    std::fs::copy(dir.path().join(JOURNAL_FILE), older.path().join(JOURNAL_FILE)).expect("copies");
    let refused = open(older.path(), true).err();
    assert!(matches!(refused, Some(StoreError::Journal(JournalError::Damaged { .. }))));
    // The journal of another store.
    let other = tempfile::tempdir().expect("dir");
    drop(open(other.path(), true).expect("opens"));
    std::fs::copy(other.path().join(JOURNAL_FILE), older.path().join(JOURNAL_FILE))
        .expect("copies");
    let refused = open(older.path(), true).err();
    assert!(matches!(refused, Some(StoreError::Journal(JournalError::Foreign { .. }))));
}

#[test]
fn a_store_of_the_version_before_gets_a_journal() {
    let dir = tempfile::tempdir().expect("dir");
    let mut store = open(dir.path(), false).expect("opens");
    commit(&mut store, [Write::Vote(voted(1, 1))]);
    let mut txn = store.databases.env.write_txn().expect("begins");
    store.databases.meta.put(&mut txn, b"format", &[4]).expect("puts");
    txn.commit().expect("commits");
    // As one leaves it that was killed while it made its journal.
    std::fs::write(dir.path().join(JOURNAL_FILE), b"").expect("writes");
    let wanted = all(&store);
    drop(store);
    let mut store = open(dir.path(), true).expect("opens");
    assert_eq!(all(&store), wanted);
    commit(&mut store, [Write::Vote(voted(1, 2))]);
    let left = killed(dir.path());
    assert_eq!(open(left.path(), true).expect("opens").pending().expect("reads"), 2);
}

#[test]
fn a_store_that_is_not_to_be_durable_any_more_loses_its_journal_and_nothing_in_it() {
    let dir = tempfile::tempdir().expect("dir");
    let mut store = open(dir.path(), true).expect("opens");
    commit(&mut store, [Write::Vote(voted(1, 1))]);
    let wanted = all(&store);
    let left = killed(dir.path());
    for fsync in [false, true, false] {
        let opened = open(left.path(), fsync).expect("opens");
        assert_eq!(all(&opened), wanted);
        assert_eq!(left.path().join(JOURNAL_FILE).exists(), fsync);
    }
}

#[test]
fn what_the_journal_has_no_place_for_goes_to_lmdb_at_once() {
    let dir = tempfile::tempdir().expect("dir");
    let mut store = open_small(dir.path()).expect("opens");
    for lap in 0..3 {
        commit(&mut store, [Write::Vote(voted(9, lap + 1))]);
        let many = (1..=1_000).map(|seq| Write::Vote(voted(u128::from(lap), seq)));
        commit(&mut store, many);
        assert!(store.journaled.as_ref().is_some_and(Journaled::is_empty), "LMDB has all");
        let opened = open_small(killed(dir.path()).path()).expect("opens");
        assert_eq!(all(&opened), all(&store));
    }
    // And a full one is emptied.
    for seq in 1..30 {
        commit(&mut store, [Write::Vote(voted(20, seq))]);
    }
    assert_eq!(store.pending().expect("reads"), 3 * 1_000 + 3 + 29);
    let left = killed(dir.path());
    assert_eq!(all(&open_small(left.path()).expect("opens")), all(&store));
}

/// Something that happens to a store.
#[derive(Clone, Debug)]
enum Step {
    Commit(Vec<(u8, u128, u64)>),
    Forget(u64),
    WriteAll,
    Kill,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let write = (0_u8..6, 1_u128..4, 1_u64..12);
    let step = prop_oneof![
        6 => prop::collection::vec(write, 0..8).prop_map(Step::Commit),
        1 => (0_u64..40).prop_map(Step::Forget),
        1 => Just(Step::WriteAll),
        1 => Just(Step::Kill),
    ];
    prop::collection::vec(step, 1..40)
}

/// A row, the same for the same numbers: an election never changes.
fn write_of((kind, owner, seq): (u8, u128, u64)) -> Write {
    let stamp = seq * 4 + u64::try_from(owner).expect("small");
    let row = OwnerRow { contiguous: Seq(seq), stamp: Stamp(stamp) };
    match kind {
        0 | 1 => Write::Vote(voted(owner, seq)),
        2 | 3 => Write::Elected(elected(owner, seq, stamp), row),
        4 => Write::OwnerSettled(meta(owner, seq).id.owner, row),
        _ if seq == 1 => Write::DropOwner(meta(owner, seq).id.owner),
        _ => Write::Ceiling(Stamp(stamp)),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// With a journal, killed and opened again at any time, a store gives back what one does that writes to LMDB only.
    #[test]
    fn a_journal_changes_nothing_of_what_a_store_gives_back(steps in steps()) {
        let plain_dir = tempfile::tempdir().expect("dir");
        let mut plain = open(plain_dir.path(), false).expect("opens");
        let mut dir = tempfile::tempdir().expect("dir");
        let mut store = open_small(dir.path()).expect("opens");
        for step in steps {
            match step {
                Step::Commit(writes) => {
                    let writes: Vec<Write> = writes.into_iter().map(write_of).collect();
                    commit(&mut plain, writes.clone());
                    commit(&mut store, writes);
                }
                Step::Forget(upto) => {
                    let may_go = |elected: &Elected| !elected.stamp().0.is_multiple_of(3);
                    let upto = Stamp(upto);
                    store.write_all(Instant::now()).expect("writes");
                    for store in [&mut plain, &mut store] {
                        let retention = Forgetting { upto, may_go: &may_go, rows_max: 9 };
                        let now = Instant::now();
                        store.commit(&Batch::default(), Some(retention), now).expect("commits");
                    }
                    // What a kill takes of it is forgotten again; here it is to be the same.
                    store.write_all(Instant::now()).expect("writes");
                }
                Step::WriteAll => store.write_all(Instant::now()).expect("writes"),
                Step::Kill => {
                    let left = killed(dir.path());
                    drop(store);
                    store = open_small(left.path()).expect("opens again");
                    dir = left;
                }
            }
            prop_assert_eq!(all(&store), all(&plain));
            for owner in 1..4 {
                let of = |store: &Store| store.elected_of(meta(owner, 1).id.owner, Seq(2), 3);
                prop_assert_eq!(of(&store).expect("reads"), of(&plain).expect("reads"));
            }
        }
    }
}

#[test]
fn records_never_change_their_bytes() {
    let row = OwnerRow { contiguous: Seq(1), stamp: Stamp(10) };
    let owner = meta(1, 1).id.owner;
    let batch = Batch {
        writes: vec![
            Write::Vote(voted(1, 2)),
            Write::Ceiling(Stamp(300)),
            Write::Elected(elected(1, 1, 10), row),
            Write::OwnerSettled(owner, row),
            Write::DropOwner(owner),
        ],
        standings: vec![(SyncId(2), Standing { store: StoreId(owner.0), run: 3, commits: 4 })],
        ..Batch::default()
    };
    let record = Record::new(7, &batch, Stamp(5));
    let bytes = record.encode(Vec::new()).expect("encodes");
    assert_eq!(Record::decode(&bytes).expect("decodes"), record);
    assert!(matches!(Record::decode(&[6, 0]), Err(StoreError::RowsVersion(6))));
    let owner = [&[16][..], owner.0.as_bytes()].concat();
    let rows = [encode(&voted(1, 2)), encode(&elected(1, 1, 10))].map(|row| row.expect("encodes"));
    let wanted = [
        &[5, 7, 5, 0][..],
        &rows[0],
        &[1, 172, 2, 2],
        &rows[1],
        &[1, 10, 3],
        &owner,
        &[1, 10, 4],
        &owner,
        &[1, 2],
        &owner,
        &[3, 4, 5],
    ];
    assert_eq!(bytes, wanted.concat());
}
