"""Who is callee of what: the client registers, and the reference calls at another entry."""

from peer import NotInLibrary

from .calls import called, calling, goes_on
from .registry import each_refused, equal, refused, scenario

NO_SUCH_PROCEDURE = "wamp.error.no_such_procedure"


@scenario("register.taken")
def taken(world):
    procedure = world.topic("taken")
    with world.open(0) as one, world.open(1) as two:
        one.register(procedure)
        refused("wamp.error.procedure_already_exists", lambda: two.register(procedure))
        goes_on(one, two, world.topic("on"))


@scenario("register.invalid_uri")
def invalid_uri(world):
    with world.open() as session:
        uris = ["a b", "a..b", "a.", "wamp.mine"]
        cases = [lambda uri=uri: session.register(uri) for uri in uris]
        each_refused("wamp.error.invalid_uri", cases)
        goes_on(session, session, world.topic("on"))


@scenario("register.other_policy")
def other_policy(world):
    procedure, error = world.topic("policy"), "procedure_exists_with_different_invocation_policy"
    with world.open(0) as one, world.open(1) as two:
        one.register(procedure, invoke="roundrobin")
        refused(f"wamp.error.{error}", lambda: two.register(procedure, invoke="first"))


@scenario("unregister")
def unregister(world):
    procedure = world.topic("unregistered")
    with called(world) as (caller, callee):
        registration = callee.register(procedure)
        call = caller.begin_call(procedure)
        pending = registration.invocation()
        registration.unregister()
        goes_on(caller, callee, world.topic("known"))
        refused(NO_SUCH_PROCEDURE, lambda: caller.call(procedure))
        # What was with it is answered.
        pending.answer("late")
        equal("result", call.result()["args"], ["late"])
        goes_on(caller, callee, procedure)


@scenario("unregister.no_such_registration")
def no_such_registration(world):
    """The router has taken it back, and the callee has not been told or does not mind."""
    with world.open() as session, world.reference_session() as other:
        registration = session.register(world.topic("removed"))
        (callee,) = other.value("wamp.registration.list_callees", registration.id)
        other.value("wamp.registration.remove_callee", registration.id, callee)
        goes_on(session, session, world.topic("on"))
        each_refused("wamp.error.no_such_registration", [registration.unregister])


def by_pattern(world, match, pattern, matching, other):
    """The callee of a pattern is told what was called."""
    with called(world) as (caller, callee):
        registration = callee.register(world.topic(pattern), match=match)
        for procedure in map(world.topic, matching):
            call = caller.begin_call(procedure, procedure)
            invocation = registration.serve("served")
            if "procedure" not in invocation.details:
                raise NotInLibrary("does not tell the details of INVOCATION")
            equal("procedure", invocation.details["procedure"], procedure)
            equal("result", call.result()["args"], ["served"])
        refused(NO_SUCH_PROCEDURE, lambda: caller.call(world.topic(other)))


@scenario("register.prefix")
def prefix(world):
    by_pattern(world, "prefix", "pre.a", ["pre.a", "pre.ab", "pre.a.b.c"], "pre.b")


@scenario("register.wildcard")
def wildcard(world):
    by_pattern(world, "wildcard", "wild..z", ["wild.a.z", "wild.b.z"], "wild.a.b.z")


@scenario("register.best_match")
def best_match(world):
    """Exact, then the longest prefix, then the wildcard that is exact further to the left."""
    patterns = [
        ("exact", "best.a.b.c"),
        ("prefix", "best.a"),
        ("prefix", "best.a.b"),
        ("wildcard", "best..x.y"),
        ("wildcard", "best.w..y"),
    ]
    with called(world) as (caller, callee):
        registrations = {
            pattern: callee.register(world.topic(pattern), match=match)
            for match, pattern in patterns
        }
        goes_on(caller, callee, world.topic("known"))
        for procedure, by in [
            ("best.a.b.c", "best.a.b.c"),
            ("best.a.b.d", "best.a.b"),
            ("best.a.c", "best.a"),
            ("best.a.x.y", "best.a"),
            ("best.w.x.y", "best.w..y"),
            ("best.v.x.y", "best..x.y"),
        ]:
            call = caller.begin_call(world.topic(procedure), procedure)
            equal("arguments", registrations[by].serve(by).args, [procedure])
            equal("result", call.result()["args"], [by])


def shared(world, policy, wanted):
    """Three callees at three entries, each of which answers with its place."""
    procedure = world.topic(policy)
    with world.open(0) as a, world.open(1) as b, world.open(2) as c:
        one, *others = (
            session.register(procedure, answer=[place], invoke=policy)
            for place, session in enumerate((a, b, c))
        )
        equal("ids", [other.id for other in others], [one.id] * 2)
        with world.reference_session("json", 1) as caller:
            goes_on(caller, c, world.topic("known"))
            wanted([caller.value(procedure) for _ in range(6)])


