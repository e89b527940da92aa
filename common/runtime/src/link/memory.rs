//! Links in memory, for nearcast and tests: the same messages, as values.

use std::time::Duration;

use vixen_core::name::NodeName;
use vixen_core::wire::PeerId;

use super::queue::{LinkReceiver, queue};
use super::{Inbox, LinkEvent, LinkId};

/// Pause before two ends are joined again after their link was closed for passing its bound.
const REJOIN: Duration = Duration::from_millis(20);

/// One end of a link in memory.
#[derive(Debug)]
pub struct End<E> {
    /// Who is there.
    pub peer: PeerId,
    /// What it is called.
    pub name: NodeName,
    /// What it reads.
    pub inbox: Inbox<E>,
}

/// Joins two nodes of this process until either drops its inbox. Run it as a task of its own.
pub async fn join<A, B>(a: End<A>, b: End<B>, queue_bytes_max: usize)
where
    A: From<LinkEvent> + Send + 'static,
    B: From<LinkEvent> + Send + 'static,
{
    while !a.inbox.is_closed() && !b.inbox.is_closed() {
        let (to_b, from_a) = queue(queue_bytes_max);
        let (to_a, from_b) = queue(queue_bytes_max);
        let (link_a, link_b) = (LinkId::fresh(), LinkId::fresh());
        let up_a = LinkEvent::Up {
            link: link_a,
            peer: b.peer,
            name: b.name.clone(),
            sender: to_b.clone(),
            is_dialled: false,
        };
        let up_b = LinkEvent::Up {
            link: link_b,
            peer: a.peer,
            name: a.name.clone(),
            sender: to_a.clone(),
            is_dialled: false,
        };
        if a.inbox.send(up_a.into()).await.is_err() || b.inbox.send(up_b.into()).await.is_err() {
            return;
        }
        let reason = tokio::select! {
            reason = pump(from_a, link_b, a.peer, &b.inbox) => reason,
            reason = pump(from_b, link_a, b.peer, &a.inbox) => reason,
        };
        to_a.close(&reason);
        to_b.close(&reason);
        let down_a = LinkEvent::Down {
            link: link_a,
            peer: b.peer,
            name: b.name.clone(),
            reason: reason.clone(),
        };
        let down_b = LinkEvent::Down { link: link_b, peer: a.peer, name: a.name.clone(), reason };
        let _stopping = a.inbox.send(down_a.into()).await;
        let _stopping = b.inbox.send(down_b.into()).await;
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
        let taken = messages.iter().map(vixen_core::wire::Message::queued_bytes).sum();
        if inbox.send(LinkEvent::Messages { link, peer, messages }.into()).await.is_err() {
            return "the node is stopping".to_owned();
        }
        receiver.taken(taken);
    }
}
