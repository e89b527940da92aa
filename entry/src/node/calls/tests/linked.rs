//! Turns of two entries with a link in memory, whose views a test gives the same records.

mod hearing;
mod meta;

use std::num::NonZeroU32;

use futures_util::FutureExt as _;
use serde_json::json;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use vixen_broker::api::calls::{CancelMode, InvocationId, Party, RegistrationId};
use vixen_core::id::Position;
use vixen_core::segment::TopicPattern;
use vixen_core::wire::PeerId;
use vixen_runtime::link::{End, LinkEvent, LinkSender, join};
use vixen_views::record::{self, Facts, Life, Reads, Record, Said};

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);

/// One of both, with what its link brings.
struct Side {
    bench: Bench,
    link_events: mpsc::Receiver<EntryEvent>,
    sender: Option<LinkSender>,
}

/// The caller is at E1, the callee at E2, and its registration in both views.
struct Pair {
    origin: Side,
    serving: Side,
    registration: Position,
    link: JoinHandle<()>,
}

impl Side {
    fn turn(&mut self, event: EntryEvent) {
        if let EntryEvent::Link(LinkEvent::Up { sender, .. }) = &event {
            self.sender = Some(sender.clone());
        }
        self.bench.turn(vec![event]);
    }

    /// The dealer of the entry has nothing of any call.
    fn assert_idle(&self) {
        let dealer = &self.bench.node.calls.dealer;
        assert_eq!((dealer.open_calls(), dealer.open_invocations()), (0, 0));
        dealer.check();
    }

    fn told(&mut self, session: SessionId) -> Option<CallTold> {
        let receiver = self.bench.receivers.get_mut(&session).expect("open");
        let (mut events, mut calls) = (VecDeque::new(), Vec::new());
        let taken = receiver.receive(true, &mut events, &mut calls).now_or_never();
        taken.filter(|has_some| *has_some)?;
        let mut told = calls.into_iter().flat_map(|of| match of {
            OfCalls::Told(told) => told,
            other => panic!("{other:?}"),
        });
        let first = told.next();
        assert!(told.next().is_none(), "tests say one thing at a time");
        self.bench.wrote(session, first.as_slice());
        first
    }
}

impl Pair {
    async fn new(change: impl Fn(&mut Config), options: Register) -> Self {
        let side = |name, session| {
            let mut bench = Bench::empty(name, &change);
            bench.open(session);
            let (inbox, link_events) = mpsc::channel(64);
            (Side { bench, link_events, sender: None }, inbox)
        };
        let ((mut origin, to_origin), (mut serving, to_serving)) =
            (side("E1", CALLER), side("E2", CALLEE));
        let end = |side: &Side, inbox| {
            let node = &side.bench.node;
            End { peer: PeerId::Entry { owner: node.owner() }, name: node.name().clone(), inbox }
        };
        let ends = (end(&origin, to_origin), end(&serving, to_serving));
        let link = tokio::spawn(join(ends.0, ends.1, 64 << 20));
        let life = |side: &Side| Life { owner: side.bench.node.owner(), number: 1 };
        let alive = |side: &Side| {
            let name = side.bench.node.name().clone();
            let facts = Facts { name, link_address: None, reads: Reads::HERE };
            Record { writer: life(side), said: Said::Life(facts) }
        };
        let (of_origin, of_serving) = (alive(&origin), alive(&serving));
        let writer = of_serving.writer;
        read(&mut origin, &of_serving);
        read(&mut serving, &of_origin);
        // A holder of `single` would wait for what sync nodes say.
        let options = Register { invoke: Invoke::First, ..options };
        let pattern = TopicPattern::new("realm1", &options.procedure, options.matching);
        serving.bench.say(CALLEE, CallWord::Register(options));
        let registered = serving.told(CALLEE);
        let Some(CallTold::Registered { registration: RegistrationId(id), .. }) = registered else {
            panic!("{registered:?}");
        };
        let (number, session) = (1, CALLEE.0);
        let (invoke, is_forced, keeps_timeouts) = (record::Invoke::First, false, false);
        let register =
            record::Register { number, session, pattern, invoke, is_forced, keeps_timeouts };
        read(&mut origin, &Record { writer, said: Said::Register(register) });
        let registration = Position(id);
        assert_eq!(origin.bench.position, registration, "it has the same place in both");
        let mut pair = Self { origin, serving, registration, link };
        pair.until(|pair| is_ready(&pair.origin) && is_ready(&pair.serving)).await;
        pair
    }

