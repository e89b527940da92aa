//! Lives: who may speak, who is gone, and whose end others have to know of.

use super::*;
use crate::record::{RecordError, VERSION};

const NOT_ALIVE: Applied =
    Applied { verdict: Verdict::Ignored(Ignored::NotAlive), changes: Vec::new() };

#[test]
fn a_life_that_has_not_begun_says_nothing() {
    let mut desk = Desk::new();
    assert_eq!(desk.register(3, 7, "a", Invoke::Single), NOT_ALIVE);
    assert_eq!(desk.over(3, 7), NOT_ALIVE);
    assert_eq!(desk.gone(3, life(1, 1), GoneWhy::NotHeard), NOT_ALIVE);
    assert_eq!(desk.unregister(3, 7, 30, UnregisterWhy::Removed(life(1, 1))), NOT_ALIVE);
    assert!(desk.view.is_alive(life(1, 1)) && desk.view.is_empty());
}

#[test]
fn who_is_gone_leaves_everything_in_the_order_of_its_places() {
    let mut desk = Desk::new();
    desk.register(2, 8, "b", Invoke::First);
    desk.register(1, 7, "a", Invoke::First);
    desk.register(1, 9, "b", Invoke::First);
    desk.register(1, 5, "a", Invoke::First);
    let served = desk.view.served_by_life(life(1, 1));
    let place = |at, id| (Position(at), RegistrationId(id));
    assert_eq!(served, [place(40, 40), place(50, 30), place(60, 40)]);
    let applied = desk.gone(2, life(1, 1), GoneWhy::NotHeard);
    let why = LeftWhy::Gone(GoneWhy::NotHeard);
    let changes = [
        left(40, "a", callee(1, 7), why),
        left(30, "b", callee(1, 9), why),
        left(40, "a", callee(1, 5), why),
        deleted(40, "a"),
        Change::Over(life(1, 1)),
    ];
    assert_eq!(applied.changes, changes);
    assert_eq!(desk.view.lives().map(|living| living.life).collect::<Vec<_>>(), [life(2, 1)]);
    assert_eq!(desk.view.served_by_life(life(1, 1)), []);
}

#[test]
fn what_a_gone_life_says_is_ignored_and_the_next_may_begin() {
    let mut desk = Desk::new();
    desk.gone(2, life(1, 1), GoneWhy::NotHeard);
    assert_eq!(desk.register(1, 7, "a", Invoke::Single), NOT_ALIVE);
    assert_eq!(desk.live(life(1, 1)), NOT_ALIVE);
    assert_eq!(desk.gone(1, life(2, 1), GoneWhy::NotHeard), NOT_ALIVE, "one of two stays");
    assert_eq!(desk.live(life(1, 2)).changes, [Change::Alive(life(1, 2))]);
    let applied = desk.register_of(life(1, 2), 7, exact("a"), Invoke::Single, false);
    assert_eq!(applied.verdict, Verdict::Registered(RegistrationId(desk.position)));
    let over = Applied { verdict: Verdict::Ignored(Ignored::OverBefore), changes: vec![] };
    assert_eq!(desk.gone(2, life(1, 1), GoneWhy::NotHeard), over, "of the life before");
    assert_eq!(desk.view.callees(), 1);
}

#[test]
fn a_new_life_ends_the_one_before() {
    let mut desk = Desk::new();
    desk.register(1, 7, "a", Invoke::Single);
    let applied = desk.live(life(1, 3));
    let changes = [
        left(30, "a", callee(1, 7), LeftWhy::NewLife),
        deleted(30, "a"),
        Change::Over(life(1, 1)),
        Change::Alive(life(1, 3)),
    ];
    assert_eq!(applied.changes, changes);
    assert_eq!(desk.live(life(1, 2)), NOT_ALIVE);
    assert_eq!(desk.view.ends_of(&exact("a")).count(), 0, "its entry knows");
}

