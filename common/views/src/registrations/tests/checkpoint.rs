//! Checkpoints: the same view, wherever one begins; and what is none.

use proptest::prelude::*;

use super::random::any_log;
use super::*;
use crate::record::{
    CheckpointPart, POSITION_END, RecordError, SESSION_MAX, STATE_BYTES_MAX, VERSION,
};

/// Through the bytes of records, as they are stored.
fn stored(parts: &[CheckpointPart]) -> Vec<CheckpointPart> {
    let part = |part: &CheckpointPart| {
        let record = Record { writer: life(1, 1), said: Said::Checkpoint(part.clone()) };
        match Record::read(&record.topic().uri, &record.to_bytes()) {
            Ok(Record { said: Said::Checkpoint(part), .. }) => part,
            other => panic!("{other:?}"),
        }
    };
    parts.iter().map(part).collect()
}

fn state_of(parts: &[CheckpointPart]) -> Vec<u8> {
    parts.iter().flat_map(|part| part.state.iter().copied()).collect()
}

/// A view with something of everything.
fn full() -> Desk {
    let mut desk = Desk::new();
    desk.live(life(3, 2));
    desk.register(1, 7, "a", Invoke::Single);
    desk.force(2, 8, "a", Invoke::RoundRobin);
    desk.register(1, 9, "a", Invoke::RoundRobin);
    let prefix = TopicPattern::new("s", "b.", Match::Prefix);
    desk.register_of(life(1, 1), 7, prefix, Invoke::Single, false);
    desk.gone(1, life(3, 2), GoneWhy::NotHeard);
    desk
}

const GOLDEN: &str = concat!(
    "001000000000000000000000000000000001010245310001010a001000000000000000000000000000000002",
    "01024532000101140110000000000000000000000000000000030250c03e0802320172016100018827033210",
    "000000000000000000000000000000020108033c100000000000000000000000000000000101090246017302",
    "622e0100d8360346100000000000000000000000000000000101070401720161002810000000000000000000",
    "000000000000010132882705",
);

/// What is stored is read for as long as its version is; the chain is what entries compare.
#[test]
fn a_checkpoint_has_these_bytes_and_this_chain() {
    let view = full().view;
    let [part] = &view.checkpoint()[..] else { panic!("one part") };
    let hex: String = part.state.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN);
    assert_eq!((part.as_of, part.part, part.parts), (Position(80), 0, 1));
    assert_eq!(part.chain.to_string(), "b31f1dc069120552cdae1663360d2bd1");
    assert_eq!(Registrations::restore(&stored(std::slice::from_ref(part))), Ok(view.clone()));
    assert_eq!(view.size(), 1 + 3 + 2 + 3 + 1);
    assert_eq!((part.version, part.time, part.records), (VERSION, WallTime(8_000), 8));
}

#[test]
fn the_view_before_the_first_record_can_be_restored() {
    let view = Registrations::new();
    assert_eq!(Registrations::restore(&view.checkpoint()), Ok(view));
}

#[test]
fn a_large_view_has_parts_that_can_be_written() {
    let mut desk = Desk::new();
    let view = &mut desk.view;
    let pattern = exact(&"p".repeat(300));
    for position in 100..20_000 {
        let register = Register {
            number: 1,
            session: position,
            pattern: pattern.clone(),
            invoke: Invoke::Random,
            is_forced: false,
            keeps_timeouts: false,
        };
        let record = Record { writer: life(1, 1), said: Said::Register(register) };
        view.apply(Position(position), WallTime(0), &record);
    }
    let parts = view.checkpoint();
    assert!(parts.len() > 1 && parts.iter().all(|part| part.state.len() <= STATE_BYTES_MAX));
    assert_eq!(Registrations::restore(&stored(&parts)), Ok(view.clone()));
    let cut = Registrations::restore(&parts[..1]);
    assert_eq!(cut, Err(CheckpointError::Parts));
    let mut turned = parts.clone();
    turned.swap(0, 1);
    assert_eq!(Registrations::restore(&turned), Err(CheckpointError::Parts));
    let mut of_two = parts;
    of_two[1].chain = Digest::default();
    assert_eq!(Registrations::restore(&of_two), Err(CheckpointError::Parts));
    assert_eq!(Registrations::restore(&[]), Err(CheckpointError::Parts));
}

