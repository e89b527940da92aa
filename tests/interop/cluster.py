"""Clusters of processes on free ports; one of them is stopped and started while clients are there."""

import json
import os
import random
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request

TIMEOUT_S = 30
TIERS = {"S": "sync", "D": "ndb", "E": "entry"}
HEAD = """
[cluster]
name = "interop"
secret = "only-for-this-test"
data-dir = "data"
"""
OPEN = """
[access]
open = true
"""


def free_ports(count):
    """Below those that the system hands out: nothing takes one while its node is down."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        end = int(file.read().split()[0])
    sockets = []
    while len(sockets) < count:
        one = socket.socket()
        try:
            one.bind(("127.0.0.1", random.randrange(10_000, end)))
            sockets.append(one)
        except OSError:
            one.close()
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def until(what, check):
    """Waits for something that comes by itself; what `check` returned, once it is true."""
    deadline = time.monotonic() + TIMEOUT_S
    while not (found := check()):
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {TIMEOUT_S} s: {what}")
        time.sleep(0.05)
    return found


class Cluster:
    """Sync, ndb and entry nodes S1, …, D1, …, E1, …; the entries have links to each other.

    `more` is appended to the configuration, `environment` is of single nodes, `durability` what they
    wait for. At the end of a `with` all are stopped, and must end as they should, if nothing went wrong.
    """

    def __init__(self, bin, dir, size, more=OPEN, environment=None, durability="memory"):
        self.bin, self.dir, self.environment = bin, dir, environment or {}
        self.dir.mkdir(parents=True)
        self.names = [f"{tier}{n + 1}" for tier, count in zip(TIERS, size) for n in range(count)]
        self.entries = [name for name in self.names if name.startswith("E")]
        ports = iter(free_ports(len(self.names) + len(self.entries)))
        self.ports = {name: next(ports) for name in self.names}
        self.config = dir / "vixen.toml"
        quorum = size[1] // 2 + 1
        tables = [HEAD, f'durability = "{durability}"\nwrite-quorum = {quorum}\n']
        tables += [self.table(name, ports) for name in self.names]
        self.config.write_text("".join([*tables, more]), encoding="utf-8")
        self.nodes = {}

    def table(self, name, ports):
        address = f'"127.0.0.1:{self.ports[name]}"'
        number = int(name[1:])
        match name[0]:
            case "S":
                return f'[[sync]]\nid = "{name}"\nlane = {number - 1}\naddress = {address}\n'
            case "D":
                group = "[[ndb-group]]\n" if number == 1 else ""
                return f'{group}[[ndb-group.member]]\nid = "{name}"\naddress = {address}\n'
            case _:
                link = f'"127.0.0.1:{next(ports)}"'
                return (
                    f'[[entry]]\nid = "{name}"\nlisten = {address}\n'
                    f"link-address = {link}\nlink-listen = {link}\n"
                )

    def __enter__(self):
        try:
            self.start(*self.names)
            self.ready(*self.names)
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(self, kind, *_):
        try:
            if kind is None:
                for tier in "EDS":
                    self.stop(*(name for name in self.names if name.startswith(tier)))
        finally:
            self.kill()

    def kill(self):
        for node in self.nodes.values():
            node.kill()
            node.wait()

    def url(self, entry):
        return f"ws://127.0.0.1:{self.ports[entry]}/ws"

    def urls(self):
        return [self.url(entry) for entry in self.entries]

    def start(self, *nodes):
        clean = {name: text for name, text in os.environ.items() if not name.startswith("VIXEN_")}
        for node in nodes:
            program = self.bin / f"vixen-{TIERS[node[0]]}"
            command = [program, "--config", self.config, "--node", node]
            with open(self.dir / f"{node}.log", "ab") as log:
                environment = clean | self.environment.get(node, {})
                self.nodes[node] = subprocess.Popen(
                    command, env=environment, stdout=log, stderr=log
                )

    def stop(self, *nodes, how=signal.SIGTERM):
        for node in nodes:
            self.nodes[node].send_signal(how)
        for node in nodes:
            status = self.nodes[node].wait(TIMEOUT_S)
            assert status == (0 if how == signal.SIGTERM else -how), f"{node} ended with {status}"

    def page(self, node, path):
        """Status and text; no status while it does not answer."""
        url = f"http://127.0.0.1:{self.ports[node]}{path}"
        try:
            with urllib.request.urlopen(url, timeout=TIMEOUT_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError as error:
            return None, str(error)

    def ready(self, *nodes):
        for node in nodes:
            until(f"{node} ready", lambda: self.page(node, "/readyz")[0] == 200)

    def metric(self, node, series):
        _, page = self.page(node, "/metrics")
        values = [line.rsplit(" ", 1)[1] for line in page.splitlines() if line.startswith(series)]
        return sum(map(float, values))

    def publish(self, entry, topic, number):
        body = json.dumps({"topic": topic, "args": [number]}).encode()
        url = f"http://127.0.0.1:{self.ports[entry]}/publish"
        with urllib.request.urlopen(url, body, timeout=TIMEOUT_S) as answer:
            return json.load(answer)["position"]
