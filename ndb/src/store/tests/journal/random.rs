//! Stores that are killed at any write, with what a disk may make of a write that nobody waited for.

use super::*;

const SECTOR_BYTES: usize = 512;

/// A node, and what it was told and has told.
struct Run {
    random: Random,
    dir: tempfile::TempDir,
    node: Node,
    order: Order,
    /// The rows before are dropped with their days.
    first: usize,
    millis: u64,
    seqs: BTreeMap<u128, u64>,
    /// All that ever arrived.
    known: BTreeMap<SegmentId, (SegmentMeta, Blob)>,
    /// Without a place: whether its bytes are in the node's memory.
    held: BTreeMap<SegmentId, bool>,
    dropped: BTreeSet<SegmentId>,
    refused: usize,
}

fn of_run(millis: u64) -> (u32, u64) {
    const DAY_MS: u64 = 24 * 60 * 60 * 1_000;
    (u32::try_from(millis / DAY_MS).expect("few"), millis % DAY_MS)
}

impl Run {
    fn new(seed: u64) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let node = open(dir.path());
        Self {
            random: Random(seed),
            dir,
            node,
            order: Order::new(),
            first: 0,
            millis: 1_000,
            seqs: BTreeMap::new(),
            known: BTreeMap::new(),
            held: BTreeMap::new(),
            dropped: BTreeSet::new(),
            refused: 0,
        }
    }

    fn now(&self) -> WallTime {
        let (day, millis) = of_run(self.millis);
        at(day, millis)
    }

    fn step(&mut self) {
        self.millis += 1 + self.random.below(50);
        match self.random.below(100) {
            0..=39 => self.arrive(),
            40..=64 => self.place(),
            65..=69 => self.drop_one(),
            70..=84 => self.work(),
            85..=88 => {
                let everything = self.random.percent(50);
                self.work();
                self.node.checkpoint(everything, self.now());
            }
            89..=90 => self.millis += 12 * 60 * 60 * 1_000,
            91 => self.trim(),
            92..=94 => self.reopen(),
            _ => self.kill(),
        }
        self.check_waiting();
    }

    fn new_segments(&mut self) -> Vec<Job> {
        let mut jobs = Vec::new();
        for _ in 0..=self.random.below(3) {
            let owner = 1 + u128::from(self.random.below(3));
            let seq = self.seqs.entry(owner).or_default();
            *seq += 1;
            let seq = *seq;
            let sizes = [10, 100, 3_000, 9_000, 30_000, 120_000];
            let kinds = if self.random.percent(10) { 6 } else { 4 };
            let size = sizes[self.random.index(kinds)];
            let payload = vec![self.random.next().to_le_bytes()[0]; size];
            let (meta, blob) = segment_with(owner, seq, &["t", "u"], &payload);
            self.known.insert(meta.id, (meta, blob.clone()));
            self.held.insert(meta.id, true);
            jobs.push(temporary(meta, &blob));
        }
        // One that was dropped comes again, or one that is there.
        if self.random.percent(10) {
            let some: Vec<_> = self.dropped.iter().chain(self.held.keys()).copied().collect();
            if let Some(id) = some.get(self.random.index(some.len().max(1))) {
                let (meta, blob) = &self.known[id];
                let is_placed = self.placed().any(|placed| placed == *id);
                let is_behind = self.placed().any(|p| p.owner == id.owner && p.seq >= id.seq);
                if !is_placed && !is_behind {
                    self.held.insert(*id, true);
                    self.dropped.remove(id);
                    jobs.push(temporary(*meta, blob));
                }
            }
        }
        jobs
    }

    fn placed(&self) -> impl Iterator<Item = SegmentId> {
        self.order.rows.iter().map(|(_, row)| row.elected.meta.id)
    }

    fn arrive(&mut self) {
        let jobs = self.new_segments();
        self.node.give(jobs);
    }

    fn place(&mut self) {
        let mut jobs = Vec::new();
        for _ in 0..=self.random.below(4) {
            // The first of an owner.
            let owner = owner(1 + u128::from(self.random.below(3)));
            let Some(id) = self.held.keys().find(|id| id.owner == owner).copied() else { continue };
            let is_in_memory = self.held.remove(&id).expect("is held");
            let (meta, blob) = self.known[&id].clone();
            let body = match self.random.below(10) {
                0 => Body::Elsewhere,
                _ if is_in_memory => Body::Memory(blob),
                _ => Body::Stored,
            };
            self.millis += 1;
            let (day, millis) = of_run(self.millis);
            jobs.push(self.order.place(meta, stamp(day, millis), body));
        }
        self.node.give(jobs);
    }

    fn drop_one(&mut self) {
        let all: Vec<_> = self.held.keys().copied().collect();
        if !all.is_empty() {
            let id = all[self.random.index(all.len())];
            self.held.remove(&id);
            self.dropped.insert(id);
            self.node.told.remove(&id);
            self.node.give([Job::Drop(id)]);
        }
    }

    fn work(&mut self) {
        let now = self.now();
        self.node.work(now);
        // LMDB has told of some that were dropped behind.
        self.node.told.retain(|id| !self.dropped.contains(id));
    }

    fn trim(&mut self) {
        self.work();
        let today = UtcDay::of(self.now());
        self.node.give([Job::Trim { keep_from: today }]);
        self.work();
        let base = self.node.bench.store.base().next;
        self.first = self.order.rows.iter().filter(|(first, _)| *first < base).count();
    }

    /// An orderly end and a start, in one durability or the other.
    fn reopen(&mut self) {
        self.work();
        let now = self.now();
        self.node.checkpoint(true, now);
        let left = killed(self.dir.path());
        let fsync = self.random.percent(70);
        self.start(left, fsync);
    }

    /// The process ends, in the middle of a write or between two.
    fn kill(&mut self) {
        let left = match self.random.below(3) {
            0 => killed(self.dir.path()),
            1 => {
                // What is appended last is torn, and nobody was told of it.
                let before = std::fs::read(self.dir.path().join(JOURNAL_FILE)).ok();
                let (told, work) = (self.node.told.clone(), self.node.work.len());
                self.arrive();
                let left = killed(self.dir.path());
                // All that came is one record.
                let is_record = matches!(self.node.work[work..], [Out::Arrived(_)]);
                if let (Some(before), true) = (before, is_record) {
                    self.tear(left.path(), &before);
                }
                if is_record {
                    self.node.told = told;
                }
                left
            }
            _ => {
                // A commit of LMDB is there, or is not; nobody was told.
                let before = killed(self.dir.path());
                let told = self.node.told.clone();
                self.work();
                self.node.told = told;
                if self.random.percent(50) { before } else { killed(self.dir.path()) }
            }
        };
        self.start(left, true);
    }

    /// Of each sector that was written one state or the other.
    fn tear(&mut self, left: &Path, before: &[u8]) {
        let path = left.join(JOURNAL_FILE);
        let mut file = std::fs::read(&path).expect("reads");
        for at in (0..file.len()).step_by(SECTOR_BYTES) {
            if self.random.percent(30) {
                file[at..at + SECTOR_BYTES].copy_from_slice(&before[at..at + SECTOR_BYTES]);
            }
        }
        std::fs::write(path, file).expect("writes");
    }

    /// What is left is opened: whatever was told of is there.
    fn start(&mut self, left: tempfile::TempDir, fsync: bool) {
        let told = std::mem::take(&mut self.node.told);
        self.node = open_with(left.path(), fsync, SMALL, self.now()).expect("opens");
        self.dir = left;
        let recovered = self.node.bench.recovered();
        let rows = self.order.rows.iter().filter(|(at, _)| *at < recovered.head.next).count();
        // What was placed and is not on disk is placed again.
        self.order.rows.truncate(rows);
        (self.order.next, self.order.chain) = (recovered.head.next, recovered.head.chain);
        let placed: BTreeSet<SegmentId> = self.placed().collect();
        let found: BTreeSet<SegmentId> = recovered.temporary.iter().map(|meta| meta.id).collect();
        for id in &told {
            let is_gone = placed.contains(id)
                || self.dropped.contains(id)
                || placed.iter().any(|p| p.owner == id.owner && p.seq > id.seq);
            assert!(is_gone || found.contains(id), "{id:?} was durable");
        }
        for meta in &recovered.temporary {
            let (known, blob) = &self.known[&meta.id];
            assert_eq!((meta, self.node.blob(meta.id).as_ref()), (known, Some(blob)));
            assert!(!placed.contains(&meta.id), "{meta:?} has its place");
        }
        self.held = found.iter().map(|id| (*id, false)).collect();
        self.dropped.retain(|id| !found.contains(id));
        self.node.told = &told | &found;
        self.check_placed();
        self.refused += usize::from(self.dir.path().join(ASIDE).exists());
    }

    /// All that has its place on disk has its bytes there, whole and indexed.
    fn check_placed(&self) {
        let store = &self.node.bench.store;
        let rows = &self.order.rows[self.first.min(self.order.rows.len())..];
        for (_, row) in rows.iter().filter(|(first, _)| *first < store.head().next) {
            let elected = row.elected;
            let found = self.node.bench.placed_blob(elected.stamp(), &elected.meta);
            let is_own = elected.challenger.group == GroupId(0);
            let wanted = is_own.then(|| &self.known[&elected.meta.id].1);
            assert_eq!(found.as_ref(), wanted, "{:?}", elected.meta.id);
        }
        let scrubbed = store.scrub(Position(1), None, u64::MAX).expect("reads");
        assert_eq!(scrubbed.findings, []);
        assert_eq!(store.scrub_temporary().expect("reads"), []);
    }

    fn check_waiting(&self) {
        for meta in self.node.waiting() {
            let (known, blob) = &self.known[&meta.id];
            assert_eq!((&meta, self.node.blob(meta.id).as_ref()), (known, Some(blob)));
        }
    }
}

/// `VIXEN_SEED` runs one again.
#[test]
fn whatever_is_told_of_is_there_after_a_kill_at_any_write() {
    let seed = std::env::var("VIXEN_SEED").ok().and_then(|seed| seed.parse().ok());
    let (seeds, steps) = seed.map_or((0..30, 150), |seed| (seed..seed + 1, 150));
    for seed in seeds {
        eprintln!("seed {seed}");
        let mut run = Run::new(seed);
        (0..steps).for_each(|_| run.step());
        run.work();
        run.check_placed();
        run.kill();
        assert_eq!(run.refused, 0, "no journal was taken for another's or for a damaged one");
    }
}
