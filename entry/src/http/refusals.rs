//! Counts requests that are refused.

use axum::response::Response;
use metrics::{counter, describe_counter};

const REFUSALS: &str = "vixen_entry_http_refusals_total";

/// Gives the metric its help text.
pub(crate) fn describe_http_metrics() {
    describe_counter!(REFUSALS, "HTTP requests answered with an error");
}

/// Counts an answer that says what is wrong, by its status.
pub(crate) async fn count_refusal(answer: Response) -> Response {
    let status = answer.status();
    if status.is_client_error() || status.is_server_error() {
        counter!(REFUSALS, "status" => status.as_str().to_owned()).increment(1);
    }
    answer
}
