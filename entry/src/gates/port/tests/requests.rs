//! Requests that become no session: who is refused, and what else the port serves.

use std::collections::BTreeMap;

use super::*;

#[tokio::test]
async fn another_subprotocol_is_refused_with_what_is_supported() {
    let port = Port::open(SessionLimits::of_tests()).await;
    match connect_async(format!("ws://{}/ws", port.address)).await {
        Err(Error::Http(answer)) => {
            assert_eq!(answer.status(), 400);
            let body = answer.body().as_deref().unwrap_or_default();
            let body = String::from_utf8_lossy(body);
            assert!(SUBPROTOCOLS.iter().all(|name| body.contains(name)), "{body}");
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_page_of_another_origin_gets_no_session() {
    let port = Port::open(SessionLimits::of_tests()).await;
    let connect = async |origin: String| {
        let mut request = format!("ws://{}/ws", port.address).into_client_request().expect("a URL");
        let protocol = "wamp.2.json".parse().expect("a header");
        request.headers_mut().insert("sec-websocket-protocol", protocol);
        request.headers_mut().insert("origin", origin.parse().expect("a header"));
        connect_async(request).await
    };
    match connect("https://evil.example".to_owned()).await {
        Err(Error::Http(answer)) => {
            assert_eq!(answer.status(), 403);
            let body = String::from_utf8_lossy(answer.body().as_deref().unwrap_or_default());
            assert!(body.contains("pages of https://evil.example may not"), "{body}");
        }
        other => panic!("{other:?}"),
    }
    for origin in ["https://app.example".to_owned(), format!("http://{}", port.address)] {
        connect(origin).await.expect("an upgrade");
    }
}

#[tokio::test]
async fn the_realm_of_a_request_is_checked_like_that_of_a_hello() {
    let port = Port::open(SessionLimits::of_tests()).await;
    for realm in ["", "a%20b", "a..b", &"r".repeat(513)] {
        let answer = port.http(&format!("GET /events?topic=a.b&realm={realm}")).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{answer}");
        assert!(answer.contains("wamp.error.invalid_uri"), "{answer}");
    }
}

#[tokio::test]
async fn requests_take_a_place_among_the_sessions() {
    let admission = Admission::for_sessions(1);
    let mut port = Port::open_with(SessionLimits::of_tests(), Arc::clone(&admission)).await;
    let place = admission.admit([127, 0, 0, 1].into()).expect("the only place");
    let body = "Content-Length: 15\r\n\r\n{\"topic\":\"a.b\"}";
    for request in
        ["GET /events?topic=a.b HTTP/1.1".to_owned(), format!("POST /publish HTTP/1.1\r\n{body}")]
    {
        let mut stream = TcpStream::connect(port.address).await.expect("a connection");
        let request =
            request.replacen("HTTP/1.1", "HTTP/1.1\r\nHost: localhost\r\nConnection: close", 1);
        stream.write_all(format!("{request}\r\n\r\n").as_bytes()).await.expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 429"), "{answer}");
        assert!(answer.contains("vixen.error.too_many_sessions"), "{answer}");
        assert!(answer.contains("limits.sessions-max"), "{answer}");
    }
    match connect_async(format!("ws://{}/ws", port.address)).await {
        Err(Error::Http(answer)) => assert_eq!(answer.status(), 400, "it names no subprotocol"),
        other => panic!("{other:?}"),
    }
    drop(place);
    let address = port.address;
    let events = tokio::spawn(async move {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        stream
            .write_all(b"GET /events?topic=a.b HTTP/1.1\r\nHost: localhost\r\n\r\n")
            .await
            .expect("sent");
        stream
    });
    assert!(matches!(port.event().await, Some(SessionEvent::Opened { .. })));
    assert!(admission.admit([127, 0, 0, 1].into()).is_err(), "the stream has the place");
    // Its client goes away.
    drop(events.await.expect("connected"));
    loop {
        match port.event().await {
            Some(SessionEvent::Closed { .. }) => break,
            Some(_) => {}
            None => panic!("the port is gone"),
        }
    }
}

#[tokio::test]
async fn the_console_is_served_under_a_strict_policy() {
    let port = Port::open(SessionLimits::of_tests()).await;
    let answer = port.http("GET /").await;
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let headers: BTreeMap<_, _> = head.lines().filter_map(|line| line.split_once(": ")).collect();
    let policy = headers["content-security-policy"];
    assert!(policy.starts_with("default-src 'none'; script-src 'self'; "), "{policy}");
    assert!(policy.contains(&format!("connect-src 'self' ws://{} ", port.address)), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert!(body.contains("src=\"console/app.js\""));
    let script = port.http("GET /console/app.js").await;
    assert!(script.contains("content-type: text/javascript"), "{script}");
    assert!(port.http("GET /console/other.js").await.starts_with("HTTP/1.1 404"));
    assert!(port.http("GET /favicon.ico").await.starts_with("HTTP/1.1 204"));
}
