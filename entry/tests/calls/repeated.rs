//! Requests that have the id of one that waits for its answer: all of them are answered, or the session ends.

use serde_json::{Value, json};

use crate::{Entry, Peer};

const ROLES: &str = r#"{"roles":{"publisher":{},"subscriber":{},"caller":{},"callee":{}}}"#;

async fn joined(entry: &Entry) -> Peer {
    entry.join("wamp.2.json", ROLES).await
}

fn is_error(message: &Value) -> bool {
    message[0] == 8
}

/// What comes of two requests of one id that are said together: the answer, and the refusal of the other.
async fn both(peer: &mut Peer, kind: u64, request: u64, messages: [&str; 2]) -> Value {
    peer.say_together(&messages).await;
    let heard = [peer.hear().await, peer.hear().await];
    let [refused, answered] = match heard {
        [first, second] if is_error(&first) => [first, second],
        [first, second] => [second, first],
    };
    let invalid = json!("wamp.error.invalid_argument");
    assert_eq!([&refused[1], &refused[2], &refused[4]], [&json!(kind), &json!(request), &invalid]);
    assert!(!is_error(&answered) && answered[1] == request, "{answered}");
    answered
}

/// The refused one got no answer at all.
#[tokio::test]
async fn a_subscribe_or_unsubscribe_of_an_id_that_waits_is_refused() {
    let entry = Entry::start().await;
    let mut peer = joined(&entry).await;
    let messages = [r#"[32,7,{},"a.b"]"#, r#"[32,7,{},"c.d"]"#];
    let subscription = both(&mut peer, 32, 7, messages).await[2].clone();
    let message = format!("[34,8,{subscription}]");
    both(&mut peer, 34, 8, [&message, &message]).await;
    // The second was of none, and the id is free again.
    peer.say(r#"[32,7,{},"c.d"]"#).await;
    let subscribed = peer.hear().await;
    assert_eq!((&subscribed[0], &subscribed[1]), (&json!(33), &json!(7)), "{subscribed}");
    entry.stop().await;
}

/// Both were done, and nobody could tell which answer was for which.
#[tokio::test]
async fn a_register_or_unregister_of_an_id_that_waits_is_refused() {
    let entry = Entry::start().await;
    let mut peer = joined(&entry).await;
    let messages = [r#"[64,7,{},"a.b"]"#, r#"[64,7,{},"c.d"]"#];
    let registration = both(&mut peer, 64, 7, messages).await[2].clone();
    let message = format!("[66,8,{registration}]");
    both(&mut peer, 66, 8, [&message, &message]).await;
    for procedure in ["a.b", "c.d"] {
        peer.say(&format!(r#"[48,1,{{}},"{procedure}"]"#)).await;
        let error = peer.hear().await;
        assert_eq!(error[4], "wamp.error.no_such_procedure", "{error}");
    }
    // Of different kinds they may be alike.
    peer.say_together(&[r#"[64,9,{},"a.b"]"#, r#"[32,9,{},"a.b"]"#]).await;
    for _ in 0..2 {
        let answered = peer.hear().await;
        assert!(!is_error(&answered), "{answered}");
    }
    entry.stop().await;
}

/// Each has a place of its own, and is acknowledged with that.
#[tokio::test]
async fn publishes_of_one_id_are_all_acknowledged() {
    let entry = Entry::start().await;
    let mut peer = joined(&entry).await;
    let message = r#"[16,7,{"acknowledge":true},"a.b"]"#;
    peer.say_together(&[message, message]).await;
    let [first, second] = [peer.hear().await, peer.hear().await];
    assert_eq!([&first[0], &first[1]], [&json!(17), &json!(7)], "{first}");
    assert_eq!([&second[0], &second[1]], [&json!(17), &json!(7)], "{second}");
    assert_ne!(first[2], second[2]);
    entry.stop().await;
}

/// It might be a part of the other, were that one not complete.
#[tokio::test]
async fn a_call_of_an_id_that_waits_ends_the_session() {
    let entry = Entry::start().await;
    let mut callee = entry.plain().await;
    callee.register("{}", "a.b").await;
    let mut caller = joined(&entry).await;
    caller.say_together(&[r#"[48,7,{},"a.b"]"#, r#"[48,7,{},"a.b"]"#]).await;
    assert_eq!(caller.aborted("wamp.error.protocol_violation").await, 1002);
    entry.stop().await;
}
