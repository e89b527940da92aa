//! Checkpoints: the same view, wherever one begins; and what is none.

use proptest::prelude::*;

use super::random::any_log;
use super::*;
use crate::record::{CheckpointPart, SESSION_MAX, STATE_BYTES_MAX};

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
    "00c03e011000000000000000000000000000000001010245310001010a011000000000000000000000000000",
    "000002010245320001011402100000000000000000000000000000000302c03e033201720161000188270432",
    "10000000000000000000000000000000020108043c1000000000000000000000000000000001010903460173",
    "02622e0100d83604461000000000000000000000000000000001010705017201610028100000000000000000",
    "000000000000000101328827",
);

/// What is stored is read for as long as its version is; the chain is what entries compare.
#[test]
fn a_checkpoint_has_these_bytes_and_this_chain() {
    let view = full().view;
    let [part] = &view.checkpoint()[..] else { panic!("one part") };
    let hex: String = part.state.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, GOLDEN);
    assert_eq!((part.as_of, part.part, part.parts), (Position(80), 0, 1));
    assert_eq!(part.chain.to_string(), "afa4aa610fc929125b53119c0af65312");
    assert_eq!(Registrations::restore(&stored(std::slice::from_ref(part))), Ok(view.clone()));
    assert_eq!(view.size(), 1 + 3 + 2 + 3 + 1);
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
    };
    let record = Record { writer: life(1, 1), said: Said::Register(register) };
    good.apply(position, now, &record);
    bad.pass(position);
    assert_eq!(good, desk.view);
    let next = desk.view.checkpoint().remove(0);
    let next = Record { writer: life(1, 1), said: Said::Checkpoint(next) };
    let is = |view: &mut Registrations| view.apply(position.plus(1), now, &next);
    assert_eq!(is(&mut good), Outcome::Checkpoint(Compared::Same));
    assert_eq!(is(&mut bad), Outcome::Checkpoint(Compared::Differs));
    let mut late = Registrations::new();
    assert_eq!(late.apply(Position(1), now, &next), Outcome::Checkpoint(Compared::Unknown));
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
    let late = with(&|view| view.position = Position(60));
    assert!(matches!(late, CheckpointError::Broken(Broken::NotItsPosition(_))), "{late:?}");
    let wrong: [&dyn Fn(&mut Registrations); 6] = [
        &|view| view.time = WallTime(1),
        &|view| view.time = view.time.plus_millis(KEPT_MS + 1),
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
    assert_eq!(with_state(vec![]), Err(CheckpointError::Wrong("it has no time")));
    assert_eq!(with_state(vec![99]), Err(CheckpointError::Malformed(0)));
    let twice = [&good.state[..], &good.state].concat();
    assert!(with_state(twice).is_err());
}

#[test]
fn parts_are_gathered_backward_until_one_is_whole() {
    let (desk, mut gathered) = (full(), Gathered::default());
    let newest = desk.view.checkpoint_in(60);
    let mut older = newest.clone();
    older.iter_mut().for_each(|part| part.as_of = Position(70));
    assert!(newest.len() > 2);
    // The newest was cut off: its writer died. Another wrote it at the same time.
    for part in newest.iter().rev().skip(1).chain(older[1..].iter().rev()) {
        assert_eq!(gathered.add(life(1, 1), part.clone()), None);
        if part.part > 0 && part.as_of == Position(80) {
            assert_eq!(gathered.add(life(2, 1), part.clone()), None, "of another writer");
        }
    }
    assert_eq!(gathered.add(life(1, 1), older[0].clone()), Some(older));
    // Many that are never whole leave no more than some.
    for as_of in 100..200 {
        let part = CheckpointPart { as_of: Position(as_of), ..newest[0].clone() };
        assert_eq!(gathered.add(life(1, 1), part), None);
    }
    for part in newest[1..].iter().rev() {
        assert_eq!(gathered.add(life(1, 1), part.clone()), None, "its first part again");
    }
    assert_eq!(gathered.add(life(1, 1), newest[0].clone()), Some(newest));
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
                view.pass(Position(position + passes.min(*gap)));
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
