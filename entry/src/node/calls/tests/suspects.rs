//! Turns of an entry whose view has another one, which a sync node hears or does not.

use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use vixen_broker::api::calls::{CalleeRequest, RegisterError, RegistrationId};
use vixen_broker::dealer::Breach;
use vixen_core::id::{OwnerId, StoreId, SyncId};
use vixen_core::segment::TopicPattern;
use vixen_core::wire::{FeedMessage, Message, PeerId};
use vixen_runtime::link::{End, LinkEvent, LinkSender, join};
use vixen_views::record::{self, Facts, Gone, GoneWhy, Life, Reads, Record, Said};

use super::*;

const PATIENCE: Duration = Duration::from_secs(60);
const OTHER: Life = Life { owner: OwnerId(uuid::Uuid::from_u128(9)), number: 1 };

/// A node that the test plays, linked with an entry.
struct Peer {
    sender: LinkSender,
    /// What it hears.
    heard: mpsc::Receiver<LinkEvent>,
    /// What the entry hears.
    events: mpsc::Receiver<EntryEvent>,
    link: JoinHandle<()>,
}

impl Peer {
    async fn link(bench: &mut Bench, peer: PeerId, name: &str) -> Self {
        let (inbox, mut heard) = mpsc::channel::<LinkEvent>(64);
        let (of_entry, mut events) = mpsc::channel::<EntryEvent>(64);
        let own = PeerId::Entry { owner: bench.node.owner() };
        let entry = End { peer: own, name: bench.node.name().clone(), inbox: of_entry };
        let name = name.parse().expect("a name");
        let link = tokio::spawn(join(End { peer, name, inbox }, entry, 64 << 20));
        let Some(LinkEvent::Up { sender, .. }) = heard.recv().await else { panic!("no link") };
        bench.turn(vec![events.recv().await.expect("linked")]);
        Self { sender, heard, events, link }
    }

    async fn sync(bench: &mut Bench) -> Self {
        let store = StoreId(uuid::Uuid::from_u128(1));
        Self::link(bench, PeerId::Sync { id: SyncId(0), store }, "S1").await
    }

    /// Brings what it says.
    async fn says(&mut self, bench: &mut Bench, message: Message) {
        self.sender.send(message).expect("linked");
        let event = tokio::time::timeout(PATIENCE, self.events.recv()).await;
        bench.turn(vec![event.expect("in time").expect("linked")]);
    }

    /// The next question about an entry.
    async fn asked(&mut self, bench: &mut Bench) -> (u64, OwnerId) {
        let asked = async {
            loop {
                tokio::select! {
                    event = self.heard.recv() => {
                        let Some(LinkEvent::Messages { messages, .. }) = event else { continue };
                        for message in messages {
                            if let Message::Feed(FeedMessage::AskHeard { request, owner }) = message {
                                return (request, owner);
                            }
                        }
                    }
                    // The loop of an entry takes turns without events as well.
                    () = tokio::time::sleep(Duration::from_millis(20)) => bench.turn(Vec::new()),
                }
            }
        };
        tokio::time::timeout(PATIENCE, asked).await.expect("in time")
    }

    async fn answers(&mut self, bench: &mut Bench, request: u64, is_linked: bool, silent_ms: u64) {
        let heard = FeedMessage::Heard { request, is_linked, silent_ms };
        self.says(bench, heard.into()).await;
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.link.abort();
    }
}

/// The other entry is alive.
fn alive() -> Record {
    let name = "E2".parse().expect("a name");
    let facts = Facts { name, link_address: None, reads: Reads::HERE };
    Record { writer: OTHER, said: Said::Life(facts) }
}

/// A session of the other entry has it.
fn others() -> Record {
    let pattern = TopicPattern::new("realm1", "a.b", Match::Exact);
    let (invoke, is_forced, keeps_timeouts) = (record::Invoke::Single, false, false);
    let (number, session) = (1, 5);
    let register = record::Register { number, session, pattern, invoke, is_forced, keeps_timeouts };
    Record { writer: OTHER, said: Said::Register(register) }
}

/// It calls this entry gone.
fn gone(bench: &Bench) -> Record {
    let life = bench.node.calls.registrar.life();
    Record { writer: OTHER, said: Said::Gone(Gone { life, why: GoneWhy::NotHeard }) }
}

impl Bench {
    /// The order has these.
    fn read(&mut self, records: &[Record]) {
        let inputs = records.iter();
        let inputs = inputs
            .map(|record| (record.topic().uri, Bytes::from(record.to_bytes())))
            .collect::<Vec<_>>();
        let inputs = inputs.into_iter().map(|(topic, payload)| self.message(topic, payload));
        let inputs = inputs.collect();
        self.place(inputs);
    }

    fn trust(&self) -> Vec<(String, String)> {
        let lives = self.node.calls.lives();
        let lives = lives.as_array().into_iter().flatten();
        let text = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        let mut lives: Vec<_> =
            lives.map(|life| (text(&life["entry"]), text(&life["trust"]))).collect();
        lives.sort();
        lives
    }
}

fn thought(other: &str) -> Vec<(String, String)> {
    [("E1", "heard"), ("E2", other)]
        .map(|(name, trust)| (name.to_owned(), trust.to_owned()))
        .to_vec()
}

