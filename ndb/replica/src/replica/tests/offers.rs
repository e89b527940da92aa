//! What is offered and elected before it is placed: what is wanted of peers, and what is not any more.

use super::*;

#[test]
fn an_offered_segment_is_asked_for_stored_without_a_place_and_drafted() {
    let mut replica = replica();
    let (offered, other) = (chunk(1, 2), chunk(1, 3));
    let fx = offer(&mut replica, &[&offered]);
    assert_eq!(fx.wanted, [offered.meta.id]);
    let fx = step(&mut replica, Input::Fetched { segment: offered.meta.id, blob: blob(&other) });
    assert_eq!((fx.refused, fx.stores.len()), (vec![Refused::Unwanted], 0));
    let fx = fetch(&mut replica, &offered);
    assert_eq!((fx.stores[0].mark, &fx.arrived[..]), (Mark::Temporary, &[offered.meta.id][..]));
    assert!(fx.drafts.is_empty(), "not before its commit");
    let fx = step(&mut replica, Input::Committed { segment: offered.meta.id });
    assert_eq!(metas(fx.drafts), [offered.meta]);
    // Once is enough.
    assert_eq!(fetch(&mut replica, &offered).refused, [Refused::Unwanted]);
    assert!(offer(&mut replica, &[&offered]).wanted.is_empty());
    let fx = elect(&mut replica, offered.meta, 5);
    assert!(matches!(fx.placed[0].body, Body::Memory(_)));
    assert!(offer(&mut replica, &[&offered]).wanted.is_empty(), "nor when it is placed");
}

#[test]
fn what_was_offered_may_come_from_its_entry_as_well() {
    let mut replica = replica();
    let offered = chunk(1, 2);
    offer(&mut replica, &[&offered]);
    let fx = send(&mut replica, &offered);
    assert!(trimmed(&fx));
    assert_eq!((fx.stores.len(), &fx.arrived[..]), (1, &[offered.meta.id][..]));
}

#[test]
fn an_elected_segment_is_asked_for_before_it_is_placed() {
    let mut replica = replica();
    let (here, elsewhere) = (chunk(1, 2), chunk(2, 1));
    let fx = step(&mut replica, Input::Elected { elected: elected(here.meta, 5) });
    assert_eq!((&fx.wanted[..], fx.placed.len()), (&[here.meta.id][..], 0));
    let mut other_group = elected(elsewhere.meta, 9);
    other_group.challenger.group = GroupId(1);
    let fx = step(&mut replica, Input::Elected { elected: other_group });
    assert!(fx.wanted.is_empty());
    let fx = fetch(&mut replica, &here);
    assert_eq!(fx.stores[0].mark, Mark::Temporary, "its row may come in the same commit");
    let fx = elect(&mut replica, here.meta, 5);
    assert!(matches!(fx.placed[0].body, Body::Memory(_)));
    assert!(replica.missing().is_empty());
}

#[test]
fn an_election_says_what_an_offer_got_wrong() {
    let mut replica = replica();
    let (right, wrong) = (chunk(1, 2), chunk(1, 3));
    offer(&mut replica, &[&wrong]);
    step(&mut replica, Input::Elected { elected: elected(right.meta, 5) });
    assert_eq!(fetch(&mut replica, &wrong).refused, [Refused::Unwanted]);
    assert_eq!(fetch(&mut replica, &right).arrived, [right.meta.id]);
}

#[test]
fn what_was_wanted_and_is_placed_elsewhere_is_taken_from_nobody() {
    let mut replica = replica();
    let offered = chunk(1, 2);
    offer(&mut replica, &[&offered]);
    let mut other_group = elected(offered.meta, 5);
    other_group.challenger.group = GroupId(1);
    let fx = place(&mut replica, other_group);
    assert_eq!(fx.placed[0].body, Body::Elsewhere);
    assert_eq!(fetch(&mut replica, &offered).refused, [Refused::Unwanted]);
}

#[test]
fn an_expired_segment_is_dropped_once_and_wanted_no_more() {
    let mut replica = replica();
    let (held, wanted) = (chunk(1, 2), chunk(2, 1));
    send(&mut replica, &held);
    offer(&mut replica, &[&wanted]);
    let expire = |replica: &mut Replica, chunk: &Chunk| {
        step(replica, Input::Expired { segment: chunk.meta.id }).dropped
    };
    assert_eq!(expire(&mut replica, &held), [held.meta.id]);
    assert_eq!(expire(&mut replica, &held), []);
    assert_eq!(expire(&mut replica, &wanted), []);
    assert_eq!(fetch(&mut replica, &wanted).refused, [Refused::Unwanted]);
    assert_eq!(replica.pending_count(), 0);
}

#[test]
fn an_unwilling_node_refuses_what_is_new_and_takes_what_is_placed_here() {
    let mut replica = replica();
    let (placed, known, new) = (chunk(1, 2), chunk(2, 1), chunk(3, 1));
    send(&mut replica, &known);
    elect(&mut replica, placed.meta, 5);
    replica.set_willing(false);
    let fx = send(&mut replica, &new);
    assert_eq!((fx.refused, fx.stores.len()), (vec![Refused::Unwilling], 0));
    let reason = RefuseReason::Unwilling;
    let answer =
        Message::Publish(PublishMessage::RefuseAdvanceSegment { segment: new.meta.id, reason });
    assert_eq!(fx.answers, [(owner(), answer)]);
    assert_eq!(replica.incoming_bytes(), 0);
    assert!(trimmed(&send(&mut replica, &known)), "it is on this disk already");
    let fx = send(&mut replica, &placed);
    assert!(trimmed(&fx));
    assert_eq!(fx.stores[0].mark, permanent(1, 5));
    replica.set_willing(true);
    assert!(trimmed(&send(&mut replica, &new)));
}

#[test]
fn an_offer_does_not_change_what_an_election_said() {
    let mut replica = replica();
    let (right, wrong) = (chunk(1, 2), chunk(1, 3));
    let elected = elected(right.meta, 5);
    assert_eq!(step(&mut replica, Input::Elected { elected }).wanted, [right.meta.id]);
    let offer = Input::Offered { segments: vec![wrong.meta] };
    assert_eq!(step(&mut replica, offer).wanted, []);
    let fetched = |chunk: &Chunk| {
        let blob = Blob::assemble(&chunk.topics, &[&chunk.records]);
        Input::Fetched { segment: chunk.meta.id, blob }
    };
    assert_eq!(step(&mut replica, fetched(&wrong)).refused, [Refused::Unwanted]);
    assert_eq!(step(&mut replica, fetched(&right)).stores.len(), 1);
}

/// It would be stored without a place, and stay for ever.
#[test]
fn what_was_wanted_and_is_behind_its_owners_place_is_wanted_no_more() {
    let mut replica = replica();
    let (skipped, next) = (chunk(1, 2), chunk(2, 1));
    assert_eq!(offer(&mut replica, &[&skipped]).wanted, [skipped.meta.id]);
    assert_eq!(place(&mut replica, elected(next.meta, 60)).unwanted, [skipped.meta.id]);
    let fx = fetch(&mut replica, &skipped);
    assert_eq!((fx.refused, fx.stores.len()), (vec![Refused::Unwanted], 0));
}
