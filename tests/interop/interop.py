"""Two WAMP clients that vixen's authors did not write, against a cluster: see ./run.

    interop.py PORTS_FILE -- COMMAND_OF_PEER_PY -- COMMAND_OF_PEER_JS
"""

import json
import subprocess
import sys

TIMEOUT_S = 90

# What must arrive exactly as it was sent: as few assumptions as JSON makes.
CASES = [
    {"args": [], "kwargs": {}},
    {"args": ["hello"], "kwargs": {}},
    {"args": [], "kwargs": {"only": "kwargs"}},
    {"args": [1, -2, 0.5, 1e300, True, False, None], "kwargs": {"a": 1, "b": [None]}},
    {"args": [9007199254740991, -9007199254740991], "kwargs": {}},
    {"args": ["ünïcode ✓ 🦊 \u0000 \u2028", 'quotes " \\ / \n\t'], "kwargs": {"ключ": "значение"}},
    {"args": [[], {}, [[[]]], {"": {"deep": [{"er": None}]}}], "kwargs": {"x": {}}},
    {"args": ["]}],[{", "[36,1,1,{}]"], "kwargs": {"k": "\"],[\""}},
    {"args": ["x" * 200_000], "kwargs": {}},
] + [{"args": [n], "kwargs": {"n": n}} for n in range(50)]

# The first of them is reserved for the protocol. autobahn for Python refuses the others itself.
INVALID_TOPICS = ["wamp.mine", "", "a b", "a..b", ".a", "a.", "a#b"]

passed = failed = 0


def check(name, ok, facts=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    print(f"{'ok    ' if ok else 'FAILED'} {name}{'' if ok else f': {facts}'}", flush=True)


def start(peer, *arguments):
    return subprocess.Popen(
        [*peer, *arguments], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def finish(process, text=""):
    """What the peer printed, and how its session ended; that is None when it failed."""
    try:
        output, _ = process.communicate(text, timeout=TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
    # Not splitlines(), which also splits within strings.
    lines = [json.loads(line) for line in output.split("\n") if line]
    left = lines.pop().get("left") if lines and process.returncode == 0 else None
    return lines, left


def exchange(name, publisher, publish_url, receiver, receive_url):
    topic = "vixen.interop." + name.replace(" ", "_")
    receiving = start(receiver, "receive", receive_url, topic, str(len(CASES)))
    subscribed = json.loads(receiving.stdout.readline() or "null")
    check(f"{name}: subscribed", subscribed == {"subscribed": topic}, subscribed)
    published, left = finish(start(publisher, "publish", publish_url, topic), json.dumps(CASES))
    check(f"{name}: publisher said goodbye", left == "wamp.close.goodbye_and_out", left)
    positions = [line["publication"] for line in published]
    check(f"{name}: every message acknowledged", len(positions) == len(CASES), positions)
    rising = all(a < b for a, b in zip(positions, positions[1:]))
    check(f"{name}: positions rise", rising, positions)
    received, left = finish(receiving)
    check(f"{name}: receiver said goodbye", left == "wamp.close.goodbye_and_out", left)
    events = [line["publication"] for line in received]
    check(f"{name}: events in the order of acknowledgement", events == positions, events)
    contents = [{"args": e["args"] or [], "kwargs": e["kwargs"] or {}} for e in received]
    differing = [(was, is_) for was, is_ in zip(CASES, contents) if was != is_]
    same = len(contents) == len(CASES) and not differing
    check(f"{name}: args and kwargs arrive exactly", same, differing[:3])


def refusals(name, peer, url, topics):
    answers, left = finish(start(peer, "refused", url), json.dumps(topics))
    wanted = [{"topic": topic, "error": "wamp.error.invalid_uri"} for topic in topics]
    check(f"{name}: invalid topics are refused by URI", answers == wanted, answers)
    check(f"{name}: and the session goes on", left == "wamp.close.goodbye_and_out", left)


def own(name, peer, url):
    received, _ = finish(start(peer, "own", url, f"vixen.interop.own.{name}"))
    wanted = [{"received": "included"}]
    check(f"{name}: own messages come with exclude_me=false only", received == wanted, received)


def main(ports_file, *peers):
    middle = peers.index("--", 1)
    python, javascript = list(peers[1:middle]), list(peers[middle + 1 :])
    with open(ports_file, encoding="utf-8") as file:
        e1, e2, e3 = json.load(file)["entries"]
    exchange("python to python", python, e1, python, e2)
    exchange("javascript to javascript", javascript, e2, javascript, e3)
    exchange("javascript to python", javascript, e3, python, e1)
    exchange("python to javascript", python, e2, javascript, e1)
    refusals("python", python, e1, INVALID_TOPICS[:1])
    refusals("javascript", javascript, e1, INVALID_TOPICS)
    own("python", python, e3)
    own("javascript", javascript, e2)
    print(f"{passed} passed, {failed} failed")
    return failed > 0


sys.exit(main(*sys.argv[1:]))