/// Records between as-of and the checkpoint's place change what later ones meet.
#[test]
fn who_begins_behind_a_checkpoint_and_not_as_of_it_is_told_by_the_next() {
    let mut desk = full();
    let parts = desk.view.checkpoint();
    let mut good = Registrations::restore(&parts).expect("a checkpoint");
    let mut bad = good.clone();
    let between = desk.register(1, 7, "c", Invoke::Single);
    assert!(matches!(between.verdict, Verdict::Registered(_)));
    let (position, now) = (Position(desk.position), desk.now);
    let register = Register {
        number: 80,
        session: 7,
        pattern: exact("c"),
        invoke: Invoke::Single,
        is_forced: false,
        keeps_timeouts: false,
    };
    let record = Record { writer: life(1, 1), said: Said::Register(register) };
    good.apply(position, now, &record);
    bad.pass_below(position.plus(1));
    assert_eq!(good, desk.view);
    let next = desk.view.checkpoint().remove(0);
    let next = Record { writer: life(1, 1), said: Said::Checkpoint(next) };
    let is = |view: &mut Registrations| checked(view.apply(position.plus(1), now, &next));
    assert_eq!(is(&mut good).compared, Compared::Same);
    assert_eq!(is(&mut bad).compared, Compared::Differs);
    let mut late = Registrations::restore(&good.checkpoint()).expect("a checkpoint");
    let mut old = parts[0].clone();
    old.as_of = Position(70);
    let old = Record { writer: life(1, 1), said: Said::Checkpoint(old) };
    let found = checked(late.apply(position.plus(2), now, &old));
    let (writer, as_of, compared) = (life(1, 1), Position(70), Compared::Unknown);
    assert_eq!(found, Checked { writer, as_of, part: 0, parts: 1, compared });
}

fn checked(outcome: Outcome) -> Checked {
    match outcome {
        Outcome::Checkpoint(checked) => checked,
        other => panic!("{other:?}"),
    }
}

/// Each part was an alarm of its own, and nobody knew whose checkpoint it was.
#[test]
fn a_checkpoint_is_compared_once_and_names_who_wrote_it() {
    let mut desk = full();
    let mut parts = desk.view.checkpoint_in(60);
    parts.iter_mut().for_each(|part| part.chain = Digest::default());
    let mut say = |writer, part: &CheckpointPart| {
        desk.position += 10;
        let record = Record { writer, said: Said::Checkpoint(part.clone()) };
        checked(desk.view.apply(Position(desk.position), desk.now, &record))
    };
    for writer in [life(1, 1), life(2, 1)] {
        for (number, part) in parts.iter().enumerate() {
            let found = say(writer, part);
            let wanted = if number == 0 { Compared::Differs } else { Compared::Again };
            assert_eq!((found.writer, found.part, found.compared), (writer, part.part, wanted));
        }
    }
    let older = CheckpointPart { as_of: Position(70), ..parts[0].clone() };
    assert_eq!(say(life(1, 1), &older).compared, Compared::Again, "an earlier one of the entry");
}

/// When one view was wrong, all others would have taken it over from its checkpoint.
#[test]
fn one_differing_checkpoint_is_not_believed_until_another_writer_says_the_same() {
    let desk = full();
    let (position, now) = (Position(desk.position + 10), desk.now);
    let register = |uri: &str| {
        let (number, session, pattern) = (1, 7, exact(uri));
        let (invoke, is_forced) = (Invoke::Single, false);
        let said = Said::Register(Register {
            number,
            session,
            pattern,
            invoke,
            is_forced,
            keeps_timeouts: false,
        });
        Record { writer: life(1, 1), said }
    };
    // One of both has missed a record, and which is not to be seen from them.
    let (mut own, mut there) = (desk.view.clone(), desk.view.clone());
    there.apply(position, now, &register("c"));
    own.pass_below(position.plus(1));
    let by = |writer, view: &Registrations| Record {
        writer,
        said: Said::Checkpoint(view.checkpoint().remove(0)),
    };
    let (first, second, here) = (life(5, 1), life(6, 1), life(7, 1).owner);
    let of_first = by(first, &there);
    let at = position.plus(1);
    assert_eq!(checked(own.apply(at, now, &of_first)).compared, Compared::Differs);
    let mut begun = Registrations::restore(&there.checkpoint()).expect("a checkpoint");
    begun.pass_below(at.plus(1));
    there.pass_below(at.plus(1));
    let hear = |own: &Registrations, begun: &Registrations, record: &Record| {
        let (mut own, mut begun) = (own.clone(), begun.clone());
        let at = at.plus(1);
        let own = checked(own.apply(at, now, record));
        let begun = checked(begun.apply(at, now, record));
        (own.compared, own.is_outvoted(&begun, first.owner, here))
    };
    let differs = |outvoted| (Compared::Differs, outvoted);
    assert_eq!(hear(&own, &begun, &by(second, &there)), differs(true));
    assert_eq!(hear(&own, &begun, &by(first, &there)), differs(false), "the same writer");
    let mine = Life { owner: here, number: 3 };
    assert_eq!(hear(&own, &begun, &by(mine, &there)), differs(false), "one's own");
    assert_eq!(hear(&own, &begun, &by(second, &own)), (Compared::Same, false), "the other is it");
}

