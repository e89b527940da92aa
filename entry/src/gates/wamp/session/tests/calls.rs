//! Messages of callers and callees.

use vixen_broker::api::calls::{Call, Payload, Register};

use super::*;

pub(super) fn in_words(word: &CallWord) -> String {
    let args = |payload: &Payload| text(&payload.bytes).to_owned();
    match word {
        CallWord::Call(call) => {
            let Call { request, procedure, payload, .. } = call;
            let Call { takes_progress, has_more, timeout_ms, is_disclosed, routing_key, .. } = call;
            let mut words = format!("call {} {procedure} {}", request.0, args(payload));
            for (is_set, word) in [
                (*takes_progress, " takes progress"),
                (*has_more, " has more"),
                (*is_disclosed, " disclosed"),
            ] {
                words += if is_set { word } else { "" };
            }
            words += &timeout_ms.map(|ms| format!(" {ms} ms")).unwrap_or_default();
            words + &routing_key.as_ref().map(|key| format!(" by {key}")).unwrap_or_default()
        }
        CallWord::Cancel { request, mode } => format!("cancel {} {mode:?}", request.0),
        CallWord::Spoiled { request, procedure: _, has_more, error, payload } => {
            let more = if *has_more { ", more to come:" } else { "" };
            format!("spoiled {}{more} {error} {}", request.0, args(payload))
        }
        CallWord::Withdrawn { request, procedure, why, .. } => {
            format!("withdrawn {} {procedure} {why:?}", request.0)
        }
        CallWord::Register(register) => {
            let Register { request, procedure, matching, invoke, concurrency, .. } = register;
            let many = concurrency.map(|many| format!(" {many} at once")).unwrap_or_default();
            let forced = if register.is_forced { " forced" } else { "" };
            format!("register {} {procedure} {matching:?} {invoke:?}{many}{forced}", request.0)
        }
        CallWord::Hide { registration } => format!("hide {}", registration.0),
        CallWord::Unregister { request, registration } => {
            format!("unregister {} {}", request.0, registration.0)
        }
        CallWord::Yield { invocation, is_progress, payload } => {
            let more = if *is_progress { " more to come" } else { "" };
            format!("yield {} {}{more}", invocation.0, args(payload))
        }
        CallWord::Fail { invocation, error, payload } => {
            format!("fail {} {error} {}", invocation.0, args(payload))
        }
    }
}

