//! `POST /publish`: one message, answered with its place in the order.
//!
//! ```text
//! {"topic":"a.b","args":[1],"kwargs":{"k":2},"options":{…},"realm":"realm1"}
//!   -> 200 {"position":42,"id":"…","time":"…"}
//! ```
//! `args` and `kwargs` are stored as they were sent, character by character; `options` are those of
//! a WAMP PUBLISH. The answer waits for the level of `options.ack`.

use std::convert::Infallible;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use futures_util::FutureExt as _;
use serde_json::json;
use serde_json::value::RawValue;

use vixen_broker::access::{self, Act, Message, PublishOptions};
use vixen_broker::api::{Acknowledged, PublishError, RequestId};
use vixen_broker::client::{Effects, Told};
use vixen_core::segment::{Encoding, Match};
use vixen_runtime::server::Meter;
use vixen_runtime::tls::ClientAddress;

use super::asked::Ruling;
use super::body::{self, Body};
use super::{asked, intake};
use crate::admission::Permit;
use crate::authority::options::told;
use crate::gates::context::SessionContext;
use crate::gates::driver::{Driver, Stopped};
use crate::gates::metrics::{count_publish_error, count_refusal};
use crate::gates::options::publish_options;
use crate::gates::raw::RawText;
use crate::gates::refusal::Refusal;
use crate::gates::uris;
use crate::gates::web::{Problem, admitted};
use crate::text::time_text;

/// The only request of its session.
const REQUEST: RequestId = RequestId(1);
/// The realm of requests that name none.
pub(super) const REALM: &str = "realm1";