#[test]
fn a_checkpoint_of_what_is_to_come_is_none() {
    let desk = full();
    let (position, now) = (desk.position, desk.now);
    let good = desk.view.checkpoint().remove(0);
    let late = CheckpointPart { time: now.plus_millis(1), ..good.clone() };
    let ahead = CheckpointPart { as_of: Position(position + 1), ..good.clone() };
    let end = CheckpointPart { as_of: POSITION_END, ..good.clone() };
    let untimely = CheckpointPart::untimely();
    for part in [late.clone(), ahead.clone(), end.clone()] {
        let record = Record { writer: life(1, 1), said: Said::Checkpoint(part) };
        let outcome = desk.view.clone().apply(Position(position + 1), now, &record);
        let is_body = matches!(outcome, Outcome::PassedOver(RecordError::Body { kind: 6, .. }));
        assert!(is_body, "{outcome:?}");
    }
    let mut gathered = Gathered::default();
    let place = Position(position + 1);
    assert_eq!(gathered.add(place, now, life(1, 1), late), None);
    assert_eq!(gathered.add(place, now, life(1, 1), ahead), None);
    assert_eq!(gathered.add(place, now, life(1, 1), good.clone()), Some(vec![good.clone()]));
    assert!(matches!(Registrations::restore(&[end]), Err(CheckpointError::Wrong(_))));
    assert!(!untimely.stops());
    let many = CheckpointPart { records: good.as_of.0 + 1, ..good };
    assert!(matches!(Registrations::restore(&[many]), Err(CheckpointError::Wrong(_))));
}

#[test]
fn a_checkpoint_that_rests_on_a_later_version_is_not_begun_from() {
    let good = full().view.checkpoint().remove(0);
    for version in [0, 2, 255] {
        let part = CheckpointPart { version, ..good.clone() };
        assert_eq!(Registrations::restore(&[part]), Err(CheckpointError::Version(version)));
    }
}

#[test]
fn what_cannot_be_of_a_view_is_none() {
    let view = full().view;
    let good = view.checkpoint().remove(0);
    let with = |change: &dyn Fn(&mut Registrations)| {
        let mut view = view.clone();
        change(&mut view);
        Registrations::restore(&view.checkpoint()).expect_err("of no view")
    };
    let shared = RegistrationId(50);
    let registration = |view: &mut Registrations, change: &dyn Fn(&mut Registration)| {
        change(view.table.by_id.get_mut(&shared).expect("is there"));
    };
    let single = with(&|view| registration(view, &|there| there.invoke = Invoke::Single));
    assert_eq!(single, CheckpointError::Broken(Broken::NotSingle(shared, 2)));
    let dead = with(&|view| {
        view.lives.by_owner.remove(&life(2, 1).owner);
    });
    assert_eq!(dead, CheckpointError::Broken(Broken::NotAlive(shared, callee(2, 8))));
    let empty = with(&|view| registration(view, &|there| there.callees.by_place.clear()));
    assert_eq!(empty, CheckpointError::Broken(Broken::NoCallee(shared)));
    let late = with(&|view| {
        registration(view, &|there| {
            there.callees.by_place.insert(Position(99), callee(1, 5));
        });
    });
    assert!(matches!(late, CheckpointError::Broken(Broken::NotItsPosition(_))), "{late:?}");
    let wrong: [&dyn Fn(&mut Registrations); 12] = [
        &|view| view.position = Position(60),
        &|view| view.clock.time = WallTime(1),
        &|view| view.clock.records = 1,
        &|view| {
            view.clock.time = view.clock.time.plus_millis(KEPT_MS + 1);
            view.clock.records += KEPT_RECORDS;
            view.position = Position(1 << 20);
        },
        &|view| {
            let (number, name) = (0, "E9".parse().expect("a name"));
            let life = Life { number, ..life(9, 1) };
            let facts = Facts { name, link_address: None, reads: Reads::HERE };
            view.lives.live(Living { life, facts, told_at: Position(1) });
        },
        &|view| {
            let over = Moment { at: Position(70), time: WallTime(7_000), records: 7 };
            view.lives.end(life(9, 0), over);
        },
        &|view| {
            let uri = ".".repeat(crate::record::COMPONENTS_MAX);
            registration(view, &|there| {
                there.pattern = TopicPattern::new("r", &uri, Match::Wildcard);
            });
        },
        &|view| {
            let over = Moment { at: Position(70), time: WallTime(7_000), records: 7 };
            let end = End { registration: RegistrationId(1), holder: life(9, 0), over };
            view.ends.keep(exact("z"), end);
        },
        &|view| {
            registration(view, &|there| {
                there.callees.by_place.insert(Position(55), callee(1, 9));
            });
        },
        &|view| {
            registration(view, &|there| {
                there.callees.by_place.insert(Position(55), callee(1, SESSION_MAX + 1));
            });
        },
        &|view| registration(view, &|there| there.pattern = exact(&"a".repeat(70_000))),
        &|view| {
            registration(view, &|there| there.pattern = TopicPattern::new("r", "a", Match::Dotted));
        },
    ];
    for (number, change) in wrong.into_iter().enumerate() {
        let error = with(change);
        assert!(matches!(error, CheckpointError::Wrong(_)), "{number}: {error:?}");
    }
    let with_state = |state: Vec<u8>| {
        Registrations::restore(&[CheckpointPart { state: state.into(), ..good.clone() }])
    };
    assert!(with_state(vec![]).is_ok_and(|view| view.size() == 1), "it has no item");
    assert_eq!(with_state(vec![99]), Err(CheckpointError::Malformed(0)));
    let twice = [&good.state[..], &good.state].concat();
    assert!(with_state(twice).is_err());
}

