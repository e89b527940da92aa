//! Who makes an HTTP request.

use std::sync::Arc;

use axum::http::{HeaderMap, StatusCode};

use super::problem::Problem;
use super::visitor::random_session;
use crate::broker::SessionInfo;
use crate::wamp::SessionContext;

/// The session that an HTTP request stands for.
///
/// # Errors
/// It may not enter the realm.
pub(super) fn identify(
    _context: &SessionContext,
    _headers: &HeaderMap,
    realm: &str,
) -> Result<Arc<SessionInfo>, Problem> {
    let session = random_session().map_err(|error| {
        let message = format!("no randomness for a session id: {error}");
        Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "vixen.error.internal", &message)
    })?;
    Ok(Arc::new(SessionInfo {
        session,
        realm: realm.into(),
        authid: format!("{:016x}", session.0).into(),
        authrole: "anonymous".into(),
        authmethod: "anonymous",
        authprovider: "static",
        is_announced: false,
    }))
}
