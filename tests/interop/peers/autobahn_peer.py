"""Sessions of autobahn for Python, driven by ../peer.py: see there for the commands.

A line in is one command, a line out its answer, or an event.
"""

import asyncio
import itertools
import json
import sys

from autobahn.asyncio.wamp import ApplicationRunner, ApplicationSession
from autobahn.exception import PayloadExceededError
from autobahn.wamp.auth import create_authenticator
from autobahn.wamp.exception import ApplicationError, InvalidUriError
from autobahn.wamp.serializer import CBORSerializer, JsonSerializer, MsgPackSerializer
from autobahn.wamp.types import (
    CallOptions,
    CallResult,
    PublishOptions,
    RegisterOptions,
    SubscribeOptions,
)

SERIALIZERS = {"json": JsonSerializer, "msgpack": MsgPackSerializer, "cbor": CBORSerializer}
SECRET_ARGUMENT = {
    "ticket": "ticket",
    "wampcra": "secret",
    "scram": "password",
    "cryptosign": "privkey",
}

sessions = {}
subscriptions = {}
registrations = {}
calls = {}
# Futures of what callees are to answer, and their details.
invocations = {}
invocation_numbers = itertools.count(1)


class NotInLibrary(Exception):
    """The library has no way to do it."""


def decode(value):
    """What stands for bytes in JSON becomes bytes."""
    if isinstance(value, dict):
        if set(value) == {"$bytes"}:
            return bytes.fromhex(value["$bytes"])
        if set(value) == {"$int"}:
            return int(value["$int"])
        return {key: decode(item) for key, item in value.items()}
    return [decode(item) for item in value] if isinstance(value, list) else value


