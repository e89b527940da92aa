//! The store: what it gives back after a commit, and what it refuses.

use vixen_core::id::{Ballot, Digest, GroupId, MapVersion, SegmentId, Shard};
use vixen_core::segment::{Challenger, SegmentMeta};
use vixen_core::time::WallTime;
use vixen_vote::{OWNER_IDLE_MS, OwnerRow, VoteState, Write};

use super::*;

mod journal;

const BYTES_MAX: u64 = 64 << 20;

fn open(dir: &Path, fsync: bool) -> Result<Store, StoreError> {
    Store::open(dir, BYTES_MAX, fsync, Instant::now())
}

fn meta(owner: u128, seq: u64) -> SegmentMeta {
    let owner = OwnerId(uuid::Uuid::from_u128(owner));
    let id = SegmentId { owner, seq: Seq(seq) };
    SegmentMeta {
        id,
        shard: Shard(1),
        map: MapVersion(1),
        count: 2,
        bytes: 3,
        digest: Digest([4; 16]),
    }
}

fn elected(owner: u128, seq: u64, stamp: u64) -> Elected {
    let challenger = Challenger { stamp: Stamp(stamp), group: GroupId(0) };
    Elected { meta: meta(owner, seq), challenger }
}

fn voted(owner: u128, seq: u64) -> VoteState {
    VoteState {
        draft: Some(Stamp(7)),
        group: Some(GroupId(0)),
        promised: Ballot(2),
        accepted: Some((Ballot(1), Challenger { stamp: Stamp(8), group: GroupId(0) })),
        ..VoteState::new(meta(owner, seq))
    }
}

fn commit(store: &mut Store, writes: impl IntoIterator<Item = Write>) {
    let batch = Batch { writes: writes.into_iter().collect(), ..Batch::default() };
    store.commit(&batch, None, Instant::now()).expect("commits");
}

#[test]
fn the_directory_of_an_ndb_node_is_refused_and_left_as_it_is() {
    let dir = tempfile::tempdir().expect("dir");
    std::fs::create_dir(dir.path().join("2026-11-29")).expect("a day");
    let refused = open(dir.path(), false).err().expect("refused").to_string();
    assert!(refused.contains("as the store of an ndb node does"), "{refused}");
    assert!(!dir.path().join("data.mdb").exists(), "nothing was made");
}

#[test]
fn what_retention_allows_is_forgotten_and_nothing_else() {
    for fsync in [false, true] {
        what_retention_allows_is_forgotten(fsync);
    }
}

fn what_retention_allows_is_forgotten(fsync: bool) {
    let dir = tempfile::tempdir().expect("dir");
    let mut store = open(dir.path(), fsync).expect("opens");
    let all = [elected(1, 1, 10), elected(2, 1, 15), elected(1, 2, 20), elected(1, 3, 30)];
    commit(&mut store, all.map(|e| Write::Elected(e, OwnerRow::default())));
    store.write_all(Instant::now()).expect("writes");
    let kept = all[1].meta.id;
    let may_go = |elected: &Elected| elected.meta.id != kept;
    let retention = Forgetting { upto: Stamp(20), may_go: &may_go, rows_max: 9 };
    store.commit(&Batch::default(), Some(retention), Instant::now()).expect("commits");
    assert_eq!(store.elected_after(Stamp::ZERO, 9).expect("reads"), [all[1], all[3]]);
    let owner = meta(1, 1).id.owner;
    assert_eq!(store.elected_of(owner, Seq(0), 9).expect("reads"), [all[3]]);
    assert_eq!(store.trimmed_to(), Stamp(20));
    // Looking at few rows at a time comes to the same.
    let may_go = |_: &Elected| true;
    for _ in 0..2 {
        let retention = Forgetting { upto: Stamp(u64::MAX), may_go: &may_go, rows_max: 1 };
        store.commit(&Batch::default(), Some(retention), Instant::now()).expect("commits");
    }
    assert!(store.elected_after(Stamp::ZERO, 9).expect("reads").is_empty());
    assert_eq!((store.trimmed_to(), store.commits()), (Stamp(30), 4));
}

