"""What the router refuses, by its URI; the session goes on."""

from .registry import each_refused, refused, scenario

BAD_TOPICS = ["", "a b", "a..b", ".a", "a.", "a#b"]


def goes_on(session, topic):
    if session.publish(topic, "still here") is None:
        raise AssertionError("the session is over")


@scenario("error.invalid_uri.publish")
def publish_invalid_uri(world):
    with world.open() as session:
        cases = [lambda topic=topic: session.publish(topic, 1) for topic in BAD_TOPICS]
        each_refused("wamp.error.invalid_uri", cases)
        goes_on(session, world.topic("on"))


@scenario("error.invalid_uri.reserved")
def publish_reserved(world):
    with world.open() as session:
        each_refused("wamp.error.invalid_uri", [lambda: session.publish("wamp.mine", 1)])
        goes_on(session, world.topic("on"))


@scenario("error.invalid_uri.subscribe")
def subscribe_invalid_uri(world):
    with world.open() as session:
        cases = [lambda topic=topic: session.subscribe(topic) for topic in ["a b", "a..b", "a."]]
        each_refused("wamp.error.invalid_uri", cases)
        goes_on(session, world.topic("on"))


@scenario("error.invalid_argument.publish")
def publish_invalid_option(world):
    with world.open() as session:
        topic = world.topic("option")
        cases = [
            lambda: session.publish(topic, 1, exclude_me="no"),
            lambda: session.publish(topic, 1, exclude_authid=[7]),
            lambda: session.publish(topic, 1, ack="somehow"),
            lambda: session.publish(topic, 1, _wait="yes"),
        ]
        each_refused("wamp.error.invalid_argument", cases)
        goes_on(session, topic)


@scenario("error.invalid_argument.subscribe")
def subscribe_invalid_option(world):
    with world.open() as session:
        topic = world.topic("option")
        cases = [
            lambda: session.subscribe(topic, match="somehow"),
            lambda: session.subscribe(topic, after="no such place"),
            lambda: session.subscribe(topic, limit=-1),
            lambda: session.subscribe(topic, snapshot="yes"),
        ]
        each_refused("wamp.error.invalid_argument", cases)
        goes_on(session, topic)


@scenario("error.payload_size_exceeded")
def too_large(world):
    with world.login("anonymous") as session:
        topic = f"lobby.{world.topic('large')}"
        session.publish(topic, "x" * 250_000)
        refused("wamp.error.payload_size_exceeded", lambda: session.publish(topic, "x" * 270_000))
        goes_on(session, topic)


@scenario("error.no_such_subscription")
def no_such_subscription(world):
    with world.open() as session:
        one = session.subscribe(world.topic("gone"))
        one.unsubscribe()
        each_refused("wamp.error.no_such_subscription", [one.unsubscribe])
        goes_on(session, world.topic("on"))
