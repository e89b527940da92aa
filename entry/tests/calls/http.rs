//! `POST /call`.

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::Entry;

/// A connection on which a request was sent.
async fn begin(entry: &Entry, body: &Value) -> TcpStream {
    let mut stream = TcpStream::connect(entry.address()).await.expect("connected");
    let body = body.to_string();
    let head = format!(
        "POST /call HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all((head + &body).as_bytes()).await.expect("sent");
    stream
}

/// Status and body of the answer.
async fn end(mut stream: TcpStream) -> (u16, Value) {
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("an answer");
    let answer = String::from_utf8(answer).expect("text");
    let status = answer[9..12].parse().expect("a status");
    let body = answer.split_once("\r\n\r\n").expect("a head").1;
    (status, serde_json::from_str(body).expect("JSON"))
}

#[tokio::test]
async fn a_call_over_http_is_answered_with_its_result_or_the_error_of_its_kind() {
    let entry = Entry::start().await;
    let mut callee = entry.plain().await;
    callee.register(r#"{"concurrency":1}"#, "a.b").await;
    let request =
        begin(&entry, &json!({"procedure": "a.b", "args": [2], "kwargs": {"y": 3}})).await;
    let (invocation, arguments) = callee.invoked().await;
    assert_eq!(arguments, json!([2]));
    let busy = end(begin(&entry, &json!({"procedure": "a.b"})).await).await;
    assert_eq!((busy.0, &busy.1["error"]), (429, &json!("crossbar.error.max_concurrency_reached")));
    callee.say(&format!(r#"[70,{invocation},{{"progress":true}},[1]]"#)).await;
    callee.say(&format!(r#"[70,{invocation},{{}},[5],{{"k":null}}]"#)).await;
    assert_eq!(end(request).await, (200, json!({"args": [5], "kwargs": {"k": null}})));

    let request = begin(&entry, &json!({"procedure": "a.b"})).await;
    let (invocation, _) = callee.invoked().await;
    callee.say(&format!(r#"[8,68,{invocation},{{}},"my.error",["why"]]"#)).await;
    let (status, problem) = end(request).await;
    assert_eq!(
        (status, &problem["error"], &problem["args"]),
        (422, &json!("my.error"), &json!(["why"]))
    );

    for (body, status, error) in [
        (json!({"procedure": "nobody"}), 404, "wamp.error.no_such_procedure"),
        (json!({"procedure": "a b"}), 400, "wamp.error.invalid_uri"),
        (
            json!({"procedure": "a.b", "options": {"timeout": -1}}),
            400,
            "wamp.error.invalid_argument",
        ),
        (json!({"topic": "a.b"}), 400, "wamp.error.invalid_argument"),
        (json!({"procedure": "a.b", "args": {}}), 400, "wamp.error.invalid_argument"),
    ] {
        let (told, problem) = end(begin(&entry, &body).await).await;
        assert_eq!((told, &problem["error"]), (status, &json!(error)), "{body}");
    }

    let late = json!({"procedure": "a.b", "options": {"timeout": 50}});
    let (status, problem) = end(begin(&entry, &late).await).await;
    assert_eq!((status, &problem["error"]), (504, &json!("wamp.error.timeout")));
    callee.invoked().await;

    let request = begin(&entry, &json!({"procedure": "a.b"})).await;
    callee.invoked().await;
    callee.cut();
    let (status, problem) = end(request).await;
    assert_eq!((status, &problem["error"]), (502, &json!("wamp.error.canceled")));
    entry.stop().await;
}

/// HTTP has no HELLO: whoever packs over it, knows what for.
#[tokio::test]
async fn a_packed_call_over_http_and_its_answer_say_how() {
    let entry = Entry::start().await;
    let packs = r#"{"roles":{"callee":{"features":{"payload_passthru_mode":true}}}}"#;
    let mut callee = entry.join("wamp.2.cbor", packs).await;
    callee.register("{}", "a.b").await;
    let options = json!({"ppt_scheme": "x_my", "ppt_serializer": "cbor"});
    let call = json!({"procedure": "a.b", "args": ["\u{0}/wAB"], "options": options});
    let request = begin(&entry, &call).await;
    let invocation = callee.hear().await;
    assert_eq!((&invocation[3], &invocation[4]), (&options, &call["args"]));
    callee.say(r#"[70,1,{"ppt_scheme":"x_my"},["\u0000/wAC"]]"#).await;
    let answer = json!({"args": ["\u{0}/wAC"], "ppt_scheme": "x_my"});
    assert_eq!(end(request).await, (200, answer));
    let request = begin(&entry, &call).await;
    callee.invoked().await;
    callee.say(r#"[8,68,2,{"ppt_scheme":"x_my"},"my.error",["\u0000/wAC"]]"#).await;
    let (status, problem) = end(request).await;
    assert_eq!((status, &problem["ppt_scheme"]), (422, &json!("x_my")), "{problem}");
    entry.stop().await;
}

#[tokio::test]
async fn who_hangs_up_gives_the_call_up() {
    let entry = Entry::start().await;
    let mut callee = entry.full().await;
    callee.register("{}", "a.b").await;
    let request = begin(&entry, &json!({"procedure": "a.b"})).await;
    let (invocation, _) = callee.invoked().await;
    drop(request);
    callee.hears(json!([69, invocation, {"mode": "killnowait"}])).await;
    entry.stop().await;
}
