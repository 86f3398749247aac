"""Revocations: what is refuted whatever its evidence says, named in one word each.

key:HEX           a TLS key, by the SHA-256 of its SubjectPublicKeyInfo, as status shows it
measurement:HEX   what a TEE has measured, in any of its registers
chip:HEX          a processor or instance, as its evidence names it
"""

import re
from enum import StrEnum
from typing import Final, NamedTuple

KEY_BYTES: Final = 32
"""Bytes that name a key: SHA-256."""

MAX_VALUE_BYTES: Final = 128
"""Bytes of what is revoked: the chip id of SEV-SNP has 64, no measurement has more."""

MIN_VALUE_BYTES: Final = 4
"""Bytes at least: a shorter value is a mistake, not a name."""

_TEXT: Final = re.compile(r"(key|measurement|chip):((?:[0-9a-f]{2})+)", re.ASCII | re.IGNORECASE)


class Revoked(StrEnum):
    """What is revoked; the values are the words before the colon."""

    KEY = "key"
    MEASUREMENT = "measurement"
    CHIP = "chip"


class Revocation(NamedTuple):
    """One thing that is refuted.

    Attributes:
        kind: What it is.
        value: Its name, raw bytes.
    """

    kind: Revoked
    value: bytes

    def __str__(self) -> str:
        return f"{self.kind}:{self.value.hex()}"


class BadRevocation(ValueError):
    """A text names nothing that can be revoked; the message says what was expected."""


def parse_revocation(text: str) -> Revocation:
    """Return what a text revokes.

    Raises:
        BadRevocation: It is none of the three forms. Zeros are refused: an unset register holds
            them, so they would refute everybody.
    """
    found = _TEXT.fullmatch(text)
    value = bytes.fromhex(found[2]) if found else b""
    kind = Revoked(found[1].lower()) if found else None
    if kind is None or not MIN_VALUE_BYTES <= len(value) <= MAX_VALUE_BYTES:
        raise _expected(text, f"{MIN_VALUE_BYTES} to {MAX_VALUE_BYTES} bytes as hexadecimal digits")
    if kind is Revoked.KEY and len(value) != KEY_BYTES:
        raise _expected(text, f"{2 * KEY_BYTES} digits for a key: the SHA-256 that status shows")
    if not any(value):
        raise _expected(text, "a value that is not zeros, which unset registers hold")
    return Revocation(kind, value)


def _expected(text: str, what: str) -> BadRevocation:
    forms = "key:HEX, measurement:HEX or chip:HEX"
    return BadRevocation(f"found {text[:60]!a}, expected {forms}; {what}")
