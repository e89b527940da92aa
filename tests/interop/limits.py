"""What the client libraries can, and what they cannot where they do not say so themselves."""

SERIALIZERS = {
    "autobahn-python": ["json", "msgpack", "cbor"],
    "autobahn-js": ["json", "msgpack", "cbor"],
    "wampy": ["json", "msgpack", "cbor"],
    "wamp_async": ["json", "msgpack"],
}

PBKDF2 = "its PBKDF2 takes the salt as bytes, and its SCRAM gives a text"

JSON_BYTES = "its JSON does not know the form that WAMP gives to bytes"
FLOATS = "reads large integers as floats"
NO_BYTES = "its values are those of JSON: the session ends at bytes"
FORGETS = (
    "forgets a call that it cancels, and ends the connection at the answer; see `wamp.cancel-answer`"
)
NO_INTERRUPT = "takes no INTERRUPT, and does not announce `call_canceling` as callee"
NOT_TOLD = "does not announce `registration_revocation`"

# By client and scenario, or client, serializer and scenario. A scenario that succeeds nevertheless is
# a failure, so that nothing stands here that is not true.
CANNOT = {
    ("autobahn-python", "login.scram.pbkdf2"): PBKDF2,
    ("autobahn-python", "login.scram.pbkdf2.denied"): PBKDF2,
    ("autobahn-js", "json", "values.binary.sent"): JSON_BYTES,
    ("autobahn-js", "json", "values.binary.received"): JSON_BYTES,
    ("autobahn-js", "json", "values.integers.received"): FLOATS,
    ("autobahn-js", "msgpack", "values.integers.received"): FLOATS,
    ("wampy", "json", "values.binary.sent"): JSON_BYTES,
    ("wampy", "json", "values.binary.received"): JSON_BYTES,
    ("wampy", "json", "values.integers.received"): FLOATS,
    ("wampy", "cbor", "values.integers.received"): FLOATS,
    ("wamp_async", "json", "values.binary.received"): JSON_BYTES,
    ("wamp_async", "msgpack", "values.binary.received"): NO_BYTES,
    ("autobahn-js", "json", "call.binary.made"): JSON_BYTES,
    ("autobahn-js", "json", "call.binary.served"): JSON_BYTES,
    ("autobahn-js", "json", "call.integers.served"): FLOATS,
    ("autobahn-js", "msgpack", "call.integers.served"): FLOATS,
    ("wampy", "json", "call.binary.made"): JSON_BYTES,
    ("wampy", "json", "call.binary.served"): JSON_BYTES,
    ("wampy", "json", "call.integers.served"): FLOATS,
    ("wampy", "cbor", "call.integers.made"): FLOATS,
    ("wampy", "cbor", "call.integers.served"): FLOATS,
    ("wamp_async", "json", "call.binary.served"): JSON_BYTES,
    ("wamp_async", "msgpack", "call.binary.served"): NO_BYTES,
    ("autobahn-js", "cancel.default"): FORGETS,
    ("autobahn-js", "cancel.skip"): FORGETS,
    ("autobahn-js", "cancel.killnowait"): FORGETS,
    ("autobahn-js", "cancel.interrupted"): NO_INTERRUPT,
    ("wampy", "cancel.interrupted"): NO_INTERRUPT,
    ("wamp_async", "cancel.interrupted"): NO_INTERRUPT,
    ("autobahn-python", "register.revoked"): "is told, and does not tell its application",
    ("wampy", "register.revoked"): NOT_TOLD,
    ("wamp_async", "register.revoked"): NOT_TOLD,
}

# As in requirements.txt, package.json and rust/Cargo.toml.
VERSIONS = {
    "autobahn-python": "autobahn 26.10.2 on PyPI",
    "autobahn-js": "autobahn 22.11.1 on npm; later ones need Node 22",
    "wampy": "wampy 8.0.2 on npm",
    "wamp_async": "wamp_async 0.3.1 on crates.io",
}
