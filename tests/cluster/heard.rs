//! What sync nodes say of an entry that another asks about: the evidence that ends its registrations.

use std::time::Duration;

use vixen_core::id::OwnerId;
use vixen_core::wire::{Dialect, FeedMessage, GONE_SILENT_MS, GONE_UNLINKED_MS, Message, PeerId};
use vixen_runtime::ids::new_owner_id;
use vixen_runtime::link::{LinkEvent, LinkSender};
use vixen_tests::harness::Cluster;

use crate::liar::{ENTRY_SECRET, Liar, identity, start};
use crate::support::SOON;

/// An entry that asks one sync node.
struct Asking {
    link: Liar,
    sender: LinkSender,
    asked: u64,
}

impl Asking {
    async fn dial(cluster: &Cluster, peer: PeerId, to: &str) -> anyhow::Result<Self> {
        let identity = identity(cluster, peer, "E9", ENTRY_SECRET.as_bytes());
        let mut link = Liar::dial(cluster, identity, to)?;
        let sender = link.up().await?;
        anyhow::ensure!(sender.speaks(Dialect::Feed, FeedMessage::HEARD_SINCE), "{to}");
        Ok(Self { link, sender, asked: 0 })
    }

    /// Whether there is a link, and for how long nothing came.
    async fn ask(&mut self, owner: OwnerId) -> anyhow::Result<(bool, u64)> {
        self.asked += 1;
        let request = self.asked;
        self.sender.send(Message::Feed(FeedMessage::AskHeard { request, owner }))?;
        loop {
            let LinkEvent::Messages { messages, .. } = self.link.next().await? else { continue };
            for message in messages {
                if let Message::Feed(FeedMessage::Heard { request, is_linked, silent_ms }) = message
                    && request == self.asked
                {
                    return Ok((is_linked, silent_ms));
                }
            }
        }
    }

    /// Asks until the answer is this.
    async fn until(
        &mut self,
        owner: OwnerId,
        what: impl Fn(bool, u64) -> bool,
    ) -> anyhow::Result<()> {
        let answered = async {
            loop {
                let (is_linked, silent_ms) = self.ask(owner).await?;
                if what(is_linked, silent_ms) {
                    return anyhow::Ok(());
                }
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        };
        tokio::time::timeout(SOON, answered).await?
    }
}

#[tokio::test]
async fn sync_nodes_tell_an_entry_that_is_heard_from_one_that_is_paused_or_dead()
-> anyhow::Result<()> {
    let mut cluster = start().await?;
    let status = cluster.status("E1").await?;
    let owner = OwnerId(status["owner"].as_str().expect("an owner").parse()?);
    let peer = PeerId::Entry { owner: new_owner_id() };
    let mut asking = Vec::new();
    for id in ["S1", "S2", "S3"] {
        asking.push(Asking::dial(&cluster, peer, id).await?);
    }
    let is_heard = |is_linked, silent_ms| is_linked && silent_ms < GONE_SILENT_MS;
    for node in &mut asking {
        node.until(owner, is_heard).await?;
    }
    cluster.pause("E1")?;
    for node in &mut asking {
        node.until(owner, |_, silent_ms| silent_ms >= GONE_SILENT_MS).await?;
    }
    cluster.resume("E1")?;
    for node in &mut asking {
        node.until(owner, is_heard).await?;
    }
    cluster.kill("E1").await?;
    for node in &mut asking {
        node.until(owner, |is_linked, ms| !is_linked && ms >= GONE_UNLINKED_MS).await?;
    }
    // Of one that never was they say so too, and nothing of it is an error.
    asking[0].until(new_owner_id(), |is_linked, ms| !is_linked && ms >= GONE_UNLINKED_MS).await
}
