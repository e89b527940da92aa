//! Which web pages may use the client port.
//!
//! A browser sends `Origin` with what a page asks of another host, and with every WebSocket. It
//! keeps the answer from the page unless the answer allows it (CORS), but it opens WebSockets and
//! sends simple POSTs regardless: so these are refused here. Programs that are not browsers send no
//! `Origin` and are not touched.
//!
//! Source: Fetch Standard, §3.2 and §3.3; RFC 6455, §10.2.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use metrics::{counter, describe_counter};
use tower_http::cors::{AllowOrigin, CorsLayer};

use vixen_runtime::config::{AllowedOrigins, Web};

use super::problem::Problem;

const ORIGINS_REFUSED: &str = "vixen_entry_origins_refused_total";

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// What reads the store.
const READS: [&str; 2] = ["/history", "/events"];

/// How long a browser may remember what it was allowed.
const PREFLIGHT_AGE: Duration = Duration::from_secs(600);

/// Gives the metric its help text; once, when the node starts.
pub(crate) fn describe_web_metrics() {
    describe_counter!(ORIGINS_REFUSED, "Requests of web pages whose origin is not allowed");
}

/// Whether a request with these headers may be served: one without `Origin` is not of a web page; a
/// page of the host that is asked may; another one when its origin is in `web`.
///
/// The scheme is not compared with that of the own host: before TLS ends at a proxy it is unknown.
#[must_use]
pub fn origin_allowed(origin: Option<&str>, host: Option<&str>, web: &Web) -> bool {
    let Some(origin) = origin else { return true };
    let own = |(_scheme, of): (&str, &str)| host.is_some_and(|host| of.eq_ignore_ascii_case(host));
    origin.split_once("://").is_some_and(own)
        || match &web.allowed_origins {
            AllowedOrigins::Any => true,
            AllowedOrigins::Listed(listed) => {
                listed.iter().any(|allowed| allowed.eq_ignore_ascii_case(origin))
            }
        }
}

/// Refuses with 403 what pages of other origins ask of `router`.
pub(in crate::gates) fn guarded(router: Router, web: &Arc<Web>) -> Router {
    router.layer(from_fn_with_state(Arc::clone(web), refuse_strangers))
}

/// As [`guarded`], and lets the allowed pages read the answers, and publish: for the HTTP
/// interface.
pub(in crate::gates) fn shared_with_pages(router: Router, web: &Arc<Web>) -> Router {
    let rule = Arc::clone(web);
    let allowed = move |origin: &HeaderValue, parts: &Parts| {
        let host = text(&parts.headers, &header::HOST);
        origin.to_str().is_ok_and(|origin| origin_allowed(Some(origin), host, &rule))
    };
    let last_event_id = HeaderName::from_static("last-event-id");
    let cors = CorsLayer::new()
        .allow_origin(AllowOrigin::predicate(allowed))
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([header::CONTENT_TYPE, header::AUTHORIZATION, last_event_id])
        .expose_headers([header::RETRY_AFTER])
        .max_age(PREFLIGHT_AGE);
    guarded(router.layer(cors), web)
}

