"""The short ways to write things, written out: `api: [10.0.0.1:443]` is a pool of one backend.

Each function takes whatever the document has in that place and leaves alone what is no shorthand.
"""

from l4proxy.config.mistakes import expected
from l4proxy.config.scalars import OFF

DEFAULT_ROUTE = "default"
"""The key beside the patterns of `routes`; a host of that name alone cannot be routed."""

PATTERNS = "(patterns)"
"""The key under which the patterns of `routes` are gathered; no host has such a name."""

_RULES = "a pool, a mapping {pool, alpn, instance_name}, or a list of these"


def listener_written_out(found: object) -> object:
    """Return `{address: …}` for a bare address."""
    return {"address": found} if isinstance(found, str) else found


def backend_written_out(found: object) -> object:
    """Return `{address: …}` for a bare address."""
    return {"address": found} if isinstance(found, str) else found


def health_written_out(found: object) -> object:
    """Return `{type: …}` for a bare type."""
    return {"type": found} if isinstance(found, str) else found


def none_when_off(found: object) -> object:
    """Return None for `off`, which YAML reads as false; anything else unchanged."""
    return None if found is False or found == OFF else found


def pool_written_out(found: object) -> object:
    """Return `{backends: …}` for a bare list."""
    return {"backends": found} if isinstance(found, tuple) else found


def routes_written_out(found: object) -> object:
    """Return the patterns gathered under one key, beside the default route."""
    if not isinstance(found, dict):
        return found
    patterns = {key: value for key, value in found.items() if key != DEFAULT_ROUTE}
    default = {key: value for key, value in found.items() if key == DEFAULT_ROUTE}
    return {PATTERNS: patterns, **default}


def rules_written_out(found: object) -> object:
    """Return a tuple of rules for a rule that stands alone.

    Raises:
        BadValueError: there is neither a rule nor a list of them.
    """
    if isinstance(found, tuple):
        return found
    if isinstance(found, str | dict):
        return (found,)
    raise expected(found, _RULES)


def rule_written_out(found: object) -> object:
    """Return `{pool: …}` for a bare pool."""
    return {"pool": found} if isinstance(found, str) else found
