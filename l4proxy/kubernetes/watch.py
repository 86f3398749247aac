"""A watch on the wire: one JSON event a line, in chunks that end anywhere."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Final, NamedTuple

from l4proxy.kubernetes.errors import ApiError, ApiFault, refusal
from l4proxy.kubernetes.objects import Object, field, parse, text, whole

MAX_EVENT_BYTES: Final = 4 * 1024 * 1024
"""Of one event: etcd takes objects of 1.5 MiB, which in JSON may be twice as long."""


class EventKind(StrEnum):
    """What has become of an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"

    BOOKMARK = "BOOKMARK"
    """Nothing: its version alone tells from where a watch may go on."""


class Event(NamedTuple):
    """One line of a watch."""

    kind: EventKind
    object: Object


class Lines:
    """Puts lines together again."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        """Begin with nothing."""
        self._rest = bytearray()

    def receive(self, data: bytes) -> Iterator[bytes]:
        """Yield the lines that these bytes complete, without their ends; blank ones are none.

        Raises:
            ApiError: A line is too long.
        """
        # Looked for in what is new alone: a long line in small pieces costs no more than its bytes.
        end = data.rfind(b"\n")
        if end < 0:
            self._rest += data
        else:
            whole_lines = bytes(self._rest) + data[:end]
            self._rest[:] = data[end + 1 :]
            for line in whole_lines.split(b"\n"):
                _check(len(line))
                if line.strip():
                    yield line
        _check(len(self._rest))


def _check(length: int) -> None:
    if length > MAX_EVENT_BYTES:
        expected = f"at most {MAX_EVENT_BYTES} bytes"
        raise ApiError(ApiFault.TOO_LARGE, f"watch: found a longer event, expected {expected}")


def parse_event(line: bytes, what: str) -> Event:
    """Return the event of one line.

    Args:
        line: JSON.
        what: The question, for messages.

    Raises:
        ApiError: The event is an error, which ends the watch, or is no event.
    """
    found = parse(line)
    kind, about = text(found, "type"), field(found, "object")
    if kind == "ERROR":
        raise refusal(what, whole(about, "code") or 0, about)
    if kind not in _KINDS or not isinstance(about, dict):
        raise ApiError(ApiFault.MALFORMED, f"{what}: found a line that is no event of a watch")
    return Event(EventKind(kind), about)


_KINDS: Final = frozenset(kind.value for kind in EventKind)
