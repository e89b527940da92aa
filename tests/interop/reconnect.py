"""Client libraries, and a browser's EventSource, with their own reconnection, and an entry that ends
their sessions.

Each client is a program of its own (peers/reconnect_*): it subscribes whenever it has joined, and says
so. Every round does something to the entry, or to the clients; those come back that get an event which
was published afterwards.
"""

import json
import queue
import signal
import subprocess
import threading

from cluster import OPEN, TIMEOUT_S, Cluster, until

KEEP_ALIVE = """
[limits]
keep-alive-interval = "1s"
keep-alive-timeout = "3s"
"""
ALWAYS = {"E2": {"VIXEN_WAMP_GOODBYE": "always"}}

BACK, AWAY, NEVER = "comes back", "stays away", "–"
EVENT_SOURCE = "EventSource"
# The library has no reconnection, and so no program here.
WITHOUT = ["wamp_async"]
CLIENTS = ["autobahn-python", "autobahn-js", "wampy", *WITHOUT, EVENT_SOURCE]
JAVASCRIPT = ["autobahn-js", "wampy"]


class Client:
    """A program of a library; ends with its input."""

    def __init__(self, name, command, url, topic):
        self.name = name
        self.process = subprocess.Popen(
            [*command, url, topic],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            encoding="utf-8",
        )
        self.said = queue.SimpleQueue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        for line in self.process.stdout:
            # Libraries have words of their own for people.
            if line.startswith("{"):
                self.said.put(json.loads(line))
        self.said.put({"ended": self.process.wait()})

    def hear(self, wanted, timeout_s=TIMEOUT_S):
        """Whether it says so in time."""
        while True:
            try:
                said = self.said.get(timeout=timeout_s)
            except queue.Empty:
                return False
            if wanted(said):
                return True
            if "ended" in said:
                return False

    def stop(self):
        self.process.send_signal(signal.SIGCONT)
        self.process.stdin.close()
        try:
            self.process.wait(TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()


class Round:
    """One cluster, and all clients at one entry of it."""

    def __init__(self, cluster, entry, commands, topic):
        self.cluster, self.entry, self.topic = cluster, entry, topic
        url = cluster.url(entry)
        self.clients = [Client(name, command, url, topic) for name, command in commands.items()]
        self.number = 0

    def __enter__(self):
        for client in self.clients:
            assert client.hear(lambda said: "joined" in said), f"{client.name} did not join"
        self.publish()
        for client in self.clients:
            assert client.hear(lambda said: said.get("event") == self.number), client.name
        return self

    def __exit__(self, *_):
        for client in self.clients:
            client.stop()

    def publish(self):
        self.number += 1
        self.cluster.publish(self.entry, self.topic, self.number)

    def who_is_back(self, away):
        """The names of those who join again, and get what is published then."""
        # Who stays away does not say so: it has had its time when the others are back.
        clients = sorted(self.clients, key=lambda client: client.name in away)
        patience_s = {client.name: 3 if client.name in away else TIMEOUT_S for client in clients}
        back = [
            client
            for client in clients
            if client.hear(lambda s: "joined" in s, patience_s[client.name])
        ]
        self.publish()
        number = self.number
        return [c.name for c in back if c.hear(lambda said: said.get("event") == number)]


ROUNDS = {}


def happening(title, entry="E1", away=(), without=()):
    """Registers what happens to `entry` or its clients, `without` left out; all but `away` come back."""

    def register(happens):
        ROUNDS[title] = (happens, entry, away, without)
        return happens

    return register


def ended(cluster, entry, reason):
    return cluster.metric(entry, f'vixen_entry_sessions_ended_total{{reason="{reason}"}}')


@happening("the entry is stopped (SIGTERM) and started")
def stopped(one):
    one.cluster.stop(one.entry)
    one.cluster.start(one.entry)
    one.cluster.ready(one.entry)


@happening("the same with `wamp.goodbye = \"always\"`", "E2", JAVASCRIPT)
def stopped_with_goodbye(one):
    stopped(one)


@happening("the entry is killed (SIGKILL) and started")
def killed(one):
    one.cluster.stop(one.entry, how=signal.SIGKILL)
    one.cluster.start(one.entry)
    one.cluster.ready(one.entry)


@happening("all nodes are stopped and started, one after the other")
def rolling(one):
    for node in ["S1", "D1", "E2", "E1"]:
        one.cluster.stop(node)
        one.cluster.start(node)
        one.cluster.ready(node)


@happening("the whole cluster is stopped, and the entry started first: handshakes get 503")
def entry_first(one):
    cluster, entry = one.cluster, one.entry
    nodes = [entry, "D1", "S1"]
    cluster.stop(*nodes)
    cluster.start(entry)
    # Each was refused twice or so.
    refused = 'vixen_entry_http_refusals_total{status="503"}'
    wanted = 2 * len(one.clients)
    until("handshakes refused", lambda: cluster.metric(entry, refused) >= wanted)
    cluster.start("S1", "D1")
    cluster.ready("S1", "D1", entry)


@happening(
    "the client is suspended (SIGSTOP) for longer than `limits.keep-alive-timeout`, and wakes",
    # Its stream stays: TCP answers for it.
    without=[EVENT_SOURCE],
)
def suspended(one):
    silent = ended(one.cluster, one.entry, "keep_alive_timeout")
    for client in one.clients:
        client.process.send_signal(signal.SIGSTOP)
    wanted = silent + len(one.clients)

    def gone():
        return ended(one.cluster, one.entry, "keep_alive_timeout") >= wanted

    until("suspended clients are gone", gone)
    for client in one.clients:
        client.process.send_signal(signal.SIGCONT)


def run(bin, dir, commands):
    """`title: {client: what it does}`, and how many are as they should be, and are not."""
    fared, counts = {}, [0, 0]
    with Cluster(bin, dir, (1, 1, 2), OPEN + KEEP_ALIVE, ALWAYS) as cluster:
        for index, (title, (happens, entry, away, without)) in enumerate(ROUNDS.items()):
            programs = {name: command for name, command in commands.items() if name not in without}
            with Round(cluster, entry, programs, f"vixen.reconnect.n{index}") as one:
                happens(one)
                back = one.who_is_back(away)
            fared[title] = dict.fromkeys(CLIENTS, NEVER)
            fared[title] |= {name: BACK if name in back else AWAY for name in programs}
            for name in programs:
                should = AWAY if name in away else BACK
                is_good = fared[title][name] == should
                mark = "ok    " if is_good else "FAILED"
                print(f"{mark} {name} reconnect: {title}: {fared[title][name]}", flush=True)
                counts[not is_good] += 1
    return fared, counts
