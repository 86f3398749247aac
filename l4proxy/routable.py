"""Routable ticket names: a server id, encrypted into the sixteen bytes that a ticket begins with.

A name is one AES-128 block under a routing key: server id (4 bytes), format (2), zeros (6), nonce
(4), each big-endian. Whoever has the key reads from a hello which server issued its ticket, with no
table and no probe; to everybody else a name is sixteen random bytes. It opens no ticket.
"""

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES128
from cryptography.hazmat.primitives.ciphers.modes import ECB

from l4proxy.secret_file import BadSecretFile, read_secret
from routing import MAX_SERVER_ID, ROUTABLE_NAME_BYTES

KEY_BYTES = 16
"""Of a routing key: AES-128."""

NONCE_BYTES = 4
"""Of a name: what makes the names of one server differ."""

_ID_BYTES = 4
_FORMAT = b"\x00\x01"
# A random name passes by chance once in 2**64 times: 2**48 for the zeros, the rest for the format.
_CHECK = _FORMAT + bytes(6)
_NONCE_AT = _ID_BYTES + len(_CHECK)

_LINE = re.compile(rb"l4proxy-routing-key-1 ([0-9a-f]{32})\n?")


@dataclass(frozen=True, slots=True)
class RoutingKey:
    """What reads names and mints them; shared by balancers and control plane, never with enclaves.

    Attributes:
        secret: `KEY_BYTES` bytes; not shown by `repr`.

    Raises:
        ValueError: It has another length.

    """

    secret: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.secret) != KEY_BYTES:
            raise ValueError(f"routing key of {len(self.secret)} bytes, expected {KEY_BYTES}")

    @classmethod
    def fresh(cls) -> Self:
        """Return a new random key."""
        return cls(os.urandom(KEY_BYTES))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Return the key of a file that only its owner may read.

        Raises:
            BadSecretFile: Others may read it, or it is no routing key.
            OSError: It cannot be read.

        """
        found = _LINE.fullmatch(read_secret(path))
        if found is None:
            raise BadSecretFile(
                f"{path}: no routing key, expected one line "
                f"`l4proxy-routing-key-1 <{2 * KEY_BYTES} lower-case hex digits>`"
            )
        return cls(bytes.fromhex(found[1].decode("ascii")))

    def line(self) -> bytes:
        """Return what the key's file holds."""
        return f"l4proxy-routing-key-1 {self.secret.hex()}\n".encode("ascii")


def mint(key: RoutingKey, server_id: int, nonce: bytes) -> bytes:
    """Return the name of `ROUTABLE_NAME_BYTES` bytes that leads to a server.

    Args:
        key: A key that the balancers have.
        server_id: 0 to `MAX_SERVER_ID`.
        nonce: `NONCE_BYTES` random bytes; the same ones give the same name again.

    Raises:
        ValueError: The server id or the nonce is out of range.

    """
    if not 0 <= server_id <= MAX_SERVER_ID:
        raise ValueError(f"server id {server_id}, expected 0 to {MAX_SERVER_ID}")
    if len(nonce) != NONCE_BYTES:
        raise ValueError(f"nonce of {len(nonce)} bytes, expected {NONCE_BYTES}")
    plain = server_id.to_bytes(_ID_BYTES, "big") + _CHECK + nonce
    return _cipher(key).encryptor().update(plain)


class RoutingKeys:
    """The keys that are live at once, immutable: a name is read with each of them in turn.

    It satisfies `routing.RoutableNames`.

    Attributes:
        keys: In the order in which they are tried: the most used one first is cheapest.

    """

    __slots__ = ("_decryptions", "keys")

    def __init__(self, keys: Iterable[RoutingKey]) -> None:
        """Schedule each key once: a name then costs a block, not a key schedule."""
        self.keys = tuple(keys)
        # ECB keeps no state from one whole block to the next, so a decryptor is never used up.
        self._decryptions = tuple(_cipher(key).decryptor().update for key in self.keys)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RoutingKeys) and self.keys == other.keys

    def __hash__(self) -> int:
        return hash(self.keys)

    def server_id(self, name: bytes, /) -> int | None:
        """Return the server that a name leads to; None: it is no name under any of the keys."""
        # A part of a block would stay behind in the decryptors, and shift what is read next.
        if len(name) != ROUTABLE_NAME_BYTES:
            return None
        for decrypt in self._decryptions:
            block = decrypt(name)
            # Not in constant time: a name is no secret, and a forged one misleads its forger alone.
            if block[_ID_BYTES:_NONCE_AT] == _CHECK:
                return int.from_bytes(block[:_ID_BYTES], "big")
        return None


def _cipher(key: RoutingKey) -> Cipher[ECB]:
    # One block of sixteen bytes that no two names share is what ECB is safe for.
    return Cipher(AES128(key.secret), ECB())  # noqa: S305 - one block a name, as QUIC-LB has it
