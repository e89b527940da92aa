"""Sessions of autobahn for Python, driven by ../peer.py: see there for the commands.

A line in is one command, a line out its answer, or an event.
"""

import asyncio
import json
import sys

from autobahn.asyncio.wamp import ApplicationRunner, ApplicationSession
from autobahn.exception import PayloadExceededError
from autobahn.wamp.auth import create_authenticator
from autobahn.wamp.exception import ApplicationError, InvalidUriError
from autobahn.wamp.serializer import CBORSerializer, JsonSerializer, MsgPackSerializer
from autobahn.wamp.types import PublishOptions, SubscribeOptions

SERIALIZERS = {"json": JsonSerializer, "msgpack": MsgPackSerializer, "cbor": CBORSerializer}
SECRET_ARGUMENT = {
    "ticket": "ticket",
    "wampcra": "secret",
    "scram": "password",
    "cryptosign": "privkey",
}

sessions = {}
subscriptions = {}


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
        raise NotInLibrary(f"{kind.__name__}: {error}") from error


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


async def close_session(session):
    session, left = sessions.pop(session)
    session.leave()
    return {"reason": await left}


COMMANDS = {
    "open": open_session,
    "subscribe": subscribe,
    "unsubscribe": unsubscribe,
    "publish": publish,
    "close": close_session,
}


async def answer(command):
    id, do = command.pop("id"), command.pop("do")
    if do == "subscribe":
        command["id"] = id
    try:
        say(id=id, ok=await COMMANDS[do](**command) or {})
    except NotInLibrary as error:
        say(id=id, not_in_library=str(error))
    except InvalidUriError:
        say(id=id, not_in_library="refuses the URI itself")
    except ApplicationError as error:
        say(id=id, error=error.error, message=error.error_message())
    except PayloadExceededError as error:
        # Made of the router's error, or of a limit of the library's own.
        is_own = "limits.message-bytes-max" not in str(error)
        say(id=id, **{"failure" if is_own else "error": "wamp.error.payload_size_exceeded"})
    except Exception as error:
        say(id=id, failure=f"{type(error).__name__}: {error}")


async def main():
    loop = asyncio.get_running_loop()
    tasks = set()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        task = loop.create_task(answer(json.loads(line)))
        tasks.add(task)
        task.add_done_callback(tasks.discard)


asyncio.run(main())
