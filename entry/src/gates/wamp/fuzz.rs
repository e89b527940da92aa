//! A session without a socket, for the fuzz targets in `fuzz/` and the counts in `micro/`; there with feature `fuzz`
//! only.
//!
//! What is fuzzed is everything between a frame and the core, and not the parser alone: the parser
//! stays private, and what follows it has texts and numbers of a client to read as well. A feature
//! and no `cfg(fuzzing)`: so the same targets run on seeds by a plain `cargo test` too.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use axum::extract::ws::Utf8Bytes;
use bytes::Bytes;
use vixen_broker::api::SessionId;
use vixen_broker::api::calls::{Call, CallWord};
use vixen_broker::event::EventBatch;
use vixen_core::segment::Content;
use vixen_core::time::WallTime;
use vixen_runtime::config::Config;

use super::serializer::Serializer;
use super::session::{Action, Remote, Session};
use crate::admission::Admission;
use crate::auth::Nonce;
use crate::gates::limits::SessionLimits;

/// 2026-11-21T10:00:00Z.
const NOW: WallTime = WallTime(1_795_255_200_000);
const HELLO: &str = r#"[1,"realm1",{"roles":{"publisher":{"features":{"payload_passthru_mode":true}},"subscriber":{},
    "caller":{"features":{"payload_passthru_mode":true}},"callee":{"features":{"payload_passthru_mode":true}}}}]"#;

/// Has a new session take frames, each as the kind its serializer uses; frames that are not UTF-8
/// never come to one that uses text, and are left out. The first may be its HELLO.
///
/// Returns the payloads that would be published, or go to callees and callers: they are checked when they come, so that
/// everybody who reads them later can rely on it.
///
/// # Panics
/// When `subprotocol` is none of an entry's, or the session has a fault.
pub fn take_frames(subprotocol: &str, frames: &[&[u8]]) -> Vec<(Content, Bytes)> {
    let serializer = Serializer::of_subprotocol(subprotocol).expect("a subprotocol");
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let config = Config::nearcast(PathBuf::from("unused"), listen);
    let remote = Remote {
        address: IpAddr::from(Ipv4Addr::LOCALHOST),
        nonce: Nonce([0; 32]),
        admission: Arc::new(Admission::new(&config)),
        node: config.entries[0].id.clone(),
    };
    let limits = Arc::new(SessionLimits::of_config(&config));
    let mut session = Session::new(SessionId(1), remote, serializer, limits);
    let mut published = Vec::new();
    let mut actions = Vec::new();
    for frame in frames {
        if serializer.is_text() {
            let Ok(text) = Utf8Bytes::try_from(Bytes::copy_from_slice(frame)) else { continue };
            session.on_text(NOW, &text, &mut actions);
        } else {
            session.on_binary(NOW, &Bytes::copy_from_slice(frame), &mut actions);
        }
        while session.has_rest() {
            session.on_rest(NOW, &mut actions);
        }
        for action in actions.drain(..) {
            match action {
                Action::Publish(publish) => published.push((publish.content, publish.payload)),
                Action::End(ending) => {
                    let _last = session.farewell(ending);
                    return published;
                }
                Action::Call(
                    CallWord::Call(Call { payload, .. })
                    | CallWord::Yield { payload, .. }
                    | CallWord::Fail { payload, .. }
                    | CallWord::Spoiled { payload, .. },
                ) => published.push((payload.content, payload.bytes)),
                Action::Call(
                    CallWord::Cancel { .. }
                    | CallWord::Withdrawn { .. }
                    | CallWord::Register(_)
                    | CallWord::Unregister { .. }
                    | CallWord::Hide { .. },
                )
                | Action::RegisterRefused { .. }
                | Action::Asked { .. }
                | Action::Open { .. }
                | Action::PublishRefused { .. }
                | Action::Subscribe { .. }
                | Action::Unsubscribe { .. }
                | Action::Challenge(_)
                | Action::AskLogin { .. }
                | Action::SubscribeRefused { .. } => {}
            }
        }
    }
    published
}

/// Makes the EVENT frames of a batch for the sessions of one serializer; their bytes.
///
/// # Panics
/// When `subprotocol` is none of an entry's.
#[must_use]
pub fn encode_events(subprotocol: &str, batch: &EventBatch) -> usize {
    let serializer = Serializer::of_subprotocol(subprotocol).expect("a subprotocol");
    let frames = super::event::frames(batch, serializer.encoding);
    frames.iter().flatten().map(|frame| frame.clone().into_data().len()).sum()
}

/// A HELLO that is welcome, in a serializer, as the first frame.
///
/// # Panics
/// When `subprotocol` is none of an entry's.
#[must_use]
pub fn hello(subprotocol: &str) -> Vec<u8> {
    let serializer = Serializer::of_subprotocol(subprotocol).expect("a subprotocol");
    let mut frames = super::frames::Frames::new(serializer);
    frames.text(Bytes::from_static(HELLO.as_bytes()));
    frames.take().into_iter().flat_map(|frame| frame.into_data()).collect()
}
