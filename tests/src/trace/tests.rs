use vixen_core::id::{OwnerId, SegmentId, Seq, SyncId};
use vixen_core::tier::Tier;

use super::node::{Mark, NodeTrace};
use super::report::Report;
use super::stages::{Stage, Stages};

const MS: u64 = 1_000_000;

fn segment(seq: u64) -> SegmentId {
    SegmentId { owner: OwnerId(uuid::Uuid::from_u128(7)), seq: Seq(seq) }
}

fn node(name: &str, marks: &[(u64, Mark)], inputs: &[(u64, bool)]) -> NodeTrace {
    let (tier, sync) = match name.split_at(1) {
        ("E", _) => (Tier::Entry, None),
        ("D", _) => (Tier::Ndb, None),
        (_, number) => (Tier::Sync, Some(SyncId(number.parse().expect("a number")))),
    };
    let marks = marks.iter().map(|(at, mark)| (at * MS, *mark)).collect();
    let inputs = inputs.iter().map(|(at, writes)| (at * MS, *writes)).collect();
    NodeTrace::of_marks(name, (tier, sync), [(segment(1), marks)], inputs)
}

/// Elected fast: D2 makes W, S3 is the last to have the proposal, and S2 hears of S3's vote first.
fn cluster(ballot: &[(u64, Mark)]) -> Vec<NodeTrace> {
    let home = [&[(20, Mark::Kept), (23, Mark::Kept), (24, Mark::Kept)], ballot].concat();
    vec![
        node("E1", &[(1, Mark::Opened), (4, Mark::Closed), (60, Mark::Placed)], &[(4, false)]),
        node("D1", &[(5, Mark::Whole), (10, Mark::Durable)], &[]),
        node("D2", &[(6, Mark::Whole), (22, Mark::Durable)], &[(6, false), (20, false)]),
        node("D3", &[(7, Mark::Whole), (30, Mark::Durable)], &[]),
        node("S1", &home, &[]),
        node(
            "S2",
            &[(25, Mark::Proposed), (31, Mark::Voted(SyncId(1))), (46, Mark::Voted(SyncId(3)))],
            &[],
        ),
        node(
            "S3",
            &[(29, Mark::Proposed), (31, Mark::Voted(SyncId(1))), (50, Mark::Voted(SyncId(2)))],
            &[(29, true), (43, false)],
        ),
    ]
}

fn waited(nodes: &[NodeTrace]) -> Vec<(Stage, u64, String)> {
    let all = Stages::of_all(nodes, 2);
    let [one] = &all[..] else { panic!("one segment: {all:?}") };
    assert_eq!(one.total_ns, 59 * MS);
    assert_eq!(one.waited.iter().map(|waited| waited.ns).sum::<u64>(), one.total_ns);
    one.waited.iter().map(|w| (w.stage, w.ns / MS, w.node.clone())).collect()
}

#[test]
fn each_stage_ends_where_the_one_that_was_waited_for_is_done() {
    let at = |stage, ms, node: &str| (stage, ms, node.to_owned());
    assert_eq!(
        waited(&cluster(&[])),
        [
            at(Stage::Wait, 3, "E1"),
            at(Stage::ToNdb, 2, "D2"),
            at(Stage::Journal, 16, "D2"),
            at(Stage::ToHome, 1, "S1"),
            at(Stage::Propose, 6, "S3"),
            at(Stage::Vote, 17, "S3"),
            at(Stage::Tell, 14, "E1"),
        ]
    );
}

#[test]
fn what_went_by_a_ballot_is_told_as_that() {
    let stages = waited(&cluster(&[(35, Mark::Balloted)]));
    assert_eq!(stages.last(), Some(&(Stage::Ballot, 31, "E1".to_owned())));
}

#[test]
fn a_node_that_took_nothing_is_told_with_what_it_did() {
    let all = Stages::of_all(&cluster(&[]), 2);
    let of = |stage| {
        let waited = all[0].waited.iter().find(|waited| waited.stage == stage);
        waited.map(|waited| (waited.still_ns / MS, waited.was_writing))
    };
    assert_eq!(of(Stage::Journal), Some((14, false)));
    assert_eq!(of(Stage::Vote), Some((14, true)), "from the proposal's turn to its next input");
    let text = Report::new(all, 1).to_string();
    assert!(text.contains("votes of all 17.00 (S3 wrote 14.00);"), "{text}");
    assert!(text.contains("| votes of all | 17.00 | 17.00 | 17.00 | 1 times; S3 1 |"), "{text}");
}

#[test]
fn a_segment_without_a_place_is_left_out() {
    let nodes = [node("E1", &[(1, Mark::Opened), (4, Mark::Closed)], &[])];
    assert_eq!(Stages::of_all(&nodes, 2), []);
    assert_eq!(Report::new(Vec::new(), 3).segments(), 0);
}
