//! The file and the replay, by a machine that counts.

use std::fmt::Debug;
use std::time::Instant;

use proptest::prelude::*;
use serde::{Deserialize, Serialize};

use super::*;
use crate::tier::Tier;
use crate::time::WallTime;

/// Adds up what it is given.
struct Counter {
    sum: u64,
    /// It is broken on purpose: at this sum it forgets one.
    forgets_at: u64,
}

#[derive(Debug, Serialize, Deserialize)]
enum CounterInput {
    Add(u32),
    Fail,
}

#[derive(Debug, Default)]
struct CounterEffects {
    sums: Vec<u64>,
}

impl Tell for CounterEffects {
    fn tell(&self, told: &mut dyn FnMut(&'static str, &dyn Debug)) {
        self.sums.iter().for_each(|sum| told("sum", sum));
    }
}

impl Effects for CounterEffects {
    fn append(&mut self, later: Self) {
        self.sums.extend(later.sums);
    }
}

impl Machine for Counter {
    const NAME: &'static str = "counter";
    type Start = (u64, u64);
    type Input = CounterInput;
    type Effects = CounterEffects;

    fn begin((sum, forgets_at): Self::Start, _now: Now) -> Self {
        Self { sum, forgets_at }
    }

    fn advance(&mut self, input: CounterInput, _now: Now, fx: &mut CounterEffects) {
        match input {
            CounterInput::Add(more) => {
                self.sum += u64::from(more) - u64::from(self.sum == self.forgets_at);
                fx.sums.push(self.sum);
            }
            CounterInput::Fail => panic!("told to"),
        }
    }
}

fn header() -> Header {
    Header {
        tier: Tier::Ndb,
        product: "1.2.3".to_owned(),
        node: "D1".to_owned(),
        begun: WallTime(7),
    }
}

fn at(since_ns: u64) -> Moment {
    Moment { wall: WallTime(300), since_ns }
}

/// A recording of a counter that begins like this and was given these, by one that forgets nothing.
fn recorded_from(start: (u64, u64), inputs: &[u32]) -> Vec<u8> {
    let (mut encoder, mut file) = EntryEncoder::begin(&header()).expect("encodes");
    let head = Head::Start { machine: 4, at: at(0) };
    file.extend(encoder.entry(&head, &start).expect("encodes"));
    let (mut sum, mut summer) = (start.0, Summer::default());
    for input in inputs {
        let head = Head::Input { machine: 4, at: at(1) };
        file.extend(encoder.entry(&head, &CounterInput::Add(*input)).expect("encodes"));
        sum += u64::from(*input);
        let head = Head::Effects(summer.of(&CounterEffects { sums: vec![sum] }));
        file.extend(encoder.entry(&head, &()).expect("encodes"));
    }
    file.extend(encoder.entry(&Head::End(EndReason::Stopped), &()).expect("encodes"));
    file
}

fn recorded(inputs: &[u32]) -> Vec<u8> {
    recorded_from((10, u64::MAX), inputs)
}

fn replay(file: &[u8], to: Option<u64>) -> Summary {
    let recording = Recording::open(file).expect("a recording");
    let mut cast = Cast::default().with::<Counter>(4);
    Replay::new(recording, &mut cast, Instant::now()).run(to, &mut ())
}

/// Golden: what is recorded stays readable.
#[test]
fn a_recording_has_these_bytes() {
    let file = recorded(&[5]);
    let header = [&[0x01, 0x05][..], b"1.2.3", &[0x02], b"D1", &[0x07]].concat();
    let entries: [&[u8]; 5] = [
        &header,
        // Head::Start of machine 4, at 300 ms and 0 ns; 10, and u64::MAX.
        &[0, 4, 0xac, 2, 0, 10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1],
        // Head::Input of machine 4, at 300 ms and 1 ns; CounterInput::Add of 5.
        &[1, 4, 0xac, 2, 1, 0, 5],
        // Head::Effects: one, and its digest.
        &[2, 1, 133, 176, 145, 232, 159, 129, 129, 231, 212, 1],
        // Head::End, EndReason::Stopped.
        &[3, 0],
    ];
    assert_eq!(&file[..10], b"vixenrec\x02\x00");
    let mut rest = &file[10..];
    for entry in entries {
        let length = u32::from_le_bytes(rest[..4].try_into().expect("four"));
        let body = &rest[16..16 + length as usize];
        assert_eq!(body, entry);
        rest = &rest[16 + body.len()..];
    }
    assert_eq!(rest, b"");
    // The checks of the last entry, the 4th.
    let prefix = &file[file.len() - 18..file.len() - 2];
    assert_eq!(prefix[..4], [2, 0, 0, 0]);
    assert_eq!(prefix[4..], [225, 155, 152, 62, 199, 45, 18, 189, 116, 129, 99, 68], "golden");
}

#[test]
fn a_recording_agrees_with_the_machine_that_it_is_of() {
    let summary = replay(&recorded(&[5, 6, 7]), None);
    assert_eq!((summary.inputs, summary.effects, summary.verdict), (3, 3, Verdict::Agrees));
    assert!(matches!(summary.ending, Ending::Said(EndReason::Stopped)), "{summary:?}");
    let part = replay(&recorded(&[5, 6, 7]), Some(2));
    assert_eq!((part.inputs, part.verdict), (2, Verdict::Agrees));
    assert!(matches!(part.ending, Ending::Enough), "{part:?}");
}

#[test]
fn the_first_input_with_other_effects_ends_the_replay() {
    // The start makes the counter forget one at 15, before the second input.
    let summary = replay(&recorded_from((10, 15), &[5, 6, 7]), None);
    let mut summer = Summer::default();
    let recorded = summer.of(&CounterEffects { sums: vec![21] });
    let replayed = summer.of(&CounterEffects { sums: vec![20] });
    assert_eq!(summary.verdict, Verdict::Diverges { input: 2, recorded, replayed });
    assert_eq!(summary.inputs, 2, "what follows says nothing");
}

#[test]
fn a_file_that_ends_early_is_played_up_to_its_last_whole_entry() {
    let whole = recorded(&[5, 6]);
    let mut kinds = std::collections::BTreeSet::new();
    for length in 10..whole.len() {
        let Ok(recording) = Recording::open(&whole[..length]) else {
            kinds.insert("header");
            continue;
        };
        let mut cast = Cast::default().with::<Counter>(4);
        let summary = Replay::new(recording, &mut cast, Instant::now()).run(None, &mut ());
        assert_eq!(summary.verdict, Verdict::Agrees, "{length}");
        assert!(summary.ending.is_natural(), "{length}: {summary:?}");
        kinds.insert(match summary.ending {
            Ending::Cut => "cut",
            Ending::InStep => "in step",
            Ending::Broken(ReplayError::Recording(RecordingError::Torn { .. })) => "torn",
            other => panic!("{length}: {other:?}"),
        });
    }
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["cut", "header", "in step", "torn"]);
    let torn = Recording::open(&whole[..12]).expect_err("torn");
    assert!(matches!(torn, RecordingError::Torn { number: 0, .. }), "{torn}");
}