/// Gives parts of a writer where they stand, forward or backward; what was whole.
fn gather(
    gathered: &mut Gathered,
    placed: impl IntoIterator<Item = (u64, u128, CheckpointPart)>,
) -> Vec<(u128, Vec<CheckpointPart>)> {
    let whole = placed.into_iter().filter_map(|(position, owner, part)| {
        let whole = gathered.add(Position(position), WallTime(u64::MAX), life(owner, 1), part)?;
        Some((owner, whole))
    });
    whole.collect()
}

fn placed(
    first: u64,
    owner: u128,
    parts: &[CheckpointPart],
) -> impl DoubleEndedIterator<Item = (u64, u128, CheckpointPart)> {
    let places = (0..parts.len()).map(move |at| first + u64::try_from(at).expect("a number"));
    places
        .zip(parts)
        .map(move |(at, part)| (at, owner, part.clone()))
        .collect::<Vec<_>>()
        .into_iter()
}

#[test]
fn parts_are_gathered_forward_and_backward_until_one_is_whole() {
    let newest = full().view.checkpoint_in(60);
    let mut older = newest.clone();
    older.iter_mut().for_each(|part| part.as_of = Position(70));
    assert!(newest.len() > 2);
    let mut gathered = Gathered::default();
    let whole = |parts: &[CheckpointPart]| vec![(1, parts.to_vec())];
    assert_eq!(gather(&mut gathered, placed(100, 1, &newest)), whole(&newest));
    assert_eq!(gather(&mut gathered, placed(100, 1, &newest).rev()), whole(&newest), "again");
    // The newest was cut off: its writer died.
    let cut = placed(200, 1, &newest[..newest.len() - 1]).rev();
    assert_eq!(gather(&mut gathered, cut.chain(placed(100, 1, &older).rev())), whole(&older));
    // Its first part is not there.
    let cut = placed(200, 1, &newest[1..]).rev();
    assert_eq!(gather(&mut gathered, cut.chain(placed(100, 1, &older).rev())), whole(&older));
    // Parts that do not follow each other, in number or place.
    let mut gap: Vec<_> = placed(200, 1, &newest).collect();
    gap.remove(1);
    assert_eq!(gather(&mut gathered, gap), []);
    let mut turned: Vec<_> = placed(200, 1, &newest).collect();
    turned[1].0 = 150;
    assert_eq!(gather(&mut gathered, turned), []);
    let last = newest.last().map_or(0, |last| 256 + last.state.len());
    assert_eq!(
        (gathered.open.len(), gathered.bytes),
        (1, last),
        "where reading backward may begin"
    );
}

