//! Problems as HTTP answers: a status, and a JSON object that names the error as WAMP does.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use crate::history::HistoryError;
use crate::wamp::history_error_uri;

/// What a client reads for whom there is no place.
pub(super) fn crowded(limit: &str) -> String {
    format!("as many sessions are open as limits.{limit} allows")
}

/// One problem.
#[derive(Debug)]
pub(super) struct Problem {
    status: StatusCode,
    object: Value,
}

impl Problem {
    /// With the error URI and the words of a WAMP ERROR.
    pub(super) fn new(status: StatusCode, uri: &str, message: &str) -> Self {
        Self { status, object: json!({"error": uri, "message": message}) }
    }

    /// The request is not as it must be.
    pub(super) fn bad_request(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "wamp.error.invalid_argument", message)
    }

    /// The node stops.
    pub(super) fn shutting_down() -> Self {
        let message = "this node is shutting down";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "wamp.close.system_shutdown", message)
    }

    /// As many sessions are open as the limit of this key allows.
    pub(super) fn too_many_sessions(limit: &str) -> Self {
        let message = crowded(limit);
        Self::new(StatusCode::TOO_MANY_REQUESTS, "vixen.error.too_many_sessions", &message)
    }

    /// As `/history` and WAMP call it.
    pub(super) fn of_history(error: &HistoryError) -> Self {
        let status = match error {
            HistoryError::Busy { .. } => StatusCode::TOO_MANY_REQUESTS,
            HistoryError::Trimmed { .. } => StatusCode::GONE,
            HistoryError::NotReady | HistoryError::Unavailable { .. } | HistoryError::Stopped => {
                StatusCode::SERVICE_UNAVAILABLE
            }
        };
        let mut problem = Self::new(status, history_error_uri(error), &error.to_string());
        if let HistoryError::Trimmed { first } = error {
            problem.object["first_position"] = first.0.into();
        }
        problem
    }

    /// The JSON object.
    pub(super) const fn object(&self) -> &Value {
        &self.object
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut headers = HeaderMap::new();
        let comes_back =
            matches!(self.status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        if comes_back {
            headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        if self.status == StatusCode::UNAUTHORIZED {
            let basic = HeaderValue::from_static("Basic realm=\"vixen\"");
            headers.insert(header::WWW_AUTHENTICATE, basic);
        }
        (self.status, headers, Json(self.object)).into_response()
    }
}
