"""A cluster of 1+1+2 whose nodes are stopped and started: for clients that are to come back."""

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
TIERS = {"S1": "sync", "D1": "ndb", "E1": "entry", "E2": "entry"}
CONFIG = """
[cluster]
name = "reconnect"
secret = "only-for-this-test"
data-dir = "data"
durability = "memory"
write-quorum = 1
[[sync]]
id = "S1"
lane = 0
address = "127.0.0.1:{S1}"
[[ndb-group]]
[[ndb-group.member]]
id = "D1"
address = "127.0.0.1:{D1}"
[[entry]]
id = "E1"
listen = "127.0.0.1:{E1}"
[[entry]]
id = "E2"
listen = "127.0.0.1:{E2}"
[access]
open = true
[limits]
keep-alive-interval = "1s"
keep-alive-timeout = "3s"
"""
# Of single nodes, beside the file.
ENVIRONMENT = {"E2": {"VIXEN_WAMP_GOODBYE": "always"}}


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
    def __init__(self, bin, dir):
        self.bin, self.dir = bin, dir
        self.dir.mkdir(parents=True)
        self.ports = dict(zip(TIERS, free_ports(len(TIERS))))
        self.config = dir / "vixen.toml"
        self.config.write_text(CONFIG.format(**self.ports), encoding="utf-8")
        self.nodes = {}

    def __enter__(self):
        try:
            for node in TIERS:
                self.start(node)
            self.ready(*TIERS)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        for node in self.nodes.values():
            node.kill()
            node.wait()

    def url(self, entry):
        return f"ws://127.0.0.1:{self.ports[entry]}/ws"

    def start(self, *nodes):
        clean = {name: text for name, text in os.environ.items() if not name.startswith("VIXEN_")}
        for node in nodes:
            command = [self.bin / f"vixen-{TIERS[node]}", "--config", self.config, "--node", node]
            with open(self.dir / f"{node}.log", "ab") as log:
                self.nodes[node] = subprocess.Popen(
                    command, env=clean | ENVIRONMENT.get(node, {}), stdout=log, stderr=log
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
