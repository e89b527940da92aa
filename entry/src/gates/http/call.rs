//! `POST /call`: one call, answered with its result.
//!
//! ```text
//! {"procedure":"a.b","args":[1],"kwargs":{"k":2},"options":{…},"realm":"realm1"}
//!   -> 200 {"args":[3],"kwargs":{…}}
//! ```
//! `options` are those of a WAMP CALL. Of a progressive result only the end comes. Who hangs up gives the call up.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::Extension;
use axum::extract::{ConnectInfo, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use bytes::{BufMut, BytesMut};
use futures_util::FutureExt as _;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::{Instant, timeout_at};

use vixen_broker::access::{Act, CallMessage, CallOptions};
use vixen_broker::api::RequestId;
use vixen_broker::api::calls::{CallError, CallTold, CallWord, MetaError, Payload};
use vixen_broker::client::{Effects, Told};
use vixen_core::payload::as_json;
use vixen_core::segment::{Encoding, Match};
use vixen_runtime::server::Meter;
use vixen_runtime::tls::ClientAddress;

use super::asked::Ruling;
use super::body::{self, CallBody};
use super::object::put_passthru;
use super::publish::problem_of;
use super::{asked, intake};
use crate::admission::Permit;
use crate::authority::options::told;
use crate::gates::context::SessionContext;
use crate::gates::driver::{Driver, Stopped};
use crate::gates::metrics::count_call;
use crate::gates::options::call_options;
use crate::gates::raw::RawText;
use crate::gates::refusal::Refusal;
use crate::gates::uris;
use crate::gates::web::{Problem, admitted};

/// The only request of its session.
const REQUEST: RequestId = RequestId(1);

/// In this order: a place, the body, who it is, and the call; until it is handed over its body counts as
/// unfinished.
pub(super) async fn call(
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
        // Boxed: what it asks on its way makes it too large for a stack.
        Box::pin(take(&context, &headers, permit, &body)).await
    };
    let answered = match intake::taken(&meter, taking).await {
        Ok(taken) => resolve(taken).await,
        Err(problem) => Err(problem),
    };
    answered.unwrap_or_else(IntoResponse::into_response)
}

/// A call that was handed over, and who waits for its answer.
struct Taken {
    driver: Driver<Infallible>,
    _permit: Permit,
}

async fn take(
    context: &SessionContext,
    headers: &HeaderMap,
    permit: Permit,
    body: &[u8],
) -> Result<Taken, Problem> {
    let came = Instant::now();
    // It may have stopped while the body came.
    admitted(context)?;
    let parsed: CallBody<'_> = body::parse(headers, body)?;
    let realm = body::realm(parsed.realm)?;
    let address = permit.address();
    let mut admitted = super::identity::identify(context, headers, address, &realm).await?;
    let payload = body::payload(parsed.args, parsed.kwargs)?;
    let refused = |refusal: Refusal| {
        count_call("refused");
        problem_of(refusal)
    };
    let options = options_of(parsed.options)?.map_err(|error| refused(error.into()))?;
    let wanted = CallMessage {
        request: REQUEST,
        procedure: &RawText::Json(parsed.procedure.get()),
        payload: Payload::new(Encoding::Json, payload),
        options,
    };
    let said = parsed.options.map_or("{}", RawValue::get);
    let timeout_ms = context.limits.call_timeouts.ms(wanted.options.timeout_ms);
    let call = loop {
        let made = admitted.call(wanted.clone());
        let mut call = made.map_err(|refusal| refused(refusal.into()))?;
        let (asked, told) = ((&call.procedure, Match::Exact), told(Act::Call, said));
        let ruling = asked::ruling(context, &mut admitted, Act::Call, asked, told);
        match in_time(came, timeout_ms, ruling).await? {
            Ruling::Allowed { discloses } => {
                call.is_disclosed |= discloses;
                call.came = Some(came.into_std());
                break call;
            }
            Ruling::Denied(refusal) => return Err(refused(refusal)),
            Ruling::Again => {}
        }
    };
    let info = Arc::clone(admitted.info());
    let mut driver = Driver::new(context, info.session, address);
    driver.open(info, admitted.permissions().clone());
    let mut rights = admitted.into_rights();
    driver.do_steps(|never| -> Result<(), Stopped> { match never {} }).await?;
    // The broker may have been behind for long, and realms were read anew meanwhile.
    if rights.changed().now_or_never().is_some() {
        rights.judge_caller(&call.procedure).map_err(Problem::of_rights)?;
    }
    driver.call(CallWord::Call(call));
    driver.do_steps(|never| -> Result<(), Stopped> { match never {} }).await?;
    Ok(Taken { driver, _permit: permit })
}

/// What is ruled within the time of the call, which runs from when it came.
async fn in_time(
    came: Instant,
    timeout_ms: Option<u64>,
    ruling: impl Future<Output = Result<Ruling, Problem>>,
) -> Result<Ruling, Problem> {
    let over_at = |ms| came.checked_add(Duration::from_millis(ms));
    let Some((timeout_ms, at)) = timeout_ms.and_then(|ms| Some((ms, over_at(ms)?))) else {
        return ruling.await;
    };
    timeout_at(at, ruling).await.unwrap_or_else(|_elapsed| {
        count_call("timeout");
        Err(problem_of_call(&CallError::Timeout { timeout_ms }))
    })
}

