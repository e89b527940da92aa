//! What callers ask the router, of the sessions of both entries.

use vixen_broker::access::{Permissions, Quotas};
use vixen_broker::api::calls::{CancelMode, MetaError};
use vixen_broker::api::{SubscribeMode, SubscriptionId};
use vixen_broker::meta::Missing;
use vixen_core::wire::{CallMessage, Message, MetaQuestion, MetaReply, MetaWhom};

use super::*;
use crate::node::meta::Across;
use crate::node::run::Effects;

/// What a caller is told in the end: the result in JSON and who is missing, or the error.
type Told = Result<(String, Vec<String>), CallError>;

impl Pair {
    fn ask(&mut self, request: u64, procedure: &str, arguments: &str) {
        let CallWord::Call(call) = super::call(request, 0) else { unreachable!() };
        let payload = Payload::new(Encoding::Json, Bytes::copy_from_slice(arguments.as_bytes()));
        let call = Call { procedure: procedure.into(), payload, ..call };
        self.origin.bench.say(CALLER, CallWord::Call(call));
    }

    async fn asked(&mut self, request: u64, procedure: &str, arguments: &str) -> Told {
        self.ask(request, procedure, arguments);
        said(request, self.caller_hears().await)
    }

    /// What comes to the caller's entry as answers of the other one, so many: it takes nothing of it.
    async fn answers(&mut self, count: usize) -> Vec<(u64, MetaReply)> {
        let mut answers = Vec::new();
        while answers.len() < count {
            let next = tokio::time::timeout(PATIENCE, self.origin.link_events.recv()).await;
            let event = next.expect("in time").expect("linked");
            let EntryEvent::Link(LinkEvent::Messages { messages, .. }) = event else { continue };
            answers.extend(messages.into_iter().filter_map(|message| match message {
                Message::Call(CallMessage::MetaAnswer { request, reply, .. }) => {
                    Some((request, reply))
                }
                _ => None,
            }));
        }
        answers
    }

    /// The caller's entry alone takes turns, until it tells the caller something.
    async fn origin_tells(&mut self, request: u64) -> Told {
        let begun = Instant::now();
        loop {
            if let Some(told) = self.origin.told(CALLER) {
                return said(request, told);
            }
            assert!(begun.elapsed() < Duration::from_secs(30), "never");
            tokio::time::sleep(Duration::from_millis(20)).await;
            self.origin.bench.turn(Vec::new());
        }
    }
}

fn said(request: u64, told: CallTold) -> Told {
    match told {
        CallTold::Result { request: of, payload, missing, .. } if of.0 == request => {
            let text = String::from_utf8(payload.bytes.to_vec()).expect("JSON");
            Ok((text, missing.iter().map(ToString::to_string).collect()))
        }
        CallTold::Failed { request: of, error } if of.0 == request => Err(error),
        other => panic!("{other:?}"),
    }
}

fn whole(text: &str) -> Told {
    Ok((text.to_owned(), Vec::new()))
}

