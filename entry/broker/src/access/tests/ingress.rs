//! What ingress lets pass.

use std::sync::Arc;

use bytes::Bytes;

use vixen_core::access::{Disclosure, UriCheck};
use vixen_core::segment::{Attributes, Encoding, Match, Passthru};

use crate::access::{
    Act, CallMessage, CallOptions, CalleeDisclosure, Ingress, IngressLimits, Message, Permission,
    Permissions, PublishOptions, Quotas, Refusal, RegisterOptions, SubscribeOptions,
};
use crate::api::calls::{CallFeatures, Payload};
use crate::api::{Origin, RequestId, SessionId, SessionInfo};

fn ingress() -> Ingress {
    let info = SessionInfo {
        session: SessionId(7),
        realm: "r".into(),
        authid: "joe".into(),
        authrole: "user".into(),
        authmethod: "ticket",
        authprovider: "static",
        origin: Origin { client: [127, 0, 0, 1].into(), site: None },
        is_announced: true,
        calls: CallFeatures::default(),
    };
    let uri_check = UriCheck::Loose;
    let limits = IngressLimits { topic_bytes_max: 10, publish_bytes_max: 32, uri_check };
    Ingress::new(Arc::new(info), limits)
}

/// May publish below `never.`, `asked.` and `always.`, and subscribe below `read.`.
fn permissions() -> Permissions {
    let below = |uri: &str, publish, subscribe| Permission {
        uri: uri.to_owned(),
        matching: Match::Prefix,
        publish,
        subscribe,
        ..Permission::default()
    };
    let permissions = [
        below("never.", Some(Disclosure::Never), false),
        below("asked.", Some(Disclosure::OnRequest), false),
        below("always.", Some(Disclosure::Always), false),
        below("read.", None, true),
    ];
    Permissions::new(permissions, Quotas::UNLIMITED)
}

fn message<'a>(
    topic: &'a &'a str,
    payload: &'static str,
    disclose_me: bool,
) -> Message<'a, &'a str> {
    Message {
        request: RequestId(9),
        topic,
        content: Encoding::Json.into(),
        payload: Bytes::from_static(payload.as_bytes()),
        options: PublishOptions { acknowledge: true, disclose_me, ..PublishOptions::default() },
    }
}

#[test]
fn a_publisher_is_named_where_the_permission_that_holds_lets_it() {
    let table = [
        ("never.x", false, Ok(false)),
        ("never.x", true, Err(Refusal::DisclosureNotAllowed)),
        ("asked.x", false, Ok(false)),
        ("asked.x", true, Ok(true)),
        ("always.x", false, Ok(true)),
        ("read.x", false, Err(Refusal::NotAuthorized(Act::Publish))),
        ("a b", false, Err(Refusal::InvalidTopic)),
        ("wamp.x", false, Err(Refusal::ReservedTopic)),
        ("asked.long.", false, Err(Refusal::TopicTooLong { max: 10 })),
    ];
    for (topic, disclose_me, wanted) in table {
        let passed = ingress().publish(&permissions(), message(&topic, "", disclose_me));
        let is_named = passed.map(|publish| {
            assert_eq!((&*publish.topic.realm, &*publish.topic.uri), ("r", topic));
            assert_eq!(publish.acknowledge, Some(RequestId(9)));
            let attributes = Attributes::from_bytes(&publish.attributes).expect("attributes");
            attributes.publisher.is_some()
        });
        assert_eq!(is_named, wanted, "{topic}");
    }
}

#[test]
fn topic_payload_and_attributes_count_against_the_bound() {
    let mut ingress = ingress();
    let mut publish = |payload, disclose_me| {
        let passed = ingress.publish(&permissions(), message(&"asked.x", payload, disclose_me));
        passed.map(|publish| publish.message_bytes())
    };
    let (fits, max) = ("[\"0123456789abcdefghij\"]", 32);
    assert_eq!(publish(fits, false), Ok(31));
    assert_eq!(publish(fits, true), Err(Refusal::TooLarge { max }));
    assert_eq!(publish("[\"0123456789abcdefghijkl\"]", false), Err(Refusal::TooLarge { max }));
}

#[test]
fn a_pattern_is_of_the_sessions_realm_and_permitted_as_a_whole() {
    let ingress = ingress();
    let of = |topic: &'static str, matching| {
        let options = SubscribeOptions { matching, limit: Some(3), ..SubscribeOptions::default() };
        let wanted = ingress.subscribe(&permissions(), &topic, &options);
        wanted
            .map(|wanted| (wanted.pattern.realm.to_string(), wanted.pattern.matching, wanted.limit))
    };
    assert_eq!(of("read.x", Match::Exact), Ok(("r".to_owned(), Match::Exact, Some(3))));
    assert_eq!(of("read.x.#", Match::Exact), Ok(("r".to_owned(), Match::Dotted, Some(3))));
    // `read` itself is of it.
    assert_eq!(of("read.#", Match::Exact), Err(Refusal::NotAuthorized(Act::Subscribe)));
    assert_eq!(of("", Match::Prefix), Err(Refusal::NotAuthorized(Act::Subscribe)));
    assert_eq!(of("read..", Match::Prefix), Err(Refusal::InvalidPattern));
}

fn call_of<'a>(procedure: &'a &'a str, disclose_me: bool) -> CallMessage<'a, &'a str> {
    let payload = Payload::new(Encoding::Json, Bytes::from_static(b"[]"));
    let options = CallOptions { disclose_me, ..CallOptions::default() };
    CallMessage { request: RequestId(9), procedure, payload, options }
}