#[test]
fn facts_are_told_anew() {
    let mut desk = Desk::new();
    desk.register(1, 7, "a", Invoke::Single);
    let facts = Facts {
        name: "E1".parse().expect("a name"),
        link_address: Some("here:1".into()),
        reads: Reads { oldest: 1, newest: 2 },
    };
    let applied = desk.say(life(1, 1), Said::Life(facts.clone()));
    assert_eq!(applied.changes, [Change::Alive(life(1, 1))]);
    let living = desk.view.living(life(1, 1).owner).expect("alive");
    assert_eq!((living.told_at, &living.facts), (Position(40), &facts));
    assert_eq!(desk.view.callees(), 1);
    assert!(desk.view.all_read(1) && !desk.view.all_read(2), "entry 2 does not read it");
    desk.gone(1, life(2, 1), GoneWhy::Stops);
    assert!(desk.view.all_read(2));
    desk.gone(1, life(1, 1), GoneWhy::Stops);
    assert!(!desk.view.all_read(2) && !desk.view.all_read(1), "nobody reads anything");
}

#[test]
fn gone_of_a_later_life_keeps_it_from_beginning() {
    let mut desk = Desk::new();
    assert_eq!(desk.gone(2, life(3, 2), GoneWhy::NotHeard).verdict, Verdict::Done);
    assert_eq!(desk.live(life(3, 2)), NOT_ALIVE);
    assert_eq!(desk.live(life(3, 3)).verdict, Verdict::Done);
}

#[test]
fn the_end_of_a_holder_by_another_is_kept_and_its_own_is_not() {
    let ends = |desk: &Desk| desk.view.ends_of(&exact("a")).copied().collect::<Vec<_>>();
    let end = |registration, at: u64| End {
        registration: RegistrationId(registration),
        holder: life(1, 1),
        over: Moment { at: Position(at), time: WallTime(at * 100), records: at / 10 },
    };
    let mut desk = Desk::new();
    desk.register(1, 7, "a", Invoke::Single);
    desk.force(1, 8, "a", Invoke::Single);
    assert_eq!(ends(&desk), [], "by force of the same entry");
    desk.over(1, 8);
    assert_eq!(ends(&desk), []);
    desk.register(1, 7, "a", Invoke::First);
    desk.force(2, 8, "a", Invoke::Single);
    assert_eq!(ends(&desk), [], "a shared one");
    desk.force(1, 7, "a", Invoke::Single);
    desk.force(2, 8, "a", Invoke::Single);
    let of_two = End { registration: RegistrationId(70), holder: life(2, 1), ..end(70, 80) };
    assert_eq!(ends(&desk), [end(80, 90), of_two]);
    desk.over(2, 8);
    desk.register(1, 9, "a", Invoke::Single);
    assert_eq!(ends(&desk), [end(80, 90), of_two], "whoever came and went between");
    desk.gone(2, life(1, 1), GoneWhy::NotHeard);
    assert_eq!(ends(&desk), [end(110, 120), of_two], "the latest of an entry");
    let mut desk = Desk::new();
    desk.register(1, 7, "a", Invoke::Single);
    desk.gone(1, life(1, 1), GoneWhy::Stops);
    assert_eq!(ends(&desk), [], "who says itself that it stops");
    let mut desk = Desk::new();
    desk.register(1, 7, "a", Invoke::Single);
    desk.unregister(2, 7, 30, UnregisterWhy::Removed(life(1, 1)));
    assert_eq!(ends(&desk), [end(30, 40)], "a meta procedure at another entry");
    assert!(!end(30, 40).is_known_below(Position(40)) && end(30, 40).is_known_below(Position(41)));
}

/// Records that change nothing.
fn pass(desk: &mut Desk, records: u64, now: WallTime) {
    let said = Said::SessionOver(SessionOver { realm: REALM.into(), session: 1 });
    let record = Record { writer: life(2, 1), said };
    for _ in 0..records {
        desk.position += 10;
        desk.view.apply(Position(desk.position), now, &record);
    }
    desk.now = now;
    desk.view.check();
}