def encode(value):
    """The other way round."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return {"$bytes": bytes(value).hex()}
    if isinstance(value, dict):
        return {key: encode(item) for key, item in value.items()}
    return [encode(item) for item in value] if isinstance(value, (list, tuple)) else value


def say(**facts):
    print(json.dumps(facts), flush=True)


def options_of(kind, options):
    try:
        return kind(**options)
    except AssertionError as error:
        raise NotInLibrary("checks the option itself") from error
    except TypeError as error:
        # "… got an unexpected keyword argument 'after'"
        name = str(error).rsplit("'", 2)[-2]
        raise NotInLibrary(f"{kind.__name__} has no `{name}`") from error


async def open_session(name, url, realm, serializer, auth):
    loop = asyncio.get_running_loop()
    joined, left = loop.create_future(), loop.create_future()
    method = auth["method"]
    arguments = {key: auth[key] for key in ("authid",) if key in auth and method != "ticket"}
    if method != "anonymous":
        arguments[SECRET_ARGUMENT[method]] = auth["secret"]
    authenticator = create_authenticator(method, **arguments)

    class Peer(ApplicationSession):
        def onConnect(self):
            self.join(
                realm,
                authmethods=[method],
                authid=auth.get("authid"),
                authextra=authenticator.authextra or None,
            )

        def onChallenge(self, challenge):
            return authenticator.on_challenge(self, challenge)

        def onWelcome(self, welcome):
            return authenticator.on_welcome(self, welcome.authextra)

        def onUserError(self, failure, message):
            # Told by the reason of `onLeave`.
            pass

        def onJoin(self, details):
            joined.set_result((self, details))

        def onLeave(self, details):
            if not joined.done():
                joined.set_exception(ApplicationError(details.reason, details.message))
            if not left.done():
                left.set_result(details.reason)
            self.disconnect()

        def onDisconnect(self):
            for future in (joined, left):
                if not future.done():
                    future.set_exception(ConnectionError("the connection is gone"))

    runner = ApplicationRunner(url, realm, serializers=[SERIALIZERS[serializer]()])
    await runner.run(Peer, start_loop=False)
    session, details = await joined
    sessions[name] = session, left
    return {
        "session": details.session,
        "authid": details.authid,
        "authrole": details.authrole,
        "authmethod": details.authmethod,
    }


async def subscribe(session, topic, options, id):
    def on_event(*args, details, **kwargs):
        facts = ("publication", "topic", "publisher", "publisher_authid", "publisher_authrole")
        facts = {fact: getattr(details, fact) for fact in facts}
        say(event=id, args=encode(args), kwargs=encode(kwargs), **facts)

    options = options_of(SubscribeOptions, {**options, "details": True})
    subscriptions[id] = await sessions[session][0].subscribe(on_event, topic, options)
    return {"subscription": subscriptions[id].id}


async def unsubscribe(subscription):
    if not subscriptions[subscription].active:
        raise NotInLibrary("knows by itself what is subscribed")
    await subscriptions[subscription].unsubscribe()


async def publish(session, topic, args, kwargs, options):
    options = options_of(PublishOptions, options)
    done = sessions[session][0].publish(topic, *decode(args), options=options, **decode(kwargs))
    publication = await done if done else None
    return {"publication": publication.id if publication else None}


async def register(session, procedure, options, answer, id):
    async def on_call(*args, details, **kwargs):
        if answer is not None:
            return CallResult(*decode(answer))
        number = next(invocation_numbers)
        invocations[number] = asyncio.get_running_loop().create_future(), details
        facts = ("procedure", "caller", "caller_authid", "caller_authrole")
        facts = {fact: getattr(details, fact) for fact in facts}
        say(event=id, invocation=number, args=encode(args), kwargs=encode(kwargs), **facts)
        try:
            return await invocations[number][0]
        except asyncio.CancelledError:
            say(event=id, interrupted=number)
            raise

    options = options_of(RegisterOptions, {**options, "details": True})
    registrations[id] = await sessions[session][0].register(on_call, procedure, options)
    return {"registration": registrations[id].id}


async def unregister(registration):
    if not registrations[registration].active:
        raise NotInLibrary("knows by itself what is registered")
    await registrations[registration].unregister()


async def give(invocation, args, kwargs, options):
    future, details = invocations[invocation]
    is_progress = options.pop("progress", False)
    if options:
        raise NotInLibrary(f"a result has no `{next(iter(options))}`")
    if is_progress:
        details.progress(*decode(args), **decode(kwargs))
    elif not future.done():
        future.set_result(CallResult(*decode(args), **decode(kwargs)))


async def fail(invocation, error, args, kwargs):
    future, _ = invocations[invocation]
    if not future.done():
        future.set_exception(ApplicationError(error, *decode(args), **decode(kwargs)))


async def result_of(call):
    try:
        result = await call
    except asyncio.CancelledError:
        return {"cancelled": True}
    if not isinstance(result, CallResult):
        result = CallResult(*([] if result is None else [result]))
    facts = ("callee", "callee_authid", "callee_authrole")
    facts = {fact: getattr(result, fact) for fact in facts}
    return {"args": encode(result.results), "kwargs": encode(result.kwresults), **facts}


async def call(session, procedure, args, kwargs, options, id):
    def on_progress(*args, **kwargs):
        say(event=id, args=encode(args), kwargs=encode(kwargs))

    async def tell():
        say(event=id, outcome=await outcome_of(result_of(calls[id])))

    if "progress" in options:
        raise NotInLibrary("a call is one message")
    # With both, a progressive result without keyword arguments ends the session.
    if options.pop("receive_progress", False):
        options["on_progress"] = on_progress
    else:
        options["details"] = True
    options = options_of(CallOptions, options)
    arguments = {**decode(kwargs), "options": options}
    calls[id] = sessions[session][0].call(procedure, *decode(args), **arguments)
    begin(tell())


async def cancel(call, options):
    if options:
        raise NotInLibrary("CANCEL has no mode")
    calls[call].cancel()


async def more(call, args, kwargs, options):
    raise NotInLibrary("a call is one message")


async def close_session(session):
    session, left = sessions.pop(session)
    session.leave()
    return {"reason": await left}


async def ended(session):
    return {"reason": await sessions.pop(session)[1]}


COMMANDS = {
    "open": open_session,
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
    "publish": publish,
    "register": register,
    "unregister": unregister,
    "yield": give,
    "fail": fail,
    "call": call,
    "cancel": cancel,
    "more": more,
    "close": close_session,
    "ended": ended,
}


async def outcome_of(done):
    """`ok`, or what went wrong."""
    try:
        return {"ok": await done or {}}
    except NotInLibrary as error:
        return {"not_in_library": str(error)}
    except InvalidUriError:
        return {"not_in_library": "refuses the URI itself"}
    except ApplicationError as error:
        arguments = {"args": encode(error.args), "kwargs": encode(error.kwargs)}
        return {"error": error.error, "message": error.error_message(), **arguments}
    except PayloadExceededError as error:
        # Made of the router's error, or of a limit of the library's own.
        is_own = "limits.message-bytes-max" not in str(error)
        return {"failure" if is_own else "error": "wamp.error.payload_size_exceeded"}
    except Exception as error:
        return {"failure": f"{type(error).__name__}: {error}"}


async def answer(command):
    id, do = command.pop("id"), command.pop("do")
    if do in ("subscribe", "register", "call"):
        command["id"] = id
    say(id=id, **await outcome_of(COMMANDS[do](**command)))


tasks = set()


def begin(work):
    task = asyncio.get_running_loop().create_task(work)
    tasks.add(task)
    task.add_done_callback(tasks.discard)


def went_wrong(loop, context):
    # It would answer calls that the end of a session has cancelled, and has no transport any more.
    if "'NoneType' object has no attribute 'send'" not in str(context.get("exception")):
        loop.default_exception_handler(context)


async def main():
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(went_wrong)
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        begin(answer(json.loads(line)))


asyncio.run(main())
