"""A peer: a process of one client library, which opens sessions as it is told.

A command is a line of JSON on its standard input, and is answered by one on its standard output:

    {"id": 1, "do": "open", "name": "a", "url": "ws://…", "realm": "realm1", "serializer": "cbor",
     "auth": {"method": "ticket", "authid": "joe", "secret": "…"}, "announces": ["call_canceling"]}
    {"id": 2, "do": "subscribe", "session": "a", "topic": "a.b", "options": {}}
    {"id": 3, "do": "publish", "session": "a", "topic": "a.b", "args": [], "kwargs": {}, "options": {}}
    {"id": 4, "do": "unsubscribe", "subscription": 2}
    {"id": 5, "do": "register", "session": "a", "procedure": "a.b", "options": {}, "answer": null}
    {"id": 6, "do": "call", "session": "a", "procedure": "a.b", "args": [], "kwargs": {}, "options": {}}
    {"id": 7, "do": "yield", "invocation": N, "args": [], "kwargs": {}, "options": {"progress": true}}
    {"id": 8, "do": "fail", "invocation": N, "error": URI, "args": [], "kwargs": {}}
    {"id": 9, "do": "cancel", "call": 6, "options": {"mode": "kill"}}
    {"id": 10, "do": "more", "call": 6, "args": [], "kwargs": {}, "options": {"progress": false}}
    {"id": 11, "do": "unregister", "registration": 5}
    {"id": 12, "do": "ended", "session": "a"}
    {"id": 13, "do": "close", "session": "a"}

Answers: {"id": 1, "ok": {…}}, {"id": 1, "error": URI, "message": …} when the router refused it,
{"id": 1, "not_in_library": why} when the library cannot ask for it, {"id": 1, "failure": …}. `call` is
answered when it is sent, `ended` when the session is over.
Events: {"event": ID_OF_SUBSCRIBE, "publication": …, "args": …, "kwargs": …, "topic": …, …};
{"event": ID_OF_REGISTER, "invocation": N, "args": …, "kwargs": …, "procedure": …, "caller": …, …}, but
for one with an answer, a list of arguments, which is given at once; {"event": ID_OF_REGISTER,
"interrupted": N}, {"event": ID_OF_REGISTER, "revoked": REASON}; {"event": ID_OF_CALL, "args": …,
"kwargs": …} for progressive results, and at last {"event": ID_OF_CALL, "outcome": …}, which is like an
answer, its "error" with "args" and "kwargs".
Bytes are {"$bytes": HEX}, integers that JSON's usual numbers do not hold {"$int": DIGITS}.
"""

import json
import queue
import subprocess
import threading

TIMEOUT_S = 30
# What has events of its own.
HEARING = ("subscribe", "register", "call")


