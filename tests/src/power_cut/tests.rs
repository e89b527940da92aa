//! The library, by a small program that does what it is told until it is killed.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use rand::SeedableRng as _;
use tempfile::TempDir;

use super::*;

const WRITER: &str = concat!(env!("OUT_DIR"), "/power_writer");
const BYTES: usize = 16 * 512;

struct Machine {
    dir: TempDir,
    supply: PowerSupply,
    disk: Disk,
}

impl Machine {
    fn new(disk: Disk) -> Self {
        let dir = tempfile::tempdir().expect("dir");
        let supply = PowerSupply::new(&dir.path().join("power")).expect("a library");
        Self { dir, supply, disk }
    }

    fn store(&self) -> PathBuf {
        self.dir.path().join("data").join("store")
    }

    /// Runs the program in the store to the end of its words, and kills it there.
    fn run(&self, words: &str) {
        let setup = self.supply.setup("N1", &self.store(), self.disk).expect("a setup");
        let mut command = Command::new(WRITER);
        command.envs(setup.env).stdout(Stdio::piped()).current_dir(self.dir.path().join("data"));
        let mut child = command.args(words.split_whitespace()).spawn().expect("the writer");
        let mut said = String::new();
        let mut reader = BufReader::new(child.stdout.take().expect("piped"));
        reader.read_line(&mut said).expect("readable");
        assert_eq!(said, "done\n", "{words}");
        child.kill().expect("killed");
        child.wait().expect("gone");
    }

    fn cut(&self, fate: Fate, seed: u64) -> Losses {
        let mut rng = StdRng::seed_from_u64(seed);
        self.supply.cut("N1", &self.store(), fate, &mut rng).expect("notes that can be read")
    }

    /// A store with a durable file `a` of sixteen sectors of the letter a.
    fn with_file(disk: Disk) -> Self {
        let machine = Self::new(disk);
        std::fs::create_dir_all(machine.store()).expect("a directory");
        std::fs::write(machine.store().join("a"), [b'a'; BYTES]).expect("a file");
        machine
    }

    fn letters(&self, name: &str) -> String {
        let bytes = std::fs::read(self.store().join(name)).expect("a file");
        // What was never written is 0.
        bytes.into_iter().map(|byte| char::from(byte.max(b'-'))).collect()
    }

    /// Each run of one letter, with its length.
    fn runs(&self, name: &str) -> String {
        let letters = self.letters(name);
        let mut runs = String::new();
        for run in letters.as_bytes().chunk_by(|a, b| a == b) {
            runs += &format!("{}{} ", char::from(run[0]), run.len());
        }
        runs.trim_end().to_owned()
    }
}

#[test]
fn what_was_not_synced_is_lost_by_whatever_call_it_was_written() {
    let calls = [
        "open store/a pwrite 100 1000 b",
        "open store/a pwritev 100 1000 b pwrite 0 9000 c",
        "open store/a write 1000 b",
        "open store/a writev 1000 b",
        "open store/a map 700 b",
        "open store/a truncate 5000",
        "open store/a truncate 90000",
        "empty store/a",
        "open store/a truncate 10 pwrite 3000 10 b truncate 40 map 30 c",
        "empty store/a open store/a write 20000 b",
    ];
    for words in calls {
        let machine = Machine::with_file(Disk::default());
        machine.run(words);
        assert_ne!(machine.runs("a"), "a8192", "{words}");
        let losses = machine.cut(Fate::Lost, 0);
        assert_eq!(machine.runs("a"), "a8192", "{words}");
        assert!(losses.escapes.is_empty(), "{losses:?}");
        machine.cut(Fate::Lost, 0);
    }
}

#[test]
fn what_was_synced_is_kept() {
    for sync in ["fsync", "fdatasync"] {
        let machine = Machine::with_file(Disk::default());
        machine.run(&format!(
            "open store/a pwrite 0 512 b {sync} pwrite 512 512 c pwrite 256 10 d truncate 1000"
        ));
        let losses = machine.cut(Fate::Lost, 0);
        assert_eq!(machine.runs("a"), "b512 a7680");
        // Those that the size took as well.
        assert_eq!((losses.sectors_unsynced, losses.names_unsynced), (16, 0));
    }
}

#[test]
fn a_write_by_o_dsync_makes_its_own_sectors_durable_and_no_other() {
    let machine = Machine::with_file(Disk::default());
    machine.run("open store/a pwrite 0 1024 b dsync store/a pwrite 600 100 c");
    machine.cut(Fate::Lost, 0);
    assert_eq!(machine.runs("a"), "a512 b88 c100 b324 a7168");
}

#[test]
fn notes_go_on_when_a_process_is_started_again() {
    let machine = Machine::with_file(Disk::default());
    machine.run("open store/a pwrite 0 512 b fsync pwrite 0 1024 c");
    machine.run("open store/a pwrite 0 512 d");
    machine.cut(Fate::Lost, 0);
    assert_eq!(machine.runs("a"), "b512 a7680");
}

#[test]
fn names_and_sizes_may_be_there_without_content() {
    let machine = Machine::with_file(Disk::default());
    machine.run("open store/a pwrite 7680 1024 b open store/b pwrite 0 600 c");
    machine.cut(Fate::Emptied, 0);
    assert_eq!((machine.runs("a"), machine.runs("b")), ("a8192 -512".into(), "-600".into()));
}

