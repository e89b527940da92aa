"""What is tried with each client and serializer."""

from . import errors, lists, logins, meta, pubsub, stored, values  # noqa: F401  they register themselves
from .registry import SCENARIOS

__all__ = ["SCENARIOS"]
