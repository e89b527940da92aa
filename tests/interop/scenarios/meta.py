"""Meta events; they are of the entry that a client is at."""

from .registry import equal, scenario


def about(subscription, is_it):
    """The arguments of the first event that is meant: others may come of sessions that just ended."""
    while not is_it(arguments := subscription.event()["args"]):
        pass
    return arguments


@scenario("meta.session")
def sessions(world):
    with world.open(0) as watcher:
        joined = watcher.subscribe("wamp.session.on_join")
        left = watcher.subscribe("wamp.session.on_leave")
        other = world.reference_session("json")
        session = other.welcome["session"]
        details = about(joined, lambda args: args[0]["session"] == session)[0]
        facts = {key: details.get(key) for key in ("session", "authid", "authrole", "authmethod")}
        equal("on_join", facts, {key: other.welcome[key] for key in facts})
        other.close()
        about(left, lambda args: args[0] == session)


@scenario("meta.subscription")
def subscriptions(world):
    with world.open(0) as watcher, world.reference_session("json") as one:
        names = ("create", "subscribe", "unsubscribe", "delete")
        meta = {name: watcher.subscribe(f"wamp.subscription.on_{name}") for name in names}
        with world.reference_session("json") as two:
            topic = world.topic("watched")
            first, second = (
                one.subscribe(topic, match="prefix"),
                two.subscribe(topic, match="prefix"),
            )
            ids = [session.welcome["session"] for session in (one, two)]
            equal("one subscription", first.id, second.id)
            created = about(meta["create"], lambda args: args[1]["uri"] == topic)
            facts = [created[0], created[1]["id"], created[1]["uri"], created[1]["match"]]
            equal("on_create", facts, [ids[0], first.id, topic, "prefix"])
            is_it = lambda args: args[1] == first.id
            for id in ids:
                equal("on_subscribe", about(meta["subscribe"], is_it), [id, first.id])
            first.unsubscribe()
            second.unsubscribe()
            for id in ids:
                equal("on_unsubscribe", about(meta["unsubscribe"], is_it), [id, first.id])
            equal("on_delete", about(meta["delete"], is_it), [ids[1], first.id])
