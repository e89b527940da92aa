"""A peer: a process of one client library, which opens sessions as it is told.

A command is a line of JSON on its standard input, and is answered by one on its standard output:

    {"id": 1, "do": "open", "name": "a", "url": "ws://…", "realm": "realm1", "serializer": "cbor",
     "auth": {"method": "ticket", "authid": "joe", "secret": "…"}}
    {"id": 2, "do": "subscribe", "session": "a", "topic": "a.b", "options": {}}
    {"id": 3, "do": "publish", "session": "a", "topic": "a.b", "args": [], "kwargs": {}, "options": {}}
    {"id": 4, "do": "unsubscribe", "subscription": 2}
    {"id": 5, "do": "close", "session": "a"}

Answers: {"id": 1, "ok": {…}}, {"id": 1, "error": URI, "message": …} when the router refused it,
{"id": 1, "not_in_library": why} when the library cannot ask for it, {"id": 1, "failure": …}.
Events: {"event": ID_OF_SUBSCRIBE, "publication": …, "args": …, "kwargs": …, "topic": …, …}.
Bytes are {"$bytes": HEX}, integers that JSON's usual numbers do not hold {"$int": DIGITS}.
"""

import json
import queue
import subprocess
import threading

TIMEOUT_S = 30


class Refused(Exception):
    """The router refused it, with this URI."""

    def __init__(self, uri, message):
        super().__init__(f"{uri}: {message}")
        self.uri = uri


class NotInLibrary(Exception):
    """The library has no way to do it."""


def plain(value):
    """Without the marks of large integers: libraries differ in when they make one."""
    if isinstance(value, dict):
        if set(value) == {"$int"}:
            return int(value["$int"])
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, (list, tuple)) else value


class Peer:
    """One process of a client library."""

    def __init__(self, name, command):
        self.name = name
        self.command = command
        self.process = None
        self.last_id = 0

    def _start(self):
        """A new process: at first, and where a library took the one before down with it."""
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
        )
        self.answers, self.events = {}, {}
        threading.Thread(target=self._read, args=[self.process], daemon=True).start()

    def _read(self, process):
        for line in process.stdout:
            said = plain(json.loads(line))
            if "event" in said:
                self.events[said.pop("event")].put(said)
            else:
                self.answers[said["id"]].put(said)
        process.wait()
        for waiting in [*self.answers.values(), *self.events.values()]:
            waiting.put({"failure": "the peer has ended"})

    def ask(self, do, **arguments):
        """Sends a command; what `ok` is, or an exception."""
        if self.process is None or self.process.poll() is not None:
            self._start()
        self.last_id += 1
        id = self.last_id
        self.answers[id] = queue.SimpleQueue()
        if do == "subscribe":
            self.events[id] = queue.SimpleQueue()
        self.process.stdin.write(json.dumps({"id": id, "do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        try:
            said = self.answers[id].get(timeout=TIMEOUT_S)
        except queue.Empty:
            raise TimeoutError(f"{self.name}: no answer to {do} {arguments}") from None
        if "ok" in said:
            return id, said["ok"]
        if "error" in said:
            raise Refused(said["error"], said.get("message"))
        if "not_in_library" in said:
            raise NotInLibrary(said["not_in_library"])
        raise RuntimeError(f"{self.name}: {do}: {said.get('failure')}")

    def open(self, url, serializer, realm="realm1", auth=None):
        """A session that is welcome."""
        auth = auth or {"method": "anonymous"}
        name = f"s{self.last_id + 1}"
        arguments = {"url": url, "serializer": serializer, "realm": realm, "auth": auth}
        _, welcome = self.ask("open", name=name, **arguments)
        return Session(self, name, welcome)

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.stdin.close()
        try:
            self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Session:
    """A session of a peer; closed at the end of a `with`."""

    def __init__(self, peer, name, welcome):
        self.peer = peer
        self.name = name
        self.welcome = welcome

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.close()
        except Exception:
            # What went wrong first is what matters.
            if kind is None:
                raise

    def close(self):
        """The reason of the router's GOODBYE; `None` where the library does not tell."""
        _, left = self.peer.ask("close", session=self.name)
        return left["reason"]

    def subscribe(self, topic, **options):
        id, answer = self.peer.ask("subscribe", session=self.name, topic=topic, options=options)
        return Subscription(self.peer, id, answer["subscription"])

    def publish(self, topic, *args, kwargs=None, **options):
        """The publication id; `None` without an acknowledgement."""
        options = {"acknowledge": True, **options}
        arguments = {"topic": topic, "args": list(args), "kwargs": kwargs or {}}
        _, answer = self.peer.ask("publish", session=self.name, options=options, **arguments)
        return answer["publication"]


class Subscription:
    """A subscription of a session, with the events that came."""

    def __init__(self, peer, key, id):
        self.peer = peer
        self.key = key
        self.id = id

    def event(self):
        """The next event."""
        try:
            event = self.peer.events[self.key].get(timeout=TIMEOUT_S)
        except queue.Empty:
            raise TimeoutError(f"{self.peer.name}: no event") from None
        if "failure" in event:
            raise RuntimeError(f"{self.peer.name}: {event['failure']}")
        return event

    def events(self, count):
        return [self.event() for _ in range(count)]

    def until(self, last):
        """The first argument of each event, up to the one that says `last`."""
        said = []
        while not said or said[-1] != last:
            said.append(self.event()["args"][0])
        return said

    def unsubscribe(self):
        self.peer.ask("unsubscribe", subscription=self.key)
