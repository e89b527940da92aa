//! Recordings in real files, by a machine that counts.

use std::fmt::Debug;
use std::fs::{self, File};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser as _;

use vixen_core::recording::{
    Cast, Effects, EndReason, Ending, Machine, Now, Recording, Replay, Summary, Tell, Verdict,
    tell_all,
};
use vixen_core::tier::Tier;
use vixen_core::time::WallTime;

use super::replay::last_line;
use super::{RecordArgs, RecordError, Recorder, ReplayArgs};

const COUNTER: u8 = 1;

/// Counts the bytes that it is given.
#[derive(Default)]
struct Counter(usize);

#[derive(Debug, Default)]
struct Counts(Vec<usize>);

impl Tell for Counts {
    fn tell(&self, told: &mut dyn FnMut(&'static str, &dyn Debug)) {
        tell_all("count", &self.0, told);
    }
}

impl Effects for Counts {
    fn append(&mut self, later: Self) {
        self.0.extend(later.0);
    }
}

impl Machine for Counter {
    const NAME: &'static str = "counter";
    type Start = usize;
    type Input = Vec<u8>;
    type Effects = Counts;

    fn begin(start: usize, _now: Now) -> Self {
        Self(start)
    }

    fn advance(&mut self, input: Vec<u8>, _now: Now, fx: &mut Counts) {
        self.0 += input.len();
        fx.0.push(self.0);
    }
}

fn now() -> Now {
    Now { wall: WallTime(1), instant: Instant::now() }
}

fn args(path: &Path) -> RecordArgs {
    RecordArgs { record: Some(path.to_owned()), ..RecordArgs::default() }
}

fn recorder(args: &RecordArgs) -> Recorder {
    args.recorder(Tier::Sync, &"S1".parse().expect("a name")).expect("it records")
}

/// Gives a counter so many inputs of so many bytes, and returns what they owe together.
fn count(recorder: &mut Recorder, inputs: usize, bytes: usize) -> Counts {
    let (mut counter, mut fx) = (Counter::default(), Counts::default());
    recorder.begin(COUNTER, now, || 0_usize);
    for _ in 0..inputs {
        let step = |input, fx: &mut Counts| counter.advance(input, now(), fx);
        recorder.step(COUNTER, now, vec![7; bytes], &mut fx, step);
    }
    fx
}

fn replay(path: &Path) -> Summary {
    let recording = Recording::open(File::open(path).expect("there")).expect("a recording");
    let mut cast = Cast::default().with::<Counter>(COUNTER);
    Replay::new(recording, &mut cast, Instant::now()).run(None, &mut ())
}

#[test]
fn what_is_recorded_is_replayed_and_effects_are_those_of_a_node_that_records_nothing() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("S1.vixenrec");
    let mut recorder = recorder(&args(&path));
    assert!(recorder.is_on());
    let fx = count(&mut recorder, 3, 5);
    assert_eq!(fx.0, count(&mut Recorder::off(), 3, 5).0);
    recorder.finish();
    assert!(!recorder.is_on());
    let summary = replay(&path);
    assert_eq!((summary.inputs, summary.effects, summary.verdict), (3, 3, Verdict::Agrees));
    assert!(matches!(summary.ending, Ending::Said(EndReason::Stopped)), "{summary:?}");
    assert_eq!(
        last_line(&summary),
        "agrees: 3 inputs, 3 effects; the recording ends here: the node was stopped"
    );
    assert_eq!(fs::metadata(&path).expect("there").permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_recording_ends_at_its_bound_and_the_node_goes_on() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("S1.vixenrec");
    let mut recorder = recorder(&RecordArgs { record_bytes_max: 4_000, ..args(&path) });
    let fx = count(&mut recorder, 20, 500);
    assert_eq!(fx.0.len(), 20);
    assert!(!recorder.is_on());
    super::flush();
    let length = fs::metadata(&path).expect("there").len();
    assert!((3_000..=4_000).contains(&length), "{length}");
    let summary = replay(&path);
    assert!(matches!(summary.ending, Ending::Said(EndReason::Full)), "{summary:?}");
    assert_eq!(summary.verdict, Verdict::Agrees);
    assert!((5..20).contains(&summary.inputs), "{summary:?}");
}

#[test]
fn a_recording_without_a_last_word_is_one_of_a_node_that_was_killed() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("S1.vixenrec");
    let mut recorder = recorder(&args(&path));
    let _fx = count(&mut recorder, 2, 1);
    drop(recorder);
    super::flush();
    let summary = replay(&path);
    assert!(matches!(summary.ending, Ending::Cut), "{summary:?}");
    let bytes = fs::read(&path).expect("read");
    fs::write(&path, &bytes[..bytes.len() - 1]).expect("written");
    let line = last_line(&replay(&path));
    assert!(
        line.starts_with(
            "agrees: 2 inputs, 2 effects; the recording ends in the middle of an entry"
        ),
        "{line}"
    );
}

