//! Payload passthru mode: payloads that the router does not look into, of events and of calls.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::{Entry, Peer};

const SERIALIZERS: [&str; 3] = ["wamp.2.json", "wamp.2.msgpack", "wamp.2.cbor"];

/// Announced in every role.
const PACKED: &str = r#"{"roles":{
    "publisher":{"features":{"payload_passthru_mode":true}},
    "subscriber":{"features":{"payload_passthru_mode":true}},
    "caller":{"features":{"payload_passthru_mode":true}},
    "callee":{"features":{"payload_passthru_mode":true,"call_canceling":true,"progressive_call_invocations":true}}}}"#;

const PLAIN: &str = r#"{"roles":{"publisher":{},"subscriber":{},"caller":{},"callee":{}}}"#;

/// All options, and bytes as the one argument.
const OPTIONS: &str =
    r#""ppt_scheme":"wamp","ppt_serializer":"cbor","ppt_cipher":"aes256gcm","ppt_keyid":"0x1""#;
const BYTES: &str = r#"["\u0000/wAB"]"#;

fn bytes() -> Value {
    serde_json::from_str(BYTES).expect("JSON")
}

fn options() -> Value {
    serde_json::from_str(&format!("{{{OPTIONS}}}")).expect("JSON")
}

/// Those of them that are in some details.
fn options_in(details: &Value) -> Value {
    let of = details.as_object().expect("a dict").clone();
    of.into_iter()
        .filter(|(key, _)| key.starts_with("ppt_"))
        .collect::<serde_json::Map<_, _>>()
        .into()
}

