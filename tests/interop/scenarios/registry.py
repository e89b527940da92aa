"""Scenarios by name, in the order of their definition."""

from dataclasses import dataclass

from peer import NotInLibrary, Peer, Refused

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
    # Entries of one with `logins.toml`.
    guarded: list[str]
    # Of topics that nobody else uses.
    prefix: str

    def open(self, entry=0, realm="realm1", announces=()):
        """`announces`: features of a callee that the library does not announce by itself."""
        return self.peer.open(self.entries[entry], self.serializer, realm, announces=announces)

    def reference_session(self, serializer="json", entry=0, realm="realm1"):
        return self.reference.open(self.entries[entry], serializer, realm)

    def login(self, method="ticket", authid=None, secret=None, realm="realm1", entry=0):
        return self.peer.open(
            self.guarded[entry], self.serializer, realm, auth(method, authid, secret)
        )

    def reference_login(self, authid, secret, entry=0):
        return self.reference.open(
            self.guarded[entry], "json", "realm1", auth("ticket", authid, secret)
        )

    def topic(self, name):
        return f"{self.prefix}.{name}"


def auth(method, authid, secret):
    return {"method": method} | ({} if authid is None else {"authid": authid, "secret": secret})


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


def refused(uri, do):
    """The refusal with this URI."""
    try:
        do()
    except Refused as error:
        equal("error", error.uri, uri)
        return error
    raise AssertionError(f"not refused by {uri}")


def each_refused(uri, cases):
    """All of the cases that the library does not refuse itself; at least one must get through."""
    asked, own = 0, None
    for do in cases:
        try:
            refused(uri, do)
            asked += 1
        except NotInLibrary as error:
            own = error
    if asked == 0 and own:
        raise own
