"""The cluster of deploy/compose in containers, by what docs/containers.md tells to do: see ./run.

Everything is asked from the outside: HTTP at the published ports, and Docker. Waits are for what is
to come about, each with a bound far beyond what it takes.
"""

import json
import pathlib
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
COMPOSE = ["docker-compose", "-p", "vixen", "-f", str(ROOT / "deploy/compose/compose.yaml")]
TOPIC = "com.example.compose"
PORTS = {"e1": 9031, "e2": 9032, "e3": 9033}
NODES = ["s1", "s2", "s3", "d1", "d2", "d3", "e1", "e2", "e3"]
# Nothing takes as long on a machine that works.
SOON = 60


def output(*command, check=True):
    """What a command says; its errors are shown when it fails."""
    done = subprocess.run(command, capture_output=True, text=True, timeout=180)
    if check and done.returncode != 0:
        raise AssertionError(f"{' '.join(command)}: {done.returncode}\n{done.stdout}{done.stderr}")
    return (done.stdout + done.stderr).strip()


def compose(*arguments):
    return output(*COMPOSE, *arguments)


def container(node):
    """The id of a node's container, running or not."""
    label = f"label=com.docker.compose.service={node}"
    found = output("docker", "ps", "--all", "--quiet", "--no-trunc", "--filter", label)
    assert found, f"there is no container {node}"
    return found


def inspect(node, template):
    return output("docker", "inspect", "--format", template, container(node))


def until(what, probe):
    """Waits until `probe` gives something; its last error tells why it does not."""
    end, error = time.monotonic() + SOON, None
    while time.monotonic() < end:
        try:
            found = probe()
            if found:
                return found
        except (OSError, AssertionError) as caught:
            error = caught
        time.sleep(0.1)
    raise AssertionError(f"not within {SOON} s: {what} ({error})")


def healthy(*nodes):
    """Waits until Docker, which asks `--health`, calls them healthy."""
    for node in nodes:
        until(f"{node} is healthy", lambda: inspect(node, "{{.State.Health.Status}}") == "healthy")


def health_of(node):
    """What a node says of itself, sooner than Docker asks."""
    return output("docker", "exec", container(node), "vixen-entry", "--health", check=False)


def ready(*nodes):
    for node in nodes:
        until(f"{node} is ready", lambda: " is ready" in health_of(node))


def address(node):
    return inspect(node, "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}")


def publish(entry, text):
    """Publishes at an entry and returns the position, once that is durable and elected."""
    body = json.dumps({"topic": TOPIC, "args": [text]}).encode()
    url = f"http://127.0.0.1:{PORTS[entry]}/publish"
    with urllib.request.urlopen(urllib.request.Request(url, body), timeout=20) as answer:
        return json.load(answer)["position"]


def stored(entry):
    """All that an entry reads of the topic, in the order: positions and texts."""
    url = f"http://127.0.0.1:{PORTS[entry]}/history?topic={TOPIC}&after=0&limit=all"
    with urllib.request.urlopen(url, timeout=20) as answer:
        messages = [json.loads(line) for line in answer]
    return [(message["position"], message["args"][0]) for message in messages]


class Live:
    """A subscriber of `/events` at an entry."""

    def __init__(self, entry):
        url = f"http://127.0.0.1:{PORTS[entry]}/events?topic={TOPIC}"
        self.answer = urllib.request.urlopen(url, timeout=SOON)

    def next(self):
        """The text of the next message."""
        for line in self.answer:
            if line.startswith(b"data:"):
                return json.loads(line[5:])["args"][0]
        raise AssertionError("the stream has ended")


class Expected:
    """What was acknowledged, and must be read everywhere."""

    def __init__(self):
        self.messages = []

    def publish(self, entry, text):
        self.messages.append((publish(entry, text), text))

    def check(self, *entries):
        for entry in entries:

            def whole():
                found = stored(entry)
                # On a busy machine it may read before it has heard of what was acknowledged elsewhere.
                missing = [message for message in self.messages if message not in found]
                assert not missing, f"{entry} lacks {missing}"
                return found

            found = until(f"{entry} reads all", whole)
            assert found == sorted(found), f"{entry} reads {found}"


def one_sync_node_alone_runs_and_is_not_ready(_expected):
    compose("up", "-d", "s1")
    until("s1 answers", lambda: "S1 is not ready: 1 of 2 sync nodes" in health_of("s1"))
    assert inspect("s1", "{{.State.Running}} {{.RestartCount}}") == "true 0"


def all_nine_become_healthy(expected):
    compose("up", "-d")
    healthy(*NODES)
    for node in NODES:
        assert inspect(node, "{{.Config.User}}") == "10001:10001", node
    expected.publish("e1", "first")


def what_is_published_at_one_entry_is_seen_at_another(expected):
    live = Live("e2")
    expected.publish("e1", "to others")
    # An entry that nobody reads at hears of what others acknowledged within 100 ms: that may come as well.
    texts = [live.next()]
    if texts == ["first"]:
        texts.append(live.next())
    assert texts[-1] == "to others", texts
    expected.check("e1", "e2", "e3")


