"""Calls and their answers: the caller at one entry, the callee at another."""

from contextlib import contextmanager

from peer import NotInLibrary, plain

from .registry import each_refused, equal, refused, scenario
from .values import BINARY, LARGE, PLAIN, SERIALIZERS


@contextmanager
def calling(world, serializer="json"):
    """The client as caller, the reference as callee."""
    with world.open(0) as caller, world.reference_session(serializer, 1) as callee:
        yield caller, callee


@contextmanager
def called(world, serializer="json"):
    """The client as callee, the reference as caller."""
    with world.reference_session(serializer, 2) as caller, world.open(1) as callee:
        yield caller, callee


def goes_on(caller, callee, procedure):
    """Both sessions are as they were; and as this procedure is new, the caller's entry knows all that was
    registered before: a call goes by what its entry knows, if that is something."""
    registration = callee.register(procedure)
    call = caller.begin_call(procedure, "still here")
    equal("arguments", registration.serve("and here").args, ["still here"])
    equal("result", call.result()["args"], ["and here"])


def told(args):
    """Libraries do not tell a lone null from no result."""
    return [] if args == [None] else args


def exchange(caller, callee, procedure, cases):
    """Arguments and results of all cases arrive as they were sent."""
    registration = callee.register(procedure)
    for args, kwargs in cases:
        call = caller.begin_call(procedure, *args, kwargs=kwargs)
        invocation = registration.invocation()
        sent = plain([args, kwargs])
        equal("arguments", [invocation.args, invocation.kwargs], sent)
        invocation.answer(*args, kwargs=kwargs)
        result = call.result()
        equal("result", [told(result["args"]), result["kwargs"]], [told(sent[0]), sent[1]])


def outward(world, cases):
    for serializer in SERIALIZERS:
        with calling(world, serializer) as (caller, callee):
            exchange(caller, callee, world.topic(serializer), cases)


def inward(world, cases):
    for serializer in SERIALIZERS:
        with called(world, serializer) as (caller, callee):
            exchange(caller, callee, world.topic(serializer), cases)


@scenario("call.same")
def same(world):
    """Both of the same library and serializer."""
    with world.open(0) as caller, world.open(1) as callee:
        exchange(caller, callee, world.topic("same"), PLAIN)


@scenario("call.own")
def own(world):
    """A procedure of the session itself."""
    with world.open() as session:
        goes_on(session, session, world.topic("own"))


@scenario("call.values.made")
def values_made(world):
    outward(world, PLAIN)


@scenario("call.values.served")
def values_served(world):
    inward(world, PLAIN)


@scenario("call.binary.made")
def binary_made(world):
    outward(world, BINARY)


@scenario("call.binary.served")
def binary_served(world):
    inward(world, BINARY)


@scenario("call.integers.made")
def integers_made(world):
    outward(world, LARGE)


@scenario("call.integers.served")
def integers_served(world):
    inward(world, LARGE)


ERROR = "com.example.error.sold_out"
ERROR_ARGS, ERROR_KWARGS = [7, "left"], {"of": ["pears", None]}


def failed(caller, callee, procedure):
    """What the caller gets when the callee fails."""
    registration = callee.register(procedure)
    call = caller.begin_call(procedure)
    registration.invocation().fail(ERROR, *ERROR_ARGS, kwargs=ERROR_KWARGS)
    return refused(ERROR, call.result)


@scenario("call.error.received")
def error_received(world):
    with calling(world) as (caller, callee):
        failed(caller, callee, world.topic("fails"))
        goes_on(caller, callee, world.topic("on"))


@scenario("call.error.received.arguments")
def error_arguments_received(world):
    with calling(world) as (caller, callee):
        error = failed(caller, callee, world.topic("fails"))
        if error.arguments is None:
            raise NotInLibrary("does not tell the arguments of ERROR")
        equal("arguments", [error.arguments, error.keywords], [ERROR_ARGS, ERROR_KWARGS])


@scenario("call.error.sent")
def error_sent(world):
    with called(world) as (caller, callee):
        error = failed(caller, callee, world.topic("fails"))
        equal("arguments", [error.arguments, error.keywords], [ERROR_ARGS, ERROR_KWARGS])


@scenario("call.no_such_procedure")
def no_such_procedure(world):
    with calling(world) as (caller, callee):
        refused("wamp.error.no_such_procedure", lambda: caller.call(world.topic("nobody"), 1))
        refused("wamp.error.no_such_procedure", lambda: caller.call("wamp.no.such"))
        goes_on(caller, callee, world.topic("on"))


@scenario("call.invalid_uri")
def call_invalid_uri(world):
    with calling(world) as (caller, callee):
        cases = [lambda uri=uri: caller.call(uri) for uri in ["", "a b", "a..b", "a.", "a#b"]]
        each_refused("wamp.error.invalid_uri", cases)
        goes_on(caller, callee, world.topic("on"))


@scenario("call.callee_gone")
def callee_gone(world):
    """It leaves before it has answered."""
    with calling(world) as (caller, callee):
        registration = callee.register(world.topic("gone"))
        call = caller.begin_call(world.topic("gone"))
        registration.invocation()
        callee.close()
        refused("wamp.error.canceled", call.result)
        with world.reference_session("json", 1) as other:
            goes_on(caller, other, world.topic("on"))


@scenario("call.caller_gone")
def caller_gone(world):
    """The callee is told, and goes on."""
    with calling(world) as (caller, callee):
        registration = callee.register(world.topic("gone"))
        caller.begin_call(world.topic("gone"))
        invocation = registration.invocation()
        caller.close()
        equal("told to the callee", registration.event(), {"interrupted": invocation.number})
        with world.reference_session("json", 0) as other:
            goes_on(other, callee, world.topic("on"))


@scenario("call.many")
def many(world):
    """Open at once, answered in another order."""
    with calling(world) as (caller, callee):
        registration = callee.register(world.topic("many"))
        calls = {n: caller.begin_call(world.topic("many"), n) for n in range(40)}
        invocations = [registration.invocation() for _ in calls]
        for invocation in reversed(invocations):
            invocation.answer(invocation.args[0] + 1000)
        results = {n: call.result()["args"] for n, call in calls.items()}
        equal("results", results, {n: [n + 1000] for n in calls})


@scenario("call.rerouted")
def rerouted(world):
    """A callee of several that answers `unavailable` is passed over."""
    procedure = world.topic("rerouted")
    with called(world) as (caller, callee), world.reference_session("json", 0) as other:
        first = callee.register(procedure, invoke="first")
        second = other.register(procedure, invoke="first")
        goes_on(caller, other, world.topic("known"))
        call = caller.begin_call(procedure, 5)
        first.invocation().fail("wamp.error.unavailable")
        equal("arguments", second.serve("by the other").args, [5])
        equal("result", call.result()["args"], ["by the other"])
