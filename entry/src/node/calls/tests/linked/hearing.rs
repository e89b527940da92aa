//! What somebody who listens at one entry hears of the sessions and subscriptions of both.

use serde_json::Value;

use vixen_broker::api::{Outgoing, SubscribeMode, SubscriptionId};
use vixen_broker::delivery::{self, Slot};
use vixen_core::id::GroupId;
use vixen_core::wire::{CallMessage, Message, MetaPart};
use vixen_views::record::{Gone, GoneWhy};

use super::*;

const THIRD: SessionId = SessionId(3);
const FOURTH: SessionId = SessionId(4);

fn subscribes(session: SessionId, uri: &str, mode: SubscribeMode) -> EntryEvent {
    let pattern = TopicPattern::new("realm1", uri, Match::Exact);
    SessionEvent::Subscribe { session, request: RequestId(9), pattern, mode }.into()
}

fn unsubscribes(session: SessionId, subscription: SubscriptionId) -> EntryEvent {
    SessionEvent::Unsubscribe { session, request: RequestId(9), subscription }.into()
}

impl Side {
    /// Subscriptions stand from here on: there is no node that would have to say so.
    pub(super) fn know_order(&mut self) {
        let slots = vec![Slot { first: Position::FIRST, count: 1, group: GroupId(0) }];
        let placed = delivery::Input::Placed { slots };
        self.bench.node.step_delivery(WallTime(1), placed, &mut delivery::Effects::default());
    }

    pub(super) fn subscribe(
        &mut self,
        session: SessionId,
        uri: &str,
        mode: SubscribeMode,
    ) -> SubscriptionId {
        self.bench.turn(vec![subscribes(session, uri, mode)]);
        let told = self.outgoing(session);
        let subscribed = told.iter().find_map(|told| match told {
            Outgoing::Subscribed { subscription, .. } => Some(*subscription),
            _ => None,
        });
        subscribed.unwrap_or_else(|| panic!("{told:?}"))
    }

    /// What the session was told of topics since the last look.
    fn outgoing(&mut self, session: SessionId) -> Vec<Outgoing> {
        let (mut outgoing, mut calls) = (VecDeque::new(), Vec::new());
        let receiver = self.bench.receivers.get_mut(&session).expect("open");
        while receiver.receive(true, &mut outgoing, &mut calls).now_or_never().is_some() {}
        outgoing.into()
    }
}

/// Two entries; the caller, at E1, listens.
struct Listening {
    pair: Pair,
    /// To what.
    topics: BTreeMap<SubscriptionId, &'static str>,
    /// What it has heard.
    heard: Vec<String>,
}

impl Listening {
    async fn new() -> Self {
        Self::with(|_| {}).await
    }

    async fn with(change: impl Fn(&mut Config)) -> Self {
        let mut pair = Pair::new(change, registers()).await;
        pair.origin.know_order();
        pair.serving.know_order();
        let topics = [
            ("wamp.session.on_join", "join"),
            ("wamp.session.on_leave", "leave"),
            ("wamp.subscription.on_create", "create"),
            ("wamp.subscription.on_subscribe", "subscribe"),
            ("wamp.subscription.on_delete", "delete"),
        ];
        let topics = topics
            .map(|(uri, name)| (pair.origin.subscribe(CALLER, uri, SubscribeMode::Live), name));
        let mut listening = Self { pair, topics: topics.into(), heard: Vec::new() };
        let has_told = |pair: &Pair| {
            let hearing = &pair.serving.bench.node.across.hearing;
            hearing.tells("realm1") && !hearing.is_behind()
        };
        listening.pair.until(has_told).await;
        // What comes now is told, behind the list of what there was.
        listening.pair.serving.bench.open(THIRD);
        listening.until("join 3").await;
        assert_eq!(listening.heard(), ["join 3"]);
        listening
    }

    fn listen(&mut self) {
        let outgoing = self.pair.origin.outgoing(CALLER);
        let batches = outgoing.iter().filter_map(|outgoing| match outgoing {
            Outgoing::Events(batch) => Some(batch),
            _ => None,
        });
        for event in batches.flat_map(|batch| batch.events()) {
            let arguments: Value = serde_json::from_slice(&event.payload).expect("JSON");
            let of = match &arguments[1] {
                Value::Object(details) => &details["id"],
                Value::Number(_) => &arguments[1],
                _ => arguments[0].get("session").unwrap_or(&arguments[0]),
            };
            self.heard.push(format!("{} {of}", self.topics[&event.subscription]));
        }
    }

