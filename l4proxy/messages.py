"""What the supervisor and a worker say to each other, as typed messages and as CBOR.

Down: `Publish`, `Listen`, `Stop`. Up: `Ready`, `Applied`, `Report`, `Log`, `Unknown`. Both ways:
`Observed`. A message is a CBOR array whose first element names its kind. The worker handles hostile
bytes, so what comes up is checked as if a stranger had sent it.
"""

import math
from collections.abc import Callable
from dataclasses import astuple, dataclass
from typing import NoReturn, cast

import cbor2

from l4proxy.limits import LOG_BATCH_BYTES
from routing import BackendName, Observation, PoolName, TokenKey

MAX_NUMBER = 2**63 - 1
"""The largest count, version or pid: a larger one is no float and, as a text, an error."""

MAX_LABEL_CHARACTERS = 512
"""Of a counter's name or label: three names of 63 and the slashes between them fit well."""

MAX_LOG_CHARACTERS = 2 * LOG_BATCH_BYTES
"""Of the lines in one message: a batch leaves when a line has filled it, and a line is short."""

MAX_ROWS = 8_192
"""Counters in one report: twice what a worker puts into one."""

MAX_SOCKETS = 250
"""Listening sockets in one message: the kernel passes 253 descriptors at a time (SCM_MAX_FD)."""

MAX_OBSERVED = 1_024
"""Observed tokens in one message: some 200 KiB, well below the channel's frame bound."""

MAX_TOKEN_KEY_BYTES = 33
"""Of what stands for an observed token (`routing.key_of`)."""

MAX_NETWORK_BYTES = 128
"""Of a client's network: an IP prefix takes seven, the path of a unix socket 108."""

_MAX_DEPTH = 3
"""Arrays within arrays: a message, its counters, one of them."""


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


@dataclass(frozen=True, slots=True)
class Unknown:
    """A client waits: it offers a ticket whose name nobody in this pool is known to have."""

    pool: PoolName


@dataclass(frozen=True, slots=True)
class Observed:
    """Tokens that backends have shown in the clear; up from who saw them, down to the others."""

    rows: tuple[Observation, ...]


Message = Publish | Listen | Stop | Ready | Applied | Report | Log | Unknown | Observed

_KINDS: dict[str, type[Message]] = {
    "publish": Publish,
    "listen": Listen,
    "stop": Stop,
    "ready": Ready,
    "applied": Applied,
    "report": Report,
    "log": Log,
    "unknown": Unknown,
    "observed": Observed,
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
    document = _document(frame)
    message = _order(document) or _news(document)
    if message is None:
        kinds = ", ".join(_KINDS)
        found = f"found a frame of {len(frame)} bytes, expected one of {kinds}, within bounds"
        raise MessageError(found)
    return message


def _order(document: object) -> Message | None:
    """Return what only the supervisor says; None: it is something else."""
    match document:
        case ["publish", int(version), bytes(snapshot)] if 0 <= version <= MAX_NUMBER:
            return Publish(version, snapshot)
        case ["listen", list(names)] if len(names) <= MAX_SOCKETS and _are_texts(names):
            return Listen(tuple(cast("list[str]", names)))
        case ["stop", float(timeout)]:
            return Stop(timeout)
        case _:
            return None


def _news(document: object) -> Message | None:
    """Return what a worker may say; None: it is something else."""
    match document:
        case ["ready", int(pid)] if 0 <= pid <= MAX_NUMBER:
            return Ready(pid)
        case ["applied", int(version)] if 0 <= version <= MAX_NUMBER:
            return Applied(version)
        case ["log", str(lines)] if len(lines) <= MAX_LOG_CHARACTERS:
            return Log(lines)
        case ["report", list(counters)] if len(counters) <= MAX_ROWS:
            return Report(tuple(_counter(row) for row in counters))
        case ["unknown", str(pool)] if len(pool) <= MAX_LABEL_CHARACTERS:
            return Unknown(PoolName(pool))
        case ["observed", list(rows)] if len(rows) <= MAX_OBSERVED:
            return Observed(tuple(_observation(row) for row in rows))
        case _:
            return None


class _NoTags(dict[int, Callable[[object, bool], NoReturn]]):
    """Refuses every tag of CBOR, where built-in ones would make fractions, dates, references.

    A few bytes of them can ask for hours of arithmetic, and no message of ours has one.
    """

    def __missing__(self, tag: int) -> Callable[[object, bool], NoReturn]:
        raise ValueError(f"found tag {tag}, expected none")


_NO_TAGS = _NoTags()


def _document(frame: bytes) -> object:
    try:
        found = cbor2.loads(
            frame, semantic_decoders=_NO_TAGS, max_depth=_MAX_DEPTH, allow_indefinite=False
        )
        return cast("object", found)
    except (cbor2.CBORDecodeError, ValueError, RecursionError, OverflowError) as error:
        message = f"found a frame of {len(frame)} bytes that is not CBOR: {error}"
        raise MessageError(message) from error


def _are_texts(names: list[object]) -> bool:
    return all(isinstance(name, str) for name in names)


def _counter(row: object) -> tuple[str, str, int]:
    match row:
        case [str(name), str(label), int(count)] if (
            0 <= count <= MAX_NUMBER and max(len(name), len(label)) <= MAX_LABEL_CHARACTERS
        ):
            return name, label, count
        case _:
            message = "found a counter of another shape or size, expected name, label, count"
            raise MessageError(message)


def _observation(row: object) -> Observation:
    match row:
        case [str(pool), bytes(key), str(owner), bytes(network), float(seen_at)] if (
            max(len(pool), len(owner)) <= MAX_LABEL_CHARACTERS
            and len(key) <= MAX_TOKEN_KEY_BYTES
            and len(network) <= MAX_NETWORK_BYTES
            and 0.0 <= seen_at < math.inf
        ):
            return Observation(PoolName(pool), TokenKey(key), BackendName(owner), network, seen_at)
        case _:
            message = "found an observed token of another shape or size"
            raise MessageError(message)