#[test]
fn the_input_of_a_step_that_panics_is_recorded() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("S1.vixenrec");
    let mut recorder = recorder(&args(&path));
    let _fx = count(&mut recorder, 2, 1);
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let step = |_input, _fx: &mut Counts| panic!("told to");
        recorder.step(COUNTER, now, vec![7_u8], &mut Counts::default(), step);
    }));
    assert!(panicked.is_err());
    drop(recorder);
    super::flush();
    let summary = replay(&path);
    assert_eq!((summary.inputs, summary.verdict), (3, Verdict::Agrees));
    assert!(matches!(summary.ending, Ending::InStep), "{summary:?}");
}

/// Its file was in the way of the next start.
#[test]
fn a_start_that_fails_before_any_machine_begins_leaves_no_recording() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("S1.vixenrec");
    drop(recorder(&args(&path)));
    assert!(!path.exists());
}

#[test]
fn nothing_is_overwritten_and_a_directory_gets_a_file_a_start() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("S1.vixenrec");
    fs::write(&path, b"of somebody").expect("written");
    let name = "S1".parse().expect("a name");
    let error = args(&path).recorder(Tier::Sync, &name).expect_err("refused");
    assert!(matches!(error, RecordError::Exists { .. }), "{error}");
    assert_eq!(fs::read(&path).expect("there"), b"of somebody");
    let error = args(&path).recorder_of_several(Tier::Sync, &name).expect_err("refused");
    assert!(matches!(error, RecordError::NoDirectory { .. }), "{error}");
    let missing = dir.path().join("missing/S1.vixenrec");
    let error = args(&missing).recorder(Tier::Sync, &name).expect_err("refused");
    assert!(matches!(error, RecordError::NoParent { .. }), "{error}");

    fs::remove_file(&path).expect("removed");
    recorder(&args(dir.path())).finish();
    let files: Vec<PathBuf> =
        fs::read_dir(dir.path()).expect("dir").map(|file| file.expect("file").path()).collect();
    let [file] = &files[..] else { panic!("{files:?}") };
    let name = file.file_name().expect("a name").to_string_lossy();
    assert!(name.starts_with("S1-2") && name.ends_with("Z.vixenrec"), "{name}");
    assert_eq!(replay(file).inputs, 0);
}

/// The arguments of the subcommand, as a program has them.
#[derive(clap::Parser)]
struct Command {
    #[command(flatten)]
    replay: ReplayArgs,
}

fn run(path: &Path, tier: Tier, more: &[&str]) -> ExitCode {
    let path = path.to_str().expect("text");
    let words = [&["replay", path], more].concat();
    let command = Command::try_parse_from(words).expect("arguments");
    command.replay.run(tier, &mut Cast::default().with::<Counter>(COUNTER))
}

#[test]
fn the_subcommand_says_by_its_code_how_it_went() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("S1.vixenrec");
    let mut recorder = recorder(&args(&path));
    let _fx = count(&mut recorder, 3, 5);
    recorder.finish();
    assert_eq!(run(&path, Tier::Sync, &["--quiet"]), ExitCode::from(0));
    assert_eq!(run(&path, Tier::Sync, &["--from", "2", "--to", "2", "--full"]), ExitCode::from(0));
    assert_eq!(run(&path, Tier::Ndb, &[]), ExitCode::from(2), "of another tier");
    assert_eq!(run(&dir.path().join("none"), Tier::Sync, &[]), ExitCode::from(2));

    let whole = fs::read(&path).expect("read");
    let mut damaged = whole.clone();
    let last = damaged.len() - 1;
    damaged[last] ^= 1;
    fs::write(&path, &damaged).expect("written");
    assert_eq!(run(&path, Tier::Sync, &["--quiet"]), ExitCode::from(2), "damaged");
    assert_eq!(run(&path, Tier::Sync, &["--to", "3"]), ExitCode::from(0), "not up to there");

    // A machine that does otherwise.
    let other = dir.path().join("other.vixenrec");
    let mut recorder = self::recorder(&args(&other));
    recorder.begin(COUNTER, now, || 0_usize);
    let step = |_input, fx: &mut Counts| fx.0.push(7);
    recorder.step(COUNTER, now, vec![1_u8], &mut Counts::default(), step);
    recorder.finish();
    assert_eq!(run(&other, Tier::Sync, &["--only", "counter"]), ExitCode::from(1));
    let line = last_line(&replay(&other));
    assert!(line.starts_with("DIVERGES at input 1: 1 effects ("), "{line}");
}
