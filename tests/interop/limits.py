"""What the client libraries can, and what they cannot where they do not say so themselves."""

SERIALIZERS = {
    "autobahn-python": ["json", "msgpack", "cbor"],
    "autobahn-js": ["json", "msgpack", "cbor"],
    "wampy": ["json", "msgpack", "cbor"],
    "wamp_async": ["json", "msgpack"],
}

# By client and scenario, or client, serializer and scenario. A scenario that succeeds nevertheless is
# a failure, so that nothing stands here that is not true.
CANNOT = {}
