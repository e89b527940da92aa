//! A request with a body: a place for it, the body, and until it is handed over what counts as unfinished.

use std::net::IpAddr;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use axum::http::HeaderMap;
use tokio::time::timeout;

use vixen_runtime::server::{Meter, Over};

use super::body;
use crate::admission::Permit;
use crate::gates::context::SessionContext;
use crate::gates::web::{Problem, admitted};

/// A place for a request. Whoever has none holds nothing.
pub(super) fn place(
    context: &SessionContext,
    client: IpAddr,
    headers: &HeaderMap,
) -> Result<Permit, Problem> {
    admitted(context)?;
    body::check_headers(headers)?;
    context.admission.admit(client).map_err(Problem::of_full)
}

/// What is made of the body, unless too much is unfinished before.
pub(super) async fn taken<T>(
    meter: &Meter,
    taking: impl Future<Output = Result<T, Problem>>,
) -> Result<T, Problem> {
    let taken = tokio::select! {
        biased;
        over = meter.over() => Err(Problem::unfinished(over)),
        taken = taking => taken,
    };
    if taken.is_ok() {
        meter.settle();
    }
    taken
}

/// The whole body. A connection is not kept for one that does not come.
pub(super) async fn receive(
    context: &SessionContext,
    meter: &Meter,
    request: Request,
) -> Result<Bytes, Problem> {
    let reading = Bytes::from_request(request, &());
    match timeout(context.limits.unfinished_timeout, reading).await {
        Ok(Ok(body)) => Ok(body),
        Ok(Err(rejection)) => Err(body::not_received(rejection, context.limits.frame_bytes_max)),
        Err(_elapsed) => {
            meter.end(Over::Late);
            Err(Problem::unfinished(Over::Late))
        }
    }
}
