//! Who makes an HTTP request: nobody in particular, or a user with a ticket (`Authorization: Basic`).

use std::net::IpAddr;

use axum::http::{HeaderMap, StatusCode, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use vixen_broker::access::is_realm;
use vixen_broker::api::SessionId;
use vixen_broker::api::calls::CallFeatures;
use vixen_runtime::clock::wall_time;
use vixen_runtime::config::AUTH_NAME_BYTES_MAX;

use crate::admission::AdmittedSession;
use crate::auth::{Answer, LoginRequest, Needed, Refusal, Step};
use crate::authority::words::Told;
use crate::authority::{LoginQuestion, ask_login};
use crate::gates::context::SessionContext;
use crate::gates::ids::random_session;
use crate::gates::uris;
use crate::gates::web::Problem;

/// The session that an HTTP request stands for.
///
/// # Errors
/// It may not enter the realm.
pub(super) async fn identify(
    context: &SessionContext,
    headers: &HeaderMap,
    address: IpAddr,
    realm: &str,
) -> Result<AdmittedSession, Problem> {
    let limits = context.limits.ingress();
    // Before anything is made of it: a realm is stored with each of its messages.
    if !is_realm(realm, &limits) {
        let message = "the realm is no URI, or too long";
        return Err(Problem::new(StatusCode::BAD_REQUEST, uris::INVALID_URI, message));
    }
    let (session, nonce) = random_session().map_err(|error| {
        let message = format!("no randomness for a session id: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "vixen.error.internal", &message)
    })?;
    let login = Login::of(headers)?;
    let admission = &context.admission;
    let request = login.request(realm, session);
    let identity = match (admission.log_in(address, request, &nonce, wall_time()), &login) {
        (Step::Welcome(identity), _) => identity,
        (Step::Challenge { pending, .. }, Login::Ticket { ticket, .. }) => {
            match pending.authenticator().cloned() {
                Some(authenticator) => {
                    let (authextra, transport) = (&Value::Null, "http");
                    let told = Told { session, ticket, authextra, transport };
                    let question =
                        LoginQuestion::of_ticket(&authenticator, &pending, address, &told);
                    // Until it is counted, as few others are tried as may yet fail.
                    let decided = ask_login(&context.events, admission, question).await;
                    decided.identity(admission, address, *pending)
                }
                None => admission.authenticate(address, *pending, Ok(Answer::of(ticket))),
            }
            .map_err(problem_of_login)?
        }
        (Step::Challenge { .. }, Login::Anonymous) => {
            return Err(problem_of_login(Refusal::AuthenticationRequired));
        }
        (Step::Refused(refusal), _) => return Err(problem_of_login(refusal)),
    };
    let calls = CallFeatures::default();
    AdmittedSession::new(admission, session, identity, address, false, calls, limits)
        .map_err(Problem::of_rights)
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

    fn request<'a>(
        &'a self,
        realm: &'a str,
        session: SessionId,
    ) -> Result<LoginRequest<'a>, Refusal> {
        match self {
            Self::Anonymous => Ok(LoginRequest::anonymous(realm, session)),
            Self::Ticket { authid, .. } if authid.len() > AUTH_NAME_BYTES_MAX => {
                let expected = "a string of at most 256 bytes";
                Err(Refusal::Malformed { field: "authid", expected })
            }
            Self::Ticket { authid, .. } => Ok(LoginRequest::by_ticket(realm, session, authid)),
        }
    }
}

fn problem_of_login(refusal: Refusal) -> Problem {
    let status = match refusal {
        Refusal::NoSuchRealm => StatusCode::NOT_FOUND,
        Refusal::Throttled => StatusCode::TOO_MANY_REQUESTS,
        Refusal::NoDecision => StatusCode::SERVICE_UNAVAILABLE,
        Refusal::Malformed { .. } => StatusCode::BAD_REQUEST,
        _ => StatusCode::UNAUTHORIZED,
    };
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
        Refusal::Incomplete(Needed::Name) => {
            "Authorization: Basic needs an authid before its colon".to_owned()
        }
        // Whether there is such a user is not told.
        Refusal::Denied => "authentication denied: HTTP requests log in with the ticket of a user, and with no other \
             credential"
            .to_owned(),
        other => other.to_string(),
    };
    Problem::new(status, uris::of_login(refusal), &message)
}
