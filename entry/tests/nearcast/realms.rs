//! Realms and users in one process, by `deploy/single.toml`: what its first lines say is so.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use vixen_runtime::config::Config;

use crate::{Client, Running};

const SINGLE: &str = include_str!("../../../deploy/single.toml");
const PUBLISH: &str = r#"[16,1,{"acknowledge":true},"com.example.hello",["hello"]]"#;

fn config(dir: &Path) -> Config {
    let at = (dir.to_owned(), ([127, 0, 0, 1], 0).into());
    let config =
        Config::nearcast_parse(SINGLE, Path::new("deploy/single.toml"), at, &BTreeMap::new());
    let mut config = config.unwrap_or_else(|error| panic!("{error}"));
    // Address space is what a small container has little of.
    config.limits.store_bytes_max = 64 << 20;
    config
}

/// Says HELLO to a realm, with a ticket if there is one; the answer.
async fn joins(running: &Running, realm: &str, ticket: Option<&str>) -> (Client, Value) {
    let mut client = Client::connect(running.address).await;
    let login = match ticket {
        Some(_) => json!({"authmethods": ["ticket"], "authid": "joe"}),
        None => json!({}),
    };
    let mut details = json!({"roles": {"publisher": {}, "subscriber": {}}});
    details.as_object_mut().expect("details").extend(login.as_object().expect("details").clone());
    client.send(&json!([1, realm, details])).await;
    if let Some(ticket) = ticket {
        assert_eq!(client.receive().await[0], 4, "a challenge");
        client.send(&json!([5, ticket, {}])).await;
    }
    let answer = client.receive().await;
    (client, answer)
}

async fn publishes(client: &mut Client) -> Value {
    client.send(&serde_json::from_str(PUBLISH).expect("JSON")).await;
    client.receive().await
}

/// The status of the answer to a request, and its text.
async fn asks(running: &Running, head: &str, login: Option<&str>, body: &str) -> (String, String) {
    let mut stream = TcpStream::connect(running.address).await.expect("connected");
    let login = login.map_or_else(String::new, |login| {
        format!("authorization: Basic {}\r\n", STANDARD.encode(login))
    });
    let request = format!(
        "{head} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{login}content-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).await.expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.expect("an answer");
    (answer[9..12].to_owned(), answer)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn realms_and_users_of_the_example_for_one_process_are_as_it_says() {
    let dir = tempfile::tempdir().expect("a directory");
    let running = Running::start_with(config(dir.path())).await;
    let (mut guest, welcome) = joins(&running, "realm1", None).await;
    assert_eq!((&welcome[0], &welcome[2]["authrole"]), (&json!(2), &json!("guest")), "{welcome}");
    assert_eq!(publishes(&mut guest).await[4], "wamp.error.not_authorized");
    guest.subscribe("com.example.hello").await;

    let (mut joe, welcome) = joins(&running, "realm1", Some("ticket-of-joe")).await;
    assert_eq!((&welcome[0], &welcome[2]["authrole"]), (&json!(2), &json!("member")), "{welcome}");
    assert_eq!(publishes(&mut joe).await[0], 17);
    assert_eq!(guest.receive().await[4], json!(["hello"]));

    for (realm, ticket, uri) in [
        ("realm1", Some("another"), "wamp.error.authentication_denied"),
        ("office", None, "wamp.error.authentication_required"),
        ("office", Some("ticket-of-joe"), "wamp.error.authentication_denied"),
        ("nowhere", None, "wamp.error.no_such_realm"),
    ] {
        let (_refused, abort) = joins(&running, realm, ticket).await;
        assert_eq!((&abort[0], &abort[2]), (&json!(3), &json!(uri)), "{realm} {ticket:?}");
    }
    let (_joe, welcome) = joins(&running, "office", Some("office-ticket-of-joe")).await;
    assert_eq!(welcome[2]["authrole"], "clerk", "{welcome}");

    let body = r#"{"topic": "com.example.hello", "args": ["hello"]}"#;
    let wanted = [
        ("POST /publish", None, body, "403"),
        ("POST /publish", Some("joe:ticket-of-joe"), body, "200"),
        ("GET /history?topic=com.example.hello", None, "", "200"),
    ];
    for (head, login, body, status) in wanted {
        let (found, answer) = asks(&running, head, login, body).await;
        assert_eq!(found, status, "{head}: {answer}");
    }
    running.stop().await;
}