#[tokio::test]
async fn sessions_of_all_entries_are_counted_listed_and_told_of() {
    let mut pair = Pair::new(|_| {}, registers()).await;
    assert_eq!(pair.asked(1, "wamp.session.count", "[]").await, whole("[2]"));
    assert_eq!(pair.asked(2, "wamp.session.list", "[]").await, whole("[[1,2]]"));
    assert_eq!(pair.asked(3, "wamp.session.list", r#"[["admin"]]"#).await, whole("[[]]"));
    let (text, missing) = pair.asked(4, "wamp.session.get", "[2]").await.expect("it is at E2");
    let told: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    let of = |key: &str| told[0][key].clone();
    assert_eq!(
        (of("session"), of("authid"), of("realm")),
        (2.into(), "joe".into(), "realm1".into())
    );
    assert!(missing.is_empty());
    let added = pair.asked(5, "wamp.session.modify_details", r#"[2,{"x":[1]}]"#).await;
    assert_eq!(added, whole("[null]"));
    let (text, _) = pair.asked(6, "wamp.session.get", "[2]").await.expect("it is at E2");
    let told: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(told[0]["x"], serde_json::json!([1]));
    pair.end();
}

#[tokio::test]
async fn a_session_is_killed_wherever_it_is_and_who_asks_is_not() {
    let mut pair = Pair::new(|_| {}, registers()).await;
    let nobody = |id| Err(CallError::Meta(MetaError::NoSuch(Missing::Session(id))));
    let own = Err(CallError::Meta(MetaError::NoSuch(Missing::OwnSession(1))));
    assert_eq!(pair.asked(1, "wamp.session.kill", "[1]").await, own, "M2");
    assert_eq!(pair.asked(2, "wamp.session.kill", "[3]").await, nobody(3));
    // No entry could be asked for it.
    assert_eq!(pair.asked(3, "wamp.session.kill", "[0]").await, nobody(0));
    assert_eq!(
        pair.asked(4, "wamp.session.kill", "[9007199254740993]").await,
        nobody((1 << 53) + 1)
    );
    assert!(pair.serving.bench.node.info_of(CALLEE).is_some());
    assert_eq!(pair.asked(5, "wamp.session.kill", "[2]").await, whole("[null]"));
    assert!(pair.serving.bench.node.info_of(CALLEE).is_none());
    assert_eq!(pair.asked(6, "wamp.session.kill", "[2]").await, nobody(2));
    let third = SessionId(3);
    pair.serving.bench.open(third);
    assert_eq!(pair.asked(7, "wamp.session.kill_by_authid", r#"["joe"]"#).await, whole("[[3]]"));
    pair.serving.bench.open(third);
    assert_eq!(pair.asked(8, "wamp.session.kill_by_authrole", r#"["user"]"#).await, whole("[[3]]"));
    pair.serving.bench.open(third);
    assert_eq!(pair.asked(9, "wamp.session.kill_all", "[]").await, whole("[1]"));
    assert!(pair.serving.bench.node.info_of(third).is_none());
    assert!(pair.origin.bench.node.info_of(CALLER).is_some(), "M2");
    pair.end();
}

#[tokio::test]
async fn an_entry_that_does_not_answer_is_named_and_what_may_be_there_is_not_denied() {
    let mut pair = Pair::new(|_| {}, registers()).await;
    let missing = || vec!["E2".to_owned()];
    pair.ask(1, "wamp.session.count", "[]");
    assert_eq!(pair.origin_tells(1).await, Ok(("[1]".to_owned(), missing())));
    pair.ask(2, "wamp.session.get", "[2]");
    let unanswered = Err(CallError::Meta(MetaError::Unanswered(vec!["E2".into()])));
    assert_eq!(pair.origin_tells(2).await, unanswered);
    // One that is here is nobody else's to tell of.
    pair.ask(3, "wamp.session.modify_details", r#"[1,{"x":1}]"#);
    assert_eq!(said(3, pair.origin.told(CALLER).expect("at once")), whole("[null]"));
    pair.link.abort();
}

#[tokio::test]
async fn an_entry_whose_link_ends_is_waited_for_no_longer() {
    let mut pair = Pair::new(|_| {}, registers()).await;
    let missing = || vec!["E2".to_owned()];
    pair.ask(4, "wamp.session.count", "[]");
    assert_eq!(pair.origin.told(CALLER), None);
    pair.origin.sender.take().expect("linked").close("cut");
    loop {
        let event = pair.origin.link_events.recv().await.expect("an end");
        let is_end = matches!(event, EntryEvent::Link(LinkEvent::Down { .. }));
        pair.origin.turn(event);
        if is_end {
            break;
        }
    }
    let told = pair.origin.told(CALLER).expect("at once");
    assert_eq!(said(4, told), Ok(("[1]".to_owned(), missing())));
    // It is alive in the order, and not linked.
    pair.ask(5, "wamp.session.list", "[]");
    let told = pair.origin.told(CALLER).expect("at once");
    assert_eq!(said(5, told), Ok(("[[1]]".to_owned(), missing())));
    pair.until(|pair| is_ready(&pair.origin) && is_ready(&pair.serving)).await;
    assert_eq!(pair.asked(6, "wamp.session.list", "[]").await, whole("[[1,2]]"));
    pair.link.abort();
}

/// It was asked of the entry of the caller alone.
#[tokio::test]
async fn events_of_the_past_are_of_a_subscription_at_any_entry() {
    let mut pair = Pair::new(|_| {}, registers()).await;
    pair.serving.know_order();
    let SubscriptionId(id) = pair.serving.subscribe(CALLEE, "t", SubscribeMode::Live);
    let topics = |pair: &Pair| {
        let reads = &pair.origin.bench.node.reads_of_calls;
        (reads.awaited(), reads.open())
    };
    pair.ask(1, "wamp.subscription.get_events", &format!("[{id}]"));
    assert_eq!(topics(&pair), (1, 0));
    pair.until(|pair| topics(pair) == (0, 1)).await;
    // One that is over by then is not read for.
    pair.ask(2, "wamp.subscription.get_events", &format!("[{id}]"));
    let (request, mode) = (RequestId(2), CancelMode::Skip);
    pair.origin.bench.say(CALLER, CallWord::Cancel { request, mode });
    let told = pair.origin.told(CALLER).expect("at once");
    assert!(matches!(told, CallTold::Failed { request: RequestId(2), .. }), "{told:?}");
    assert_eq!(topics(&pair), (0, 1));
    let other = if id == 7 { 8 } else { 7 };
    let none = Err(CallError::Meta(MetaError::NoSuch(Missing::Subscription(other))));
    let asked = pair.asked(3, "wamp.subscription.get_events", &format!("[{other}]")).await;
    assert_eq!(asked, none);
    assert_eq!(topics(&pair), (0, 1), "what was said of the second call is nobody's");
    // Nor of one whose caller may not subscribe it.
    let CallWord::Call(call) = super::call(4, 0) else { unreachable!() };
    let payload = Payload::new(Encoding::Json, format!("[{id}]"));
    let procedure = "wamp.subscription.get_events".into();
    let rights = Some(Box::new(Permissions::new([], Quotas::UNLIMITED)));
    pair.origin.bench.say(CALLER, CallWord::Call(Call { procedure, payload, rights, ..call }));
    let told = said(4, pair.caller_hears().await);
    assert_eq!(told, Err(CallError::Meta(MetaError::NotAuthorized)));
    assert_eq!(topics(&pair), (0, 1));
    pair.link.abort();
}

/// It was done as soon as the entry went on, long after who had asked was told that it did not answer.
#[tokio::test]
async fn an_entry_that_has_stood_still_ends_and_changes_no_session_for_who_asked_meanwhile() {
    let mut pair = Pair::new(|_| {}, registers()).await;
    let node = &mut pair.serving.bench.node;
    let (link, _) = node.asked_entries().0.remove(0);
    let link_id = node.links.iter().map(|(link, _)| link).next().expect("linked");
    let who = (link.peer, link_id);
    let asks = |node: &mut EntryNode, request, question| {
        let of = (request, "realm1".into(), CALLER.0);
        node.on_asked(WallTime(1), link, of, question, &mut Effects::default());
    };
    let delta = BTreeMap::from([("x".to_owned(), Some("1".to_owned()))]);
    let modify = || MetaQuestion::ModifyDetails { session: CALLEE.0, delta: delta.clone() };
    let kill = |whom| MetaQuestion::Kill { whom, reason: "a.b".to_owned(), message: None };
    let get = || MetaQuestion::GetSession { session: CALLEE.0 };
    let late = Some(Duration::from_secs(1));
    node.across.turn(Instant::now(), late);
    for (request, whom) in [(1, MetaWhom::Session(CALLEE.0)), (2, MetaWhom::All)] {
        asks(node, request, kill(whom));
    }
    asks(node, 3, modify());
    asks(node, 4, get());
    // Its link was silent.
    *node.across = Across::new();
    let mut fx = Effects::default();
    node.on_entry_silence(WallTime(1), who, true, &mut fx);
    node.on_entry_silence(WallTime(1), who, false, &mut fx);
    asks(node, 5, modify());
    *node.across = Across::new();
    asks(node, 6, modify());
    asks(node, 7, get());
    assert!(node.info_of(CALLEE).is_some());
    let told = pair.answers(7).await;
    for request in [1, 2, 3, 5] {
        assert!(told.contains(&(request, MetaReply::NoRoom)), "{told:?}");
    }
    assert!(told.contains(&(6, MetaReply::Done)), "{told:?}");
    let added = |request| {
        told.iter().find_map(|(of, reply)| match reply {
            MetaReply::Session(_, added) if *of == request => Some(added.len()),
            _ => None,
        })
    };
    assert_eq!((added(4), added(7)), (Some(0), Some(1)));
    pair.link.abort();
}

/// As many questions as came in a turn were answered in it, each by all sessions.
#[tokio::test]
async fn so_many_sessions_are_listed_for_another_entry_in_a_turn() {
    const SESSIONS: usize = 1 << 12;
    let mut pair = Pair::new(|_| {}, registers()).await;
    let node = &mut pair.serving.bench.node;
    let info = Arc::clone(node.info_of(CALLEE).expect("open"));
    for session in 0..SESSIONS - 1 {
        let session = SessionId(100 + session as u64);
        node.meta.open(&Arc::new(SessionInfo { session, ..SessionInfo::clone(&info) }));
    }
    let (link, _) = node.asked_entries().0.remove(0);
    let asks = |node: &mut EntryNode, request, question| {
        let of = (request, "realm1".into(), CALLER.0);
        node.on_asked(WallTime(1), link, of, question, &mut Effects::default());
    };
    let list = || MetaQuestion::ListSessions { authroles: None };
    let count = |role: Option<&str>| {
        let authroles = role.map(|role| vec![role.to_owned()]);
        MetaQuestion::CountSessions { authroles }
    };
    for request in 1..64 {
        asks(node, request, list());
    }
    asks(node, 64, count(Some("user")));
    asks(node, 65, list());
    asks(node, 66, count(Some("user")));
    // For this nobody looks at sessions.
    asks(node, 67, count(None));
    node.across.turn(Instant::now(), None);
    asks(node, 68, list());
    let told: BTreeMap<_, _> = pair.answers(68).await.into_iter().collect();
    let all = MetaReply::Count(SESSIONS as u64);
    let is_list =
        |request: u64| matches!(&told[&request], MetaReply::Ids(ids) if ids.len() == SESSIONS);
    assert!((1..64).all(is_list) && is_list(68));
    assert_eq!([&told[&64], &told[&67]], [&all, &all]);
    assert_eq!([&told[&65], &told[&66]], [&MetaReply::NoRoom; 2]);
    pair.link.abort();
}

/// Its session was nobody's: another entry was not asked what cannot be said.
#[tokio::test]
async fn details_that_are_too_many_are_refused_wherever_their_session_is() {
    let mut pair = Pair::new(|_| {}, registers()).await;
    for (request, bytes) in [(1, 33 << 10), (2, 65 << 10), (3, 200 << 10)] {
        let arguments = format!(r#"[2,{{"x":"{}"}}]"#, "a".repeat(bytes));
        let told = pair.asked(request, "wamp.session.modify_details", &arguments).await;
        let few = "details have more than 32768 bytes";
        assert_eq!(told, Err(CallError::Meta(MetaError::Argument(few.into()))), "{bytes}");
    }
    // As many as can be said are more than a session has.
    let arguments = format!(r#"[2,{{"x":"{}"}}]"#, "a".repeat(30 << 10));
    let told = pair.asked(4, "wamp.session.modify_details", &arguments).await;
    assert!(matches!(told, Err(CallError::Meta(MetaError::Argument(_)))), "{told:?}");
    pair.end();
}
