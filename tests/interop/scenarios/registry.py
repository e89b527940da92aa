"""Scenarios by name, in the order of their definition."""

from dataclasses import dataclass

from peer import Peer

SCENARIOS = {}


@dataclass
class World:
    """What a scenario has: a client with one of its serializers, and two clusters."""

    peer: Peer
    serializer: str
    # autobahn for Python, to publish to the client or to see what it published.
    reference: Peer
    # Entries of a cluster where everyone may do everything.
    entries: list[str]
    # An entry of one with `logins.toml`.
    guarded: str
    # Of topics that nobody else uses.
    prefix: str

    def open(self, entry=0):
        return self.peer.open(self.entries[entry], self.serializer)

    def reference_session(self, serializer, entry=0):
        return self.reference.open(self.entries[entry], serializer)

    def login(self, method="ticket", authid=None, secret=None, realm="realm1"):
        auth = {"method": method}
        if authid is not None:
            auth |= {"authid": authid, "secret": secret}
        return self.peer.open(self.guarded, self.serializer, realm, auth)

    def topic(self, name):
        return f"{self.prefix}.{name}"


def scenario(name):
    """Registers a function of a `World` that raises where something is not as it should be."""

    def register(function):
        assert name not in SCENARIOS, name
        SCENARIOS[name] = function
        return function

    return register


def equal(what, is_, should_be):
    """As `assert`, with the facts."""
    if is_ != should_be:
        raise AssertionError(f"{what}: {is_!r:.300} instead of {should_be!r:.300}")
