"""WAMP clients that vixen's authors did not write, against two clusters: see ./run.

    interop.py --bin-dir DIR --dir DIR --logins FILE --results FILE
        [--document FILE [--write] | --only TEXT] NAME=COMMAND... --reconnect NAME=COMMAND...

Everything in ./scenarios is tried with each client and each of its serializers. The results file has
for each scenario, client and serializer "passed", "failed", or "not in the library", and why; and what
clients did that reconnect by themselves (./reconnect.py).
"""

import argparse
import concurrent.futures
import difflib
import itertools
import json
import pathlib
import secrets
import shlex
import signal
import sys
import threading
import traceback

import reconnect
from cluster import Cluster
from limits import CANNOT, SERIALIZERS
from peer import NotInLibrary, Peer
from render import document
from scenarios import SCENARIOS
from scenarios.registry import World

# Who is at the other end: autobahn for Python.
REFERENCE = "autobahn-python"
PASSED, FAILED, NOT_IN_LIBRARY = "passed", "failed", "not in the library"


def attempt(scenario, name, world):
    """How it went, and why."""
    cannot = CANNOT.get((world.peer.name, name)) or CANNOT.get(
        (world.peer.name, world.serializer, name)
    )
    try:
        scenario(world)
    except NotInLibrary as error:
        return NOT_IN_LIBRARY, str(error)
    except Exception as error:
        if cannot:
            return NOT_IN_LIBRARY, cannot
        return FAILED, "".join(traceback.format_exception_only(error)).strip()
    if cannot:
        return FAILED, f"it can, but limits.py says: {cannot}"
    return PASSED, ""


def compare(path, text, is_to_write):
    """Whether the document is what came out, or is now."""
    if is_to_write:
        path.write_text(text, encoding="utf-8")
    was = path.read_text(encoding="utf-8") if path.exists() else ""
    if was == text:
        print(f"ok     {path} is what came out")
        return PASSED
    print(
        f"FAILED {path} is not what came out; see, or take it over with `tests/interop/run --write`:"
    )
    lines = difflib.unified_diff(was.splitlines(), text.splitlines(), "document", "results", n=0)
    print("\n".join(lines))
    return FAILED


def commands(arguments):
    """Names and commands of `NAME=COMMAND`."""
    for argument in arguments:
        name, command = argument.split("=", 1)
        yield name, shlex.split(command)


class Trial:
    """What is tried, by which clients, and how it went."""

    def __init__(self, only, entries, guarded):
        self.only, self.entries, self.guarded = only, entries, guarded
        self.numbers, self.run = itertools.count(), secrets.token_hex(4)
        # By scenario, client and serializer: how, and why.
        self.results = {name: {} for name in SCENARIOS}
        self.counts = {PASSED: 0, FAILED: 0, NOT_IN_LIBRARY: 0}
        self.lock = threading.Lock()

    def tried(self, peer, serializer, name, how, why):
        with self.lock:
            self.counts[how] += 1
            of = self.results[name].setdefault(peer.name, {})
            of[serializer] = {"how": how, "why": why}
            mark = {PASSED: "ok    ", FAILED: "FAILED"}.get(how, "not in the library:")
            print(f"{mark} {peer.name} {serializer} {name}{why and ': '}{why}", flush=True)

    def of_all(self, peers):
        """Clients side by side, each with a reference of its own; of one, all in turn."""
        with concurrent.futures.ThreadPoolExecutor(len(peers)) as pool:
            clients = [
                pool.submit(self.of, Peer(name, command), Peer(REFERENCE, peers[REFERENCE]))
                for name, command in peers.items()
            ]
        for client in clients:
            client.result()

    def of(self, peer, reference):
        """All that one client does."""
        for serializer in SERIALIZERS[peer.name]:
            for name, scenario in SCENARIOS.items():
                if self.only not in f"{peer.name} {serializer} {name}":
                    continue
                prefix = f"vixen.interop.{self.run}.n{next(self.numbers)}"
                world = World(peer, serializer, reference, self.entries, self.guarded, prefix)
                self.tried(peer, serializer, name, *attempt(scenario, name, world))
        peer.stop()
        reference.stop()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--bin-dir", type=pathlib.Path, required=True)
    parser.add_argument("--dir", type=pathlib.Path, required=True)
    parser.add_argument("--logins", type=pathlib.Path, required=True)
    parser.add_argument("--results", required=True)
    parser.add_argument("--document", type=pathlib.Path)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", default="")
    parser.add_argument("--reconnect", nargs="+", default=[])
    parser.add_argument("peers", nargs="+")
    arguments = parser.parse_args()
    # Nodes are stopped however this ends.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    bin, dir = arguments.bin_dir, arguments.dir
    logins = arguments.logins.read_text(encoding="utf-8")
    with (
        Cluster(bin, dir / "open", (3, 3, 3), durability="fsync") as everyone,
        Cluster(bin, dir / "guarded", (1, 1, 2), logins) as guarded,
    ):
        trial = Trial(arguments.only, everyone.urls(), guarded.urls())
        trial.of_all(dict(commands(arguments.peers)))
    counts, results = trial.counts, dict(trial.results)
    if arguments.only in "reconnect":
        programs = dict(commands(arguments.reconnect))
        fared, (good, bad) = reconnect.run(bin, dir / "reconnect", programs)
        results["reconnect"] = fared
        counts[PASSED] += good
        counts[FAILED] += bad
    with open(arguments.results, "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)
        file.write("\n")
    if arguments.document and not arguments.only:
        how = compare(arguments.document, document(results), arguments.write)
        counts[how] += 1
    print(f"{counts[NOT_IN_LIBRARY]} not in the library")
    print(f"{counts[PASSED]} passed, {counts[FAILED]} failed")
    return counts[FAILED] > 0


if __name__ == "__main__":
    sys.exit(main())
