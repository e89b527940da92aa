//! Turns of an entry that is not linked to anybody: calls need nobody else, once what is registered has its place. And
//! of two that are (`linked`). The order is played by hand.

mod linked;
mod procedures;
mod reads;
mod removals;
mod suspects;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;

use vixen_broker::api::calls::{
    Call, CallError, CallFeatures, CallTold, Invoke, Payload, Register,
};
use vixen_broker::api::{Origin, RequestId};
use vixen_broker::delivery::Numbering;
use vixen_core::id::{OwnerId, Position};
use vixen_core::segment::{Encoding, Match, TopicPattern};
use vixen_core::time::WallTime;
use vixen_runtime::config::{CallBounds, Config};
use vixen_views::follower::Input;
use vixen_views::record::{self, Facts, Life, Reads, Record, Said};

use super::*;
use crate::node::EntryEvent;
use crate::outbound::{OfCalls, OutboundReceiver, SessionEvent, outbound};
use crate::serve::options_of;

const CALLER: SessionId = SessionId(1);
const CALLEE: SessionId = SessionId(2);

struct Bench {
    /// Boxed: futures of tests hold two of them.
    node: Box<EntryNode>,
    /// Of the last record.
    position: Position,
    receivers: BTreeMap<SessionId, OutboundReceiver>,
}

impl Bench {
    /// With a caller, and a callee of `a.b`.
    async fn new(change: impl FnOnce(&mut CallBounds)) -> Self {
        let mut bench = Self::empty("E1", |config| change(&mut config.limits.calls));
        bench.open(CALLER);
        bench.open(CALLEE);
        bench.say(CALLEE, register());
        let told = bench.hear(CALLEE).await;
        assert!(matches!(told[..], [CallTold::Registered { .. }]), "{told:?}");
        bench.wrote(CALLEE, &told);
        bench
    }

    /// Without sessions.
    fn empty(name: &str, change: impl FnOnce(&mut Config)) -> Self {
        let listen = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut config = Config::nearcast(PathBuf::from("unused"), listen);
        change(&mut config);
        let mut options = options_of(&config, &config.entries[0].id);
        options.name = name.parse().expect("a name");
        options.is_alone = true;
        options.numbering = Numbering::Keyed { key: [7; 32], seed: fresh_seed() };
        let node = Box::new(EntryNode::new(options));
        // What is to be published waits for room, and is taken by hand.
        node.room.forget_permits(node.room.available_permits());
        let mut bench = Self { node, position: Position(0), receivers: BTreeMap::new() };
        bench.place(vec![Input::Begin, Input::EarlierRead { is_all: true }, Input::Joined]);
        assert!(bench.node.calls.registrar.is_ready());
        bench
    }

    fn open(&mut self, session: SessionId) {
        let info = Arc::new(SessionInfo {
            session,
            realm: "realm1".into(),
            authid: "joe".into(),
            authrole: "user".into(),
            authmethod: "ticket",
            authprovider: "static",
            origin: Origin { client: [127, 0, 0, 1].into(), site: None },
            is_announced: true,
            calls: CallFeatures { is_interruptible: true, ..CallFeatures::default() },
        });
        let (outbound, receiver) = outbound(1 << 20);
        self.receivers.insert(session, receiver);
        self.turn(vec![SessionEvent::Opened { info, outbound }.into()]);
    }

    fn turn(&mut self, mut events: Vec<EntryEvent>) {
        assert!(!self.node.turn(&mut events));
        self.place(Vec::new());
    }

    /// Gives the view this, and a place to all that is written.
    fn place(&mut self, mut inputs: Vec<Input>) {
        let mut fx = CallEffects::default();
        loop {
            // One by one, as what follows from elsewhere makes nothing of what is left.
            for input in std::mem::take(&mut inputs) {
                self.node.calls.step_view(vec![input], &mut fx);
            }
            for publish in self.node.calls.follow.take_unsent() {
                inputs.push(self.message(publish.topic.uri, publish.payload));
            }
            if inputs.is_empty() {
                return self.node.settle_calls(fx);
            }
        }
    }

    /// The order has a message more.
    fn message(&mut self, topic: Arc<str>, payload: Bytes) -> Input {
        self.position = self.position.plus(1);
        let (position, at) = (self.position, WallTime(self.position.0));
        Input::Message { position, at, topic, payload }
    }

    fn say(&mut self, session: SessionId, word: CallWord) {
        self.turn(vec![SessionEvent::Calls { session, words: vec![word] }.into()]);
    }

    /// What the session is told next of calls: that of one turn.
    async fn hear(&mut self, session: SessionId) -> Vec<CallTold> {
        let (mut events, mut calls) = (VecDeque::new(), Vec::new());
        let receiver = self.receivers.get_mut(&session).expect("open");
        assert!(receiver.receive(true, &mut events, &mut calls).await);
        let told = calls.into_iter().flat_map(|of| match of {
            OfCalls::Told(told) => told,
            other => panic!("{other:?}"),
        });
        told.collect()
    }

    /// The session has written it.
    fn wrote(&self, session: SessionId, told: &[CallTold]) {
        let bytes = told.iter().map(CallTold::queued_bytes).sum();
        self.receivers[&session].give_back(0, bytes);
    }
}

fn register() -> CallWord {
    CallWord::Register(Register {
        request: RequestId(1),
        procedure: "a.b".into(),
        matching: Match::Exact,
        invoke: Invoke::Single,
        concurrency: None,
        is_forced: false,
        is_disclosed: true,
        forwards_timeout: false,
    })
}

