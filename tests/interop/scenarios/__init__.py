"""What is tried with each client and serializer."""

from . import (  # noqa: F401  they register themselves
    callees,
    calls,
    errors,
    lists,
    logins,
    meta,
    packed,
    procedures,
    progress,
    pubsub,
    stored,
    values,
)
from .registry import SCENARIOS

__all__ = ["SCENARIOS"]
