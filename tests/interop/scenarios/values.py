"""Arguments arrive as they were sent, by other libraries and in other serializations as well."""

from peer import plain

from .registry import equal, scenario

SERIALIZERS = ["json", "msgpack", "cbor"]

# Each is args and kwargs. As few assumptions as JSON makes.
PLAIN = [
    ([], {}),
    (["hello"], {}),
    ([], {"only": "kwargs"}),
    ([1, -2, 0.5, 1e300, True, False, None], {"a": 1, "b": [None]}),
    ([9007199254740991, -9007199254740991, 2**32, -(2**31) - 1], {}),
    (["ünïcode ✓ 🦊 \u0000 \u2028", 'quotes " \\ / \n\t'], {"ключ": "значение"}),
    ([[], {}, [[[]]], {"": {"deep": [{"er": None}]}}], {"x": {}}),
    (["]}],[{", "[36,1,1,{}]"], {"k": '"],["'}),
    (["x" * 200_000], {}),
] + [([n], {"n": n}) for n in range(30)]
BINARY = [([{"$bytes": "0001feff"}, {"$bytes": ""}], {"b": {"$bytes": "ff" * 1000}})]
LARGE = [
    ([{"$int": str(n)} for n in (2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63), 2**64 - 1)], {})
]


def exchange(publisher, subscribers, topic, cases):
    """All cases from one session to others: in the order of acknowledgement, as they were sent."""
    subscriptions = [subscriber.subscribe(topic) for subscriber in subscribers]
    publications = [publisher.publish(topic, *args, kwargs=kwargs) for args, kwargs in cases]
    for subscription in subscriptions:
        events = subscription.events(len(cases))
        equal("publications", [event["publication"] for event in events], publications)
        for (args, kwargs), event in zip(cases, events):
            equal("arguments", [event["args"], event["kwargs"]], plain([args, kwargs]))


def outward(world, cases):
    """From the client to itself, and to the reference with each serializer."""
    references = [world.reference_session(serializer, 1) for serializer in SERIALIZERS]
    with world.open(0) as publisher:
        exchange(publisher, references, world.topic("values"), cases)
    for reference in references:
        reference.close()


def inward(world, cases):
    """From the reference with each serializer to the client."""
    with world.open(2) as subscriber:
        for serializer in SERIALIZERS:
            with world.reference_session(serializer, 1) as publisher:
                exchange(publisher, [subscriber], world.topic(f"values.{serializer}"), cases)


@scenario("values.same")
def same(world):
    with world.open(0) as publisher, world.open(1) as subscriber:
        exchange(publisher, [subscriber], world.topic("same"), PLAIN)


@scenario("values.sent")
def sent(world):
    outward(world, PLAIN)


@scenario("values.received")
def received(world):
    inward(world, PLAIN)


@scenario("values.binary.sent")
def binary_sent(world):
    outward(world, BINARY)


@scenario("values.binary.received")
def binary_received(world):
    inward(world, BINARY)


@scenario("values.integers.sent")
def integers_sent(world):
    outward(world, LARGE)


@scenario("values.integers.received")
def integers_received(world):
    inward(world, LARGE)