#[test]
fn a_settled_owner_loses_its_votes_and_keeps_the_longer_prefix() {
    let dir = tempfile::tempdir().expect("dir");
    let mut store = open(dir.path(), false).expect("opens");
    let owner = meta(1, 1).id.owner;
    let row = |seq, stamp| OwnerRow { contiguous: Seq(seq), stamp: Stamp(stamp) };
    commit(&mut store, [1, 2, 3].map(|seq| Write::Vote(voted(1, seq))));
    commit(&mut store, [Write::OwnerSettled(owner, row(2, 20))]);
    // A row that waited comes after it.
    commit(&mut store, [Write::Elected(elected(1, 1, 10), row(1, 10))]);
    let recovered = store.recover().expect("reads");
    assert_eq!(recovered.votes, [voted(1, 3)]);
    assert_eq!(recovered.owners, [(owner, row(2, 20))]);
    commit(&mut store, [Write::DropOwner(owner)]);
    assert!(store.recover().expect("reads").owners.is_empty());
}

#[test]
fn a_peer_is_forgotten_once() {
    let dir = tempfile::tempdir().expect("dir");
    let mut store = open(dir.path(), false).expect("opens");
    let standing = Standing { store: store.store_id(), run: 3, commits: 4 };
    let batch = Batch { standings: vec![(SyncId(2), standing)], ..Batch::default() };
    store.commit(&batch, None, Instant::now()).expect("commits");
    assert!(store.forget_peer(SyncId(2), Instant::now()).expect("forgets"));
    assert!(!store.forget_peer(SyncId(2), Instant::now()).expect("forgets"));
    assert!(store.standings().expect("reads").is_empty());
}

#[test]
fn a_reopened_store_gives_back_what_was_committed() {
    let dir = tempfile::tempdir().expect("dir");
    let mut store = open(dir.path(), true).expect("opens");
    let id = store.store_id();
    let row = |seq, stamp| OwnerRow { contiguous: Seq(seq), stamp: Stamp(stamp) };
    let writes = [
        Write::Vote(voted(1, 1)),
        Write::Vote(voted(1, 2)),
        Write::Ceiling(Stamp(99)),
        Write::Elected(elected(1, 1, 10), row(1, 10)),
        Write::Elected(elected(1, 3, 30), row(1, 10)),
    ];
    let standing = Standing { store: id, run: 3, commits: 4 };
    let batch = Batch {
        writes: writes.to_vec(),
        standings: vec![(SyncId(2), standing)],
        trimmed_to: Some(Stamp(5)),
        ..Batch::default()
    };
    store.commit(&batch, None, Instant::now()).expect("commits");
    drop(store);
    let store = open(dir.path(), true).expect("opens again");
    assert_eq!((store.store_id(), store.commits(), store.trimmed_to()), (id, 1, Stamp(5)));
    assert_eq!(store.standings().expect("reads"), [(SyncId(2), standing)]);
    let recovered = store.recover().expect("reads");
    assert_eq!(recovered.ceiling, Stamp(99));
    assert_eq!(recovered.votes, [voted(1, 2)]);
    assert_eq!(recovered.owners, [(meta(1, 1).id.owner, row(1, 10))]);
    assert_eq!(recovered.beyond, [(meta(1, 3).id, Stamp(30))]);
}

#[test]
fn a_forgotten_owner_leaves_the_time_up_to_which_owners_are_refused() {
    use vixen_core::id::Lane;
    let dir = tempfile::tempdir().expect("dir");
    let at = WallTime(1_800_000_000_000);
    let owner = |ms| OwnerId(uuid::Uuid::nil()).made_anew(at.plus_millis(ms));
    let mut store = open(dir.path(), false).expect("opens");
    let forgotten = |store: &Store| store.recover().expect("reads").forgotten_to;
    assert_eq!(forgotten(&store), WallTime(0), "a new store has forgotten nobody");
    let of = |owner| SegmentMeta { id: SegmentId { owner, seq: Seq(3) }, ..meta(1, 3) };
    let votes = [9, 8].map(|ms| Write::Vote(VoteState::new(of(owner(ms)))));
    commit(&mut store, votes.into_iter().chain([Write::DropOwner(owner(9))]));
    commit(&mut store, [Write::DropOwner(owner(4))]);
    let left = store.recover().expect("reads").votes;
    assert_eq!(left.iter().map(|vote| vote.meta.id.owner).collect::<Vec<_>>(), [owner(8)]);
    drop(store);
    let mut store = open(dir.path(), false).expect("opens again");
    assert_eq!(forgotten(&store), at.plus_millis(9));
    // One that was made before the time was kept goes by the age of its owners.
    let stamp = Stamp::at(at.plus_millis(OWNER_IDLE_MS), Lane::new(0).expect("a lane"));
    let row = OwnerRow { contiguous: Seq(1), stamp };
    commit(&mut store, [Write::OwnerSettled(owner(0), row)]);
    let mut txn = store.databases.env.write_txn().expect("begins");
    store.databases.meta.delete(&mut txn, databases::KEY_FORGOTTEN).expect("deletes");
    txn.commit().expect("commits");
    drop(store);
    let store = open(dir.path(), false).expect("opens again");
    assert_eq!(forgotten(&store), at);
}