async fn refuse_strangers(State(web): State<Arc<Web>>, request: Request, next: Next) -> Response {
    let headers = request.headers();
    // What the browser says of where the page comes from holds however a proxy rewrites `Host`, and
    // no page can set it (Fetch Metadata, §2). Browsers say it where TLS is spoken, and to localhost.
    let site = text(headers, &SEC_FETCH_SITE);
    let is_own = site == Some("same-origin");
    // A picture, a script or a link of another page has no `Origin`. The page cannot read what comes,
    // and would have it read from the store all the same.
    let begins_read = site == Some("cross-site")
        && READS.contains(&request.uri().path())
        && web.allowed_origins != AllowedOrigins::Any;
    let is_allowed = is_own
        || match headers.get(header::ORIGIN).map(HeaderValue::to_str) {
            None => !begins_read,
            Some(Ok(origin)) => origin_allowed(Some(origin), text(headers, &header::HOST), &web),
            Some(Err(_not_text)) => web.allowed_origins == AllowedOrigins::Any,
        };
    if is_allowed {
        return next.run(request).await;
    }
    counter!(ORIGINS_REFUSED).increment(1);
    let origin = text(headers, &header::ORIGIN).unwrap_or("this origin");
    tracing::debug!(origin, "request of a web page refused");
    let host = text(headers, &header::HOST).unwrap_or("no host");
    let message = format!(
        "web pages of {origin} may not use this entry, which was asked as {host}. If that is the \
         page's own host, a proxy has changed it: let it pass on Host with the port (nginx: \
         proxy_set_header Host $http_host). Else add the origin to web.allowed-origins; nearcast: \
         --allowed-origins"
    );
    Problem::new(StatusCode::FORBIDDEN, "wamp.error.not_authorized", &message).into_response()
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use axum::routing::{get, post};
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use super::*;

    fn web(origins: &str) -> Web {
        Web { allowed_origins: origins.parse().expect("origins"), ..Web::default() }
    }

    #[test]
    fn pages_of_the_own_host_and_listed_ones_may() {
        let listed = "https://app.example,http://localhost:5173";
        let table = [
            // Not a browser.
            (None, Some("v.example:9031"), "", true),
            (None, None, "", true),
            // The own host, whatever the scheme.
            (Some("http://v.example:9031"), Some("v.example:9031"), "", true),
            (Some("https://V.example"), Some("v.Example"), "", true),
            (Some("http://[::1]:9031"), Some("[::1]:9031"), "", true),
            // Another port, name or nothing to compare with.
            (Some("http://v.example:9032"), Some("v.example:9031"), "", false),
            (Some("http://v.example.evil"), Some("v.example"), "", false),
            (Some("http://v.example"), None, "", false),
            (Some("v.example"), Some("v.example"), "", false),
            (Some("null"), Some("v.example"), "", false),
            (Some(""), Some(""), "", false),
            // The list: as a whole, so another scheme is another origin.
            (Some("https://app.example"), Some("v.example"), listed, true),
            (Some("https://APP.example"), Some("v.example"), listed, true),
            (Some("http://app.example"), Some("v.example"), listed, false),
            (Some("https://app.example:8443"), Some("v.example"), listed, false),
            (Some("http://localhost:5173"), None, listed, true),
            (Some("null"), Some("v.example"), "*", true),
            (Some("https://evil.example"), None, "*", true),
        ];
        for (origin, host, origins, wanted) in table {
            let allowed = origin_allowed(origin, host, &web(origins));
            assert_eq!(allowed, wanted, "{origin:?} at {host:?}, allowed {origins:?}");
        }
    }

    async fn served(origins: &str) -> SocketAddr {
        let router = Router::new()
            .route("/read", get(|| async { "read\n" }))
            .route("/write", post(|| async { "written\n" }));
        let router = shared_with_pages(router, &Arc::new(web(origins)));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        tokio::spawn(async move { axum::serve(listener, router).await });
        address
    }

    /// Status line and headers, and the body.
    async fn ask(address: SocketAddr, request: &str, headers: &str) -> (String, String) {
        let mut stream = TcpStream::connect(address).await.expect("a connection");
        let request =
            format!("{request} HTTP/1.1\r\nhost: v.example\r\nconnection: close\r\n{headers}\r\n");
        stream.write_all(request.as_bytes()).await.expect("a request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("an answer");
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        (head.to_owned(), body.to_owned())
    }

    #[tokio::test]
    async fn strangers_are_refused_and_nothing_is_done_for_them() {
        let address = served("https://app.example").await;
        for request in ["GET /read", "POST /write", "OPTIONS /write"] {
            let (head, body) = ask(address, request, "origin: https://evil.example\r\n").await;
            assert!(head.starts_with("HTTP/1.1 403"), "{request}: {head}");
            assert!(!head.contains("access-control-allow"), "{request}: {head}");
            assert!(body.contains("https://evil.example may not"), "{body}");
            assert!(body.contains("asked as v.example. If"), "{body}");
            assert!(
                body.contains("Host $http_host") && body.contains("--allowed-origins"),
                "{body}"
            );
            assert!(!body.contains("vixen.toml"), "{body}");
        }
        let (head, body) = ask(address, "POST /write", "").await;
        assert!(head.starts_with("HTTP/1.1 200") && body == "written\n", "{head}\n{body}");
        assert!(!head.contains("access-control-allow-origin"), "{head}");
    }

    /// As nginx does it with `proxy_set_header Host $host` at port 8443.
    #[tokio::test]
    async fn the_own_page_may_behind_a_proxy_that_drops_the_port() {
        let address = served("").await;
        let origin = "origin: https://v.example:8443\r\n";
        for (site, status) in [("same-origin", 200), ("same-site", 403), ("cross-site", 403)] {
            let headers = format!("{origin}sec-fetch-site: {site}\r\n");
            let (head, _) = ask(address, "POST /write", &headers).await;
            assert!(head.starts_with(&format!("HTTP/1.1 {status}")), "{site}: {head}");
        }
    }

    #[tokio::test]
    async fn allowed_pages_may_read_and_write() {
        let address = served("https://app.example").await;
        for origin in ["https://app.example", "http://v.example"] {
            let header = format!("origin: {origin}\r\n");
            let allow = format!("access-control-allow-origin: {origin}\r\n");
            for request in ["GET /read", "POST /write"] {
                let (head, _) = ask(address, request, &header).await;
                assert!(head.starts_with("HTTP/1.1 200") && head.contains(&allow), "{head}");
                assert!(head.contains("vary: origin"), "{head}");
            }
            let asks = format!(
                "{header}access-control-request-method: POST\r\n\
                 access-control-request-headers: content-type\r\n"
            );
            let (head, _) = ask(address, "OPTIONS /write", &asks).await;
            assert!(head.starts_with("HTTP/1.1 200") && head.contains(&allow), "{head}");
            assert!(head.contains("access-control-allow-methods: GET,POST"), "{head}");
            let headers = "access-control-allow-headers: content-type,authorization,last-event-id";
            assert!(head.contains(headers), "{head}");
        }
    }
}
