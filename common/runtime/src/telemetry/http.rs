//! The pages for operators, which every node has.

use std::pin::Pin;
use std::sync::Arc;

use axum::Router;
use axum::handler::Handler;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get};

use super::Readiness;
use super::metrics::MetricsHandle;

/// The content type of the Prometheus text format.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A future that a page waits for.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Makes the status page.
pub type StatusFn = Arc<dyn Fn() -> BoxFuture<'static, serde_json::Value> + Send + Sync>;

/// Tells whether the node can do its work.
pub type ReadyFn = Arc<dyn Fn() -> Readiness + Send + Sync>;

/// The routes that every node serves:
///
/// | path | answer |
/// |---|---|
/// | `/metrics` | all metrics, in the Prometheus text format |
/// | `/healthz` | 200 `ok` while the process answers at all |
/// | `/readyz` | 200 `ready`, 200 `ready, degraded: ` and what is lost, or 503 and what the node waits for |
/// | `/status` | the node's own view of itself, in JSON |
///
/// `OPTIONS` of each is answered with 204, of `/readyz` with 503 while the node is not ready.
pub fn ops_router(metrics: MetricsHandle, ready: ReadyFn, status: StatusFn) -> Router {
    probe_router(ready)
        .route(
            "/metrics",
            page(move || async move { ([(header::CONTENT_TYPE, PROMETHEUS_TEXT)], metrics.render()) })
                .options(there),
        )
        .route(
            "/status",
            page(move || async move {
                // Alternate Display of a JSON value is its indented form.
                let page = format!("{:#}\n", status().await);
                ([(header::CONTENT_TYPE, "application/json")], page)
            })
            .options(there),
        )
}

/// With a problem in place of what is not there, for ports that serve operators alone.
pub fn with_problems(router: Router) -> Router {
    router.fallback(not_found)
}

/// The whole port of a sync or ndb node, `/link` aside: `GET /` tells what there is.
pub(crate) fn with_index(router: Router) -> Router {
    with_problems(router.route("/", page(index).options(there)))
}

/// The pages, and what they are for.
const PAGES: [(&str, &str); 4] = [
    ("/healthz", "whether the process answers at all"),
    ("/readyz", "whether the node can do its work, and what it misses"),
    ("/status", "the node's own view of itself, in JSON"),
    ("/metrics", "all metrics, in the Prometheus text format"),
];

async fn index() -> impl IntoResponse {
    let pages: serde_json::Map<_, _> =
        PAGES.iter().map(|(path, what)| ((*path).to_owned(), (*what).into())).collect();
    let index = format!("{:#}\n", serde_json::json!({ "pages": pages }));
    ([(header::CONTENT_TYPE, "application/json")], index)
}

/// Of these the two that tell whether the node is well, and nothing else of it.
pub fn probe_router(ready: ReadyFn) -> Router {
    let is_ready = Arc::clone(&ready);
    Router::new().route("/healthz", page(|| async { "ok\n" }).options(there)).route(
        "/readyz",
        page(move || async move { readiness(&ready()) })
            .options(move || async move { checked(&is_ready()) }),
    )
}

/// What pages take: load balancers check by `OPTIONS` unless told otherwise (haproxy's
/// `option httpchk`).
const METHODS: &str = "GET,HEAD,OPTIONS";

fn page<H: Handler<T, ()>, T: 'static>(handler: H) -> MethodRouter {
    get(handler).fallback(not_allowed)
}

/// `OPTIONS` of a page: it is there.
async fn there() -> Response {
    (StatusCode::NO_CONTENT, [(header::ALLOW, METHODS)]).into_response()
}

/// `OPTIONS` of `/readyz`: as `GET` would be answered.
fn checked(ready: &Readiness) -> Response {
    if ready.is_ready() {
        return (StatusCode::NO_CONTENT, [(header::ALLOW, METHODS)]).into_response();
    }
    readiness(ready).into_response()
}

async fn not_allowed() -> Response {
    let message = format!("this path takes {}", METHODS.replace(',', ", "));
    let status = StatusCode::METHOD_NOT_ALLOWED;
    let problem = problem(status, "vixen.error.method_not_allowed", &message);
    ([(header::ALLOW, METHODS)], problem).into_response()
}

async fn not_found() -> Response {
    let pages = PAGES.map(|(path, _)| path).join(", ");
    let message = format!("nothing is here: this port has {pages}");
    problem(StatusCode::NOT_FOUND, "vixen.error.not_found", &message)
}

/// A problem as RFC 9457 has it, and as the client port answers others.
fn problem(status: StatusCode, error: &str, message: &str) -> Response {
    let problem = serde_json::json!({
        "title": status.canonical_reason(),
        "status": status.as_u16(),
        "detail": message,
        "error": error,
        "message": message,
    });
    let headers = [(header::CONTENT_TYPE, "application/problem+json")];
    (status, headers, format!("{problem}\n")).into_response()
}

