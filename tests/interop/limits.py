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
}

# As in requirements.txt, package.json and rust/Cargo.toml.
VERSIONS = {
    "autobahn-python": "autobahn 26.10.2 on PyPI",
    "autobahn-js": "autobahn 22.11.1 on npm; later ones need Node 22",
    "wampy": "wampy 8.0.2 on npm",
    "wamp_async": "wamp_async 0.3.1 on crates.io",
}
