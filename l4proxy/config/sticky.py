"""What the configuration says of sessions: what holds a client to its enclave, and for how long."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, ClassVar, Final

from pydantic import Field

from l4proxy.config.mistakes import expected
from l4proxy.config.names import read_backend_name
from l4proxy.config.paths import parse_file_path
from l4proxy.config.scalars import OFF, Scalar, Word, duration, or_word, parsed, truth
from l4proxy.config.section import Section
from routing import BackendName

MAX_ROUTING_KEYS: Final = 8
"""Routing keys of one pool: old, current and next are three; each costs every offered ticket."""

MAX_EXTERNAL_PSKS: Final = 10_000
"""External identities of one pool: each is a line of the file, and travels in each snapshot."""

MAX_IDENTITY_BYTES: Final = 1_024
"""Bytes of an external identity: a label that somebody chose, far under what a hello could hold."""

_HASH: Final = Word("hash")
_HEX: Final = "hex:"


@dataclass(frozen=True, slots=True)
class ExternalPskSettings:
    """Where clients with a pre-shared key of their own go.

    Attributes:
        hashed: Whether an identity that nobody issued chooses by its hash.
        backends: Identities that belong to one backend each.
    """

    hashed: bool = False
    backends: Mapping[bytes, BackendName] = field(default_factory=dict)


def read_identity(found: object) -> bytes:
    """Return the bytes of an external identity: a text as UTF-8, or `hex:` and its digits.

    Raises:
        BadValueError: it is empty, too long, or no hexadecimal.
    """
    what = f"an identity of 1 to {MAX_IDENTITY_BYTES} bytes: a text, or {_HEX} and its digits"
    if not isinstance(found, str):
        raise expected(found, what)
    try:
        identity = bytes.fromhex(found[len(_HEX) :]) if found.startswith(_HEX) else found.encode()
    except ValueError:
        raise expected(found, what) from None
    if not 1 <= len(identity) <= MAX_IDENTITY_BYTES:
        raise expected(found, what)
    return identity


def _read_psks(found: object) -> ExternalPskSettings:
    if found == _HASH:
        return ExternalPskSettings(hashed=True)
    if found is False or found == OFF:
        return ExternalPskSettings()
    if not isinstance(found, dict) or not 1 <= len(found) <= MAX_EXTERNAL_PSKS:
        raise expected(found, f"off, {_HASH}, or a mapping from identities to backends")
    read = {read_identity(key): read_backend_name(value) for key, value in found.items()}
    return ExternalPskSettings(backends=read)


def _write_psks(psks: ExternalPskSettings) -> object:
    if psks.hashed:
        return _HASH
    return {f"{_HEX}{key.hex()}": str(value) for key, value in psks.backends.items()} or OFF


_psks: Final = Scalar(
    _read_psks,
    _write_psks,
    {
        "anyOf": [
            {"enum": [OFF, False, _HASH]},
            {"type": "object", "additionalProperties": {"type": "string"}},
        ]
    },
)


drain_timeout: Final = or_word(OFF, duration("1s", "168h"))

KeyFile = Annotated[Path, parsed(parse_file_path, str, "/etc/l4proxy/routing.key")]


class StickySettings(Section):
    """What holds a client to the backend that has its session."""

    expects: ClassVar[str] = "a mapping {tickets, session_ids, reservation, …}, or off"

    tickets: Annotated[bool, truth()] = True
    """Whether backends are asked for tickets, to learn the names that theirs begin with."""

    session_ids: Annotated[bool, truth()] = True
    """Whether session ids and tickets are remembered that TLS 1.2 backends show in the clear."""

    reservation: Annotated[float | None, or_word(OFF, duration("1s", "10m"))] = 10.0
    """How long a client's next connections follow the one that began its session; or off."""

    routable_keys: Annotated[tuple[KeyFile, ...], Field(max_length=MAX_ROUTING_KEYS)] = ()
    """Files of routing keys, all of which open ticket names: old, current, next."""

    external_psks: Annotated[ExternalPskSettings, _psks] = ExternalPskSettings()
    """Where pre-shared keys of clients' own lead: off, hash, or a mapping identity: backend."""


class SessionSettings(Section):
    """What a session is: connections of one client, with no longer pause than this."""

    expects: ClassVar[str] = "a mapping {idle}"

    idle: Annotated[float, duration("1s", "24h")] = 600.0
    """How long a session lasts once its last connection has ended."""


class DrainSettings(Section):
    """How a backend that is drained lets go."""

    expects: ClassVar[str] = "a mapping {timeout}"

    timeout: Annotated[float | None, drain_timeout] = 3600.0
    """How long its sessions may stay; then what is left is closed, gradually. Or off: for ever."""
