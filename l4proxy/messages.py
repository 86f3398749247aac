"""What the supervisor and a worker say to each other, as typed messages and as CBOR.

Down: `Publish`, `Listen`, `Stop`. Up: `Ready`, `Applied`, `Report`, `Log`. A message is a CBOR
array whose first element names its kind. The worker handles hostile bytes, so what comes up is
checked as if a stranger had sent it.
"""

from dataclasses import astuple, dataclass
from typing import cast

import cbor2

MAX_NUMBER = 2**63 - 1
"""The largest count, version or pid: a larger one is no float and, as a text, an error."""

MAX_LABEL_CHARACTERS = 512
"""Of a counter's name or label: three names of 63 and the slashes between them fit well."""


class MessageError(ValueError):
    """The other process sent something that is no message; its channel is not used any more."""


@dataclass(frozen=True, slots=True)
class Publish:
    """A whole snapshot, encoded by `l4proxy.snapshot`, that replaces the one before."""

    version: int
    document: bytes


@dataclass(frozen=True, slots=True)
class Listen:
    """Accept on these sockets; as many descriptors as names travel beside the message."""

    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Stop:
    """Stop accepting, finish what runs, end at the latest after `timeout` seconds."""

    timeout: float


@dataclass(frozen=True, slots=True)
class Ready:
    """The worker accepts connections."""

    pid: int


@dataclass(frozen=True, slots=True)
class Applied:
    """The worker decides by this version of the snapshot from now on."""

    version: int


@dataclass(frozen=True, slots=True)
class Report:
    """Counters since the worker's start: (metric name, label value, count)."""

    counters: tuple[tuple[str, str, int], ...]


@dataclass(frozen=True, slots=True)
class Log:
    """Whole lines of the access log, each with its newline."""

    lines: str


Message = Publish | Listen | Stop | Ready | Applied | Report | Log

_KINDS: dict[str, type[Message]] = {
    "publish": Publish,
    "listen": Listen,
    "stop": Stop,
    "ready": Ready,
    "applied": Applied,
    "report": Report,
    "log": Log,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


def encode(message: Message) -> bytes:
    """Encode a message as CBOR."""
    return cbor2.dumps([_NAMES[type(message)], *astuple(message)])


def decode(frame: bytes) -> Message:
    """Decode one frame.

    Raises:
        MessageError: It is not CBOR, not a known kind, or its fields have other shapes.
    """
    match _document(frame):
        case ["publish", int(version), bytes(snapshot)] if 0 <= version <= MAX_NUMBER:
            return Publish(version, snapshot)
        case ["listen", list(names)] if all(isinstance(name, str) for name in names):
            return Listen(tuple(cast("list[str]", names)))
        case ["stop", float(timeout)]:
            return Stop(timeout)
        case ["ready", int(pid)] if 0 <= pid <= MAX_NUMBER:
            return Ready(pid)
        case ["applied", int(version)] if 0 <= version <= MAX_NUMBER:
            return Applied(version)
        case ["log", str(lines)]:
            return Log(lines)
        case ["report", list(counters)]:
            return Report(tuple(_counter(row) for row in counters))
        case _:
            message = f"found a frame of {len(frame)} bytes, expected one of {', '.join(_KINDS)}"
            raise MessageError(message)


def _document(frame: bytes) -> object:
    try:
        return cast("object", cbor2.loads(frame))
    except (cbor2.CBORDecodeError, ValueError, RecursionError, OverflowError) as error:
        message = f"found a frame of {len(frame)} bytes that is not CBOR: {error}"
        raise MessageError(message) from error


def _counter(row: object) -> tuple[str, str, int]:
    match row:
        case [str(name), str(label), int(count)] if (
            0 <= count <= MAX_NUMBER and max(len(name), len(label)) <= MAX_LABEL_CHARACTERS
        ):
            return name, label, count
        case _:
            message = "found a counter of another shape or size, expected name, label, count"
            raise MessageError(message)
