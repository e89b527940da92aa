"""What the router itself answers: the client asks, about sessions of the reference."""

from .meta import about
from .registry import equal, refused, scenario

NO_SUCH_SESSION = "wamp.error.no_such_session"
NO_SUCH_REGISTRATION = "wamp.error.no_such_registration"


def realm(world):
    """One where nobody else is."""
    return world.topic("realm")


def two(world):
    """The client and the reference, alone in a realm, at one entry."""
    return world.open(0, realm(world)), world.reference_session("json", 0, realm(world))


def id_of(session):
    return session.welcome["session"]


@scenario("procedures.session")
def sessions(world):
    client, other = two(world)
    with client, other:
        equal("count", client.value("wamp.session.count"), 2)
        listed = client.value("wamp.session.list")
        equal("list", [len(listed), id_of(other) in listed], [2, True])
        details = client.value("wamp.session.get", id_of(other))
        facts = {key: details.get(key) for key in ("session", "authid", "authrole", "realm")}
        wanted = {key: other.welcome.get(key) for key in facts} | {"realm": realm(world)}
        equal("get", facts, wanted)
        equal("of no role", client.value("wamp.session.count", ["nobody"]), 0)
        refused(NO_SUCH_SESSION, lambda: client.value("wamp.session.get", 4711))


@scenario("procedures.session.kill")
def kill(world):
    client, victim = two(world)
    with client:
        arguments = {"reason": "com.example.away", "message": "Go away."}
        equal("kill", client.value("wamp.session.kill", id_of(victim), **arguments), None)
        equal("reason of GOODBYE", victim.ended(), "com.example.away")
        refused(NO_SUCH_SESSION, lambda: client.value("wamp.session.kill", id_of(victim)))


@scenario("procedures.session.kill_by")
def kill_by(world):
    with world.open(0, realm(world)) as client:
        for by in ("authid", "authrole", "all"):
            victim = world.reference_session("json", 0, realm(world))
            who = [] if by == "all" else [victim.welcome[by]]
            name = "kill_all" if by == "all" else f"kill_by_{by}"
            killed = client.value(f"wamp.session.{name}", *who)
            equal(name, killed, 1 if by == "all" else [id_of(victim)])
            equal("reason of GOODBYE", victim.ended(), "wamp.close.killed")


@scenario("procedures.session.killed")
def killed(world):
    """The client is the victim, and knows that its session is over."""
    client, other = two(world)
    with other:
        (victim,) = set(other.value("wamp.session.list")) - {id_of(other)}
        other.value("wamp.session.kill", victim, reason="com.example.away")
        # Not every library tells.
        equal("reason of GOODBYE", client.ended() or "com.example.away", "com.example.away")
        equal("list", other.value("wamp.session.list"), [id_of(other)])


@scenario("procedures.session.modify_details")
def modify_details(world):
    client, other = two(world)
    with client, other:
        client.value("wamp.session.modify_details", id_of(other), {"plant": ["north", 7]})
        details = client.value("wamp.session.get", id_of(other))
        equal("details", details["plant"], ["north", 7])


@scenario("procedures.session.testament")
def testament(world):
    topic, add = world.topic("last.words"), "wamp.session.add_testament"
    with world.reference_session("json", 1) as heir:
        client = world.open(0)
        heard = heir.subscribe(topic)
        client.value(add, topic, ["flushed"], {})
        equal("flushed", client.value("wamp.session.flush_testaments"), 1)
        client.value(add, topic, ["destroyed"], {"n": 1})
        client.value(add, topic, ["detached"], {}, scope="detached")
        client.close()
        events = [[event["args"], event["kwargs"]] for event in heard.events(2)]
        equal("testaments", events, [[["detached"], {}], [["destroyed"], {"n": 1}]])


def registered(world, client, callee):
    """A pattern of two callees: the first of them at another entry than the client."""
    registration = callee.register(world.topic("by"), match="prefix", invoke="roundrobin")
    # The client's entry knows it when it has called it.
    call = client.begin_call(world.topic("by.call"))
    registration.serve()
    call.result()
    return registration


