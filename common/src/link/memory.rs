//! Links in memory, for nearcast and tests: the same messages, as values.

use std::time::Duration;

use super::queue::{LinkReceiver, queue};
use super::{Inbox, LinkEvent, LinkId};
use crate::wire::PeerId;

/// Pause before two ends are joined again after their link was closed for passing its bound.
const REJOIN: Duration = Duration::from_millis(20);

/// Joins two nodes of this process until either drops its inbox. Run it as a task of its own.
///
/// `a` and `b` are who each end is, with the inbox it reads.
pub async fn join<A, B>(a: (PeerId, Inbox<A>), b: (PeerId, Inbox<B>), queue_bytes_max: usize)
where
    A: From<LinkEvent> + Send + 'static,
    B: From<LinkEvent> + Send + 'static,
{
    while !a.1.is_closed() && !b.1.is_closed() {
        let (to_b, from_a) = queue(queue_bytes_max);
        let (to_a, from_b) = queue(queue_bytes_max);
        let (link_a, link_b) = (LinkId::fresh(), LinkId::fresh());
        let up_a = LinkEvent::Up { link: link_a, peer: b.0, sender: to_b.clone() };
        let up_b = LinkEvent::Up { link: link_b, peer: a.0, sender: to_a.clone() };
        if a.1.send(up_a.into()).await.is_err() || b.1.send(up_b.into()).await.is_err() {
            return;
        }
        let reason = tokio::select! {
            reason = pump(from_a, link_b, a.0, &b.1) => reason,
            reason = pump(from_b, link_a, b.0, &a.1) => reason,
        };
        to_a.close(&reason);
        to_b.close(&reason);
        let down_a = LinkEvent::Down { link: link_a, peer: b.0, reason: reason.clone() };
        let down_b = LinkEvent::Down { link: link_b, peer: a.0, reason };
        let _stopping = a.1.send(down_a.into()).await;
        let _stopping = b.1.send(down_b.into()).await;
        tokio::time::sleep(REJOIN).await;
    }
}

async fn pump<E>(mut receiver: LinkReceiver, link: LinkId, peer: PeerId, inbox: &Inbox<E>) -> String
where
    E: From<LinkEvent> + Send + 'static,
{
    loop {
        let mut messages = Vec::new();
        if let Err(reason) = receiver.receive(&mut messages).await {
            return reason;
        }
        let taken = messages.iter().map(crate::wire::Message::queued_bytes).sum();
        if inbox.send(LinkEvent::Messages { link, peer, messages }.into()).await.is_err() {
            return "the node is stopping".to_owned();
        }
        receiver.taken(taken);
    }
}