    /// Brings what links have for both, until it is so.
    async fn until(&mut self, is_so: impl Fn(&Self) -> bool) {
        while !is_so(self) {
            self.next().await;
        }
    }

    async fn next(&mut self) {
        let next = async {
            tokio::select! {
                event = self.origin.link_events.recv() => self.origin.turn(event.expect("linked")),
                event = self.serving.link_events.recv() => self.serving.turn(event.expect("linked")),
            }
        };
        tokio::time::timeout(PATIENCE, next).await.expect("in time");
    }

    /// What the caller is told next.
    async fn caller_hears(&mut self) -> CallTold {
        loop {
            if let Some(told) = self.origin.told(CALLER) {
                return told;
            }
            self.next().await;
        }
    }

    /// What the callee is told next.
    async fn callee_hears(&mut self) -> CallTold {
        loop {
            if let Some(told) = self.serving.told(CALLEE) {
                return told;
            }
            self.next().await;
        }
    }

    /// The callee is invoked next, with these arguments.
    async fn invoked(&mut self) -> (InvocationId, Payload) {
        let registration = RegistrationId(self.registration.0);
        match self.callee_hears().await {
            CallTold::Invocation { invocation, payload, registration: of, .. }
                if of == registration =>
            {
                (invocation, payload)
            }
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, invocation: InvocationId, is_progress: bool, bytes: usize) {
        let word = CallWord::Yield { invocation, is_progress, payload: payload(bytes) };
        self.serving.bench.say(CALLEE, word);
    }

    fn call(&mut self, request: u64, bytes: usize) {
        self.origin.bench.say(CALLER, call(request, bytes));
    }

    /// What the caller is told of calls to a callee that is gone with its link.
    async fn lost(&mut self) -> Arc<str> {
        match self.caller_hears().await {
            CallTold::Failed { error: CallError::CalleeGone { entry: Some(why) }, .. } => why,
            other => panic!("{other:?}"),
        }
    }

    fn end(self) {
        self.origin.assert_idle();
        self.serving.assert_idle();
        self.link.abort();
    }
}

/// Gives the view of an entry a record of the other one.
fn read(side: &mut Side, record: &Record) {
    let message = side.bench.message(record.topic().uri, record.to_bytes().into());
    side.bench.place(vec![message]);
}

/// The other one takes calls, as far as the entry knows.
fn is_ready(side: &Side) -> bool {
    let mut entries = side.bench.node.entries_status().into_iter();
    entries
        .any(|entry| entry["standing"]["ready"] == true && entry["standing"]["draining"] == false)
}

fn payload(bytes: usize) -> Payload {
    Payload::new(Encoding::Json, vec![b'7'; bytes])
}

fn registers() -> Register {
    let CallWord::Register(register) = register() else { unreachable!() };
    register
}

#[tokio::test]
async fn a_call_and_its_answers_go_by_the_link_whatever_their_size() {
    let mut pair = Pair::new(|_| {}, registers()).await;
    for (request, bytes) in [(1, 3), (2, 200_000)] {
        pair.call(request, bytes);
        let (invocation, arguments) = pair.invoked().await;
        assert_eq!(arguments.bytes.len(), bytes);
        pair.answer(invocation, true, bytes);
        let told = pair.caller_hears().await;
        let CallTold::Result { is_progress: true, callee: Some(Party { session, .. }), .. } = told
        else {
            panic!("{told:?}");
        };
        assert_eq!(session, CALLEE);
        pair.answer(invocation, false, bytes);
        let told = pair.caller_hears().await;
        let CallTold::Result { request: of, is_progress: false, payload, .. } = told else {
            panic!("{told:?}");
        };
        assert_eq!((of, payload.bytes.len()), (RequestId(request), bytes));
    }
    pair.end();
}

/// So that the numbers of all entries together have it once.
#[tokio::test]
async fn a_call_counts_at_the_entry_of_its_caller() {
    let mut pair = Pair::new(|_| {}, registers()).await;
    pair.call(1, 3);
    let (invocation, _) = pair.invoked().await;
    pair.answer(invocation, false, 3);
    let _result = pair.caller_hears().await;
    let listed = |side: &Side| side.bench.node.calls.registrations()["listed"][0].clone();
    let (origin, serving) = (listed(&pair.origin), listed(&pair.serving));
    assert_eq!((&origin["calls"], &serving["calls"]), (&json!(1), &json!(0)));
    let entry = &origin["callees"][0]["entry"];
    assert_eq!((entry, &serving["latency"]), (&json!("E2"), &json!(null)));
    pair.end();
}

#[tokio::test]
async fn the_status_page_says_what_an_open_call_waits_for() {
    let mut pair = Pair::new(|_| {}, registers()).await;
    pair.call(1, 3);
    let (invocation, _) = pair.invoked().await;
    let pending =
        |side: &Side| side.bench.node.calls.status(Instant::now().into_std())["pending"].clone();
    let (origin, serving) = (pending(&pair.origin), pending(&pair.serving));
    let told = &origin[0];
    let (kind, callee) = (&told["waits_for_kind"], &told["callee"]);
    assert_eq!((kind, callee), (&json!("callee"), &json!(CALLEE)), "{origin:#}");
    let text = format!("the answer of callee {} at entry E2", CALLEE.0);
    assert_eq!(told["waits_for"], json!(text));
    assert_eq!(serving, json!([]), "each call is told once, at the entry of its caller");
    pair.answer(invocation, false, 3);
    let _result = pair.caller_hears().await;
    assert_eq!(pending(&pair.origin), json!([]));
    pair.end();
}

#[tokio::test]
async fn a_link_that_is_lost_ends_its_calls_at_once_at_both_ends() {
    let mut pair =
        Pair::new(|_| {}, Register { concurrency: NonZeroU32::new(1), ..registers() }).await;
    pair.call(1, 3);
    let (invocation, _) = pair.invoked().await;
    pair.origin.sender.take().expect("linked").close("cut");
    assert_eq!(&*pair.lost().await, "the link to entry E2 is lost");
    let told = pair.callee_hears().await;
    let mode = CancelMode::KillNoWait;
    assert!(matches!(told, CallTold::Interrupt { mode: of, .. } if of == mode), "{told:?}");
    // What it says then is nobody's, and its slot is free.
    pair.answer(invocation, false, 3);
    pair.until(|pair| is_ready(&pair.origin) && is_ready(&pair.serving)).await;
    pair.call(2, 3);
    let (invocation, _) = pair.invoked().await;
    pair.answer(invocation, false, 3);
    let told = pair.caller_hears().await;
    assert!(matches!(told, CallTold::Result { request: RequestId(2), .. }), "{told:?}");
    pair.end();
}

/// L3 of the links: a call that was to go by the link that has just ended has failed, and goes nowhere.
#[tokio::test]
async fn what_was_to_be_said_on_a_link_that_ends_in_the_same_turn_is_not_said_on_the_next() {
    let mut pair = Pair::new(|_| {}, registers()).await;
    pair.origin.sender.take().expect("linked").close("cut");
    let mut events: Vec<EntryEvent> =
        vec![SessionEvent::Calls { session: CALLER, words: vec![call(1, 3)] }.into()];
    let is_up = |event: &EntryEvent| matches!(event, EntryEvent::Link(LinkEvent::Up { .. }));
    while !events.last().is_some_and(is_up) {
        let next = tokio::time::timeout(PATIENCE, pair.origin.link_events.recv()).await;
        events.push(next.expect("in time").expect("linked"));
    }
    pair.origin.bench.turn(events);
    assert_eq!(&*pair.lost().await, "the link to entry E2 is lost");
    pair.until(|pair| is_ready(&pair.origin) && is_ready(&pair.serving)).await;
    pair.call(2, 4);
    let (invocation, arguments) = pair.invoked().await;
    assert_eq!((invocation, arguments.bytes.len()), (InvocationId(1), 4), "the first that came");
    pair.answer(invocation, false, 3);
    let _result = pair.caller_hears().await;
    pair.end();
}

/// Entry E2 stands still, and its system goes on.
#[tokio::test]
async fn an_entry_that_is_silent_is_given_up_in_1_8_s_and_gets_no_calls_until_it_is_heard() {
    let mut pair = Pair::new(|_| {}, registers()).await;
    pair.call(1, 3);
    let (invocation, _) = pair.invoked().await;
    let begun = Instant::now();
    let why = loop {
        // Its loop takes turns without events as well.
        tokio::time::sleep(Duration::from_millis(20)).await;
        pair.origin.bench.turn(Vec::new());
        if let Some(told) = pair.origin.told(CALLER) {
            break told;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "never");
    };
    let CallTold::Failed { error: CallError::CalleeGone { entry: Some(why) }, .. } = why else {
        panic!("{why:?}");
    };
    assert_eq!(&*why, "no word of entry E2 for 1.8 s");
    pair.call(2, 3);
    let told = pair.origin.told(CALLER);
    let Some(CallTold::Failed { error, .. }) = told else { panic!("{told:?}") };
    let text = "no callee of procedure a.b can be called: no word of entry E2 for 1.8 s";
    assert_eq!(error.to_string(), text);
    // It goes on where it stood, and hears then that nobody waits.
    pair.answer(invocation, true, 3);
    pair.until(|pair| {
        pair.origin.bench.node.entries_status().iter().all(|entry| entry["silent"] == false)
    })
    .await;
    let told = pair.callee_hears().await;
    assert!(matches!(told, CallTold::Interrupt { .. }), "{told:?}");
    pair.call(3, 3);
    let (invocation, _) = pair.invoked().await;
    pair.answer(invocation, false, 3);
    let told = pair.caller_hears().await;
    assert!(matches!(told, CallTold::Result { request: RequestId(3), .. }), "{told:?}");
    pair.end();
}

#[tokio::test]
async fn an_entry_that_is_about_to_stop_says_so_and_answers_what_it_has() {
    let mut pair = Pair::new(|_| {}, registers()).await;
    pair.call(1, 3);
    let (invocation, _) = pair.invoked().await;
    pair.serving.turn(EntryEvent::Drain);
    pair.until(|pair| !is_ready(&pair.origin)).await;
    pair.call(2, 3);
    let told = pair.caller_hears().await;
    let CallTold::Failed { request: RequestId(2), error } = told else { panic!("{told:?}") };
    let text = "no callee of procedure a.b can be called: entry E2 is about to stop";
    assert_eq!(error.to_string(), text);
    pair.answer(invocation, false, 3);
    let told = pair.caller_hears().await;
    assert!(matches!(told, CallTold::Result { request: RequestId(1), .. }), "{told:?}");
    pair.end();
}

#[tokio::test]
async fn a_link_gets_no_calls_while_a_quarter_of_its_bound_waits_for_it() {
    let mut pair =
        Pair::new(|config| config.limits.link_queue_bytes_max = 400_000, registers()).await;
    pair.call(1, 150_000);
    // In memory links are as fast as those who read: nothing is read here.
    pair.call(2, 3);
    let told = pair.origin.told(CALLER);
    let Some(CallTold::Failed { request: RequestId(2), error }) = told else { panic!("{told:?}") };
    let text = "no callee of procedure a.b can be called: the link to entry E2 is full: \
                limits.link-queue-bytes-max";
    assert_eq!(error.to_string(), text);
    let (invocation, _) = pair.invoked().await;
    pair.answer(invocation, false, 3);
    let _result = pair.caller_hears().await;
    pair.call(3, 3);
    let (invocation, _) = pair.invoked().await;
    pair.answer(invocation, false, 3);
    let told = pair.caller_hears().await;
    assert!(matches!(told, CallTold::Result { request: RequestId(3), .. }), "{told:?}");
    pair.end();
}