fn readiness(ready: &Readiness) -> (StatusCode, String) {
    let status = if ready.is_ready() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, ready.text() + "\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, TcpStream};

    use vixen_core::words::Words;

    use super::*;
    use crate::telemetry::install_metrics;

    async fn get_page(path: &str, ready: Readiness) -> String {
        ask(&format!("GET {path}"), ready).await
    }

    /// Serves the routes on loopback and returns the whole answer to one request.
    async fn ask(request: &str, ready: Readiness) -> String {
        let router = with_index(ops_router(
            install_metrics(),
            Arc::new(move || ready.clone()),
            Arc::new(|| Box::pin(async { json!({ "node": "S1", "links": [] }) })),
        ));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        let mut stream = TcpStream::connect(address).await.expect("connected");
        let request = format!("{request} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await.expect("sent");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("received");
        server.abort();
        answer
    }

    fn not_ready(waits_for: &str) -> Readiness {
        Readiness::NotReady { waits_for: Words::new(waits_for) }
    }

    #[tokio::test]
    async fn health_and_readiness_have_a_status_and_a_reason() {
        let health = get_page("/healthz", not_ready("everything")).await;
        assert!(health.starts_with("HTTP/1.1 200") && health.ends_with("\r\nok\n"), "{health}");
        let ready = get_page("/readyz", Readiness::Ready).await;
        assert!(ready.starts_with("HTTP/1.1 200") && ready.ends_with("\r\nready\n"), "{ready}");
        let lost = Words::new("S3 down");
        let degraded = get_page("/readyz", Readiness::Degraded { lost, missed: 1 }).await;
        assert!(degraded.starts_with("HTTP/1.1 200"), "a load balancer goes on: {degraded}");
        assert!(degraded.ends_with("\r\nready, degraded: S3 down\n"), "{degraded}");
        let waits = get_page("/readyz", not_ready("waits for 1 sync node")).await;
        assert!(waits.starts_with("HTTP/1.1 503"), "{waits}");
        assert!(waits.ends_with("\r\nwaits for 1 sync node\n"), "{waits}");
    }

    #[tokio::test]
    async fn a_check_by_options_is_answered_as_one_by_get() {
        for path in ["/healthz", "/readyz", "/status", "/metrics"] {
            let answer = ask(&format!("OPTIONS {path}"), Readiness::Ready).await;
            assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
            assert!(answer.contains("\r\nallow: GET,HEAD,OPTIONS\r\n"), "{answer}");
        }
        let waits = ask("OPTIONS /readyz", not_ready("waits for 1 sync node")).await;
        assert!(waits.starts_with("HTTP/1.1 503"), "{waits}");
        assert!(waits.ends_with("\r\nwaits for 1 sync node\n"), "{waits}");
        let lives = ask("OPTIONS /healthz", not_ready("waits for 1 sync node")).await;
        assert!(lives.starts_with("HTTP/1.1 204"), "{lives}");
    }

    #[tokio::test]
    async fn other_methods_are_problems_that_name_the_right_ones() {
        for path in ["/healthz", "/readyz", "/status", "/metrics"] {
            let answer = ask(&format!("POST {path}"), Readiness::Ready).await;
            assert!(answer.starts_with("HTTP/1.1 405"), "{answer}");
            assert!(answer.contains("\r\nallow: GET,HEAD,OPTIONS\r\n"), "{answer}");
            assert!(answer.contains("content-type: application/problem+json"), "{answer}");
            let body = answer.split("\r\n\r\n").nth(1).expect("a body");
            let object: serde_json::Value = serde_json::from_str(body).expect("JSON");
            assert_eq!(object["error"], "vixen.error.method_not_allowed");
            assert_eq!(object["message"], "this path takes GET, HEAD, OPTIONS");
        }
    }

    #[tokio::test]
    async fn the_root_tells_what_there_is_and_what_is_not_there_is_a_problem() {
        let body = |answer: &str| -> serde_json::Value {
            serde_json::from_str(answer.split("\r\n\r\n").nth(1).expect("a body")).expect("JSON")
        };
        let root = get_page("/", Readiness::Ready).await;
        assert!(root.starts_with("HTTP/1.1 200"), "{root}");
        assert!(root.contains("content-type: application/json"), "{root}");
        let index = body(&root);
        for path in ["/healthz", "/readyz", "/status", "/metrics"] {
            assert!(index["pages"][path].is_string(), "{index}");
        }
        let nothing = get_page("/history", Readiness::Ready).await;
        assert!(nothing.starts_with("HTTP/1.1 404"), "{nothing}");
        assert!(nothing.contains("content-type: application/problem+json"), "{nothing}");
        let problem = body(&nothing);
        assert_eq!(problem["error"], "vixen.error.not_found");
        assert_eq!(problem["title"], "Not Found");
        assert!(problem["message"].as_str().expect("a text").contains("/status"), "{problem}");
    }

    #[tokio::test]
    async fn status_is_json_for_people() {
        let status = get_page("/status", Readiness::Ready).await;
        assert!(status.contains("content-type: application/json"), "{status}");
        assert!(status.ends_with("{\n  \"links\": [],\n  \"node\": \"S1\"\n}\n"), "{status}");
    }

    #[tokio::test]
    async fn metrics_are_in_the_prometheus_text_format() {
        let metrics = get_page("/metrics", Readiness::Ready).await;
        assert!(metrics.contains("content-type: text/plain; version=0.0.4"), "{metrics}");
        assert!(metrics.contains("# TYPE vixen_build_info gauge"), "{metrics}");
    }
}