    /// What was heard since the last look.
    fn heard(&mut self) -> Vec<String> {
        self.listen();
        std::mem::take(&mut self.heard)
    }

    async fn until(&mut self, what: &str) {
        self.listen();
        while !self.heard.iter().any(|heard| heard == what) {
            self.pair.next().await;
            self.listen();
        }
    }

    /// What the link brings to E1, until it brings this: E1 has taken nothing of it.
    async fn collect(&mut self, is_it: impl Fn(&CallMessage) -> bool) -> Vec<EntryEvent> {
        let mut events = Vec::new();
        loop {
            let next = tokio::time::timeout(PATIENCE, self.pair.origin.link_events.recv()).await;
            events.push(next.expect("in time").expect("linked"));
            let Some(EntryEvent::Link(LinkEvent::Messages { messages, .. })) = events.last() else {
                continue;
            };
            let mut messages = messages.iter();
            if messages.any(|message| matches!(message, Message::Call(said) if is_it(said))) {
                return events;
            }
        }
    }

    /// E1 notices that its link has ended, and that of E2 is not up again.
    async fn cut(&mut self) {
        self.pair.origin.sender.take().expect("linked").close("cut");
        loop {
            let next = tokio::time::timeout(PATIENCE, self.pair.origin.link_events.recv()).await;
            let event = next.expect("in time").expect("an end");
            let is_end = matches!(event, EntryEvent::Link(LinkEvent::Down { .. }));
            self.pair.origin.turn(event);
            if is_end {
                return;
            }
        }
    }

    /// The order says that E2 is gone.
    fn gone(&self) -> Record {
        let life = Life { owner: self.pair.serving.bench.node.owner(), number: 1 };
        let gone = Gone { life, why: GoneWhy::Stops };
        Record { writer: life, said: Said::Gone(gone) }
    }
}

const fn is_change(message: &CallMessage) -> bool {
    matches!(message, CallMessage::SubscriptionsAre { part: MetaPart::Change, .. })
}

#[tokio::test]
async fn others_are_told_where_somebody_listens_and_when_nobody_does_any_more() {
    let mut pair = Pair::new(|_| {}, registers()).await;
    let tells = |side: &Side| side.bench.node.across.hearing.tells("realm1");
    pair.origin.bench.turn(vec![subscribes(CALLER, "wamp.session.on_join", SubscribeMode::Live)]);
    pair.until(|pair| tells(&pair.serving)).await;
    assert!(!tells(&pair.origin));
    // On the next link as well.
    pair.origin.sender.take().expect("linked").close("cut");
    pair.until(|pair| !tells(&pair.serving)).await;
    pair.until(|pair| tells(&pair.serving)).await;
    pair.origin.bench.turn(vec![SessionEvent::Closed { session: CALLER }.into()]);
    pair.until(|pair| !tells(&pair.serving)).await;
    pair.link.abort();
}

/// There was never room for a list: nothing was told.
#[tokio::test]
async fn others_are_heard_where_little_may_wait_for_links() {
    let mut all = Listening::with(|config| config.limits.link_queue_bytes_max = 200_000).await;
    all.pair.serving.bench.turn(vec![SessionEvent::Closed { session: THIRD }.into()]);
    all.until("leave 3").await;
    all.pair.link.abort();
}

