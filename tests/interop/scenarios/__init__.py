"""What is tried with each client and serializer."""

from .registry import SCENARIOS
from . import errors, logins, lists, meta, pubsub, stored, values  # noqa: F401  they register themselves

__all__ = ["SCENARIOS"]