#[test]
fn a_note_that_is_torn_is_about_nothing() {
    let machine = Machine::with_file(Disk::default());
    machine.run("open store/a pwrite 0 512 b");
    let notes = machine.dir.path().join("power/N1/notes");
    let bytes = std::fs::read(&notes).expect("notes");
    std::fs::write(&notes, [&bytes[..], &bytes[..200]].concat()).expect("written");
    assert_eq!(machine.cut(Fate::Lost, 0).sectors_lost, 1);
    assert_eq!(machine.runs("a"), "a8192");
}

/// One drawn cut after sectors were written twice and the file grew.
fn drawn(seed: u64) -> Machine {
    let machine = Machine::with_file(Disk::default());
    machine.run("open store/a pwrite 0 8192 b pwrite 2048 8192 c");
    machine.cut(Fate::Drawn, seed);
    machine
}

#[test]
fn writes_are_torn_at_sectors_and_any_part_may_be_lost() {
    let (mut whole, mut kept, mut alone, mut between) = (0, 0, 0, 0);
    for seed in 0..200 {
        let runs = drawn(seed).runs("a");
        for run in runs.split(' ') {
            let length: usize = run[1..].parse().expect("a length");
            assert_eq!(length % 512, 0, "{runs}");
        }
        whole += usize::from(runs == "a8192");
        kept += usize::from(runs == "b2048 c8192");
        // The later write without the earlier.
        alone += usize::from(runs.starts_with("a2048 c"));
        between += usize::from(runs == "b8192");
    }
    let counts = [whole, kept, alone, between];
    assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    assert!(counts.iter().sum::<usize>() < 150, "{counts:?}");
}

#[test]
fn one_seed_gives_one_loss() {
    for seed in 0..10 {
        assert_eq!(drawn(seed).runs("a"), drawn(seed).runs("a"));
    }
}

#[test]
fn names_are_lost_until_their_directory_is_synced() {
    let machine = Machine::with_file(Disk::default());
    machine.run(
        "open store/new pwrite 0 9 n fsync mkdir store/d open store/d/x fsync syncdir store/d",
    );
    let losses = machine.cut(Fate::Lost, 0);
    let left = |machine: &Machine| {
        let entries = std::fs::read_dir(machine.store()).expect("a directory");
        let mut names: Vec<_> =
            entries.map(|entry| entry.expect("one").file_name().into_string()).collect();
        names.sort();
        names.into_iter().map(|name| name.expect("text")).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(left(&machine), "a");
    assert_eq!((losses.names_unsynced, losses.names_lost), (2, 2));

    machine.run("open store/new pwrite 0 9 n fsync mkdir store/d syncdir store open store/d/x");
    machine.cut(Fate::Lost, 0);
    assert_eq!((left(&machine).as_str(), machine.runs("new").as_str()), ("a d new", "n9"));
    assert!(!machine.store().join("d/x").exists());

    machine.run("rename store/new store/a unlink store/a rmdir store/d mkdir store/e rename store/e store/f");
    machine.cut(Fate::Lost, 0);
    assert_eq!((left(&machine).as_str(), machine.runs("a").as_str()), ("a d new", "a8192"));

    machine.run("rename store/new store/a rmdir store/d syncdir store unlink store/a");
    machine.cut(Fate::Lost, 0);
    assert_eq!((left(&machine).as_str(), machine.runs("a").as_str()), ("a", "n9"));
}

#[test]
fn the_whole_store_is_lost_until_the_directory_above_is_synced() {
    let machine = Machine::new(Disk::default());
    std::fs::create_dir_all(machine.dir.path().join("data")).expect("a directory");
    machine.run("mkdir store open store/a pwrite 0 9 a fsync syncdir store");
    machine.cut(Fate::Lost, 0);
    assert!(!machine.store().exists());
    machine.run("mkdir store open store/a pwrite 0 9 a fsync syncdir store syncdir .");
    machine.cut(Fate::Lost, 0);
    assert_eq!(machine.runs("a"), "a9");
}

#[test]
fn of_a_directory_the_first_names_are_kept() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..40 {
        let machine = Machine::with_file(Disk::default());
        machine.run("open store/1 open store/2 rename store/1 store/3");
        machine.cut(Fate::Drawn, seed);
        let is_there = |name: &str| machine.store().join(name).exists();
        seen.insert(["1", "2", "3"].map(is_there));
    }
    let wanted =
        [[false, false, false], [true, false, false], [true, true, false], [false, true, true]];
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), {
        let mut wanted = wanted;
        wanted.sort_unstable();
        wanted.to_vec()
    });
}

#[test]
fn a_disk_that_lies_keeps_nothing() {
    let machine = Machine::with_file(Disk { sync_us: 10, lies: true, ..Disk::default() });
    machine.run("open store/a pwrite 0 512 b fsync dsync store/a pwrite 512 512 c open store/b syncdir store");
    machine.cut(Fate::Lost, 0);
    assert_eq!(machine.runs("a"), "a8192");
    assert!(!machine.store().join("b").exists());
}

#[test]
fn what_is_not_modelled_is_told() {
    let machine = Machine::with_file(Disk::default());
    machine.run("link store/a store/b");
    assert_eq!(machine.cut(Fate::Lost, 0).escapes, ["link"]);
    machine.run("rename store/b outside");
    assert_eq!(machine.cut(Fate::Lost, 0).escapes, ["rename out of the store or into it"]);
}
