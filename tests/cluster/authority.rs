//! Procedures that decide, over a cluster: registered at one entry, they are asked by the others.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

use vixen_tests::harness::{Cluster, ClusterOptions, wait_until};

use crate::support::SOON;

/// Whoever comes without a name is asked about; guard decides that, and who comes in with a ticket in realm2.
const REALMS: &str = r#"
[[realm]]
name = "realm1"
auth-timeout = "3s"
auth-cache = "10m"
anonymous.role = "guest"
[[realm.role]]
name = "guest"
authorizer = "auth.may"
[[realm.role]]
name = "guard"
[[realm.role.permission]]
uri = "*"
call = true
register = true
publish = true
subscribe = true
[[realm.role.permission]]
uri = "auth.may"
register = true
[[realm.user]]
authid = "guard"
role = "guard"
ticket = "secret-of-guard"

[[realm]]
name = "realm2"
authenticator = "auth.login"
auth-timeout = "3s"
anonymous.role = "guard"
[[realm.role]]
name = "guard"
[[realm.role.permission]]
uri = "*"
call = true
[[realm.role.permission]]
uri = "auth.login"
register = true
[[realm.role]]
name = "user"
[[realm.role.permission]]
uri = "a.*"
call = true
"#;

fn options() -> ClusterOptions {
    let default = ClusterOptions::default();
    let extra = REALMS.to_owned();
    ClusterOptions {
        sync: 1,
        ndb: 1,
        write_quorum: 1,
        entries: 2,
        linked_entries: 2,
        extra,
        ..default
    }
}

struct Peer {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    requests: u64,
}

impl Peer {
    /// A connection on which HELLO was said.
    async fn at(cluster: &Cluster, entry: &str, realm: &str, login: Value) -> Self {
        let mut request =
            cluster.url(entry).expect("an entry").into_client_request().expect("a URL");
        let protocol = "wamp.2.json".parse().expect("a header");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        let (socket, _response) = connect_async(request).await.expect("connected");
        let mut peer = Self { socket, requests: 0 };
        let mut details =
            json!({"roles": {"caller": {}, "callee": {}, "publisher": {}, "subscriber": {}}});
        let login = login.as_object().expect("a dictionary").clone();
        details.as_object_mut().expect("a dictionary").extend(login);
        peer.say(json!([1, realm, details])).await;
        peer
    }

    /// A session without a name.
    async fn guest(cluster: &Cluster, entry: &str, realm: &str) -> Self {
        let mut peer = Self::at(cluster, entry, realm, json!({})).await;
        peer.welcomed().await;
        peer
    }

    /// A connection on which a ticket was sent.
    async fn with_ticket(cluster: &Cluster, entry: &str, realm: &str, authid: &str) -> Self {
        let login = json!({"authmethods": ["ticket"], "authid": authid});
        let mut peer = Self::at(cluster, entry, realm, login).await;
        assert_eq!(peer.hear().await, json!([4, "ticket", {}]));
        peer.say(json!([5, "secret-of-guard", {}])).await;
        peer
    }

    async fn welcomed(&mut self) -> Value {
        let welcome = self.hear().await;
        assert_eq!(welcome[0], 2, "{welcome}");
        welcome[2].clone()
    }

    async fn say(&mut self, message: Value) {
        self.socket.send(Message::text(message.to_string())).await.expect("sent");
    }

    async fn hear(&mut self) -> Value {
        self.hear_or_close().await.unwrap_or_else(|code| panic!("closed with {code}"))
    }