async fn get(entry: &Entry, path: &str) -> String {
    let mut stream = TcpStream::connect(entry.address()).await.expect("connected");
    let head = format!("GET {path} HTTP/1.0\r\nhost: localhost\r\n\r\n");
    stream.write_all(head.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("text");
    answer
}

async fn publish(publisher: &mut Peer, options: &str, payload: &str) -> Value {
    publisher.say(&format!(r#"[16,1,{{"acknowledge":true,{options}}},"a.b",{payload}]"#)).await;
    publisher.hear().await
}

#[tokio::test]
async fn an_event_says_how_its_payload_is_packed_live_and_from_the_store() {
    let entry = Entry::start().await;
    let mut position = 0;
    for of_publisher in SERIALIZERS {
        let mut live = Vec::new();
        for serializer in SERIALIZERS {
            let mut subscriber = entry.join(serializer, PACKED).await;
            subscriber.say(r#"[32,1,{},"a.b"]"#).await;
            assert_eq!(subscriber.hear().await[0], 33);
            live.push(subscriber);
        }
        let mut publisher = entry.join(of_publisher, PACKED).await;
        let published = publish(&mut publisher, OPTIONS, BYTES).await;
        assert_eq!(published[0], 17, "{published}");
        let after = std::mem::replace(&mut position, published[2].as_u64().expect("a position"));
        // Those that come back, from what the store has.
        for serializer in SERIALIZERS {
            let mut late = entry.join(serializer, PACKED).await;
            late.say(&format!(r#"[32,1,{{"after":{after}}},"a.b"]"#)).await;
            assert_eq!(late.hear().await[0], 33);
            live.push(late);
        }
        for mut subscriber in live {
            let event = subscriber.hear().await;
            assert_eq!((&event[0], &event[2]), (&json!(36), &json!(position)), "{event}");
            assert_eq!((options_in(&event[3]), &event[4]), (options(), &bytes()), "{event}");
            assert_eq!(event.as_array().map(Vec::len), Some(5));
            subscriber.leave().await;
        }
        publisher.leave().await;
    }
    let history = get(&entry, "/history?topic=a.b&after=0").await;
    let lines: Vec<Value> =
        history.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let packed: Vec<_> = lines.iter().filter(|line| line["args"].is_array()).collect();
    assert_eq!(packed.len(), SERIALIZERS.len(), "{history}");
    for line in packed {
        assert_eq!((options_in(line), &line["args"]), (options(), &bytes()), "{line}");
    }
    entry.stop().await;
}

#[tokio::test]
async fn calls_results_progress_and_errors_say_how_their_payload_is_packed() {
    let entry = Entry::start().await;
    for of_caller in SERIALIZERS {
        for of_callee in SERIALIZERS {
            let mut caller = entry.join(of_caller, PACKED).await;
            let mut callee = entry.join(of_callee, PACKED).await;
            callee.register("{}", "a.b").await;
            caller
                .say(&format!(r#"[48,1,{{{OPTIONS},"progress":true}},"a.b",{BYTES},{{}}]"#))
                .await;
            caller.say(&format!(r#"[48,1,{{{OPTIONS}}},"a.b",{BYTES}]"#)).await;
            for _part in 0..2 {
                let invocation = callee.hear().await;
                assert_eq!((options_in(&invocation[3]), &invocation[4]), (options(), &bytes()));
            }
            callee.say(&format!(r#"[70,1,{{{OPTIONS},"progress":true}},{BYTES}]"#)).await;
            callee.say(r#"[70,1,{"ppt_scheme":"x_my"},[{"args":[1]}]]"#).await;
            let part = caller.hear().await;
            assert_eq!((&part[0], &part[2]["progress"]), (&json!(50), &json!(true)), "{part}");
            assert_eq!((options_in(&part[2]), &part[3]), (options(), &bytes()));
            let result = caller.hear().await;
            assert_eq!(options_in(&result[2]), json!({"ppt_scheme": "x_my"}));
            assert_eq!(result[3], json!([{"args": [1]}]), "{result}");
            caller.say(r#"[48,2,{},"a.b"]"#).await;
            let invocation = callee.hear().await;
            assert_eq!(options_in(&invocation[3]), json!({}), "{invocation}");
            callee.say(&format!(r#"[8,68,2,{{{OPTIONS}}},"my.error",{BYTES}]"#)).await;
            caller.hears(json!([8, 48, 2, options(), "my.error", bytes()])).await;
            callee.leave().await;
        }
    }
    entry.stop().await;
}

/// Two who understand each other are needed: the router says so to the one who waits.
#[tokio::test]
async fn a_side_that_did_not_announce_it_ends_the_call_with_feature_not_supported() {
    let entry = Entry::start().await;
    let unsupported = json!("wamp.error.feature_not_supported");
    let mut caller = entry.join("wamp.2.json", PACKED).await;
    let mut plain = entry.join("wamp.2.json", PLAIN).await;
    plain.register(r#"{"concurrency":1}"#, "plain").await;
    caller.say(&format!(r#"[48,1,{{{OPTIONS}}},"plain",{BYTES}]"#)).await;
    let error = caller.hear().await;
    assert_eq!((&error[0], &error[2], &error[4]), (&json!(8), &json!(1), &unsupported), "{error}");
    // Its slot is free, and it was not invoked.
    caller.say(r#"[48,2,{},"plain",[2]]"#).await;
    let (_, arguments) = plain.invoked().await;
    assert_eq!(arguments, json!([2]));

    caller.register("{}", "packs").await;
    for (request, answer) in [
        (1, format!(r#"[70,1,{{{OPTIONS}}},{BYTES}]"#)),
        (2, format!(r#"[8,68,2,{{{OPTIONS}}},"my.error",{BYTES}]"#)),
    ] {
        plain.say(&format!(r#"[48,{request},{{}},"packs"]"#)).await;
        caller.invoked().await;
        caller.say(&answer).await;
        let error = plain.hear().await;
        let wanted = (&json!(8), &json!(request), &unsupported);
        assert_eq!((&error[0], &error[2], &error[4]), wanted, "{error}");
    }
    plain.hears_nothing().await;
    entry.stop().await;
}

#[tokio::test]
async fn who_packs_without_having_announced_it_is_aborted() {
    let entry = Entry::start().await;
    for message in [
        format!(r#"[16,1,{{{OPTIONS}}},"a.b",{BYTES}]"#),
        format!(r#"[48,1,{{{OPTIONS}}},"a.b",{BYTES}]"#),
        format!(r#"[70,1,{{{OPTIONS}}},{BYTES}]"#),
        format!(r#"[8,68,1,{{{OPTIONS}}},"my.error",{BYTES}]"#),
    ] {
        let mut peer = entry.join("wamp.2.json", PLAIN).await;
        peer.say(&message).await;
        assert_eq!(peer.aborted("wamp.error.protocol_violation").await, 1002, "{message}");
    }
    entry.stop().await;
}

/// A message is refused, a call's option is a broken protocol, as with all other options.
#[tokio::test]
async fn bad_options_and_payloads_that_are_not_one_value_are_refused() {
    let entry = Entry::start().await;
    let invalid = json!("wamp.error.invalid_argument");
    let mut peer = entry.join("wamp.2.json", PACKED).await;
    let packed = r#""ppt_scheme":"mqtt","ppt_serializer":"json""#;
    for (options, payload) in [
        (r#""ppt_scheme":"wamp.eth""#, BYTES),
        (r#""ppt_scheme":7"#, BYTES),
        (r#""ppt_keyid":"k""#, BYTES),
        (packed, "[]"),
        (packed, "[{}]"),
        (packed, "[1,2]"),
        (packed, r#"["x"],{"k":1}"#),
        (r#""ppt_scheme":"mqtt""#, "[1,2]"),
    ] {
        let error = publish(&mut peer, options, payload).await;
        assert_eq!((&error[0], &error[4]), (&json!(8), &invalid), "{options} {payload}: {error}");
    }
    for (options, payload) in
        [(packed, r#"["{}"]"#), (r#""ppt_scheme":"mqtt","ppt_serializer":"native""#, "[{}],{ }")]
    {
        assert_eq!(publish(&mut peer, options, payload).await[0], 17, "{options} {payload}");
    }
    // Of calls as well; and what a callee answers so ends its call.
    peer.register("{}", "a.b").await;
    peer.say(r#"[48,1,{"ppt_scheme":"mqtt"},"a.b",[1,2]]"#).await;
    let error = peer.hear().await;
    assert_eq!((&error[1], &error[2], &error[4]), (&json!(48), &json!(1), &invalid), "{error}");
    peer.say(r#"[48,2,{},"a.b"]"#).await;
    let (invocation, _) = peer.invoked().await;
    peer.say(&format!(r#"[70,{invocation},{{"ppt_scheme":"mqtt"}},[1],{{"k":2}}]"#)).await;
    let error = peer.hear().await;
    assert_eq!((&error[1], &error[2], &error[4]), (&json!(48), &json!(2), &invalid), "{error}");
    for message in [
        r#"[48,3,{"ppt_scheme":"amqp"},"a.b",["x"]]"#,
        r#"[70,9,{"ppt_cipher":"aes256gcm"},["x"]]"#,
        r#"[8,68,9,{"ppt_scheme":{}},"my.error",["x"]]"#,
    ] {
        let mut peer = entry.join("wamp.2.json", PACKED).await;
        peer.say(message).await;
        assert_eq!(peer.aborted("wamp.error.protocol_violation").await, 1002, "{message}");
    }
    entry.stop().await;
}