fn call(request: u64, bytes: usize) -> CallWord {
    CallWord::Call(Call {
        request: RequestId(request),
        procedure: "a.b".into(),
        payload: Payload::new(Encoding::Json, Bytes::from(vec![b' '; bytes])),
        takes_progress: false,
        has_more: false,
        timeout_ms: None,
        came: None,
        is_disclosed: false,
        routing_key: None,
        testament: None,
        rights: None,
    })
}

#[tokio::test]
async fn what_was_written_before_a_call_came_is_no_reason_against_it() {
    let mut bench = Bench::new(|bounds| bounds.callee_queue_bytes_max = 1000).await;
    bench.say(CALLER, call(1, 900));
    let told = bench.hear(CALLEE).await;
    assert!(matches!(told[..], [CallTold::Invocation { .. }]), "{told:?}");
    // Full, and then empty again.
    bench.say(CALLER, call(2, 900));
    let failed = bench.hear(CALLER).await;
    let is_full =
        matches!(failed[..], [CallTold::Failed { error: CallError::NoAvailableCallee { .. }, .. }]);
    assert!(is_full, "{failed:?}");
    bench.wrote(CALLEE, &told);
    bench.say(CALLER, call(3, 900));
    let told = bench.hear(CALLEE).await;
    assert!(matches!(told[..], [CallTold::Invocation { .. }]), "{told:?}");
}

/// It waited two seconds for it.
#[tokio::test]
async fn a_session_that_comes_when_calls_have_ended_is_told_so() {
    let mut bench = Bench::empty("E1", |_| {});
    bench.turn(vec![EntryEvent::Drain]);
    bench.open(CALLER);
    let (mut events, mut calls) = (VecDeque::new(), Vec::new());
    let receiver = bench.receivers.get_mut(&CALLER).expect("open");
    assert!(receiver.receive(true, &mut events, &mut calls).await);
    assert!(matches!(calls[..], [OfCalls::Over]), "{calls:?}");
}

fn life(owner: u128) -> Life {
    Life { owner: OwnerId(uuid::Uuid::from_u128(owner)), number: 1 }
}

fn registers(owner: u128, uri: &str) -> Record {
    let said = Said::Register(record::Register {
        number: 1,
        session: 1,
        pattern: TopicPattern::new("realm1", uri, Match::Exact),
        invoke: record::Invoke::Single,
        is_forced: false,
        keeps_timeouts: false,
    });
    Record { writer: life(owner), said }
}

/// All that came behind a checkpoint with it was applied by the view that begins with it, and was missing when it came
/// again.
#[tokio::test]
async fn what_came_with_a_checkpoint_comes_again() {
    let mut bench = Bench::empty("E1", |_| {});
    let mut fx = CallEffects::default();
    bench.node.calls.step_view(vec![Input::Dropped], &mut fx);
    let facts =
        Facts { name: "E2".parse().expect("a name"), link_address: None, reads: Reads::HERE };
    let born = Record { writer: life(8), said: Said::Life(facts) };
    // Another entry's view, and what has come since.
    let mut view = Registrations::new();
    view.apply(Position(100), WallTime(1), &born);
    let part = view.checkpoint().remove(0);
    let checkpoint = Record { writer: life(8), said: Said::Checkpoint(part) };
    let all = [registers(8, "a"), checkpoint, registers(8, "b")];
    let messages: Vec<_> = (101..)
        .zip(all)
        .map(|(position, record)| Input::Message {
            position: Position(position),
            at: WallTime(position),
            topic: record.topic().uri,
            payload: record.to_bytes().into(),
        })
        .collect();
    bench.node.calls.step_view(messages[1..].to_vec(), &mut fx);
    assert_eq!(bench.node.calls.view().position(), Position(100), "as the checkpoint says");
    bench.node.calls.step_view(messages, &mut fx);
    let uris: Vec<_> =
        bench.node.calls.view().iter().map(|one| one.pattern.uri.to_string()).collect();
    assert_eq!(uris, ["a", "b"]);
}

/// What waited had its room twice, if there was room before it heard so.
#[tokio::test]
async fn records_wait_for_room_once() {
    let mut bench = Bench::empty("E1", |_| {});
    let calls = &mut bench.node.calls;
    for uri in ["a", "b"] {
        calls.follow.write(&registers(7, uri));
    }
    assert!(!bench.node.turn(&mut Vec::new()));
    bench.node.room.add_permits(10_000);
    assert!(!bench.node.turn(&mut Vec::new()));
    assert_eq!(
        (bench.node.calls.follow.unsent(), bench.node.room.available_permits()),
        (2, 10_000)
    );
    let room = ViewEvent(follow::Came::Room);
    assert!(!bench.node.turn(&mut vec![room.into()]));
    assert_eq!(bench.node.calls.follow.unsent(), 0);
    let counted = bench.node.segmenter.unacknowledged_bytes();
    // The first had its room when it heard so.
    assert_eq!(10_000 - bench.node.room.available_permits(), counted / 2);
}

#[tokio::test]
async fn an_entry_that_stops_waits_until_what_is_registered_has_ended() {
    let mut bench = Bench::new(|_| {}).await;
    bench.node.room.add_permits(10_000);
    assert!(!bench.node.turn(&mut vec![EntryEvent::Stop]), "its last word has no place yet");
    assert_eq!(bench.node.calls.follow.unsent(), 1);
}