/// With a bound on their number, none of nine that were written at once was ever whole.
#[test]
fn checkpoints_of_many_entries_at_once_are_all_whole() {
    let parts = full().view.checkpoint_in(60);
    let at_once = |owner: u128| placed(100, owner, &parts).collect::<Vec<_>>();
    let all: Vec<_> = (1..40).map(at_once).collect();
    let turns = (0..parts.len()).flat_map(|turn| {
        all.iter().enumerate().map(move |(nth, one)| {
            let (_, owner, part) = one[turn].clone();
            (100 + 40 * turn as u64 + nth as u64, owner, part)
        })
    });
    let turns: Vec<_> = turns.collect();
    assert_eq!(gather(&mut Gathered::default(), turns.clone()).len(), 39);
    assert_eq!(gather(&mut Gathered::default(), turns.into_iter().rev()).len(), 39);
}

#[test]
fn what_is_never_whole_takes_no_more_than_its_bound() {
    let parts = full().view.checkpoint_in(60);
    let begun = |owner| (100, owner, parts[0].clone());
    let one = 256 + parts[0].state.len();
    let mut gathered = Gathered::with_bytes_max(10 * one);
    assert_eq!(gather(&mut gathered, (1..100).map(begun)), []);
    assert_eq!((gathered.open.len(), gathered.bytes), (10, 10 * one));
    // One entry has one: another begins anew.
    let mut gathered = Gathered::default();
    let again = (0..100).map(|at| (200 + at, 1, parts[0].clone()));
    assert_eq!(gather(&mut gathered, again), []);
    assert_eq!((gathered.open.len(), gathered.bytes), (1, one));
    // Larger than all may be: as if it were not there.
    let mut gathered = Gathered::with_bytes_max(one);
    assert_eq!(gather(&mut gathered, placed(100, 1, &parts)), []);
    assert!(gathered.bytes <= one);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(800))]

    /// From the first record, or from any checkpoint at any place, in parts of any size: one view.
    #[test]
    fn any_beginning_gives_the_same_view(
        log in any_log(30_000),
        begin in any::<prop::sample::Index>(),
        passes in 0_u64..3,
        bytes_max in 1_usize..400,
    ) {
        let begin = begin.index(log.len() + 1);
        let (mut view, mut position, mut now) = (Registrations::new(), 0, WallTime(0));
        let mut begun: Option<Registrations> = None;
        for (number, (gap, step, record)) in log.iter().enumerate() {
            if number == begin {
                view.pass_below(Position(position + passes.min(*gap) + 1));
                let parts = stored(&view.checkpoint_in(bytes_max));
                begun = Some(Registrations::restore(&parts).expect("a checkpoint"));
                prop_assert_eq!(begun.as_ref(), Some(&view));
            }
            position += 1 + gap;
            now = now.plus_millis(*step);
            let outcome = view.apply(Position(position), now, record);
            if let Some(begun) = &mut begun {
                prop_assert_eq!(begun.apply(Position(position), now, record), outcome);
                begun.check();
                prop_assert_eq!(&*begun, &view);
                prop_assert_eq!(begun.checkpoint(), view.checkpoint());
                prop_assert_eq!(begun.list("r"), view.list("r"));
                let own = view.checkpoint().remove(0);
                prop_assert_eq!(begun.chain_at(own.as_of), Some(own.chain));
            }
        }
    }

    #[test]
    fn hostile_state_is_an_error_or_the_one_form_of_a_view(
        log in any_log(30_000),
        bends in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
        cut in any::<prop::sample::Index>(),
        is_cut: bool,
        more in any_log(30_000),
    ) {
        let (mut view, mut position) = (Registrations::new(), 0);
        for (gap, _, record) in &log {
            position += 1 + gap;
            view.apply(Position(position), WallTime(position), record);
        }
        let mut part = view.checkpoint().remove(0);
        let mut state = part.state.to_vec();
        if state.is_empty() {
            state.push(0);
        }
        for (at, byte) in bends {
            let at = at.index(state.len());
            state[at] = byte;
        }
        if is_cut {
            state.truncate(cut.index(state.len()));
        }
        part.state = state.clone().into();
        if let Ok(mut bent) = Registrations::restore(&[part]) {
            prop_assert_eq!(state_of(&bent.checkpoint_in(50)), state);
            for (gap, _, record) in &more {
                position += 1 + gap;
                bent.apply(Position(position), WallTime(position), record);
                bent.check();
            }
        }
    }
}
