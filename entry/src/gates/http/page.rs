//! The console: a page to try the entry with, and its parts, built in. It asks nobody else.

use axum::Router;
use axum::extract::Path;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;

const HTML: &str = "text/html; charset=utf-8";
const CSS: &str = "text/css; charset=utf-8";
const SCRIPT: &str = "text/javascript; charset=utf-8";
const ICON: &str = "image/svg+xml";

const PAGE: &str = include_str!("console/index.html");

/// Below `/console/`: name, content type and content.
const PARTS: [(&str, &str, &str); 12] = [
    ("app.js", SCRIPT, include_str!("console/app.js")),
    ("call.js", SCRIPT, include_str!("console/call.js")),
    ("console.css", CSS, include_str!("console/console.css")),
    ("feed.js", SCRIPT, include_str!("console/feed.js")),
    ("icon.svg", ICON, include_str!("console/icon.svg")),
    ("id-panel.js", SCRIPT, include_str!("console/id-panel.js")),
    ("json.js", SCRIPT, include_str!("console/json.js")),
    ("list.js", SCRIPT, include_str!("console/list.js")),
    ("messages.js", SCRIPT, include_str!("console/messages.js")),
    ("permanent-id.js", SCRIPT, include_str!("console/permanent-id.js")),
    ("procedures.js", SCRIPT, include_str!("console/procedures.js")),
    ("session.js", SCRIPT, include_str!("console/session.js")),
];

/// The routes `/` and `/console/{part}`.
pub(super) fn page_router<S>() -> Router<S>
where
    S: Clone + Send + Sync + 'static,
{
    Router::new()
        .route("/", get(page))
        .route("/console/{part}", get(part))
        .route("/favicon.ico", get(|| std::future::ready(StatusCode::NO_CONTENT)))
}

/// Answers with the page, under a policy that runs its own scripts only and lets it connect to
/// nothing but the host it came from.
async fn page(request: HeaderMap) -> Response {
    let host = request.get(header::HOST).and_then(|host| host.to_str().ok());
    match HeaderValue::try_from(policy(host)) {
        Ok(policy) => {
            (own(HTML), [(header::CONTENT_SECURITY_POLICY, policy)], PAGE).into_response()
        }
        Err(_host_is_plain) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn part(Path(name): Path<String>) -> Response {
    match PARTS.iter().find(|(part, ..)| *part == name) {
        Some((_, content_type, content)) => (own(content_type), *content).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Page and parts must be of one version, so none is kept for later.
fn own(content_type: &'static str) -> [(HeaderName, HeaderValue); 4] {
    [
        (header::CONTENT_TYPE, HeaderValue::from_static(content_type)),
        (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
        (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ]
}

fn policy(host: Option<&str>) -> String {
    // Not every browser takes 'self' for a WebSocket to the same host, so the host is named too.
    let sockets = match host {
        Some(host) if is_plain_host(host) => format!(" ws://{host} wss://{host}"),
        Some(_) | None => String::new(),
    };
    format!(
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
         connect-src 'self'{sockets}; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
    )
}

/// Whether a Host header can stand in a policy: letters, digits, and what addresses need.
fn is_plain_host(host: &str) -> bool {
    host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strange_host_does_not_get_into_the_policy() {
        assert!(policy(Some("[::1]:9031")).contains("ws://[::1]:9031 "));
        let strange = policy(Some("a; script-src *"));
        assert!(strange.contains("connect-src 'self'; ") && !strange.contains('*'), "{strange}");
    }

    /// What stands between `from` and the next quote, wherever it does.
    fn quoted<'a>(text: &'a str, from: &'a str) -> impl Iterator<Item = &'a str> {
        text.split(from).skip(1).filter_map(|rest| rest.split('"').next())
    }

    #[test]
    fn the_console_asks_nobody_else_and_builds_nothing_from_text() {
        let texts = PARTS.iter().filter(|(_, content_type, _)| *content_type != ICON);
        for text in texts.map(|(.., content)| *content).chain([PAGE]) {
            for outside in [
                "http://",
                "https://",
                "@import",
                "url(",
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "Function(",
                " style=\"",
                " onclick",
                "<style",
            ] {
                assert!(!text.contains(outside), "{outside}");
            }
        }
        assert_eq!(PAGE.matches("<script").count(), 1);
        assert_eq!(PAGE.matches("<script type=\"module\" src=\"console/").count(), 1);
    }

    #[test]
    fn every_part_that_is_asked_for_is_there() {
        let mut asked: Vec<_> = ["src=\"console/", "href=\"console/"]
            .into_iter()
            .flat_map(|from| quoted(PAGE, from))
            .collect();
        for (.., content) in PARTS {
            asked.extend(quoted(content, "from \"./"));
        }
        for name in &asked {
            assert!(PARTS.iter().any(|(part, ..)| part == name), "no {name}");
        }
        for (part, ..) in PARTS {
            assert!(asked.contains(&part), "nobody asks for {part}");
        }
    }
}
