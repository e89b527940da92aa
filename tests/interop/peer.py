"""One WAMP session by autobahn for Python, driven by interop.py.

    peer.py receive URL TOPIC COUNT    prints "subscribed", then each event
    peer.py publish URL TOPIC          reads cases from standard input, prints each publication id
    peer.py refused URL                reads topics from standard input, prints each error URI
    peer.py own URL TOPIC              publishes to itself, without and with exclude_me

Every line of output is JSON. The last one tells how the session ended.
"""

import asyncio
import json
import sys

from autobahn.asyncio.wamp import ApplicationRunner, ApplicationSession
from autobahn.wamp.exception import ApplicationError
from autobahn.wamp.serializer import JsonSerializer
from autobahn.wamp.types import PublishOptions, SubscribeOptions

TIMEOUT_S = 60


def say(**facts):
    print(json.dumps(facts), flush=True)


async def receive(session, topic, count):
    done = asyncio.get_running_loop().create_future()
    received = 0

    def on_event(*args, details, **kwargs):
        nonlocal received
        received += 1
        say(args=list(args), kwargs=kwargs, publication=details.publication)
        if received == int(count):
            done.set_result(None)

    await session.subscribe(on_event, topic, SubscribeOptions(details=True))
    say(subscribed=topic)
    await done


async def publish(session, topic):
    for case in json.load(sys.stdin):
        publication = await session.publish(
            topic, *case["args"], **case["kwargs"], options=PublishOptions(acknowledge=True)
        )
        say(publication=publication.id)


async def refused(session):
    for topic in json.load(sys.stdin):
        try:
            await session.publish(topic, options=PublishOptions(acknowledge=True))
            say(topic=topic, error=None)
        except ApplicationError as error:
            say(topic=topic, error=error.error)


async def own(session, topic):
    done = asyncio.get_running_loop().create_future()

    def on_event(text):
        say(received=text)
        if text == "included":
            done.set_result(None)

    await session.subscribe(on_event, topic)
    await session.publish(topic, "excluded", options=PublishOptions(acknowledge=True))
    await session.publish(
        topic, "included", options=PublishOptions(acknowledge=True, exclude_me=False)
    )
    await done


COMMANDS = {"receive": receive, "publish": publish, "refused": refused, "own": own}


async def main(command, url, *arguments):
    ended = asyncio.get_running_loop().create_future()

    class Peer(ApplicationSession):
        async def onJoin(self, details):
            try:
                await COMMANDS[command](self, *arguments)
                self.leave()
            except Exception as error:
                ended.set_exception(error)

        def onLeave(self, details):
            self.left = details.reason
            self.disconnect()

        def onDisconnect(self):
            if not ended.done():
                ended.set_result(getattr(self, "left", None))

    runner = ApplicationRunner(url, "realm1", serializers=[JsonSerializer()])
    await runner.run(Peer, start_loop=False)
    say(left=await asyncio.wait_for(ended, TIMEOUT_S))


asyncio.run(main(*sys.argv[1:]))
