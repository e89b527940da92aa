//! What open calls wait for.

use super::*;

/// Caller 1 and callee 7 at this entry, callee 8 at the other.
fn bench() -> Bench {
    let mut bench = Bench::new(roomy());
    bench.open(1);
    bench.open(7);
    bench.link(2);
    bench.registry.add("own", 10, Policy::Single, vec![callee(1, 7)]);
    bench.registry.add("away", 20, Policy::Single, vec![callee(2, 8)]);
    bench.serve(7, 10, 0);
    bench
}

/// The request of each open call, and what it waits for.
fn pending(bench: &Bench) -> Vec<(u64, Awaited)> {
    let pending = bench.dealer.pending(bench.now, &bench.registry, 100);
    pending.map(|call| (call.request.0, call.waits_for)).collect()
}

fn with(entry: u8, session: u64, is_canceled: bool) -> Awaited {
    let Callee { owner: entry, session } = callee(entry, session);
    Awaited::Callee { entry, session, is_canceled }
}

#[test]
fn a_call_waits_for_its_callee_wherever_that_is_until_it_is_answered() {
    let mut bench = bench();
    bench.call(1, 1, "own");
    bench.call(1, 2, "away");
    assert_eq!(pending(&bench), [(1, with(1, 7, false)), (2, with(2, 8, false))]);
    bench.result(7, 1, "[]");
    bench.cancel(1, 2, CancelMode::Kill);
    assert_eq!(pending(&bench), [(2, with(2, 8, true))]);
    bench.close(1);
    assert_eq!(pending(&bench), []);
}

#[test]
fn what_nobody_is_known_for_waits_for_the_view_and_the_router_for_itself() {
    let mut bench = bench();
    bench.registry.may_be_behind = true;
    bench.call(1, 1, "late");
    bench.call(1, 2, "wamp.session.count");
    assert_eq!(pending(&bench), [(1, Awaited::View), (2, Awaited::Router)]);
    let one: Vec<_> = bench.dealer.pending(bench.now, &bench.registry, 1).collect();
    let [PendingCall { request: RequestId(1), .. }] = &one[..] else { panic!("{one:?}") };
}

#[test]
fn who_holds_a_procedure_alone_is_waited_for_until_a_lease_and_the_hand_over() {
    let mut bench = bench();
    let session = SessionId(7);
    bench.registry.hold = Some(Hold::HandOver);
    bench.call(1, 1, "own");
    assert_eq!(pending(&bench), [(1, Awaited::HandOver { session })]);
    bench.registry.hold = Some(Hold::Lease);
    assert_eq!(pending(&bench), [(1, Awaited::Lease { session })]);
    bench.registry.hold = None;
    assert_eq!(pending(&bench), [(1, Awaited::Place { at: Position(10), session })]);
    bench.effects(Input::Applied);
    assert_eq!(pending(&bench), [(1, with(1, 7, false))]);
}

#[test]
fn a_call_is_told_with_its_age_and_the_time_that_is_left() {
    let mut bench = bench();
    let timeout_ms = NonZeroU64::new(500);
    bench.step(word(1, CallWord::Call(Call { timeout_ms, ..call(1, "away") })));
    bench.now += Duration::from_millis(200);
    let told: Vec<_> = bench.dealer.pending(bench.now, &bench.registry, 100).collect();
    let [told] = &told[..] else { panic!("{told:?}") };
    assert_eq!(told.age, Duration::from_millis(200));
    assert_eq!(told.time_left, Some(Duration::from_millis(300)));
    assert_eq!((told.caller, &*told.procedure.uri, told.tried), (SessionId(1), "away", 0));
}
