//! Problems as HTTP answers: a status, and a JSON object that names the error as WAMP does.
//!
//! Source: RFC 9457, *Problem Details for HTTP APIs*. Beside its members there are `error`, the URI of
//! the WAMP ERROR, and `message`, the same as `detail`.

use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use vixen_broker::access::Exceeded;
use vixen_broker::api::SubscribeError;
use vixen_broker::history::HistoryError;
use vixen_core::id::Position;
use vixen_runtime::server::Over;

use crate::admission::{Full, Kind, RightsLost};
use crate::gates::uris;

const PROBLEM_JSON: &str = "application/problem+json";
/// What an answer of the router itself has at most.
const TEXT_BYTES_MAX: usize = 16 << 10;

/// One problem.
#[derive(Debug)]
pub(in crate::gates) struct Problem {
    status: StatusCode,
    object: Value,
    headers: Vec<(HeaderName, HeaderValue)>,
}

impl Problem {
    /// With the error URI and the words of a WAMP ERROR.
    pub(in crate::gates) fn new(status: StatusCode, uri: &str, message: &str) -> Self {
        let object = json!({
            "title": status.canonical_reason().unwrap_or("Error"),
            "status": status.as_u16(),
            "detail": message,
            "error": uri,
            "message": message,
        });
        Self { status, object, headers: Vec::new() }
    }

    /// The request is not as it must be.
    pub(in crate::gates) fn bad_request(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, uris::INVALID_ARGUMENT, message)
    }

    /// The body is of a kind that is not understood.
    pub(in crate::gates) fn unsupported(message: &str) -> Self {
        let status = StatusCode::UNSUPPORTED_MEDIA_TYPE;
        Self::new(status, "vixen.error.unsupported_media_type", message)
    }

    /// The node stops.
    pub(in crate::gates) fn shutting_down() -> Self {
        let message = "this node is shutting down";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, uris::SYSTEM_SHUTDOWN, message)
    }

    /// The entry cannot do its work, for this reason.
    pub(in crate::gates) fn not_ready(reason: &str) -> Self {
        let message = format!("this entry is not ready: {reason}");
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "vixen.error.not_ready", &message)
    }

    /// A limit on sessions, requests or answers is reached.
    pub(in crate::gates) fn of_full(full: Full) -> Self {
        let uri = match full.kind {
            Kind::Sessions => "vixen.error.too_many_sessions",
            Kind::Answers => "vixen.error.too_many_reads",
        };
        Self::new(StatusCode::TOO_MANY_REQUESTS, uri, &full.to_string())
    }

    /// A subscription is refused: the entry has as many as it may have.
    pub(in crate::gates) fn of_subscription(error: &SubscribeError) -> Self {
        let status = match error {
            SubscribeError::NoSuchSubscription => StatusCode::BAD_REQUEST,
            SubscribeError::TooMany { .. }
            | SubscribeError::TooManyPatternsOfSession { .. }
            | SubscribeError::TooManyPatterns { .. }
            | SubscribeError::TooManyShapes { .. }
            | SubscribeError::InterestFull { .. } => StatusCode::TOO_MANY_REQUESTS,
        };
        Self::new(status, uris::of_subscription(error), &error.to_string())
    }

    /// A quota is used up.
    pub(in crate::gates) fn of_quota(exceeded: Exceeded, uri: &str) -> Self {
        let status = StatusCode::TOO_MANY_REQUESTS;
        let mut problem = Self::new(status, uri, &exceeded.to_string());
        let key = format!("{}{}", exceeded.scope.table(), exceeded.kind.key());
        problem.object["quota"] = key.into();
        let seconds = exceeded.retry_ms.div_ceil(1_000);
        problem.with_header(header::RETRY_AFTER, seconds.into())
    }

    /// A reload has taken the right to what was under way.
    pub(in crate::gates) fn of_rights(lost: RightsLost) -> Self {
        let status = match lost {
            RightsLost::Session => StatusCode::UNAUTHORIZED,
            RightsLost::Topic(_) => StatusCode::FORBIDDEN,
        };
        Self::new(status, uris::of_rights(lost), &lost.to_string())
    }

    /// The input of a request is over before it was whole.
    pub(in crate::gates) fn unfinished(over: Over) -> Self {
        let (status, uri, message) = match over {
            Over::Late => (
                StatusCode::REQUEST_TIMEOUT,
                uris::TIMEOUT,
                "the body did not come within limits.unfinished-timeout",
            ),
            Over::Crowded | Over::TooLarge => (
                StatusCode::SERVICE_UNAVAILABLE,
                uris::UNFINISHED_INPUT,
                "too much is unfinished: more than limits.unfinished-bytes-max allows, most of it here",
            ),
        };
        let close = HeaderValue::from_static("close");
        Self::new(status, uri, message).with_header(header::CONNECTION, close)
    }

    /// As `/history` and WAMP call it.
    pub(in crate::gates) fn of_history(error: &HistoryError) -> Self {
        let status = match error {
            HistoryError::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
            HistoryError::Trimmed { .. } => StatusCode::GONE,
            HistoryError::Beyond { .. } | HistoryError::NotOfThisOrder { .. } => {
                StatusCode::CONFLICT
            }
            HistoryError::NotReady
            | HistoryError::EndUnknown { .. }
            | HistoryError::Unavailable { .. }
            | HistoryError::Stopped => StatusCode::SERVICE_UNAVAILABLE,
        };
        let mut problem = Self::new(status, uris::of_history(error), &error.to_string());
        if let HistoryError::Trimmed { first } = error {
            problem.object["first_position"] = first.0.into();
        }
        if let Some(end) = error.end() {
            problem.object["end"] = end.0.into();
        }
        problem
    }

    /// A client comes back with a `Last-Event-ID` that no entry has sent; the order ends here.
    pub(in crate::gates) fn last_event_id(end: Position) -> Self {
        let message = format!(
            "Last-Event-ID is none that an entry has sent: the stream goes on after position {end}"
        );
        let mut problem = Self::bad_request(&message);
        problem.object["end"] = end.0.into();
        problem
    }

    /// Adds a header to the answer.
    pub(in crate::gates) fn with_member(mut self, key: &str, value: Value) -> Self {
        self.object[key] = value;
        self
    }

    /// With a header.
    pub(in crate::gates) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }

    pub(in crate::gates) const fn status(&self) -> StatusCode {
        self.status
    }

    /// Whether the same request may succeed later.
    pub(in crate::gates) fn is_temporary(&self) -> bool {
        matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE)
    }

    /// The JSON object.
    pub(in crate::gates) const fn object(&self) -> &Value {
        &self.object
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let is_temporary = self.is_temporary();
        let mut headers: HeaderMap = self.headers.into_iter().collect();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(PROBLEM_JSON));
        if is_temporary {
            let soon = HeaderValue::from_static("1");
            headers.entry(header::RETRY_AFTER).or_insert(soon);
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let basic = HeaderValue::from_static("Basic realm=\"vixen\"");
            headers.insert(header::WWW_AUTHENTICATE, basic);
        }
        (self.status, headers, format!("{}\n", self.object)).into_response()
    }
}