#[tokio::test]
async fn an_entry_without_a_link_is_gone_when_sync_nodes_do_not_hear_it_and_its_callees_with_it() {
    let mut bench = Bench::empty("E1", |_| {});
    bench.open(CALLEE);
    let mut sync = Peer::sync(&mut bench).await;
    bench.read(&[alive(), others()]);
    let (request, owner) = sync.asked(&mut bench).await;
    assert_eq!((owner, bench.trust()), (OTHER.owner, thought("suspected")));
    // Whoever registers what it has waits for it, and is refused when it is heard: by the order, as nobody says here
    // whether the view is complete.
    bench.say(CALLEE, register());
    sync.answers(&mut bench, request, true, 3).await;
    assert_eq!(bench.trust(), thought("heard elsewhere"));
    let (request, _) = sync.asked(&mut bench).await;
    let told = bench.hear(CALLEE).await;
    let kind = CalleeRequest::Register;
    assert!(
        matches!(
            &told[..],
            [CallTold::Refused { kind: of, error: RegisterError::AlreadyExists(_), .. }] if *of == kind
        ),
        "{told:?}"
    );
    sync.answers(&mut bench, request, false, 600).await;
    let wanted = vec![("E1".to_owned(), "heard".to_owned())];
    assert_eq!((bench.trust(), bench.node.calls.view().len()), (wanted, 0));
    bench.say(CALLEE, register());
    let told = bench.hear(CALLEE).await;
    assert!(matches!(told[..], [CallTold::Registered { .. }]), "{told:?}");
}

#[tokio::test]
async fn who_waits_for_the_end_of_an_entry_has_what_it_had_as_soon_as_that_is_gone() {
    let mut bench = Bench::empty("E1", |_| {});
    bench.open(CALLEE);
    let mut sync = Peer::sync(&mut bench).await;
    bench.read(&[alive(), others()]);
    bench.say(CALLEE, register());
    let (request, _) = sync.asked(&mut bench).await;
    sync.answers(&mut bench, request, false, 600).await;
    let told = bench.hear(CALLEE).await;
    assert!(matches!(told[..], [CallTold::Registered { .. }]), "{told:?}");
}

#[tokio::test]
async fn nobody_is_asked_about_an_entry_that_is_linked() {
    let mut bench = Bench::empty("E1", |_| {});
    let mut sync = Peer::sync(&mut bench).await;
    let owner = OTHER.owner;
    let other = Peer::link(&mut bench, PeerId::Entry { owner }, "E2").await;
    bench.read(&[alive()]);
    let at_most = bench.node.calls.registrar.timeout_at();
    assert_eq!((bench.trust(), at_most), (thought("heard"), None));
    // Until it is cut.
    other.sender.close("cut");
    let mut other = other;
    let down = tokio::time::timeout(PATIENCE, other.events.recv()).await;
    let down = down.expect("in time").expect("linked");
    assert!(matches!(down, EntryEvent::Link(LinkEvent::Down { .. })), "{down:?}");
    bench.turn(vec![down]);
    assert_eq!(sync.asked(&mut bench).await.1, owner);
}

/// It stood still, or was cut off.
#[tokio::test]
async fn a_callee_is_called_by_the_id_that_it_was_told_after_its_entry_was_called_gone() {
    let mut bench = Bench::empty("E1", |_| {});
    bench.open(CALLER);
    bench.open(CALLEE);
    // One that holds it alone is called under a lease, for which sync nodes are asked.
    let CallWord::Register(single) = register() else { unreachable!() };
    bench.say(CALLEE, CallWord::Register(Register { invoke: Invoke::First, ..single }));
    let told = bench.hear(CALLEE).await;
    let [CallTold::Registered { registration, .. }] = told[..] else { panic!("{told:?}") };
    let gone = gone(&bench);
    bench.read(&[alive(), gone]);
    assert_eq!(bench.node.calls.registrar.life().number, 2);
    bench.say(CALLER, call(1, 3));
    let told = bench.hear(CALLEE).await;
    assert!(
        matches!(told[..], [CallTold::Invocation { registration: of, .. }] if of == registration),
        "{told:?}"
    );
    let present = bench.node.calls.view().iter().next().map(|found| RegistrationId(found.id.0));
    assert!(present > Some(registration), "and has a new one for what is fenced by it");
}

#[tokio::test]
async fn a_session_whose_procedure_another_has_by_then_is_ended_if_it_does_not_hear_so() {
    let mut bench = Bench::new(|_| {}).await;
    let owner = OTHER.owner;
    let _other = Peer::link(&mut bench, PeerId::Entry { owner }, "E2").await;
    let gone = gone(&bench);
    bench.read(&[alive(), gone, others()]);
    let (mut events, mut calls) = (VecDeque::new(), Vec::new());
    let receiver = bench.receivers.get_mut(&CALLEE).expect("open");
    assert!(receiver.receive(true, &mut events, &mut calls).await);
    let [OfCalls::Told(told), OfCalls::Broken(breach)] = &calls[..] else { panic!("{calls:?}") };
    assert!(matches!(told[..], [CallTold::Revoked { .. }]), "{told:?}");
    assert_eq!(*breach, Breach::RegistrationLost);
}