/// What is asked for: the call is whole, and its result as well.
fn options_of(
    raw: Option<&RawValue>,
) -> Result<Result<CallOptions, crate::gates::refusal::OptionError>, Problem> {
    let raw = raw.map_or("{}", RawValue::get);
    if !raw.starts_with('{') {
        return Err(Problem::bad_request("options are not an object"));
    }
    Ok(call_options(raw).map(|options| CallOptions {
        takes_progress: false,
        has_more: false,
        ..options
    }))
}

/// Waits for the final answer.
async fn resolve(taken: Taken) -> Result<Response, Problem> {
    let Taken { mut driver, _permit } = taken;
    loop {
        let mut fx = Effects::default();
        let wake = driver.wake().await;
        driver.on_wake(wake, &mut fx).await?;
        driver.take_incoming(&mut fx);
        driver.give_back();
        for told in fx.told {
            match told {
                Told::Call(CallTold::Result { is_progress: false, missing, payload, .. }) => {
                    return result_of(&payload, &missing);
                }
                Told::Call(CallTold::Failed { error, .. }) => return Err(problem_of_call(&error)),
                _progress => {}
            }
        }
    }
}

fn result_of(payload: &Payload, missing: &[Arc<str>]) -> Result<Response, Problem> {
    let mut scratch = BytesMut::new();
    let (args, kwargs) =
        as_json(&payload.bytes, payload.content, &mut scratch).map_err(|error| {
            let message = format!("the result cannot be said in JSON: {error}");
            Problem::new(StatusCode::BAD_GATEWAY, uris::INVALID_ARGUMENT, &message)
        })?;
    let mut object = BytesMut::from(&b"{\"args\":"[..]);
    object.put_slice(args.unwrap_or(b"[]"));
    if let Some(kwargs) = kwargs {
        object.put_slice(b",\"kwargs\":");
        object.put_slice(kwargs);
    }
    put_passthru(&mut object, payload.passthru.as_deref());
    if !missing.is_empty() {
        object.put_slice(b",\"x_vixen_missing\":");
        let names: Vec<&str> = missing.iter().map(|name| &**name).collect();
        object.put_slice(Value::from(names).to_string().as_bytes());
    }
    object.put_slice(b"}");
    Ok(([(header::CONTENT_TYPE, "application/json")], object.freeze()).into_response())
}

fn problem_of_call(error: &CallError) -> Problem {
    if let CallError::Meta(MetaError::History(error)) = error {
        return Problem::of_history(error);
    }
    let status = match error {
        CallError::Callee { .. } | CallError::NotAnnounced { .. } => {
            StatusCode::UNPROCESSABLE_ENTITY
        }
        CallError::NoSuchProcedure(_) | CallError::Meta(MetaError::NoSuch(_)) => {
            StatusCode::NOT_FOUND
        }
        CallError::Meta(
            MetaError::Argument(_)
            | MetaError::Uri(_)
            | MetaError::Scope
            | MetaError::NothingSoFar { .. },
        ) => StatusCode::BAD_REQUEST,
        CallError::Canceled | CallError::CalleeGone { .. } | CallError::CallerTooSlow => {
            StatusCode::BAD_GATEWAY
        }
        CallError::NotAuthorized | CallError::Meta(MetaError::NotAuthorized) => {
            StatusCode::FORBIDDEN
        }
        CallError::NoAvailableCallee { .. }
        | CallError::Unavailable(_)
        | CallError::Meta(
            MetaError::Unavailable(_) | MetaError::Unanswered(_) | MetaError::History(_),
        ) => StatusCode::SERVICE_UNAVAILABLE,
        CallError::Timeout { .. } => StatusCode::GATEWAY_TIMEOUT,
        CallError::MaxConcurrency(_)
        | CallError::TooMany { .. }
        | CallError::Meta(MetaError::TooManyTestaments { .. } | MetaError::TooManyReads { .. }) => {
            StatusCode::TOO_MANY_REQUESTS
        }
    };
    let problem = Problem::new(status, uris::of_call(error), &error.to_string());
    let CallError::Callee { payload, .. } = error else { return problem };
    let mut scratch = BytesMut::new();
    // Where its arguments have no form in JSON, its URI has to do.
    let parts = as_json(&payload.bytes, payload.content, &mut scratch).unwrap_or_default();
    let value = |part: Option<&[u8]>| part.and_then(|json| serde_json::from_slice(json).ok());
    let (args, kwargs): (Option<Value>, Option<Value>) = (value(parts.0), value(parts.1));
    let with = |problem: Problem, key, value: Option<Value>| match value {
        Some(value) => problem.with_member(key, value),
        None => problem,
    };
    let problem = with(with(problem, "args", args), "kwargs", kwargs);
    let packed = payload.passthru.iter().flat_map(|passthru| passthru.options());
    packed.fold(problem, |problem, (key, text)| problem.with_member(key, text.into()))
}
