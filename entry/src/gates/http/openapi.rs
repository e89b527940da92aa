//! `GET /openapi.json`: the HTTP interface, described for tools.

use axum::Router;
use axum::http::{HeaderValue, header};
use axum::response::IntoResponse;
use axum::routing::get;

/// OpenAPI 3.1.
const DESCRIPTION: &str = include_str!("openapi.json");

/// The route `/openapi.json`.
pub(super) fn openapi_router<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Router::new().route("/openapi.json", get(description))
}

async fn description() -> impl IntoResponse {
    let headers = [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    ];
    (headers, DESCRIPTION)
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    fn description() -> Value {
        serde_json::from_str(DESCRIPTION).expect("JSON")
    }

    #[test]
    fn every_route_is_described_with_its_method_and_answers() {
        let description = description();
        assert!(description["openapi"].as_str().is_some_and(|version| version.starts_with("3.1.")));
        assert_eq!(description["info"]["version"], env!("CARGO_PKG_VERSION"));
        let routes = [
            ("/publish", "post"),
            ("/call", "post"),
            ("/events", "get"),
            ("/history", "get"),
            ("/healthz", "get"),
            ("/readyz", "get"),
            ("/metrics", "get"),
            ("/status", "get"),
            ("/openapi.json", "get"),
        ];
        let paths = description["paths"].as_object().expect("paths");
        assert!(paths["/"]["options"]["responses"]["204"].is_object());
        assert_eq!(paths.len(), routes.len() + 1);
        for (path, method) in routes {
            let operation = &paths[path][method];
            assert!(operation["summary"].is_string(), "{path}: no summary");
            assert!(operation["operationId"].is_string(), "{path}: no operationId");
            let ok = &operation["responses"]["200"];
            assert!(ok["description"].is_string() && ok["content"].is_object(), "{path}: no 200");
        }
    }

    #[test]
    fn errors_are_problems_and_logins_are_described() {
        let description = description();
        assert_eq!(description["components"]["securitySchemes"]["basic"]["scheme"], "basic");
        let all =
            [("/publish", "post"), ("/call", "post"), ("/events", "get"), ("/history", "get")];
        for (path, method) in all {
            let operation = &description["paths"][path][method];
            assert_eq!(operation["security"], serde_json::json!([{}, {"basic": []}]), "{path}");
            let responses = operation["responses"].as_object().expect("responses");
            assert!(responses.contains_key("401"), "{path}");
            for (status, response) in
                responses.iter().filter(|(status, _)| status.as_str() >= "400")
            {
                let schema = &response["content"]["application/problem+json"]["schema"];
                assert_eq!(schema["$ref"], "#/components/schemas/Error", "{path} {status}");
            }
        }
    }

    /// What a client may get where it has to wait, and was not told of.
    #[test]
    fn what_is_too_many_is_named() {
        let description = description();
        let all = ["too_many_sessions", "too_many_failed_logins"];
        let table = [
            ("/publish", "post", &["quota_exceeded"][..]),
            ("/call", "post", &["too_many_calls"]),
            ("/events", "get", &["too_many_patterns", "interest_full", "too_many_reads"]),
            ("/history", "get", &["too_many_reads"]),
        ];
        for (path, method, own) in table {
            let answer = &description["paths"][path][method]["responses"]["429"]["description"];
            let words = answer.as_str().expect("words");
            for name in own.iter().chain(&all) {
                assert!(words.contains(&format!("`vixen.error.{name}`")), "{path}: {name}");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere() {
        fn references<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
            match value {
                Value::Object(members) => {
                    found.extend(members.get("$ref").and_then(Value::as_str));
                    members.values().for_each(|member| references(member, found));
                }
                Value::Array(elements) => {
                    elements.iter().for_each(|element| references(element, found));
                }
                Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
            }
        }
        let description = description();
        let mut found = Vec::new();
        references(&description, &mut found);
        assert!(!found.is_empty());
        for reference in found {
            let pointer = reference.strip_prefix('#').expect("within the description");
            assert!(description.pointer(pointer).is_some(), "{reference}");
        }
    }
}