/// A view with one end and one life that is over, at 40.
fn with_an_end() -> Desk {
    let mut desk = Desk::new();
    desk.register(1, 7, "a", Invoke::Single);
    desk.gone(2, life(1, 1), GoneWhy::NotHeard);
    desk
}

fn ends_of_a(desk: &Desk) -> usize {
    desk.view.ends_of(&exact("a")).count()
}

#[test]
fn what_is_over_is_forgotten_after_a_minute_of_the_order_and_many_records() {
    let mut desk = with_an_end();
    let over = desk.now;
    pass(&mut desk, KEPT_RECORDS, over.plus_millis(KEPT_MS));
    assert_eq!(ends_of_a(&desk), 1, "a minute ago");
    assert_eq!(desk.live(life(1, 1)).verdict, Verdict::Done, "nobody remembers it");
    let mut desk = with_an_end();
    pass(&mut desk, KEPT_RECORDS - 1, over.plus_millis(KEPT_MS + 1));
    assert_eq!(ends_of_a(&desk), 1, "some records ago");
    pass(&mut desk, 1, over.plus_millis(KEPT_MS + 1));
    assert_eq!(ends_of_a(&desk), 0);
    assert_eq!(desk.view.size(), 1 + 1, "one life");
}

/// By the time alone whose clock was ahead by a minute made all forget who may still invoke.
#[test]
fn a_leap_of_the_clocks_forgets_nothing_and_one_that_stands_still_keeps_not_everything() {
    let mut desk = with_an_end();
    let leap = desk.now.plus_millis(1 << 40);
    pass(&mut desk, 100, leap);
    assert_eq!(ends_of_a(&desk), 1);
    assert_eq!(desk.live(life(1, 1)), NOT_ALIVE);
    let (mut desk, facts) = (Desk::new(), facts_of(3));
    let now = desk.now;
    let owners = 1_000..1_001 + u128::try_from(KEPT_MAX).expect("a number");
    for owner in owners.clone() {
        desk.position += 10;
        let said = Said::Gone(Gone { life: life(owner, 1), why: GoneWhy::NotHeard });
        let record = Record { writer: life(1, 1), said };
        desk.view.apply(Position(desk.position), now, &record);
    }
    assert_eq!(desk.view.size(), 1 + 2 + KEPT_MAX + 1, "with those of the last record");
    let writer = life(owners.start, 1);
    assert_eq!(desk.say(writer, Said::Life(facts)).verdict, Verdict::Done, "the oldest");
    assert_eq!(desk.live(life(owners.start + 1, 1)), NOT_ALIVE, "the next");
    let again = Registrations::restore(&desk.view.checkpoint());
    assert_eq!(again, Ok(desk.view));
}

/// All that was over was looked at with each record, once the first was a minute old.
#[test]
fn very_many_ends_are_forgotten_one_by_one_in_their_order() {
    const ENDS: u64 = 20_000;
    let mut desk = Desk::new();
    for number in 0..ENDS {
        let (session, pattern) = (7, exact(&format!("p{number}")));
        let (invoke, is_forced) = (Invoke::Single, true);
        let register =
            Register { number, session, pattern, invoke, is_forced, keeps_timeouts: false };
        for owner in [1, 2] {
            desk.position += 10;
            let said = Said::Register(register.clone());
            let record = Record { writer: life(owner, 1), said };
            desk.view.apply(Position(desk.position), desk.now, &record);
        }
    }
    let ends = |desk: &Desk| {
        let all = 0..ENDS;
        let has = |number: &u64| desk.view.ends_of(&exact(&format!("p{number}"))).count() > 0;
        (all.clone().find(has), all.filter(has).count() as u64)
    };
    assert_eq!(ends(&desk), (Some(0), ENDS));
    let late = desk.now.plus_millis(KEPT_MS + 1);
    let before = desk.view.records();
    for records in [1, 1, 1, 2_000, 1] {
        pass(&mut desk, records, late);
        let forgotten = (desk.view.records() - KEPT_RECORDS - 2) / 2;
        assert_eq!(ends(&desk), (Some(forgotten), ENDS - forgotten));
    }
    let rest = before + KEPT_RECORDS - desk.view.records();
    pass(&mut desk, rest, late);
    assert_eq!(ends(&desk), (None, 0));
}