@scenario("procedures.registration")
def registrations(world):
    with world.open(0) as client, world.reference_session("json", 1) as callee:
        one = registered(world, client, callee)
        uri, name = world.topic("by"), "wamp.registration"
        equal("list", one.id in client.value(f"{name}.list")["prefix"], True)
        equal("lookup", client.value(f"{name}.lookup", uri, {"match": "prefix"}), one.id)
        equal("lookup of none", client.value(f"{name}.lookup", uri), None)
        equal("match", client.value(f"{name}.match", world.topic("by.way")), one.id)
        details = client.value(f"{name}.get", one.id)
        facts = {key: details[key] for key in ("id", "uri", "match", "invoke")}
        wanted = {"id": one.id, "uri": uri, "match": "prefix", "invoke": "roundrobin"}
        equal("get", facts, wanted)
        equal("list_callees", client.value(f"{name}.list_callees", one.id), [id_of(callee)])
        equal("count_callees", client.value(f"{name}.count_callees", one.id), 1)
        refused(NO_SUCH_REGISTRATION, lambda: client.value(f"{name}.get", 4711))


@scenario("procedures.registration.remove_callee")
def remove_callee(world):
    with world.open(0) as client, world.reference_session("json", 1) as callee:
        one = registered(world, client, callee)
        remove = "wamp.registration.remove_callee"
        equal("remove", client.value(remove, one.id, id_of(callee)), None)
        error = "wamp.error.no_such_procedure"
        refused(error, lambda: client.call(world.topic("by.call")))
        refused(NO_SUCH_REGISTRATION, lambda: client.value(remove, one.id, id_of(callee)))


@scenario("procedures.subscription")
def subscriptions(world):
    client, other = two(world)
    with client, other:
        topic, name = world.topic("read"), "wamp.subscription"
        one = other.subscribe(topic, match="prefix")
        wanted = {"exact": [], "prefix": [one.id], "wildcard": []}
        equal("list", client.value(f"{name}.list"), wanted)
        equal("lookup", client.value(f"{name}.lookup", topic, {"match": "prefix"}), one.id)
        equal("match", client.value(f"{name}.match", f"{topic}.more"), [one.id])
        details = client.value(f"{name}.get", one.id)
        facts = {key: details[key] for key in ("id", "uri", "match")}
        equal("get", facts, {"id": one.id, "uri": topic, "match": "prefix"})
        equal("list_subscribers", client.value(f"{name}.list_subscribers", one.id), [id_of(other)])
        equal("count_subscribers", client.value(f"{name}.count_subscribers", one.id), 1)


@scenario("procedures.subscription.get_events")
def get_events(world):
    client, other = two(world)
    with client, other:
        topic = world.topic("read")
        published = [other.publish(topic, n) for n in range(5)]
        one = client.subscribe(topic)
        read = client.value("wamp.subscription.get_events", one.id, limit=3)
        equal("publications", [event["publication"] for event in read], published[:3])
        equal("arguments", [event["args"] for event in read], [[0], [1], [2]])


@scenario("meta.registration")
def registration_events(world):
    """Of what is registered at another entry."""
    with world.open(0) as watcher, world.reference_session("json", 1) as callee:
        names = ("create", "register", "unregister", "delete")
        meta = {name: watcher.subscribe(f"wamp.registration.on_{name}") for name in names}
        one = callee.register(world.topic("watched"), invoke="last")
        one.unregister()
        created = about(meta["create"], lambda args: args[1]["uri"] == world.topic("watched"))
        facts = [created[0], *(created[1][key] for key in ("id", "match", "invoke"))]
        equal("on_create", facts, [id_of(callee), one.id, "exact", "last"])
        for name in names[1:]:
            args = about(meta[name], lambda args: args[1] == one.id)
            equal(f"on_{name}", args, [id_of(callee), one.id])


@scenario("role.call")
def role_call(world):
    """A role without the permission."""
    with world.login("ticket", "carl", "ticket-of-carl") as session:
        for do in [
            lambda: session.call("plant.procedure"),
            lambda: session.register("plant.procedure"),
        ]:
            refused("wamp.error.not_authorized", do)
