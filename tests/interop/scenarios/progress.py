"""Calls in several parts, with a timeout, or cancelled: the caller at one entry, the callee at another."""

from .calls import called, calling, goes_on
from .registry import equal, refused, scenario

CANCELED = "wamp.error.canceled"


def in_parts(caller, callee, procedure):
    registration = callee.register(procedure)
    call = caller.begin_call(procedure, 3, receive_progress=True)
    invocation = registration.invocation()
    parts = [([n], {"n": n}) for n in range(3)] + [([], {}), (["only", "args"], {})]
    for args, kwargs in parts:
        invocation.progress(*args, kwargs=kwargs)
    invocation.answer("end")
    for args, kwargs in parts:
        part = call.progress()
        equal("progress", [part["args"], part["kwargs"]], [args, kwargs])
    equal("result", call.result()["args"], ["end"])


@scenario("progress.received")
def received(world):
    with calling(world) as (caller, callee):
        in_parts(caller, callee, world.topic("parts"))


@scenario("progress.sent")
def sent(world):
    with called(world) as (caller, callee):
        in_parts(caller, callee, world.topic("parts"))


@scenario("progress.invocations")
def invocations(world):
    """Both of the client: its callee is told `progress` as any details, and takes the parts for calls."""
    procedure = world.topic("parts")
    with world.open(0) as caller:
        # Libraries without them say so here.
        nobody = caller.begin_call(procedure, 0, progress=True)
        refused("wamp.error.no_such_procedure", nobody.result)
        with world.open(1, announces=["progressive_call_invocations", "call_canceling"]) as callee:
            in_several(caller, callee, procedure)


def in_several(caller, callee, procedure):
    registration = callee.register(procedure)
    call = caller.begin_call(procedure, 1, progress=True)
    equal("first", registration.invocation().args, [1])
    call.more(2, progress=True)
    equal("second", registration.invocation().args, [2])
    call.more(3, progress=False)
    last = registration.invocation()
    equal("last", last.args, [3])
    last.answer(1 + 2 + 3)
    equal("result", call.result()["args"], [6])


@scenario("progress.not_announced")
def not_announced(world):
    """The reference has not announced it, and would end its session at a second part."""
    procedure = world.topic("parts")
    with calling(world) as (caller, callee):
        callee.register(procedure)
        call = caller.begin_call(procedure, 1, progress=True)
        refused("wamp.error.feature_not_supported", call.result)
        goes_on(caller, callee, world.topic("on"))


@scenario("call.timeout")
def timeout(world):
    """In ms: seconds would be longer than this waits."""
    procedure = world.topic("slow")
    with calling(world) as (caller, callee):
        registration = callee.register(procedure)
        call = caller.begin_call(procedure, timeout=100)
        invocation = registration.invocation()
        refused("wamp.error.timeout", call.result)
        equal("told to the callee", registration.event(), {"interrupted": invocation.number})
        goes_on(caller, callee, world.topic("on"))


def cancelled(world, wanted, is_interrupted, **options):
    procedure = world.topic("cancelled")
    with calling(world) as (caller, callee):
        registration = callee.register(procedure)
        call = caller.begin_call(procedure)
        invocation = registration.invocation()
        call.cancel(**options)
        try:
            outcome = call.result()
        except Exception as error:
            outcome = getattr(error, "uri", error)
        if outcome != {"cancelled": True}:
            equal("outcome", outcome, wanted)
        if is_interrupted:
            equal("told to the callee", registration.event(), {"interrupted": invocation.number})
        else:
            invocation.answer("too late")
        goes_on(caller, callee, world.topic("on"))
        equal("more told to the callee", registration.has_events(), False)


@scenario("cancel.default")
def cancel_default(world):
    cancelled(world, CANCELED, True)


@scenario("cancel.skip")
def cancel_skip(world):
    cancelled(world, CANCELED, False, mode="skip")


@scenario("cancel.killnowait")
def cancel_killnowait(world):
    cancelled(world, CANCELED, True, mode="killnowait")


@scenario("cancel.kill")
def cancel_kill(world):
    """The caller gets what the callee says of it: autobahn, that its coroutine was cancelled."""
    cancelled(world, "wamp.error.runtime_error", True, mode="kill")


@scenario("cancel.interrupted")
def cancel_interrupted(world):
    """The client is the callee, and told."""
    procedure = world.topic("cancelled")
    with called(world) as (caller, callee):
        registration = callee.register(procedure)
        call = caller.begin_call(procedure)
        first = registration.invocation()
        call.cancel()
        equal("outcome", call.result(), {"cancelled": True})
        call = caller.begin_call(procedure)
        # INTERRUPT comes before the next INVOCATION.
        event = registration.event()
        if "invocation" in event:
            callee.peer.ask("yield", invocation=event["invocation"], args=[], kwargs={}, options={})
            call.result()
            goes_on(caller, callee, world.topic("on"))
        equal("told", event, {"interrupted": first.number})
        registration.serve()
        call.result()


@scenario("cancel.unanswered")
def cancel_unanswered(world):
    """Of a callee that has not announced it, with `wamp.cancel-answer = "announced"`, at its entry."""
    procedure, who = f"plant.{world.topic('cancelled')}", ("ticket", "anna", "ticket-of-anna")
    with world.login(*who) as caller, world.login(*who) as callee:
        registration = callee.register(procedure)
        call = caller.begin_call(procedure)
        registration.invocation()
        call.cancel()
        goes_on(caller, callee, f"plant.{world.topic('on')}")
