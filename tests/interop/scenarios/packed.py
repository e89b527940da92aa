"""Payload passthru mode: from the client to itself at another entry; the router does not look into it."""

from .registry import equal, scenario

TEXT = {"ppt_scheme": "x_text", "ppt_serializer": "json"}
BYTES = {"ppt_scheme": "wamp", "ppt_serializer": "cbor", "ppt_keyid": "a key"}


def called(world, options):
    procedure = world.topic("packed")
    with world.open(0) as caller, world.open(1) as callee:
        registration = callee.register(procedure)
        call = caller.begin_call(procedure, 1, "x", kwargs={"k": [None]}, **options)
        invocation = registration.invocation()
        equal("arguments", [invocation.args, invocation.kwargs], [[1, "x"], {"k": [None]}])
        invocation.answer(2, kwargs={"of": "two"}, **options)
        result = call.result()
        equal("result", [result["args"], result["kwargs"]], [[2], {"of": "two"}])


def published(world, options):
    topic = world.topic("packed")
    with world.open(0) as publisher, world.open(1) as subscriber:
        subscription = subscriber.subscribe(topic)
        publisher.publish(topic, 3, kwargs={"k": 4}, **options)
        event = subscription.event()
        equal("event", [event["args"], event["kwargs"]], [[3], {"k": 4}])


@scenario("packed.call.text")
def call_text(world):
    called(world, TEXT)


@scenario("packed.call.bytes")
def call_bytes(world):
    called(world, BYTES)


@scenario("packed.event.text")
def event_text(world):
    published(world, TEXT)


@scenario("packed.event.bytes")
def event_bytes(world):
    published(world, BYTES)
