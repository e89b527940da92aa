"""Who gets a message, and who is told by whom it is: with logins, so that sessions differ."""

from peer import NotInLibrary, Refused

from .registry import equal, scenario


def members(world):
    """anna publishes; bert has her role, carl has not."""
    names = ("anna", "bert", "carl")
    return [world.login(authid=name, secret=f"ticket-of-{name}") for name in names]


def listed(world, options, gets):
    """Publishes with `options` of the sessions; `gets` are those who receive it."""
    anna, bert, carl = members(world)
    with anna, bert, carl:
        topic = f"plant.{world.topic('list')}"
        subscriptions = {"bert": bert.subscribe(topic), "carl": carl.subscribe(topic)}
        anna.publish(topic, "listed", **options(bert.welcome["session"]))
        anna.publish(topic, "end")
        for name, subscription in subscriptions.items():
            wanted = ["listed", "end"] if name in gets else ["end"]
            equal(f"events of {name}", subscription.until("end"), wanted)


def register(name, options, gets):
    @scenario(f"publish.{name}")
    def tried(world):
        listed(world, options, gets)


register("exclude", lambda bert: {"exclude": [bert]}, {"carl"})
register("exclude_authid", lambda bert: {"exclude_authid": ["bert"]}, {"carl"})
register("exclude_authrole", lambda bert: {"exclude_authrole": ["reader"]}, {"bert"})
register("eligible", lambda bert: {"eligible": [bert]}, {"bert"})
register("eligible_authid", lambda bert: {"eligible_authid": ["carl"]}, {"carl"})
register("eligible_authrole", lambda bert: {"eligible_authrole": ["sensor", "x"]}, {"bert"})
register(
    "eligible_and_exclude",
    lambda bert: {"eligible_authid": ["bert", "carl"], "exclude_authrole": ["sensor"]},
    {"carl"},
)


def disclosed(world, topic, **options):
    """What the details of an event say of its publisher."""
    anna, bert, carl = members(world)
    with anna, bert, carl:
        subscription = bert.subscribe(topic)
        anna.publish(topic, "x", **options)
        event = subscription.event()
        if "publisher_authid" not in event and "topic" not in event:
            raise NotInLibrary("does not tell the details of events")
        keys = ("publisher", "publisher_authid", "publisher_authrole")
        return [event.get(key) for key in keys], [anna.welcome["session"], "anna", "sensor"]


@scenario("disclose.on_request")
def on_request(world):
    equal("disclosed", *disclosed(world, f"plant.{world.topic('who')}", disclose_me=True))


@scenario("disclose.not_asked")
def not_asked(world):
    is_, _ = disclosed(world, f"plant.{world.topic('who')}")
    equal("disclosed", is_, [None, None, None])


@scenario("disclose.always")
def always(world):
    equal("disclosed", *disclosed(world, f"loud.{world.topic('who')}"))


@scenario("disclose.never")
def never(world):
    topic = f"quiet.{world.topic('who')}"
    with world.login(authid="anna", secret="ticket-of-anna") as anna:
        try:
            anna.publish(topic, "x", disclose_me=True)
        except Refused as error:
            equal("error", error.uri, "wamp.error.option_disallowed.disclose_me")
            return
        raise AssertionError("allowed")
