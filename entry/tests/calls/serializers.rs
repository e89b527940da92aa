//! Calls between clients of different serializers.

use serde_json::json;

use crate::peer::ALL_FEATURES;
use crate::{Entry, Peer};

const SERIALIZERS: [&str; 3] = ["wamp.2.json", "wamp.2.msgpack", "wamp.2.cbor"];

async fn pair(entry: &Entry, of_caller: &str, of_callee: &str) -> (Peer, Peer) {
    (entry.join(of_caller, ALL_FEATURES).await, entry.join(of_callee, ALL_FEATURES).await)
}

#[tokio::test]
async fn arguments_results_and_errors_are_the_same_in_every_pair_of_serializers() {
    let entry = Entry::start().await;
    let arguments = r#"[1,-7,"é\"",null,true,2.5,[],{"k":[{}]}],{"x":{"y":"z"}}"#;
    let as_json = json!([1, -7, "é\"", null, true, 2.5, [], {"k": [{}]}]);
    let kwargs = json!({"x": {"y": "z"}});
    for of_caller in SERIALIZERS {
        for of_callee in SERIALIZERS {
            let (mut caller, mut callee) = pair(&entry, of_caller, of_callee).await;
            let id = callee.register("{}", "a.b").await;
            caller.say(&format!(r#"[48,1,{{}},"a.b",{arguments}]"#)).await;
            callee.hears(json!([68, 1, id, {}, as_json, kwargs])).await;
            callee.say(&format!(r#"[70,1,{{"progress":true}},{arguments}]"#)).await;
            let part = caller.hear().await;
            assert_eq!(
                (&part[2]["progress"], &part[3], &part[4]),
                (&json!(true), &as_json, &kwargs)
            );
            callee.say(&format!("[70,1,{{}},{arguments}]")).await;
            let whole = caller.hear().await;
            assert_eq!((&whole[0], &whole[3], &whole[4]), (&json!(50), &as_json, &kwargs));
            caller.say(r#"[48,2,{},"a.b"]"#).await;
            callee.hears(json!([68, 2, id, {}])).await;
            callee.say(&format!(r#"[8,68,2,{{}},"my.error",{arguments}]"#)).await;
            caller.hears(json!([8, 48, 2, {}, "my.error", as_json, kwargs])).await;
            callee.leave().await;
        }
    }
    entry.stop().await;
}

/// `[head…, [{{[]: 1}: 2}]]` in MessagePack: a map with a key that has no form in JSON.
fn with_odd_map(head: &[u8]) -> Vec<u8> {
    [head, &[0x91, 0x81, 0x81, 0x90, 0x01, 0x02]].concat()
}

/// The callee takes one call at a time: it gets the next one only if the slot is free.
#[tokio::test]
async fn what_cannot_be_said_to_the_other_side_is_answered_once_and_its_slot_is_free() {
    let entry = Entry::start().await;
    let invalid = json!("wamp.error.invalid_argument");
    // [48, 1, {}, "a.b", …]
    let (mut caller, mut callee) = pair(&entry, "wamp.2.msgpack", "wamp.2.json").await;
    callee.register(r#"{"concurrency":1}"#, "a.b").await;
    caller.say_bytes(&with_odd_map(&[0x95, 48, 1, 0x80, 0xa3, b'a', b'.', b'b'])).await;
    let error = caller.hear().await;
    assert_eq!((&error[0], &error[2], &error[4]), (&json!(8), &json!(1), &invalid), "{error}");
    caller.say(r#"[48,2,{},"a.b"]"#).await;
    callee.yields("[2]").await;
    assert_eq!(caller.hear().await[1], json!(2), "one answer to the first");
    callee.leave().await;
    // [70, 1, {}, …], and [8, 68, 2, {}, "a.b", …]
    let (mut caller, mut callee) = pair(&entry, "wamp.2.json", "wamp.2.msgpack").await;
    callee.register(r#"{"concurrency":1}"#, "a.b").await;
    for (request, answer) in [
        (1, with_odd_map(&[0x94, 70, 1, 0x80])),
        (2, with_odd_map(&[0x96, 8, 68, 2, 0x80, 0xa3, b'a', b'.', b'b'])),
    ] {
        caller.say(&format!(r#"[48,{request},{{}},"a.b"]"#)).await;
        callee.invoked().await;
        callee.say_bytes(&answer).await;
        let error = caller.hear().await;
        let wanted = (&json!(8), &json!(request), &invalid);
        assert_eq!((&error[0], &error[2], &error[4]), wanted, "{error}");
    }
    caller.say(r#"[48,3,{},"a.b"]"#).await;
    callee.yields("[3]").await;
    assert_eq!(caller.hear().await[1], json!(3));
    entry.stop().await;
}