fn packed(serializer: Option<&str>) -> Option<Box<Passthru>> {
    let (scheme, serializer) = ("x_a".to_owned(), serializer.map(str::to_owned));
    Some(Box::new(Passthru { scheme, serializer, cipher: None, keyid: None }))
}

/// Whoever reads it later has nothing but its attributes.
#[test]
fn a_packed_payload_is_one_value_and_is_stored_with_how_it_is_packed() {
    let of = |passthru: Option<Box<Passthru>>, payload: &'static [u8]| {
        let options = PublishOptions { passthru, ..PublishOptions::default() };
        let (content, payload) = (Encoding::Json.into(), Bytes::from_static(payload));
        let message = Message { request: RequestId(1), topic: &"a.b", content, payload, options };
        ingress().publish(&Permissions::OPEN, message)
    };
    let publish = of(packed(Some("x")), b"[\"\\u0000/w==\"],{}").expect("one value");
    let stored = Attributes::from_bytes(&publish.attributes).expect("good");
    assert_eq!(stored, Attributes { passthru: packed(Some("x")), ..Attributes::default() });
    assert!(of(packed(None), b"[{\"k\":1}]").is_ok(), "nothing was packed before");
    for (serializer, payload) in [
        (Some("x"), &b"[7]"[..]),
        (Some("x"), b"[\"a\",\"b\"]"),
        (None, b"[\"a\",\"b\"]"),
        (None, b"[\"a\"],{\"k\":1}"),
        (None, b"[]"),
        (None, b""),
    ] {
        let refused = of(packed(serializer), payload).expect_err("not one value");
        assert_eq!(refused, Refusal::NotPacked, "{payload:?}");
    }
    assert_eq!(of(None, b"[1,2]").expect("not packed").attributes.len(), 0);
}

/// May call below `never.`, `asked.` and `always.`, and register below `open.` and `hidden.`.
fn permissions_of_calls() -> Permissions {
    let below = |uri: &str, call, register| Permission {
        uri: uri.to_owned(),
        matching: Match::Prefix,
        call,
        register,
        ..Permission::default()
    };
    let permissions = [
        below("never.", Some(Disclosure::Never), None),
        below("asked.", Some(Disclosure::OnRequest), None),
        below("always.", Some(Disclosure::Always), None),
        below("open.", None, Some(CalleeDisclosure::Told)),
        below("hidden.", None, Some(CalleeDisclosure::Hidden)),
    ];
    Permissions::new(permissions, Quotas::UNLIMITED)
}

#[test]
fn a_caller_is_named_where_the_permission_that_holds_lets_it() {
    let table = [
        ("never.x", true, Ok(false)),
        ("asked.x", false, Ok(false)),
        ("asked.x", true, Ok(true)),
        ("always.x", false, Ok(true)),
        ("open.x", false, Err(Refusal::NotAuthorized(Act::Call))),
        ("wamp.x", false, Err(Refusal::NotAuthorized(Act::Call))),
        ("a b", false, Err(Refusal::InvalidProcedure)),
        ("", false, Err(Refusal::InvalidProcedure)),
        ("asked.long.", false, Err(Refusal::TopicTooLong { max: 10 })),
    ];
    for (procedure, disclose_me, wanted) in table {
        let called = ingress().call(&permissions_of_calls(), call_of(&procedure, disclose_me));
        assert_eq!(called.map(|call| call.is_disclosed), wanted, "{procedure}");
    }
}

#[test]
fn a_registration_is_permitted_as_a_whole_and_never_below_wamp() {
    let of = |procedure: &'static str, matching, permissions: &Permissions| {
        let options = RegisterOptions { matching, ..RegisterOptions::default() };
        let registered = ingress().register(permissions, RequestId(9), &procedure, &options);
        registered.map(|register| (register.procedure.to_string(), register.is_disclosed))
    };
    let permissions = permissions_of_calls();
    let denied = Err(Refusal::NotAuthorized(Act::Register));
    let table = [
        ("open.x", Match::Exact, Ok(("open.x".to_owned(), true))),
        ("open.", Match::Prefix, Ok(("open.".to_owned(), true))),
        ("hidden..x", Match::Wildcard, Ok(("hidden..x".to_owned(), false))),
        ("ope", Match::Prefix, denied.clone()),
        ("..x", Match::Wildcard, denied.clone()),
        ("asked.x", Match::Exact, denied),
        ("open..", Match::Prefix, Err(Refusal::InvalidPattern)),
        ("open..x", Match::Exact, Err(Refusal::InvalidProcedure)),
    ];
    for (procedure, matching, wanted) in table {
        assert_eq!(of(procedure, matching, &permissions), wanted, "{procedure}");
    }
    for (procedure, matching) in
        [("wamp", Match::Exact), ("wamp.x", Match::Exact), ("wamp.", Match::Prefix)]
    {
        let reserved = Err(Refusal::ReservedProcedure);
        assert_eq!(of(procedure, matching, &Permissions::OPEN), reserved, "{procedure}");
    }
}

/// What it tells of may be known to it alone: subscriptions have their topics by an id.
#[test]
fn a_call_of_the_router_brings_the_rights_of_its_caller() {
    for (procedure, brings) in [("wamp.x", true), ("wamp", true), ("call.x", false)] {
        let call = ingress().call(&Permissions::OPEN, call_of(&procedure, false)).expect("allowed");
        assert_eq!(call.rights, brings.then(|| Box::new(Permissions::OPEN)), "{procedure}");
    }
}