/// In this order: a place, the body, who it is, room for the message, and the message. Whoever has no
/// place holds nothing, and until the message is handed over its body counts as unfinished.
pub(super) async fn publish(
    State(context): State<SessionContext>,
    ConnectInfo(client): ConnectInfo<ClientAddress>,
    Extension(meter): Extension<Meter>,
    request: Request,
) -> Response {
    let headers = request.headers().clone();
    let permit = match intake::place(&context, client.ip, &headers) {
        Ok(permit) => permit,
        Err(problem) => return problem.into_response(),
    };
    let taking = async {
        let body = intake::receive(&context, &meter, request).await?;
        take(&context, &headers, permit, &body).await
    };
    let answered = match intake::taken(&meter, taking).await {
        Ok(taken) => resolve(taken).await,
        Err(problem) => Err(problem),
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

/// A message that was handed over, and who waits for what becomes of it.
struct Taken {
    driver: Driver<Infallible>,
    _permit: Permit,
}

impl From<Stopped> for Problem {
    fn from(Stopped: Stopped) -> Self {
        Self::shutting_down()
    }
}

async fn take(
    context: &SessionContext,
    headers: &HeaderMap,
    permit: Permit,
    body: &Bytes,
) -> Result<Taken, Problem> {
    // It may have stopped while the body came.
    admitted(context)?;
    let parsed: Body<'_> = body::parse(headers, body)?;
    let realm = body::realm(parsed.realm)?;
    let address = permit.address();
    let mut admitted = super::identity::identify(context, headers, address, &realm).await?;
    let said = parsed.options.map_or("{}", RawValue::get);
    if !said.starts_with('{') {
        return Err(Problem::bad_request("options are not an object"));
    }
    let payload = body::payload(parsed.args, parsed.kwargs)?;
    let refused = |refusal| {
        count_refusal(refusal);
        problem_of(refusal)
    };
    let options = publish_options(said).map_err(|(error, _)| refused(error.into()))?;
    let wanted = Message {
        request: REQUEST,
        topic: &RawText::Json(parsed.topic.get()),
        content: Encoding::Json.into(),
        payload,
        // The answer of HTTP is the acknowledgement, asked for or not.
        options: PublishOptions { acknowledge: true, ..options },
    };
    let message = loop {
        let made = admitted.publish(wanted.clone());
        let mut message = made.map_err(|refusal| refused(refusal.into()))?;
        let (asked, told) = ((&message.topic.uri, Match::Exact), told(Act::Publish, said));
        match asked::ruling(context, &mut admitted, Act::Publish, asked, told).await? {
            Ruling::Allowed { discloses } => {
                if discloses {
                    message.disclose(admitted.info());
                }
                let spent = admitted.spend_asked(&message);
                spent.map_err(|refusal| refused(refusal.into()))?;
                break message;
            }
            Ruling::Denied(refusal) => return Err(refused(refusal)),
            Ruling::Again => {}
        }
    };
    let topic = Arc::clone(&message.topic.uri);
    let info = Arc::clone(admitted.info());
    let mut driver = Driver::new(context, info.session, address);
    driver.open(info, admitted.permissions().clone());
    let mut rights = admitted.into_rights();
    // There may have been no room for that for long, and realms were read anew meanwhile.
    driver.do_steps(|never| -> Result<(), Stopped> { match never {} }).await?;
    if rights.changed().now_or_never().is_some() {
        rights.judge_publisher(&topic).map_err(Problem::of_rights)?;
    }
    driver.publish(message);
    loop {
        driver.do_steps(|never| -> Result<(), Stopped> { match never {} }).await?;
        if driver.has_no_steps() {
            return Ok(Taken { driver, _permit: permit });
        }
        tokio::select! {
            biased;
            () = rights.changed() => rights.judge_publisher(&topic).map_err(Problem::of_rights)?,
            wake = driver.wake() => {
                driver.on_wake(wake, &mut Effects::default()).await?;
            }
        }
    }
}

/// Waits for what becomes of the message.
async fn resolve(taken: Taken) -> Result<Response, Problem> {
    let Taken { mut driver, _permit } = taken;
    loop {
        let mut fx = Effects::default();
        let wake = driver.wake().await;
        driver.on_wake(wake, &mut fx).await?;
        driver.take_incoming(&mut fx);
        let answers = fx.told.into_iter().filter_map(|told| match told {
            Told::Resolved(answers) => Some(answers),
            _of_no_subscription => None,
        });
        if let Some((_, outcome)) = answers.flatten().next() {
            return outcome.map(answer_of).map_err(|error| problem_of_publish(&error));
        }
    }
}

fn answer_of(acknowledged: Acknowledged) -> Response {
    let object = match acknowledged {
        Acknowledged::Canonical(place) => json!({
            "position": place.position.0,
            "id": place.id.to_string(),
            "time": time_text(place.id.stamp),
        }),
        Acknowledged::Durable { .. } => json!({"durable": true}),
    };
    Json(object).into_response()
}

fn problem_of_publish(error: &PublishError) -> Problem {
    count_publish_error(error);
    let status = match error {
        PublishError::NoQuorum { .. } => StatusCode::GATEWAY_TIMEOUT,
        PublishError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
    };
    Problem::new(status, uris::of_publish(error), &error.to_string())
}

pub(super) fn problem_of(refusal: Refusal) -> Problem {
    use access::Refusal as Why;
    let status = match refusal {
        Refusal::Access(Why::Quota(exceeded)) => {
            return Problem::of_quota(exceeded, refusal.uri());
        }
        Refusal::Access(Why::TooLarge { .. }) => StatusCode::PAYLOAD_TOO_LARGE,
        Refusal::Access(Why::NotAuthorized(_) | Why::DisclosureNotAllowed) => StatusCode::FORBIDDEN,
        Refusal::Access(
            Why::InvalidTopic
            | Why::InvalidProcedure
            | Why::InvalidPattern
            | Why::TopicTooLong { .. }
            | Why::ReservedTopic
            | Why::ReservedProcedure
            | Why::NotPacked,
        )
        | Refusal::Option(_) => StatusCode::BAD_REQUEST,
    };
    Problem::new(status, refusal.uri(), &refusal.to_string())
}