    /// What comes next, or the code with which the connection closes.
    async fn hear_or_close(&mut self) -> Result<Value, u16> {
        loop {
            let next = tokio::time::timeout(SOON, self.socket.next()).await.expect("in time");
            match next.expect("a close frame").expect("whole") {
                Message::Text(text) => return Ok(serde_json::from_str(&text).expect("JSON")),
                Message::Close(Some(frame)) => return Err(frame.code.into()),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }

    async fn register(&mut self, procedure: &str) {
        self.requests += 1;
        self.say(json!([64, self.requests, {}, procedure])).await;
        let registered = self.hear().await;
        assert_eq!((&registered[0], &registered[1]), (&json!(65), &json!(self.requests)));
    }

    /// Is invoked, and answers; the arguments.
    async fn answers(&mut self, answer: Value) -> Value {
        let invocation = self.hear().await;
        assert_eq!(invocation[0], 68, "{invocation}");
        self.say(json!([70, invocation[1], {}, [answer]])).await;
        invocation[4].clone()
    }

    /// Says a request of this kind with options and a URI; its id.
    async fn asks(&mut self, kind: u64, options: Value, uri: &str) -> u64 {
        self.requests += 1;
        self.say(json!([kind, self.requests, options, uri])).await;
        self.requests
    }

    /// Is told that it may not.
    async fn is_denied(&mut self, kind: u64, request: u64) {
        let error = self.hear().await;
        let said = (&error[0], &error[1], &error[2], &error[4]);
        let wanted =
            (&json!(8), &json!(kind), &json!(request), &json!("wamp.error.not_authorized"));
        assert_eq!(said, wanted, "{error}");
    }
}

/// A guard at E1, of whose registration E2 knows, and can reach it.
async fn guard(cluster: &Cluster, realm: &str, procedure: &str) -> Peer {
    let mut guard = match realm {
        "realm1" => {
            let mut guard = Peer::with_ticket(cluster, "E1", realm, "guard").await;
            guard.welcomed().await;
            guard
        }
        _other => Peer::guest(cluster, "E1", realm).await,
    };
    guard.register(procedure).await;
    for entry in ["E1", "E2"] {
        wait_until(&format!("{entry} knows of it"), SOON, || async {
            let status = cluster.status(entry).await?;
            let known = status["registrations"].to_string().contains(procedure);
            let linked = cluster.metric(entry, "vixen_entry_entries_linked").await? >= 1.0;
            Ok((known && linked).then_some(()))
        })
        .await
        .expect("both are up");
    }
    guard
}

#[tokio::test]
async fn an_authorizer_at_one_entry_judges_what_is_done_at_another() -> anyhow::Result<()> {
    let cluster = Cluster::start(options()).await?;
    let mut guard = guard(&cluster, "realm1", "auth.may").await;
    let mut guest = Peer::guest(&cluster, "E2", "realm1").await;
    // Each of the four, by a no and by a yes.
    for (kind, act, answered) in [(16, "publish", 17), (32, "subscribe", 33), (64, "register", 65)]
    {
        let options = if kind == 16 { json!({"acknowledge": true}) } else { json!({}) };
        let request = guest.asks(kind, options.clone(), "a.no").await;
        let arguments = guard.answers(json!(false)).await;
        assert_eq!((&arguments[1], &arguments[2]), (&json!("a.no"), &json!(act)));
        guest.is_denied(kind, request).await;
        let request = guest.asks(kind, options, "a.yes").await;
        guard.answers(json!(true)).await;
        let answer = guest.hear().await;
        assert_eq!((&answer[0], &answer[1]), (&json!(answered), &json!(request)), "{answer}");
    }
    let request = guest.asks(48, json!({}), "a.no").await;
    guard.answers(json!(false)).await;
    guest.is_denied(48, request).await;
    let request = guest.asks(48, json!({}), "a.yes").await;
    guard.answers(json!(true)).await;
    let invocation = guest.hear().await;
    assert_eq!(invocation[0], 68, "it is its own callee: {invocation}");
    guest.say(json!([70, invocation[1], {}, [7]])).await;
    let result = guest.hear().await;
    assert_eq!((&result[1], &result[3]), (&json!(request), &json!([7])), "{result}");

    // The answer is kept: nobody is asked, which the guard's next word shows.
    let request = guest.asks(48, json!({}), "a.no").await;
    guest.is_denied(48, request).await;
    let request = guest.asks(48, json!({}), "a.new").await;
    let arguments = guard.answers(json!(false)).await;
    assert_eq!(arguments[1], "a.new");
    guest.is_denied(48, request).await;

    // Its entry is killed: what it has said is kept no longer than until that is known, and what is new is denied.
    let mut cluster = cluster;
    cluster.kill("E1").await?;
    let request = guest.asks(48, json!({}), "a.other").await;
    guest.is_denied(48, request).await;
    wait_until("it is gone", SOON, || async {
        let status = cluster.status("E2").await?;
        Ok((!status["registrations"].to_string().contains("auth.may")).then_some(()))
    })
    .await?;
    // It was allowed, and is not any more.
    let request = guest.asks(16, json!({"acknowledge": true}), "a.yes").await;
    guest.is_denied(16, request).await;
    Ok(())
}

#[tokio::test]
async fn an_authenticator_at_one_entry_lets_in_at_another() -> anyhow::Result<()> {
    let cluster = Cluster::start(options()).await?;
    let mut guard = guard(&cluster, "realm2", "auth.login").await;
    let mut joe = Peer::with_ticket(&cluster, "E2", "realm2", "joe").await;
    let arguments = guard.answers(json!({"role": "user", "authid": "joseph"})).await;
    assert_eq!((&arguments[0], &arguments[1]), (&json!("realm2"), &json!("joe")));
    assert_eq!(arguments[2]["ticket"], "secret-of-guard");
    let details = joe.welcomed().await;
    assert_eq!((&details["authid"], &details["authrole"]), (&json!("joseph"), &json!("user")));
    let request = joe.asks(48, json!({}), "b.c").await;
    joe.is_denied(48, request).await;

    let mut other = Peer::with_ticket(&cluster, "E2", "realm2", "anna").await;
    guard.answers(json!(false)).await;
    let abort = other.hear().await;
    assert_eq!((&abort[0], &abort[2]), (&json!(3), &json!("wamp.error.authentication_denied")));

    // It says nothing: nobody comes in.
    let mut silent = Peer::with_ticket(&cluster, "E2", "realm2", "jim").await;
    let invocation = guard.hear().await;
    assert_eq!(invocation[0], 68, "{invocation}");
    assert_eq!(silent.hear_or_close().await, Err(1013));

    // Nor do they once it has left.
    guard.say(json!([6, {}, "wamp.close.normal"])).await;
    assert_eq!(guard.hear().await[0], 6);
    let mut late = Peer::with_ticket(&cluster, "E2", "realm2", "joe").await;
    assert_eq!(late.hear_or_close().await, Err(1013));
    Ok(())
}
