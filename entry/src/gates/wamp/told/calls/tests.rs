use std::num::NonZeroU64;

use bytes::Bytes;
use serde_json::Value;
use vixen_broker::api::calls::RegistrationId;
use vixen_core::id::Position;
use vixen_core::payload::transcode_value;

use super::*;

const REQUEST: RequestId = RequestId(7);
const REGISTRATION: RegistrationId = RegistrationId(4);
const INVOKED: InvocationId = InvocationId(3);

fn payload(json: &'static str) -> Payload {
    Payload::new(Encoding::Json, Bytes::from_static(json.as_bytes()))
}

fn party() -> Party {
    Party { session: SessionId(9), authid: "jo\"e".into(), authrole: "user".into() }
}

fn result(payload: Payload) -> CallTold {
    let (callee, about, missing) = (None, None, Vec::new());
    CallTold::Result { request: REQUEST, is_progress: false, callee, about, missing, payload }
}

fn failed(error: CallError) -> CallTold {
    CallTold::Failed { request: REQUEST, error }
}

fn put_in(encoding: Encoding, told: &CallTold) -> Vec<u8> {
    let mut out = BytesMut::new();
    put(&mut out, encoding, told).expect("said");
    out.to_vec()
}

/// In JSON; in the others it is the same.
fn text(told: &CallTold) -> String {
    let json = put_in(Encoding::Json, told);
    let parsed: Value = serde_json::from_slice(&json).expect("JSON");
    for encoding in [Encoding::MsgPack, Encoding::Cbor] {
        let mut as_json = BytesMut::new();
        let message = put_in(encoding, told);
        transcode_value(&message, encoding, Encoding::Json, &mut as_json).expect("one value");
        let other: Value = serde_json::from_slice(&as_json).expect("JSON");
        assert_eq!(other, parsed, "{encoding:?}");
    }
    String::from_utf8(json).expect("text")
}

#[test]
fn what_is_told_of_calls_is_a_message_in_each_serializer() {
    let progress = CallTold::Result {
        request: REQUEST,
        is_progress: true,
        callee: Some(party()),
        about: None,
        missing: Vec::new(),
        payload: payload("[1]"),
    };
    let refused = CallTold::Refused {
        request: REQUEST,
        kind: CalleeRequest::Unregister,
        error: RegisterError::NoSuchRegistration,
    };
    let invocation =
        |procedure: Option<&str>, caller, timeout_ms: u64, flag| CallTold::Invocation {
            invocation: INVOKED,
            registration: REGISTRATION,
            // With a call that has all of its details.
            fence: procedure.map(|_| Position(40)),
            procedure: procedure.map(Into::into),
            caller,
            timeout_ms: NonZeroU64::new(timeout_ms),
            takes_progress: flag,
            has_more: flag,
            payload: payload(r#"[],{"k":1}"#),
        };
    let interrupt = |mode| CallTold::Interrupt { invocation: INVOKED, mode };
    let callee_error = CallError::Callee { uri: "a.error".into(), payload: payload("[1],{}") };
    let table = [
        (result(payload("[1]")), "[50,7,{},[1]]"),
        (
            progress,
            r#"[50,7,{"progress":true,"callee":9,"callee_authid":"jo\"e","callee_authrole":"user"},[1]]"#,
        ),
        (CallTold::Registered { request: REQUEST, registration: REGISTRATION }, "[65,7,4]"),
        (CallTold::Unregistered { request: REQUEST }, "[67,7]"),
        (
            CallTold::Revoked { registration: REGISTRATION },
            r#"[67,0,{"registration":4,"reason":"wamp.error.unregistered"}]"#,
        ),
        (
            refused,
            r#"[8,66,7,{},"wamp.error.no_such_registration",["no such registration of this session"]]"#,
        ),
        (invocation(None, None, 0, false), r#"[68,3,4,{},[],{"k":1}]"#),
        (
            invocation(Some("a.b"), Some(party()), 250, true),
            r#"[68,3,4,{"procedure":"a.b","caller":9,"caller_authid":"jo\"e","caller_authrole":"user","timeout":250,"x_vixen_fence":40,"receive_progress":true,"progress":true},[],{"k":1}]"#,
        ),
        (interrupt(CancelMode::Unnamed), "[69,3,{}]"),
        (interrupt(CancelMode::KillNoWait), r#"[69,3,{"mode":"killnowait"}]"#),
        (failed(CallError::Canceled), r#"[8,48,7,{},"wamp.error.canceled"]"#),
        (
            failed(CallError::CalleeGone { entry: None }),
            r#"[8,48,7,{},"wamp.error.canceled",["callee disconnected from in-flight request"]]"#,
        ),
        (
            failed(CallError::CalleeGone { entry: Some("no word of entry E2 for 1.8 s".into()) }),
            r#"[8,48,7,{},"wamp.error.canceled",["callee disconnected from in-flight request","no word of entry E2 for 1.8 s"]]"#,
        ),
        (failed(callee_error), r#"[8,48,7,{},"a.error",[1]]"#),
    ];
    for (told, wanted) in table {
        assert_eq!(text(&told), wanted);
    }
}

#[test]
fn empty_arguments_are_left_off_and_others_are_not_touched() {
    for (arguments, wanted) in [
        ("", "[50,7,{}]"),
        ("[]", "[50,7,{}]"),
        ("[],{}", "[50,7,{}]"),
        ("[] , {}", "[50,7,{}]"),
        ("[1] ,\t{}", "[50,7,{},[1]]"),
        ("[{}]", "[50,7,{},[{}]]"),
        (r#"["{}"],{"k":{}}"#, r#"[50,7,{},["{}"],{"k":{}}]"#),
        ("[1e400]", "[50,7,{},[1e400]]"),
    ] {
        let json = put_in(Encoding::Json, &result(payload(arguments)));
        assert_eq!(std::str::from_utf8(&json).expect("text"), wanted);
    }
    for (encoding, bytes, wanted) in [
        (Encoding::MsgPack, &b"\x90"[..], "[50,7,{}]"),
        (Encoding::MsgPack, b"\x90\x80", "[50,7,{}]"),
        (Encoding::MsgPack, b"\x91\x80", "[50,7,{},[{}]]"),
        (Encoding::MsgPack, b"\x91\x01\x80", "[50,7,{},[1]]"),
        (Encoding::Cbor, b"\x80\xa0", "[50,7,{}]"),
        (Encoding::Cbor, b"\x81\x01\xa0", "[50,7,{},[1]]"),
        (Encoding::Cbor, b"\x80\xa1\x61k\x01", r#"[50,7,{},[],{"k":1}]"#),
    ] {
        let payload = Payload::new(encoding, Bytes::from_static(bytes));
        assert_eq!(text(&result(payload)), wanted, "{encoding:?}");
    }
}

#[test]
fn what_cannot_be_said_leaves_nothing_behind() {
    let payload = Payload::new(Content::Later(9), Bytes::from_static(b"x"));
    let told = result(payload);
    let mut out = BytesMut::from("before");
    for encoding in [Encoding::Json, Encoding::MsgPack, Encoding::Cbor] {
        assert!(put(&mut out, encoding, &told).is_err());
        assert_eq!(out, "before");
    }
}
