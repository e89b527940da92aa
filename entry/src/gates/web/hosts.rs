//! Which hosts an entry goes by.
//!
//! Whoever owns a name can have it point to this machine (DNS rebinding). To a browser a page of that
//! name and this entry are of one origin then: it may publish and read what this entry lets others of
//! its network do, and `Origin` says nothing against it, since it is that of the `Host` that is asked.
//! So an entry answers only to names that nobody else can own: `localhost`, addresses, and those of
//! the configuration. Where the connection has TLS the certificate has settled that.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{Next, from_fn_with_state, map_response};
use axum::response::{IntoResponse, Response};
use metrics::{counter, describe_counter};

use vixen_runtime::config::{AllowedHosts, Web};
use vixen_runtime::tls::ClientAddress;

use super::problem::Problem;
use super::refusals;

const HOSTS_REFUSED: &str = "vixen_entry_hosts_refused_total";

/// What asks there need not know by which name it does, and is told nothing that others may not know.
const PROBES: [&str; 2] = ["/healthz", "/readyz"];

/// Gives the metric its help text; once, when the node starts.
pub(crate) fn describe_host_metrics() {
    describe_counter!(HOSTS_REFUSED, "Requests for a host that the entry does not go by");
}

/// Refuses with 421 what is asked of a host that `web` does not know.
pub(in crate::gates) fn of_known_hosts(router: Router, web: &Arc<Web>) -> Router {
    router.layer(from_fn_with_state(Arc::clone(web), refuse_unknown_hosts))
}

/// The same for operators' pages, whose other answers are no refusals of the HTTP interface.
pub(crate) fn pages_of_known_hosts(router: Router, web: &Arc<Web>) -> Router {
    of_known_hosts(router, web).layer(map_response(async |answer: Response| {
        if answer.status() == StatusCode::MISDIRECTED_REQUEST {
            refusals::count(answer.status());
        }
        answer
    }))
}

async fn refuse_unknown_hosts(
    State(web): State<Arc<Web>>,
    ConnectInfo(client): ConnectInfo<ClientAddress>,
    request: Request,
    next: Next,
) -> Response {
    let is_for_all = client.is_tls || PROBES.contains(&request.uri().path());
    let unknown = if is_for_all { None } else { unknown_host(&request, &web.allowed_hosts) };
    let Some(host) = unknown else { return next.run(request).await };
    counter!(HOSTS_REFUSED).increment(1);
    tracing::debug!(ip = %client.ip, "request for an unknown host refused");
    let message = format!(
        "this entry does not go by the name {host}: ask it by its address, or add the name to \
         web.allowed-hosts (nearcast: --allowed-hosts)"
    );
    Problem::new(StatusCode::MISDIRECTED_REQUEST, "vixen.error.unknown_host", &message)
        .into_response()
}

/// The first host of a request that is not known. One without any is of no browser.
fn unknown_host(request: &Request, allowed: &AllowedHosts) -> Option<String> {
    let hosts = request.headers().get_all(header::HOST).iter().map(HeaderValue::to_str);
    let asked = request.uri().authority().map(|authority| Ok(authority.as_str()));
    hosts.chain(asked).find_map(|host| match host {
        Ok(host) if is_known(host, allowed) => None,
        Ok(host) => Some(host.to_owned()),
        Err(_not_text) => Some("that it was asked by".to_owned()),
    })
}

fn is_known(host: &str, allowed: &AllowedHosts) -> bool {
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => {
            (address, rest.strip_prefix(':').or(rest.is_empty().then_some("")))
        }
        None => host.split_once(':').map_or((host, Some("")), |(name, port)| (name, Some(port))),
    };
    if !port.is_some_and(is_port) {
        return *allowed == AllowedHosts::Any;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    name.eq_ignore_ascii_case("localhost")
        || name.parse::<IpAddr>().is_ok()
        || match allowed {
            AllowedHosts::Any => true,
            AllowedHosts::Listed(listed) => {
                listed.iter().any(|known| known.eq_ignore_ascii_case(name))
            }
        }
}

/// A port, which may be left out behind its colon (RFC 3986 §3.2.3).
fn is_port(text: &str) -> bool {
    text.is_empty() || text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u16>().is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_somebody_else_may_own_are_unknown() {
        let listed: AllowedHosts = "broker.example,entry1".parse().expect("hosts");
        let table = [
            ("localhost", true),
            ("LocalHost:9031", true),
            ("localhost.:9031", true),
            ("127.0.0.1", true),
            ("10.0.0.7:9031", true),
            ("[::1]:9031", true),
            ("[2001:db8::1]", true),
            ("Broker.example:8443", true),
            ("entry1:9031", true),
            ("evil.example:9031", false),
            ("localhost.evil.example", false),
            ("broker.example.evil.example", false),
            ("127.0.0.1.evil.example", false),
            ("127.1", false),
            ("[::1].evil.example", false),
            // What stands where a port does.
            ("localhost:", true),
            ("localhost:65536", false),
            ("localhost:+80", false),
            ("localhost:80:80", false),
            ("localhost:evil.example", false),
            ("localhost:80@evil.example", false),
            ("[::1]:evil.example", false),
            ("127.0.0.1:80/evil", false),
            ("", false),
        ];
        for (host, known) in table {
            assert_eq!(is_known(host, &listed), known, "{host}");
            assert!(is_known(host, &AllowedHosts::Any), "{host}");
        }
        assert!(!is_known("broker.example", &AllowedHosts::default()));
    }
}
