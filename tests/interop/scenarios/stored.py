"""Options of vixen: where to begin, how many, only what is stored; when to acknowledge."""

from .registry import equal, scenario


def five(world, session):
    """Publishes 0 to 4; their positions."""
    return [session.publish(world.topic("stored"), n) for n in range(5)]


def first_arguments(events):
    return [event["args"][0] for event in events]


@scenario("vixen.after.position")
def after_position(world):
    """Events after a position, then live ones, none twice."""
    with world.open(0) as publisher, world.open(1) as subscriber:
        positions = five(world, publisher)
        subscription = subscriber.subscribe(world.topic("stored"), after=positions[1])
        equal("stored", first_arguments(subscription.events(3)), [2, 3, 4])
        publisher.publish(world.topic("stored"), "live")
        equal("live", subscription.event()["args"], ["live"])


@scenario("vixen.after.today")
def after_today(world):
    with world.open(0) as publisher, world.open(1) as subscriber:
        positions = five(world, publisher)
        subscription = subscriber.subscribe(world.topic("stored"), after="today")
        publications = [event["publication"] for event in subscription.events(5)]
        equal("publications", publications, positions)


@scenario("vixen.limit")
def limit(world):
    """No more events than asked for, stored and live together."""
    with world.open(0) as publisher, world.open(1) as subscriber:
        positions = five(world, publisher)
        limited = subscriber.subscribe(world.topic("stored"), after=positions[0], limit=2)
        equal("limited", first_arguments(limited.events(2)), [1, 2])
        fence = subscriber.subscribe(world.topic("fence"))
        publisher.publish(world.topic("stored"), "beyond")
        publisher.publish(world.topic("fence"), "end")
        equal("fence", fence.until("end"), ["end"])
        equal("no more", limited.peer.events[limited.key].empty(), True)


@scenario("vixen.snapshot")
def snapshot(world):
    """What is stored, and nothing that comes later."""
    with world.open(0) as publisher, world.open(1) as subscriber:
        topic = world.topic("stored")
        # What another entry has acknowledged may be a moment ahead of this one.
        live = subscriber.subscribe(topic)
        five(world, publisher)
        live.events(5)
        stored = subscriber.subscribe(topic, after=0, snapshot=True)
        equal("stored", first_arguments(stored.events(5)), [0, 1, 2, 3, 4])
        fence = subscriber.subscribe(world.topic("fence"))
        publisher.publish(topic, "live")
        publisher.publish(world.topic("fence"), "end")
        equal("fence", fence.until("end"), ["end"])
        equal("no more", stored.peer.events[stored.key].empty(), True)


@scenario("vixen.ack.durable")
def ack_durable(world):
    """Acknowledged before the place is known: an id that no position has. Where the place happens to be known
    first it is told, so it takes some."""
    with world.open(0) as publisher, world.open(1) as subscriber:
        subscription = subscriber.subscribe(world.topic("durable"))
        acks = [publisher.publish(world.topic("durable"), n, ack="durable") for n in range(10)]
        events = subscription.events(len(acks))
        equal("events", first_arguments(events), list(range(10)))
        placed = [ack == event["publication"] for ack, event in zip(acks, events)]
        beyond = [1 << 52 <= ack <= 1 << 53 for ack in acks]
        equal("beyond all positions, if not placed", beyond, [not was for was in placed])
        equal("any beyond all positions", any(beyond), True)


@scenario("vixen._wait")
def wait(world):
    with world.open(0) as publisher, world.open(1) as subscriber:
        subscription = subscriber.subscribe(world.topic("wait"))
        publication = publisher.publish(world.topic("wait"), "x", _wait=True)
        equal("publication", subscription.event()["publication"], publication)