#[test]
fn good_messages_of_callers_and_callees_are_taken() {
    let table = [
        (r#"[48,1,{},"a.b"]"#, "call 1 a.b "),
        (r#"[48,2,{"x_own":1},"a.B-é",[1,"x"],{"k":{}}]"#, r#"call 2 a.B-é [1,"x"],{"k":{}}"#),
        (
            r#"[48,3,{"receive_progress":true,"timeout":250,"disclose_me":true},"a",[]]"#,
            "call 3 a [] takes progress disclosed 250 ms",
        ),
        (r#"[48,4,{"progress":true,"rkey":"k"},"a"]"#, "call 4 a  has more by k"),
        (r#"[48,4,{},"wamp.session.get",[1]]"#, "call 4 wamp.session.get [1]"),
        ("[49,5,{}]", "cancel 5 Unnamed"),
        (r#"[49,5,{"mode":"skip"}]"#, "cancel 5 Skip"),
        (r#"[64,6,{},"a.b"]"#, "register 6 a.b Exact Single"),
        (
            r#"[64,7,{"match":"prefix","invoke":"roundrobin","concurrency":2},"a."]"#,
            "register 7 a. Prefix RoundRobin 2 at once",
        ),
        (
            r#"[64,8,{"match":"wildcard","force_reregister":true},"a..b"]"#,
            "register 8 a..b Wildcard Single forced",
        ),
        (r#"[64,8,{},"crossbar.x"]"#, "register 8 crossbar.x Exact Single"),
        ("[66,9,77]", "unregister 9 77"),
        ("[70,10,{}]", "yield 10 "),
        (r#"[70,10,{"progress":true},[1],{}]"#, "yield 10 [1],{} more to come"),
        (r#"[8,68,11,{"x":1},"a.error",[1],{"k":2}]"#, r#"fail 11 a.error [1],{"k":2}"#),
        (r#"[8,68,11,{},"wamp.error.unavailable"]"#, "fail 11 wamp.error.unavailable "),
    ];
    for (frame, wanted) in table {
        assert_eq!(outcome(&mut open(), frame), wanted, "{frame}");
    }
}

/// Whether a call is open that it is a part of, the broker knows: so it answers.
const NO_URI: &str = r#"spoiled 1 wamp.error.invalid_uri ["procedure is no URI: components without whitespace or '#', separated by single dots"]"#;

#[test]
fn a_bad_procedure_is_an_error_and_a_bad_option_ends_the_session() {
    let table = [
        (r#"[48,1,{},"a b"]"#, NO_URI),
        (r#"[48,1,{},""]"#, NO_URI),
        (r#"[48,1,{},"\ud800"]"#, NO_URI),
        (r#"[64,1,{},"a..b"]"#, r#"[8,64,1,{},"wamp.error.invalid_uri""#),
        (r#"[64,1,{},"wamp.x"]"#, r#"[8,64,1,{},"wamp.error.invalid_uri""#),
        (r#"[64,1,{"match":"prefix"},"wamp."]"#, r#"[8,64,1,{},"wamp.error.invalid_uri""#),
        (r#"[48,1,{"timeout":-1},"a"]"#, "violation option"),
        (r#"[49,1,{"mode":"bogus"}]"#, "violation option"),
        (r#"[64,1,{"invoke":"bogus"},"a"]"#, "violation option"),
        (r#"[64,1,{"match":"bogus"},"a"]"#, "violation option"),
        (r#"[64,1,{"concurrency":0},"a"]"#, "violation option"),
        (r#"[70,1,{"progress":7}]"#, "violation option"),
        (r#"[8,68,1,{},"\ud800"]"#, "violation type"),
        (r#"[8,68,1,{},""]"#, "violation type"),
        (r#"[8,68,1,{},"not a URI"]"#, "violation type"),
        (r#"[8,68,1,{},"a..error",[1]]"#, "violation type"),
    ];
    for (frame, wanted) in table {
        assert_eq!(outcome(&mut open(), frame), wanted, "{frame}");
    }
}

#[test]
fn an_answer_that_is_too_large_is_an_error_of_its_callee() {
    let long = "x".repeat(80);
    let wanted = r#"fail 1 wamp.error.payload_size_exceeded ["message has more than 64 bytes, as many as limits.message-bytes-max allows"]"#;
    let mut session = open();
    assert_eq!(outcome(&mut session, &format!(r#"[70,1,{{}},["{long}"]]"#)), wanted);
    assert_eq!(outcome(&mut session, &format!(r#"[8,68,1,{{}},"{long}"]"#)), wanted);
    let call = format!(r#"[48,1,{{}},"a",["{long}"]]"#);
    assert_eq!(outcome(&mut session, &call), wanted.replace("fail", "spoiled"));
    // Parts of a call likewise: whether one is open, the broker knows.
    let call = format!(r#"[48,1,{{"progress":true}},"a",["{long}"]]"#);
    let more = wanted.replace("fail", "spoiled").replace("spoiled 1", "spoiled 1, more to come:");
    assert_eq!(outcome(&mut session, &call), more);
}

#[test]
fn an_option_that_is_wrong_is_named_to_the_client() {
    let mut session = open();
    let ended = actions(&mut session, r#"[64,1,{"invoke":"bogus"},"a"]"#);
    let [Action::End(ending)] = ended[..] else { panic!("{ended:?}") };
    let last = session.farewell(ending).expect("an ABORT");
    let wanted = r#"[3,{"message":"REGISTER: option 'invoke' takes 'single', 'roundrobin', 'random', 'first' or 'last'"},"wamp.error.protocol_violation"]"#;
    assert_eq!(text(&last), wanted);
}