class Refused(Exception):
    """The router refused it, with this URI; a call has arguments as well, if the library tells them."""

    def __init__(self, uri, message, args=None, kwargs=None):
        super().__init__(f"{uri}: {message}")
        self.uri, self.arguments, self.keywords = uri, args, kwargs


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
        answers, events = self.answers, self.events
        for line in process.stdout:
            said = plain(json.loads(line))
            if "event" in said:
                events[said.pop("event")].put(said)
            else:
                answers[said["id"]].put(said)
        process.wait()
        for waiting in [*answers.values(), *events.values()]:
            waiting.put({"failure": "the peer has ended"})

    def ask(self, do, **arguments):
        """Sends a command; its id, and what `ok` is, or an exception."""
        if self.process is None or self.process.poll() is not None:
            self._start()
        self.last_id += 1
        id = self.last_id
        self.answers[id] = queue.SimpleQueue()
        if do in HEARING:
            self.events[id] = queue.SimpleQueue()
        self.process.stdin.write(json.dumps({"id": id, "do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        what = f"{do} {arguments!r:.200}"
        try:
            said = self.answers[id].get(timeout=TIMEOUT_S)
        except queue.Empty:
            raise TimeoutError(f"{self.name}: no answer to {what}") from None
        return id, self.ok(said, what)

    def ok(self, said, what):
        """What `ok` is, or an exception."""
        if "ok" in said:
            return said["ok"]
        if "error" in said:
            raise Refused(said["error"], said.get("message"), said.get("args"), said.get("kwargs"))
        if "not_in_library" in said:
            raise NotInLibrary(said["not_in_library"])
        raise RuntimeError(f"{self.name}: {what}: {said.get('failure')}")

    def hear(self, key):
        """The next event of a subscription, a registration or a call."""
        try:
            event = self.events[key].get(timeout=TIMEOUT_S)
        except queue.Empty:
            raise TimeoutError(f"{self.name}: no event") from None
        if "failure" in event:
            raise RuntimeError(f"{self.name}: {event['failure']}")
        return event

    def open(self, url, serializer, realm="realm1", auth=None, announces=()):
        """A session that is welcome."""
        auth = auth or {"method": "anonymous"}
        name = f"s{self.last_id + 1}"
        arguments = {"url": url, "serializer": serializer, "realm": realm, "auth": auth}
        if announces:
            arguments["announces"] = list(announces)
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
        self.is_over = False

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        if self.is_over:
            return
        try:
            self.close()
        except Exception:
            # What went wrong first is what matters.
            if kind is None:
                raise

    def close(self):
        """The reason of the router's GOODBYE; `None` where the library does not tell."""
        self.is_over = True
        _, left = self.peer.ask("close", session=self.name)
        return left["reason"]

    def ended(self):
        """Waits until the router has ended it; the reason, `None` where the library does not tell."""
        self.is_over = True
        _, left = self.peer.ask("ended", session=self.name)
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

    def register(self, procedure, answer=None, **options):
        """With an answer, a list of arguments, calls are answered by that at once."""
        arguments = {"procedure": procedure, "answer": answer, "options": options}
        id, answer = self.peer.ask("register", session=self.name, **arguments)
        return Registration(self.peer, id, answer["registration"])

    def begin_call(self, procedure, *args, kwargs=None, **options):
        """A call whose result is yet to come."""
        arguments = {"procedure": procedure, "args": list(args), "kwargs": kwargs or {}}
        id, _ = self.peer.ask("call", session=self.name, options=options, **arguments)
        return Call(self.peer, id, procedure)

    def call(self, procedure, *args, kwargs=None, **options):
        """The result: what `Call.result` says."""
        return self.begin_call(procedure, *args, kwargs=kwargs, **options).result()

    def value(self, procedure, *args, **kwargs):
        """The one value that a procedure answers with."""
        result = self.call(procedure, *args, kwargs=kwargs)
        # Libraries do not tell a lone null from nothing.
        return result["args"][0] if result["args"] else None


class Heard:
    """What a session has, and what comes for it."""

    def __init__(self, peer, key, id):
        self.peer = peer
        self.key = key
        self.id = id

    def event(self):
        """The next of that: of a subscription an event; else an invocation, `interrupted`, `revoked`."""
        return self.peer.hear(self.key)


class Subscription(Heard):
    """A subscription of a session, with the events that came."""

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


class Registration(Heard):
    """A procedure of a session, with what came for it."""

    def invocation(self):
        """The next call, which has to be answered."""
        event = self.event()
        if "invocation" not in event:
            raise AssertionError(f"{event} instead of a call")
        return Invocation(self.peer, event)

    def has_events(self):
        return not self.peer.events[self.key].empty()

    def serve(self, *args, kwargs=None):
        """Answers the next call."""
        invocation = self.invocation()
        invocation.answer(*args, kwargs=kwargs)
        return invocation

    def unregister(self):
        self.peer.ask("unregister", registration=self.key)


class Invocation:
    """A call that a callee has."""

    def __init__(self, peer, event):
        self.peer = peer
        self.number = event["invocation"]
        self.args, self.kwargs, self.details = event["args"], event["kwargs"], event

    def answer(self, *args, kwargs=None, **options):
        arguments = {"args": list(args), "kwargs": kwargs or {}, "options": options}
        self.peer.ask("yield", invocation=self.number, **arguments)

    def progress(self, *args, kwargs=None):
        self.answer(*args, kwargs=kwargs, progress=True)

    def fail(self, error, *args, kwargs=None):
        arguments = {"error": error, "args": list(args), "kwargs": kwargs or {}}
        self.peer.ask("fail", invocation=self.number, **arguments)


class Call:
    """A call that a caller has made."""

    def __init__(self, peer, key, procedure):
        self.peer = peer
        self.key = key
        self.procedure = procedure

    def result(self):
        """`args` and `kwargs`; `callee` and others, `None` where the library does not tell;
        `{"cancelled": true}` where the library itself says so of a call that was cancelled."""
        event = self.peer.hear(self.key)
        if "outcome" not in event:
            raise AssertionError(f"{event} instead of the end of the call")
        return self.peer.ok(event["outcome"], f"call of {self.procedure}")

    def progress(self):
        """The next progressive result."""
        event = self.peer.hear(self.key)
        if "outcome" in event:
            raise AssertionError(f"{event['outcome']} instead of a progressive result")
        return event

    def cancel(self, **options):
        self.peer.ask("cancel", call=self.key, options=options)

    def more(self, *args, kwargs=None, **options):
        """The next part of a call with progressive invocations."""
        arguments = {"args": list(args), "kwargs": kwargs or {}, "options": options}
        self.peer.ask("more", call=self.key, **arguments)
