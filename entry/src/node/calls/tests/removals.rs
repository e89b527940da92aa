//! Callees that are taken out by the router's own procedure, as far as callers wait for it.

use vixen_broker::api::calls::CancelMode;

use super::*;

/// Another entry has a callee of `a`, and it has a caller here. The removal is written and has no place.
fn removing() -> Bench {
    let mut bench = Bench::empty("E1", |_| {});
    bench.open(CALLER);
    let facts =
        Facts { name: "E2".parse().expect("a name"), link_address: None, reads: Reads::HERE };
    let born = Record { writer: life(8), said: Said::Life(facts) };
    let records = [born, registers(8, "a")]
        .map(|record| bench.message(record.topic().uri, record.to_bytes().into()));
    bench.place(records.into());
    let id = bench.node.calls.view().iter().next().expect("registered").id;
    let CallWord::Call(call) = call(1, 0) else { panic!("a call") };
    let procedure = "wamp.registration.remove_callee".into();
    let payload = Payload::new(Encoding::Json, format!("[{},1]", id.0));
    say(&mut bench, CallWord::Call(Call { procedure, payload, ..call }));
    assert!(bench.node.removals.is_waiting());
    assert_eq!(bench.node.calls.follow.unsent(), 1);
    bench
}

/// In a turn after which nothing gets a place.
fn say(bench: &mut Bench, word: CallWord) {
    let words = vec![word];
    let event = SessionEvent::Calls { session: CALLER, words };
    assert!(!bench.node.turn(&mut vec![event.into()]));
}

/// It was looked for in each turn until its time was over.
#[tokio::test]
async fn a_removal_ends_with_its_call() {
    let mut bench = removing();
    say(&mut bench, CallWord::Cancel { request: RequestId(1), mode: CancelMode::Skip });
    assert!(!bench.node.removals.is_waiting());
    let mut bench = removing();
    let closed = SessionEvent::Closed { session: CALLER };
    assert!(!bench.node.turn(&mut vec![closed.into()]));
    assert!(!bench.node.removals.is_waiting());
}

/// At an entry without callees it took up to a second.
#[tokio::test]
async fn a_removal_waits_for_the_order_and_no_longer_than_it_takes() {
    let mut bench = removing();
    assert!(!bench.node.calls.is_awaited(), "nobody here is callee");
    assert!(bench.node.calls_are_awaited());
    bench.place(Vec::new());
    assert!(!bench.node.turn(&mut Vec::new()));
    assert!(!bench.node.calls_are_awaited());
    let told = bench.hear(CALLER).await;
    assert!(matches!(told[..], [CallTold::Result { .. }]), "{told:?}");
}
