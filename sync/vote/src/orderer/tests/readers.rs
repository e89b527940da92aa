//! What readers are told, and what they make of it.

use vixen_core::order::{Frontier, Learned, Reads};
use vixen_core::segment::Acceptance;

use super::fast::stored;
use super::*;

#[test]
fn readers_are_told_what_is_accepted_once_that_is_durable_and_the_clock_is_past_it() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, _) = roles();
    let fx = stored(&mut bench, home, meta(1, 1));
    let [(accepted, after)] = fx.accepted[..] else { panic!("{:?}", fx.accepted) };
    assert_eq!((accepted.ballot, after), (None, After::Vote(meta(1, 1).id)));
    assert_eq!(accepted.lowest, accepted.challenger.stamp);
    let at = bench.queue.iter().position(|(_, to, _)| *to == second).expect("a proposal");
    let (from, to, message) = bench.queue.remove(at);
    let fx = bench.step(to.0, input_of(from, message));
    assert_eq!(fx.accepted, [(accepted, after)], "the same value");
    for node in [home, second] {
        let marks = bench.nodes[usize::from(node.0)].watermark().expect("settled");
        assert!(
            marks.clock >= accepted.challenger.stamp && marks.floor < accepted.challenger.stamp
        );
        assert_eq!(bench.nodes[usize::from(node.0)].told().collect::<Vec<_>>(), [accepted]);
    }
    bench.store(meta(1, 1));
    bench.deliver_all();
    for node in &bench.nodes {
        assert_eq!(node.told().count(), 0, "elected");
    }
}

/// Takes a clock to cover what was proposed before its node's start.
#[derive(Debug)]
struct LostCounts;

impl Reads for LostCounts {
    fn covers(&self, _: Stamp, _: Stamp) -> bool {
        true
    }
}

/// Found by reasoning: FAST leaves before the row of its home is durable. The home dies in that commit, and starts again
/// with its clock past what it proposed; two nodes accept that late, after they have told a reader of a higher stamp. The
/// reader has the feeds of all, behind what these two tell last, and nobody but them knows of the segment.
#[test]
fn no_reader_passes_what_a_home_proposed_and_lost() {
    let mut bench = Bench::new(3);
    link_all(&mut bench);
    let (home, second, third) = roles();
    let membership = options(0, 3).membership;
    let is_led = |owner: &u128| membership.home(meta(*owner, 1).id.owner) == second;
    let other = meta((2..).find(is_led).expect("everybody is a home"), 1);
    stored(&mut bench, home, meta(1, 1));
    let lost = std::mem::take(&mut bench.queue);
    // The second proposes later, and the third accepts that.
    bench.now = bench.now.plus_millis(1);
    let mut told: Vec<(SyncId, Acceptance)> = Vec::new();
    let fx = stored(&mut bench, second, other);
    told.extend(fx.accepted.iter().map(|(accepted, _)| (second, *accepted)));
    let at = bench.queue.iter().position(|(_, to, _)| *to == third).expect("a proposal");
    let (from, to, message) = bench.queue.remove(at);
    let fx = bench.step(to.0, input_of(from, message));
    told.extend(fx.accepted.iter().map(|(accepted, _)| (third, *accepted)));
    let marks = [second, third].map(|node| (node, bench.nodes[usize::from(node.0)].watermark()));
    bench.queue.clear();
    // Now they get the first proposal, and its home starts again without its row.
    let is_proposal = |m: &Message| matches!(m, Message::Vote(VoteMessage::ProposeFast { .. }));
    for (from, to, message) in lost.into_iter().filter(|(_, _, message)| is_proposal(message)) {
        let fx = bench.step(to.0, input_of(from, message));
        assert_eq!(fx.accepted.len(), 1, "accepted");
    }
    let value = bench.nodes[usize::from(third.0)].told().find(|told| told.meta == meta(1, 1));
    let value = value.expect("accepted").value();
    let ceiling = Stamp(value.stamp().0 + (500 << 22));
    let recovered = Recovered { ceiling, ..Recovered::default() };
    bench.nodes[usize::from(home.0)] = Orderer::new(options(home.0, 3), &recovered);
    let marks = marks.into_iter().chain([(home, bench.nodes[usize::from(home.0)].watermark())]);
    let read = |frontier: &mut Frontier| {
        for (node, accepted) in &told {
            assert_eq!(frontier.accept(*node, accepted), None);
        }
        for (node, marks) in marks.clone() {
            frontier.raise(node, marks.expect("settled"));
        }
    };
    let mut broken = Frontier::with_rules(&LostCounts, &membership, Stamp::ZERO);
    let mut frontier = Frontier::new(&membership, Stamp::ZERO);
    [&mut broken, &mut frontier].into_iter().for_each(read);
    assert!(broken.sigma() >= value.stamp() && frontier.sigma() < value.stamp());
    // A quorum has it: a ballot whose picks are theirs adopts it.
    let of_quorum = [second, third].map(|node| {
        let told = bench.nodes[usize::from(node.0)].told().find(|told| told.meta == meta(1, 1));
        told.map(|told| (told.ballot, told.value()))
    });
    assert_eq!(of_quorum, [Some((None, value)); 2]);
    assert_eq!((frontier.learn(value), broken.learn(value)), (Learned::New, Learned::Violation));
}
