//! The built-in page: one file, no request to anywhere else.

use axum::http::{HeaderMap, HeaderName, StatusCode, header};
use axum::response::{IntoResponse, Response};

const PAGE: &str = include_str!("page.html");
/// Stands in the page where the nonce of the response goes.
const NONCE_MARK: &str = "{{nonce}}";

/// Answers with the page, under a policy that runs its own script only and lets it connect to
/// nothing but the host it came from.
pub(super) async fn page(request: HeaderMap) -> Response {
    let Ok(nonce) = getrandom::u64().and_then(|high| Ok((high, getrandom::u64()?))) else {
        return StatusCode::INTERNAL_SERVER_ERROR.into_response();
    };
    let nonce = format!("{:016x}{:016x}", nonce.0, nonce.1);
    let host = request.get(header::HOST).and_then(|host| host.to_str().ok());
    let headers: [(HeaderName, String); 5] = [
        (header::CONTENT_TYPE, "text/html; charset=utf-8".to_owned()),
        (header::CONTENT_SECURITY_POLICY, policy(&nonce, host)),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff".to_owned()),
        (header::REFERRER_POLICY, "no-referrer".to_owned()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    (headers, PAGE.replace(NONCE_MARK, &nonce)).into_response()
}

fn policy(nonce: &str, host: Option<&str>) -> String {
    // Not every browser takes 'self' for a WebSocket to the same host, so the host is named too.
    let sockets = match host {
        Some(host) if is_plain_host(host) => format!(" ws://{host} wss://{host}"),
        Some(_) | None => String::new(),
    };
    format!(
        "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'nonce-{nonce}'; \
         connect-src 'self'{sockets}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
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
        assert!(policy("n", Some("[::1]:9031")).contains("ws://[::1]:9031 "));
        let strange = policy("n", Some("a; script-src *"));
        assert!(strange.contains("connect-src 'self'; ") && !strange.contains('*'), "{strange}");
    }

    #[test]
    fn the_page_asks_nobody_else() {
        assert_eq!(PAGE.matches(NONCE_MARK).count(), 2);
        for outside in
            ["http://", "https://", "src=", "@import", "url(", "innerHTML", " style=\"", " onclick"]
        {
            assert!(!PAGE.contains(outside), "{outside}");
        }
    }
}