def policy(name, wanted):
    @scenario(f"register.{name}")
    def tried(world):
        shared(world, name, wanted)


policy("first", lambda got: equal("callees", got, [0] * 6))
policy("last", lambda got: equal("callees", got, [2] * 6))
policy("roundrobin", lambda got: equal("callees", got, [0, 1, 2] * 2))
policy("random", lambda got: equal("callees", set(got) <= {0, 1, 2}, True))


@scenario("call.rkey")
def rkey(world):
    """The same key, the same callee, whatever the policy says."""
    procedure, keys = world.topic("keyed"), ["apple", "pear", "plum", "fig"]
    with (
        world.open(0) as caller,
        world.reference_session("json", 1) as one,
        world.reference_session("json", 2) as two,
    ):
        one.register(procedure, answer=["one"], invoke="roundrobin")
        two.register(procedure, answer=["two"], invoke="roundrobin")
        goes_on(caller, two, world.topic("known"))
        first, *others = (
            [caller.call(procedure, rkey=key)["args"] for key in keys] for _ in range(3)
        )
        equal("callees of the keys", others, [first] * 2)


@scenario("register.concurrency")
def concurrency(world):
    procedure, busy = world.topic("busy"), "crossbar.error.max_concurrency_reached"
    with called(world) as (caller, callee):
        registration = callee.register(procedure, concurrency=1)
        call = caller.begin_call(procedure)
        pending = registration.invocation()
        refused(busy, lambda: caller.call(procedure))
        pending.answer(1)
        equal("result", call.result()["args"], [1])
        call = caller.begin_call(procedure)
        registration.serve(2)
        equal("result", call.result()["args"], [2])


@scenario("register.force")
def force(world):
    """The newcomer takes it; what the former callee has is answered."""
    procedure = world.topic("forced")
    with called(world) as (caller, newcomer), world.reference_session("json", 0) as former:
        before = former.register(procedure)
        call = caller.begin_call(procedure, "former")
        pending = before.invocation()
        after = newcomer.register(procedure, force_reregister=True)
        pending.answer("former")
        equal("result", call.result()["args"], ["former"])
        goes_on(caller, newcomer, world.topic("known"))
        call = caller.begin_call(procedure)
        after.serve("newcomer")
        equal("result", call.result()["args"], ["newcomer"])
        equal("a later id", after.id > before.id, True)


@scenario("register.revoked")
def revoked(world):
    """The callee is told that another has taken it."""
    procedure = world.topic("revoked")
    with called(world) as (other, callee):
        registration = callee.register(procedure)
        other.register(procedure, force_reregister=True)
        # Whatever the callee was told has come before this is served.
        goes_on(other, callee, world.topic("on"))
        equal("told", registration.has_events(), True)
        equal("reason", registration.event().get("revoked"), "wamp.error.unregistered")


def disclosed(invocation):
    return [invocation.details[key] for key in WHO]


WHO = ("caller", "caller_authid", "caller_authrole")


@scenario("disclose.caller.on_request")
def caller_on_request(world):
    """The client calls, and asks that the callee is told."""
    procedure = world.topic("who")
    with calling(world) as (caller, callee):
        registration = callee.register(procedure)
        for options in [{"disclose_me": True}, {}]:
            call = caller.begin_call(procedure, **options)
            told = disclosed(registration.serve())
            call.result()
            wanted = [caller.welcome[key] for key in ("session", "authid", "authrole")]
            equal("disclosed", told, wanted if options else [None] * 3)


@scenario("disclose.caller.always")
def caller_always(world):
    """The role of the caller decides, and the client is told as callee."""
    procedure = f"loud.{world.topic('who')}"
    with (
        world.reference_login("bert", "ticket-of-bert", 0) as caller,
        world.login("ticket", "anna", "ticket-of-anna", entry=1) as callee,
    ):
        registration = callee.register(procedure)
        call = caller.begin_call(procedure)
        invocation = registration.serve()
        call.result()
        if not set(WHO) <= set(invocation.details):
            raise NotInLibrary("does not tell the details of INVOCATION")
        equal("disclosed", disclosed(invocation), [caller.welcome["session"], "bert", "sensor"])


@scenario("disclose.callee")
def disclosed_callee(world):
    """Who answered."""
    procedure = world.topic("who")
    with calling(world) as (caller, callee):
        callee.register(procedure, answer=[1])
        result = caller.call(procedure)
        if result["callee"] is None:
            raise NotInLibrary("does not tell the details of RESULT")
        keys = ("callee", "callee_authid", "callee_authrole")
        wanted = [callee.welcome[key] for key in ("session", "authid", "authrole")]
        equal("disclosed", [result[key] for key in keys], wanted)
