"""Logging in, and what roles may do."""

from peer import Refused

from .registry import equal, scenario

# The seed of the key in logins.toml.
SEED = "11" * 32
USERS = {
    "ticket": ("ticket", "anna", "ticket-of-anna"),
    "wampcra": ("wampcra", "plain", "secret-of-plain"),
    "wampcra.salted": ("wampcra", "salted", "password-of-salted"),
    "scram.argon2id13": ("scram", "scram-argon2id13", "password-of-scram"),
    "scram.pbkdf2": ("scram", "scram-pbkdf2", "password-of-scram"),
    "cryptosign": ("cryptosign", "key", SEED),
}
WRONG = {"cryptosign": "22" * 32}


@scenario("login.anonymous")
def anonymous(world):
    with world.login("anonymous") as session:
        equal("role", session.welcome["authrole"] or "visitor", "visitor")
        subscription = session.subscribe("lobby.door")
        with world.login("anonymous") as other:
            other.publish("lobby.door", "open")
            equal("event", subscription.event()["args"], ["open"])


def register(name, method, authid, secret):
    @scenario(f"login.{name}")
    def good(world):
        with world.login(method, authid, secret) as session:
            # Not every library tells who the session is: the role tells, for others may not publish.
            equal("authid", session.welcome["authid"] or authid, authid)
            equal("authrole", session.welcome["authrole"] or "sensor", "sensor")
            equal("published", session.publish("plant.door", "open") > 0, True)

    @scenario(f"login.{name}.denied")
    def denied(world):
        with world.login(method, authid, secret):
            pass
        try:
            world.login(method, authid, WRONG.get(method, "something wrong"))
        except Refused as error:
            equal("reason of ABORT", error.uri, "wamp.error.authentication_denied")
            return
        raise AssertionError("a wrong secret is good")


for name, user in USERS.items():
    register(name, *user)


@scenario("login.unknown_user")
def unknown_user(world):
    refused(world, "wamp.error.authentication_denied", authid="nobody", secret="nothing at all")


@scenario("login.no_such_realm")
def no_such_realm(world):
    refused(world, "wamp.error.no_such_realm", method="anonymous", realm="elsewhere")


def refused(world, uri, **login):
    try:
        world.login(**login)
    except Refused as error:
        equal("reason of ABORT", error.uri, uri)
        return
    raise AssertionError(f"not refused by {uri}")


def carl(world):
    return world.login(authid="carl", secret="ticket-of-carl")


def not_allowed(do):
    try:
        do()
    except Refused as error:
        equal("error", error.uri, "wamp.error.not_authorized")
        return
    raise AssertionError("allowed")


@scenario("role.publish")
def role_publish(world):
    with carl(world) as session:
        not_allowed(lambda: session.publish("plant.door", "x"))
        not_allowed(lambda: session.publish("lobby.door", "x"))


@scenario("role.subscribe")
def role_subscribe(world):
    with carl(world) as session:
        session.subscribe("plant.door")
        not_allowed(lambda: session.subscribe("lobby.door"))
        not_allowed(lambda: session.subscribe("plant.secret.door"))


@scenario("role.subscribe.pattern")
def role_subscribe_pattern(world):
    """A pattern that could match a topic that is not allowed is refused as a whole."""
    with carl(world) as session:
        session.subscribe("plant.n", match="prefix")
        not_allowed(lambda: session.subscribe("plant.s", match="prefix"))
        not_allowed(lambda: session.subscribe("plant..door", match="wildcard"))
