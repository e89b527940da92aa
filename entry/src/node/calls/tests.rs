//! Turns of an entry that is not linked to anybody: calls need nobody else. And of two that are (`linked`).

mod linked;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;

use bytes::Bytes;

use vixen_broker::api::calls::{
    Call, CallError, CallFeatures, CallTold, Invoke, Payload, Register,
};
use vixen_broker::api::{Origin, RequestId};
use vixen_core::segment::{Encoding, Match};
use vixen_runtime::config::{CallBounds, Config};

use super::*;
use crate::node::EntryEvent;
use crate::outbound::{OfCalls, OutboundReceiver, SessionEvent, outbound};
use crate::serve::options_of;

const CALLER: SessionId = SessionId(1);
const CALLEE: SessionId = SessionId(2);

struct Bench {
    node: EntryNode,
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
        Self { node: EntryNode::new(options), receivers: BTreeMap::new() }
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
        is_disclosed: false,
        routing_key: None,
        testament: None,
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
