//! Counts requests that are refused.

use axum::http::StatusCode;
use axum::response::Response;
use metrics::{counter, describe_counter};

const REFUSALS: &str = "vixen_entry_http_refusals_total";

/// Gives the metric its help text.
pub(crate) fn describe_http_metrics() {
    describe_counter!(REFUSALS, "HTTP requests answered with an error");
}

/// Counts an answer that says what is wrong, by its status.
pub(in crate::gates) async fn count_refusal(answer: Response) -> Response {
    count(answer.status());
    answer
}

/// Counts an answer that would have this status, if it could.
pub(in crate::gates) fn count(status: StatusCode) {
    if status.is_client_error() || status.is_server_error() {
        counter!(REFUSALS, "status" => status.as_str().to_owned()).increment(1);
    }
}