/// Makes a problem of what the router itself and its extractors answer: a text, or nothing at all.
pub(in crate::gates) async fn explain(answer: Response) -> Response {
    let status = answer.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let content_type = answer.headers().get(header::CONTENT_TYPE);
    if !is_error || content_type.is_some_and(|value| value == PROBLEM_JSON) {
        return answer;
    }
    let (mut parts, body) = answer.into_parts();
    let text = words_of(body).await;
    let allowed = parts.headers.get(header::ALLOW).and_then(|value| value.to_str().ok());
    let (uri, message) = match status {
        StatusCode::NOT_FOUND => {
            ("vixen.error.not_found", "nothing is here: see /openapi.json".into())
        }
        StatusCode::METHOD_NOT_ALLOWED => {
            let allowed = allowed.unwrap_or("other methods").replace(',', ", ");
            ("vixen.error.method_not_allowed", format!("this path takes {allowed}"))
        }
        StatusCode::PAYLOAD_TOO_LARGE => (uris::PAYLOAD_SIZE_EXCEEDED, text),
        status if status.is_client_error() => (uris::INVALID_ARGUMENT, text),
        _ => ("vixen.error.internal", text),
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.remove(header::CONTENT_TYPE);
    let mut problem = Problem::new(status, uri, &message).into_response();
    // Beside its own: `Allow`, and those of CORS.
    problem.headers_mut().extend(parts.headers);
    problem
}

/// What an answer says, or its status where it says nothing that can be passed on.
async fn words_of(body: Body) -> String {
    let bytes = to_bytes(body, TEXT_BYTES_MAX).await.unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes).trim().to_owned();
    if text.is_empty() { "the request cannot be served".to_owned() } else { text }
}
