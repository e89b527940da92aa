//! Who makes an HTTP request: nobody in particular, or a user with a ticket (`Authorization: Basic`).

use std::net::IpAddr;
use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use vixen_broker::api::SessionInfo;
use vixen_runtime::clock::wall_time;

use super::problem::Problem;
use super::visitor::random_session;
use crate::auth::{Hello, Identity, Nonce, Refusal, Step};
use crate::gates::wamp::{Edge, Ending, SessionContext, info_of, is_realm};

/// The session that an HTTP request stands for, and what it may do.
///
/// # Errors
/// It may not enter the realm.
pub(super) fn identify(
    context: &SessionContext,
    headers: &HeaderMap,
    address: IpAddr,
    realm: &str,
) -> Result<(Arc<SessionInfo>, Edge), Problem> {
    // Before anything is made of it: a realm is stored with each of its messages.
    if !is_realm(realm, &context.limits) {
        let ending = Ending::InvalidRealm;
        let uri = ending.uri().unwrap_or_default();
        return Err(Problem::new(StatusCode::BAD_REQUEST, uri, &ending.to_string()));
    }
    let randomness = |error: getrandom::Error| {
        let message = format!("no randomness for a session id: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "vixen.error.internal", &message)
    };
    let session = random_session().map_err(randomness)?;
    let mut nonce = Nonce([0; 32]);
    getrandom::fill(&mut nonce.0).map_err(randomness)?;
    let login = Login::of(headers)?;
    let details = login.details();
    let hello = Hello { realm, details: &details, session };
    let step = context.door.hello(address, &hello, &nonce, wall_time());
    let identity: Identity = match (step, login) {
        (Step::Welcome(identity), _) => identity,
        (Step::Challenge { pending, .. }, Login::Ticket { ticket, .. }) => context
            .door
            .authenticate(address, pending, &ticket, &Map::new())
            .map_err(problem_of_login)?,
        (Step::Challenge { .. }, Login::Anonymous) => {
            return Err(problem_of_login(Refusal::AuthenticationRequired));
        }
        (Step::Refused(refusal), _) => return Err(problem_of_login(refusal)),
    };
    let info = Arc::new(info_of(session, &identity, address, false));
    let edge = Edge::new(&context.door, identity, address, Arc::clone(&info), &context.limits);
    let edge = edge.map_err(|ending: Ending| {
        let uri = ending.uri().unwrap_or_default();
        Problem::new(StatusCode::UNAUTHORIZED, uri, &ending.to_string())
    })?;
    Ok((info, edge))
}

enum Login {
    Anonymous,
    Ticket { authid: String, ticket: String },
}

impl Login {
    fn of(headers: &HeaderMap) -> Result<Self, Problem> {
        let Some(value) = headers.get(header::AUTHORIZATION) else { return Ok(Self::Anonymous) };
        let basic = value.to_str().ok().and_then(|text| text.strip_prefix("Basic "));
        let decoded = basic.and_then(|text| STANDARD.decode(text.trim()).ok());
        let text = decoded.and_then(|bytes| String::from_utf8(bytes).ok());
        let pair = text.as_ref().and_then(|text| text.split_once(':'));
        let (authid, ticket) = pair.ok_or_else(|| {
            let message = "Authorization is not Basic with authid and ticket";
            Problem::new(StatusCode::UNAUTHORIZED, "wamp.error.authentication_required", message)
        })?;
        Ok(Self::Ticket { authid: authid.to_owned(), ticket: ticket.to_owned() })
    }

    fn details(&self) -> Map<String, Value> {
        let details = match self {
            Self::Anonymous => json!({"authmethods": ["anonymous"]}),
            Self::Ticket { authid, .. } => json!({"authmethods": ["ticket"], "authid": authid}),
        };
        match details {
            Value::Object(details) => details,
            _ => Map::new(),
        }
    }
}

fn problem_of_login(refusal: Refusal) -> Problem {
    let status = match refusal {
        Refusal::NoSuchRealm => StatusCode::NOT_FOUND,
        Refusal::Throttled => StatusCode::TOO_MANY_REQUESTS,
        Refusal::Malformed { .. } => StatusCode::BAD_REQUEST,
        _ => StatusCode::UNAUTHORIZED,
    };
    // The others' texts name elements of HELLO, which no request has.
    let message = match refusal {
        Refusal::AuthenticationRequired => {
            "this realm lets nobody in without a login: send Authorization: Basic with a user's \
             authid and ticket"
                .to_owned()
        }
        Refusal::NoMatchingMethod => {
            "this realm has no user with a ticket, the only login that HTTP requests have: give a \
             user a ticket in the configuration, or use WAMP"
                .to_owned()
        }
        other => other.to_string(),
    };
    Problem::new(status, refusal.uri(), &message)
}