def a_killed_container_of_each_tier_is_not_missed(expected):
    for number, node in enumerate(["s1", "d1", "e1"]):
        output("docker", "kill", container(node))
        expected.publish("e2", f"without {node}")
        expected.publish("e3", f"still without {node}")
        if number < 2:
            compose("up", "-d", node)
            ready(node)
    compose("up", "-d", "e1")
    ready("e1")
    expected.check("e1", "e2", "e3")


def one_that_is_cut_off_says_so_and_comes_back(expected):
    network = inspect("s2", "{{range $name, $_ := .NetworkSettings.Networks}}{{$name}}{{end}}")
    for node in ["s2", "d2"]:
        cut = container(node)
        output("docker", "network", "disconnect", network, cut)
        expected.publish("e1", f"{node} is cut off")
        # Nobody tells it: it hears nothing any more.
        until(f"{node} is not ready", lambda: " is not ready: " in health_of(node))
        # By hand, the name that others dial has to be given again.
        output("docker", "network", "connect", "--alias", node, network, cut)
        ready(node)
        expected.publish("e3", f"{node} is back")
    expected.check("e2")


def nodes_made_again_with_other_addresses_are_found(expected):
    nodes = ["s3", "d3"]
    before = [address(node) for node in nodes]
    compose("rm", "--stop", "--force", *nodes)
    expected.publish("e1", "two are away")
    # Each might get the address of the other, and never its own.
    holder = output("docker", "run", "-d", "--network", "vixen_default", "vixen")
    compose("up", "-d", *reversed(nodes))
    after = [address(node) for node in nodes]
    assert all(old != new for old, new in zip(before, after)), (before, after)
    ready(*nodes)
    output("docker", "rm", "--force", "--volumes", holder)
    # Without the other two of their tiers' nodes, nothing would be elected or stored.
    output("docker", "kill", container("s1"), container("d1"))
    expected.publish("e1", "with new addresses")
    compose("up", "-d", "s1", "d1")
    ready("s1", "d1")
    expected.check("e1")


def entries_are_restarted_one_by_one(expected):
    for node, other in [("e1", "e2"), ("e2", "e3"), ("e3", "e1")]:
        compose("restart", node)
        expected.publish(other, f"while {node} restarts")
        ready(node)
    expected.check("e1", "e2", "e3")


def data_outlives_the_containers(expected):
    compose("down")
    compose("up", "-d")
    ready("e1", "e2")
    expected.check("e1", "e2")
    expected.publish("e2", "after down and up")


def nearcast_is_what_the_image_runs_by_itself(_expected):
    port, volume = ["-p", "127.0.0.1:9039:9031"], ["-v", "near:/data"]
    nearcast = output("docker", "run", "-d", *port, *volume, "vixen")
    PORTS["nearcast"] = 9039
    until("nearcast publishes", lambda: publish("nearcast", "alone") is not None)
    until("the greeting", lambda: "open to others" in output("docker", "logs", nearcast))
    assert "nearcast is ready" in output("docker", "exec", nearcast, "vixen-entry", "--health")
    output("docker", "stop", nearcast)
    code = output("docker", "inspect", "--format", "{{.State.ExitCode}}", nearcast)
    assert code == "0", f"SIGTERM ends it with {code}"
    output("docker", "rm", "--volumes", nearcast)
    output("docker", "volume", "rm", "near")


def down_leaves_nothing(_expected):
    compose("down", "--volumes")
    ours = "label=com.docker.compose.project"
    for what in ["container", "volume", "network"]:
        listed = output("docker", what, "ls", "--quiet", "--filter", ours)
        assert not listed, f"{what}: {listed}"


STEPS = [
    one_sync_node_alone_runs_and_is_not_ready,
    all_nine_become_healthy,
    what_is_published_at_one_entry_is_seen_at_another,
    a_killed_container_of_each_tier_is_not_missed,
    one_that_is_cut_off_says_so_and_comes_back,
    nodes_made_again_with_other_addresses_are_found,
    entries_are_restarted_one_by_one,
    data_outlives_the_containers,
    nearcast_is_what_the_image_runs_by_itself,
    down_leaves_nothing,
]


def main():
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    expected, began = Expected(), time.monotonic()
    try:
        for step in STEPS:
            step(expected)
            print(f"ok     {step.__name__} (at {time.monotonic() - began:.0f} s)")
    except Exception as error:
        print(f"FAILED {step.__name__}: {error}")
        print(output(*COMPOSE, "ps", check=False))
        print(output(*COMPOSE, "logs", "--no-color", "--tail", "6", check=False))
        sys.exit(1)
    finally:
        subprocess.run([*COMPOSE, "down", "--volumes"], capture_output=True, timeout=120)
    print(f"{len(STEPS)} passed, 0 failed")


main()
