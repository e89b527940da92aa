"""Publishing and subscribing."""

from .registry import equal, scenario


@scenario("session")
def session(world):
    reason = world.open().close()
    # Not every library tells.
    equal("reason of GOODBYE", reason or "wamp.close.goodbye_and_out", "wamp.close.goodbye_and_out")


@scenario("publish.acknowledge")
def acknowledge(world):
    """The publication id is the position: the same in PUBLISHED and EVENT at any entry, rising."""
    with world.open(0) as publisher, world.open(1) as subscriber:
        subscription = subscriber.subscribe(world.topic("ack"))
        published = [publisher.publish(world.topic("ack"), n) for n in range(20)]
        equal("acknowledged", sorted(set(published)), published)
        events = subscription.events(20)
        equal("publications", [event["publication"] for event in events], published)
        equal("arguments", [event["args"] for event in events], [[n] for n in range(20)])


@scenario("publish.unacknowledged")
def unacknowledged(world):
    with world.open(0) as publisher, world.open(1) as subscriber:
        subscription = subscriber.subscribe(world.topic("unack"))
        publication = publisher.publish(world.topic("unack"), "x", acknowledge=False)
        equal("acknowledged", publication, None)
        equal("arguments", subscription.event()["args"], ["x"])


def pattern(world, pattern, matching, topics, others, **options):
    """Subscribes to a pattern; events of `topics` come with their topic, those of `others` not."""
    with world.open(0) as publisher, world.open(1) as subscriber:
        subscription = subscriber.subscribe(world.topic(pattern), **options)
        for other in others:
            publisher.publish(world.topic(other), other)
        for topic in topics:
            publisher.publish(world.topic(topic), topic)
        events = subscription.events(len(topics))
        equal("topics published to", [event["args"][0] for event in events], topics)
        if "topic" in events[0] and matching != "exact":
            named = [event["topic"] for event in events]
            equal("topics in details", named, [world.topic(topic) for topic in topics])


@scenario("subscribe.exact")
def exact(world):
    pattern(world, "exact.a", "exact", ["exact.a"], ["exact", "exact.a.b", "exact.ab"])


@scenario("subscribe.prefix")
def prefix(world):
    topics, others = ["pre.a", "pre.ab", "pre.a.b.c"], ["pre", "pre.b", "pr"]
    pattern(world, "pre.a", "prefix", topics, others, match="prefix")


@scenario("subscribe.wildcard")
def wildcard(world):
    topics, others = ["wild.a.z", "wild.b.z"], ["wild.z", "wild.a.b.z", "wild.a.y", "wild.a"]
    pattern(world, "wild..z", "wildcard", topics, others, match="wildcard")


@scenario("subscribe.dotted_star")
def dotted_star(world):
    topics, others = ["star.a.z", "star.b.z"], ["star.z", "star.a.b.z", "star.a"]
    pattern(world, "star.*.z", "dotted", topics, others)


@scenario("subscribe.dotted_hash")
def dotted_hash(world):
    topics, others = ["hash", "hash.a", "hash.a.b"], ["hashed", "other"]
    pattern(world, "hash.#", "dotted", topics, others)


@scenario("unsubscribe")
def unsubscribe(world):
    with world.open(0) as publisher, world.open(1) as subscriber:
        topic, other = world.topic("unsub"), world.topic("unsub.other")
        first, second = subscriber.subscribe(topic), subscriber.subscribe(other)
        publisher.publish(topic, "before")
        equal("before", first.event()["args"], ["before"])
        first.unsubscribe()
        publisher.publish(topic, "after")
        publisher.publish(other, "after")
        # What was published first would have come first.
        equal("other topic", second.event()["args"], ["after"])
        again = subscriber.subscribe(topic)
        publisher.publish(topic, "again")
        equal("subscribed again", again.event()["args"], ["again"])
        equal("events after UNSUBSCRIBED", first.peer.events[first.key].empty(), True)


@scenario("publish.excluded")
def excluded(world):
    """Without an option, the publisher does not get its own event."""
    with world.open(0) as one, world.open(1) as other:
        own = one.subscribe(world.topic("own"))
        one.publish(world.topic("own"), "own")
        other.publish(world.topic("own"), "end")
        equal("events", own.until("end"), ["end"])


@scenario("publish.exclude_me_false")
def exclude_me_false(world):
    with world.open(0) as one:
        own = one.subscribe(world.topic("own"))
        one.publish(world.topic("own"), "without")
        one.publish(world.topic("own"), "end", exclude_me=False)
        equal("events", own.until("end"), ["end"])
