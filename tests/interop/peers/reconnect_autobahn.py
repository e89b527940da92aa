"""autobahn for Python with its automatic reconnection: see ./reconnect_autobahn.mjs."""

import json
import os
import sys
import threading

from autobahn.asyncio.component import Component, run

url, topic = sys.argv[1:]


def say(**facts):
    print(json.dumps(facts), flush=True)


def until_the_end_of_the_input():
    sys.stdin.read()
    os._exit(0)


transport = {
    "type": "websocket",
    "url": url,
    "serializers": ["json"],
    # As the library does it, but not as slowly.
    "max_retries": -1,
    "initial_retry_delay": 0.2,
    "max_retry_delay": 0.5,
}
component = Component(transports=[transport], realm="realm1")


@component.on_join
async def joined(session, details):
    await session.subscribe(lambda n: say(event=n), topic)
    say(joined=details.session)


@component.on_leave
def left(_session, details):
    say(lost=details.reason, willRetry=True)


threading.Thread(target=until_the_end_of_the_input, daemon=True).start()
run([component], log_level="error")