#[test]
fn feeds_and_catch_ups_read_only_what_is_beyond() {
    for (fsync, written) in [(false, 3), (true, 0), (true, 2), (true, 3)] {
        feeds_and_catch_ups_read(fsync, written);
    }
}

/// With so many of the elections in LMDB.
fn feeds_and_catch_ups_read(fsync: bool, written: usize) {
    let dir = tempfile::tempdir().expect("dir");
    let mut store = open(dir.path(), fsync).expect("opens");
    let all = [elected(1, 1, 10), elected(2, 1, 15), elected(1, 2, 20)];
    let row = OwnerRow::default();
    commit(&mut store, all[..written].iter().map(|e| Write::Elected(*e, row)));
    store.write_all(Instant::now()).expect("writes");
    commit(&mut store, all[written..].iter().map(|e| Write::Elected(*e, row)));
    assert_eq!(store.elected_after(Stamp(10), 9).expect("reads"), [all[1], all[2]]);
    assert_eq!(store.elected_after(Stamp::ZERO, 1).expect("reads"), [all[0]]);
    let owner = meta(1, 1).id.owner;
    assert_eq!(store.elected_of(owner, Seq(0), 9).expect("reads"), [all[0], all[2]]);
    assert_eq!(store.elected_of(owner, Seq(1), 9).expect("reads"), [all[2]]);
    assert_eq!(store.elected_of(owner, Seq(2), 9).expect("reads"), []);
}

#[test]
fn rows_never_change_their_bytes() {
    let bytes = encode(&voted(1, 2)).expect("encodes");
    let mut wanted = vec![16];
    wanted.extend_from_slice(uuid::Uuid::from_u128(1).as_bytes());
    wanted.extend_from_slice(&[2, 1, 1, 2, 3]);
    wanted.extend_from_slice(&[4; 16]);
    wanted.extend_from_slice(&[1, 7, 1, 0, 2, 1, 1, 8, 0, 0]);
    assert_eq!(bytes, wanted);
}

/// Rows of before version 5 end before what was accepted in the fast round.
#[test]
fn a_vote_of_version_4_is_one_without_a_fast_round() {
    let vote = voted(1, 1);
    let row = postcard::to_stdvec(&vote).expect("encodes");
    let (last, before) = row.split_last().expect("bytes");
    assert_eq!((*last, vote.fast), (0, None));
    assert_eq!(decode_vote(before).expect("reads"), vote);
    assert_eq!(decode_vote(&row).expect("reads"), vote);
    assert!(decode_vote(&before[..before.len() - 1]).is_err());
}

#[test]
fn a_record_of_version_4_is_read_from_the_journal() {
    let votes = [Write::Vote(voted(1, 1)), Write::Ceiling(Stamp(9))];
    let batch = Batch { writes: votes.to_vec(), ..Batch::default() };
    let record = Record::new(7, &batch, Stamp(3));
    let bytes = record.encode(Vec::new()).expect("encodes");
    assert_eq!(Record::decode(&bytes).expect("reads"), record);
    // The same, without the last field of the vote; the ceiling's row follows it.
    let vote = encode(&voted(1, 1)).expect("encodes");
    let ends =
        bytes.windows(vote.len()).position(|part| part == vote).expect("is there") + vote.len();
    let before = [&[4], &bytes[1..ends - 1], &bytes[ends..]].concat();
    assert_eq!(Record::decode(&before).expect("reads"), record);
    let newer = [&[6], &bytes[1..]].concat();
    assert!(matches!(Record::decode(&newer), Err(StoreError::RowsVersion(6))));
}