/// Reads all of a file, and says what is wrong with it.
fn problem(file: &[u8]) -> Option<RecordingError> {
    let mut recording = match Recording::open(file) {
        Ok(recording) => recording,
        Err(error) => return Some(error),
    };
    loop {
        match recording.next_entry() {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
}

#[test]
fn any_byte_that_is_changed_is_told_by_name() {
    let whole = recorded(&[5]);
    assert!(problem(&whole).is_none());
    for at in 0..whole.len() {
        let mut file = whole.clone();
        file[at] ^= 0x10;
        let problem = problem(&file).expect("noticed");
        match at {
            0..8 => assert!(matches!(problem, RecordingError::NotARecording), "{problem}"),
            8..10 => assert!(matches!(problem, RecordingError::TooNew { .. }), "{problem}"),
            _ => assert!(matches!(problem, RecordingError::Damaged { .. }), "{at}: {problem}"),
        }
    }
}

#[test]
fn an_entry_in_the_place_of_another_is_damage() {
    let (mut encoder, mut file) = EntryEncoder::begin(&header()).expect("encodes");
    let first = encoder.entry(&Head::End(EndReason::Full), &()).expect("encodes").to_vec();
    file.extend_from_slice(&first);
    file.extend_from_slice(&first);
    let problem = problem(&file).expect("noticed");
    assert!(matches!(problem, RecordingError::Damaged { number: 2, .. }), "{problem}");
}

#[test]
fn what_a_later_version_wrote_is_refused_by_its_format() {
    let mut file = recorded(&[]);
    // One of the version before is read.
    file[8] = 1;
    assert!(Recording::open(&file[..]).is_ok());
    file[8] = 3;
    let error = Recording::open(&file[..]).expect_err("refused");
    assert!(
        error.to_string().starts_with("is of format 3, and this version reads formats up to 2")
    );
    assert!(matches!(Recording::open(&b"[cluster]\n"[..]), Err(RecordingError::NotARecording)));
    assert!(matches!(Recording::open(&b""[..]), Err(RecordingError::Torn { number: 0, .. })));
}

#[test]
fn what_no_machine_takes_is_told() {
    let begin = || EntryEncoder::begin(&header()).expect("encodes");
    let begun = {
        let mut encoder = begin().0;
        let head = Head::Start { machine: 4, at: at(0) };
        let start = encoder.entry(&head, &(1_u64, 2_u64)).expect("encodes").to_vec();
        let head = Head::Input { machine: 4, at: at(0) };
        let input = encoder.entry(&head, &7_u8).expect("encodes").to_vec();
        [start, input].concat()
    };
    let unknown = {
        let mut encoder = begin().0;
        encoder.entry(&Head::Start { machine: 9, at: at(0) }, &()).expect("encodes").to_vec()
    };
    let head = Head::Input { machine: 4, at: at(0) };
    let (mut encoder, first) = begin();
    let not_begun = encoder.entry(&head, &CounterInput::Fail).expect("encodes").to_vec();
    let texts = [begun, unknown, not_begun].map(|entries| {
        let summary = replay(&[&first[..], &entries].concat(), None);
        assert!(!summary.ending.is_natural());
        let Ending::Broken(error) = summary.ending else { panic!("{summary:?}") };
        error.to_string()
    });
    assert_eq!(
        texts,
        [
            "entry 2 is not what this version's counter takes",
            "entry 1 is of a machine that this version does not know, number 9",
            "entry 1 is an input of the counter, which has not begun",
        ]
    );
}

#[test]
fn an_entry_that_was_taken_back_leaves_no_gap() {
    let (mut encoder, mut file) = EntryEncoder::begin(&header()).expect("encodes");
    let _not_written = encoder.entry(&Head::End(EndReason::Full), &()).expect("encodes");
    encoder.take_back();
    file.extend(encoder.entry(&Head::End(EndReason::Slow), &()).expect("encodes"));
    assert!(problem(&file).is_none());
}

proptest! {
    #[test]
    fn any_bytes_are_read_or_refused(bytes: Vec<u8>) {
        let _either = problem(&[&b"vixenrec\x01\x00"[..], &bytes].concat());
    }

    #[test]
    fn any_inputs_agree(inputs: Vec<u16>) {
        let inputs: Vec<u32> = inputs.into_iter().map(u32::from).collect();
        let summary = replay(&recorded(&inputs), None);
        prop_assert_eq!(summary.verdict, Verdict::Agrees);
        prop_assert_eq!(summary.inputs, inputs.len() as u64);
    }
}