fn facts_of(owner: u128) -> Facts {
    let name = format!("E{owner}").parse().expect("a name");
    Facts { name, link_address: None, reads: Reads::HERE }
}

#[test]
fn the_time_of_the_order_does_not_fall() {
    let mut desk = Desk::new();
    desk.now = WallTime(9_000);
    desk.register(1, 7, "a", Invoke::Single);
    desk.now = WallTime(0);
    desk.register(1, 7, "b", Invoke::Single);
    assert_eq!(desk.view.find(&exact("b")).map(|there| there.created), Some(WallTime(10_000)));
    assert_eq!(desk.view.time(), WallTime(10_000));
}

#[test]
fn what_is_repeated_or_passed_over_changes_nothing_and_what_has_to_be_known_stops_the_view() {
    let mut desk = Desk::new();
    let said = Said::SessionOver(SessionOver { realm: REALM.into(), session: 7 });
    let record = Record { writer: life(1, 1), said };
    let (at, before) = (desk.now, desk.view.clone());
    let view = &mut desk.view;
    assert_eq!(view.apply(Position(20), at, &record), Outcome::Repeated);
    assert_eq!(*view, before);
    let unknown = RecordError::Kind(127);
    let bytes = [&[VERSION, 127][..], &[0; 20]].concat();
    assert_eq!(view.apply_message(Position(21), at, "lives", &bytes), Outcome::PassedOver(unknown));
    assert_eq!((view.chain(), view.position()), (before.chain(), Position(21)));
    let unwritable = Said::SessionOver(SessionOver { realm: REALM.into(), session: 0 });
    let unwritable = Record { writer: life(1, 1), said: unwritable };
    let outcome = view.apply(Position(22), at, &unwritable);
    assert!(matches!(outcome, Outcome::PassedOver(RecordError::Body { .. })), "{outcome:?}");
    assert_eq!(view.chain(), before.chain());
    let (topic, bytes) = (record.topic(), record.to_bytes());
    let outcome = view.apply_message(Position(23), at, &topic.uri, &bytes);
    assert!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
    assert_ne!(view.chain(), before.chain(), "also of what changes nothing");
    let later = RecordError::Kind(128);
    let bytes = [&[VERSION, 128][..], &[0; 20]].concat();
    assert_eq!(view.apply_message(Position(24), at, "lives", &bytes), Outcome::Stopped(later));
    let stopped = view.clone();
    assert_eq!(view.apply(Position(25), at, &record), Outcome::Stopped(later));
    view.pass_below(Position(30));
    assert_eq!(*view, stopped);
    assert_eq!((view.position(), view.stopped()), (Position(23), Some(later)));
    assert_eq!(view.applied_below(), Position(24));
}

#[test]
fn the_chain_is_known_at_the_last_places_where_it_changed() {
    let mut desk = Desk::new();
    let at_start = desk.view.chain_at(Position(0));
    assert_eq!(at_start, Some(vixen_core::id::Digest::default()));
    let second = desk.view.chain();
    desk.view.pass_below(Position(26));
    assert_eq!(desk.view.chain_at(Position(25)), Some(second));
    assert_eq!(desk.view.chain_at(Position(20)), Some(second));
    assert_ne!(desk.view.chain_at(Position(19)), Some(second));
    assert_eq!(desk.view.chain_at(Position(26)), None, "is to come");
    for _ in 0..chain::KEPT {
        desk.over(1, 7);
    }
    assert_eq!(desk.view.chain_at(Position(29)), None, "long ago");
    assert!(desk.view.chain_at(Position(30)).is_some());
}