/// Whoever was told of last was looked at first: nobody created it, and both deleted it.
#[tokio::test]
async fn a_subscription_is_created_and_deleted_once_where_both_entries_change_in_one_turn() {
    let mut all = Listening::new().await;
    all.pair.origin.bench.open(FOURTH);
    // With the interest in its topic there, a subscription stands in the step in which it is asked for.
    all.pair.origin.subscribe(FOURTH, "t", SubscribeMode::PrivateReplay);
    let before = all.heard();
    assert_eq!(before.len(), 3, "{before:?}");
    let SubscriptionId(id) = all.pair.serving.subscribe(THIRD, "t", SubscribeMode::Live);
    let mut turn = vec![subscribes(FOURTH, "t", SubscribeMode::Live)];
    turn.extend(all.collect(is_change).await);
    all.pair.origin.bench.turn(turn);
    let subscribed = [format!("create {id}"), format!("subscribe {id}"), format!("subscribe {id}")];
    assert_eq!(all.heard(), subscribed);
    let leaves = unsubscribes(THIRD, SubscriptionId(id));
    all.pair.serving.bench.turn(vec![leaves]);
    let mut turn = vec![unsubscribes(FOURTH, SubscriptionId(id))];
    turn.extend(all.collect(is_change).await);
    all.pair.origin.bench.turn(turn);
    assert_eq!(all.heard(), [format!("delete {id}")]);
    all.pair.link.abort();
}

/// A clean stop: each session left as GONE was read, joined by the next list, and left again.
#[tokio::test]
async fn sessions_of_an_entry_that_stops_leave_once() {
    let mut all = Listening::new().await;
    all.pair.serving.bench.open(FOURTH);
    all.until("join 4").await;
    all.heard();
    let gone = all.gone();
    read(&mut all.pair.origin, &gone);
    all.pair.origin.bench.turn(Vec::new());
    assert_eq!(all.heard(), [""; 0], "it is heard");
    all.pair.serving.bench.turn(vec![SessionEvent::Closed { session: FOURTH }.into()]);
    all.until("leave 4").await;
    assert_eq!(all.heard(), ["leave 4"]);
    // Those who were not closed before the process has ended.
    all.cut().await;
    assert_eq!(all.heard(), ["leave 2", "leave 3"]);
    all.pair.origin.bench.turn(Vec::new());
    assert_eq!(all.heard(), [""; 0]);
    all.pair.link.abort();
}

/// That it is gone was read again, as no news: nobody left ever.
#[tokio::test]
async fn sessions_of_an_entry_that_a_view_does_not_know_which_begins_anew_leave() {
    let mut all = Listening::new().await;
    all.cut().await;
    all.pair.origin.bench.turn(Vec::new());
    assert_eq!(all.heard(), [""; 0], "it lives");
    // The view of a third one.
    let facts =
        Facts { name: "E3".parse().expect("a name"), link_address: None, reads: Reads::HERE };
    let mut view = Registrations::new();
    view.apply(Position(100), WallTime(1), &Record { writer: life(8), said: Said::Life(facts) });
    let part = view.checkpoint().remove(0);
    let checkpoint = Record { writer: life(8), said: Said::Checkpoint(part) };
    let bench = &mut all.pair.origin.bench;
    bench.place(vec![Input::Dropped]);
    bench.position = Position(100);
    let checkpoint = bench.message(checkpoint.topic().uri, checkpoint.to_bytes().into());
    bench.place(vec![checkpoint]);
    bench.turn(Vec::new());
    assert!(!bench.node.calls.registrar.is_ready());
    assert_eq!(all.heard(), [""; 0], "who lives is not known");
    let bench = &mut all.pair.origin.bench;
    bench.place(vec![Input::Joined]);
    assert!(bench.node.calls.registrar.is_ready());
    bench.turn(Vec::new());
    assert_eq!(all.heard(), ["leave 2", "leave 3"]);
    all.pair.link.abort();
}

/// All at once were more than those who listen have room for.
#[tokio::test]
async fn many_sessions_of_a_dead_entry_leave_some_each_turn() {
    let mut all = Listening::new().await;
    for session in 100..400 {
        all.pair.serving.bench.open(SessionId(session));
    }
    all.until("join 399").await;
    assert_eq!(all.heard().len(), 300);
    all.cut().await;
    let gone = all.gone();
    read(&mut all.pair.origin, &gone);
    all.pair.origin.bench.turn(Vec::new());
    assert_eq!(all.heard().len(), 256);
    // Its loop wakes for the others.
    let due = all.pair.origin.bench.node.across.due_at().expect("there are more");
    tokio::time::sleep_until(due).await;
    all.pair.origin.bench.turn(Vec::new());
    assert_eq!(all.heard().len(), 2 + 300 - 256);
    assert_eq!(all.pair.origin.bench.node.across.due_at(), None);
    all.pair.link.abort();
}
