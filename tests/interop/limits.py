"""What the client libraries can, and what they cannot where they do not say so themselves."""

SERIALIZERS = {
    "autobahn-python": ["json", "msgpack", "cbor"],
    "autobahn-js": ["json", "msgpack", "cbor"],
    "wampy": ["json", "msgpack", "cbor"],
    "wamp_async": ["json", "msgpack"],
}

PBKDF2 = "its PBKDF2 takes the salt as bytes, and its SCRAM gives a text"

# By client and scenario, or client, serializer and scenario. A scenario that succeeds nevertheless is
# a failure, so that nothing stands here that is not true.
CANNOT = {
    ("autobahn-python", "login.scram.pbkdf2"): PBKDF2,
    ("autobahn-python", "login.scram.pbkdf2.denied"): PBKDF2,
}
