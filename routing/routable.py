"""Routable names: ticket names that say by themselves, to whoever has the key, which backend it is.

The name is one encrypted and authenticated block; the cipher stands elsewhere, for this floor is
the standard library alone. Here is where in a token such a name may stand.
"""

from typing import Protocol

ROUTABLE_NAME_BYTES = 16
"""One block of AES, and what most TLS stacks write in front of their tickets."""

# s2n writes this format version before the name; no other stack puts anything before it.
_VERSION = 0x01


class RoutableNames(Protocol):
    """The routing keys, as far as a decision needs them."""

    def server_id(self, name: bytes, /) -> int | None:
        """Return the server id that a name of 16 bytes says; None: no key authenticates it."""
        ...


def server_id_of(token: bytes, names: RoutableNames) -> int | None:
    """Return the server id that a ticket's or session id's routable name says, if it has one.

    Looked for at offset 0, and at offset 1 behind the version byte of s2n.
    """
    if len(token) < ROUTABLE_NAME_BYTES:
        return None
    found = names.server_id(token[:ROUTABLE_NAME_BYTES])
    if found is None and token[0] == _VERSION and len(token) > ROUTABLE_NAME_BYTES:
        return names.server_id(token[1 : 1 + ROUTABLE_NAME_BYTES])
    return found
