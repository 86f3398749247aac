"""The messages of KEDA's external scaler, as bytes: protocol buffers, version 3.

Eight flat messages of `externalscaler.proto`, of which two are read and three written here. The
service has no other; so reading them takes less than what would have to be installed for it.
"""

import struct
from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

SERVICE: Final = "externalscaler.ExternalScaler"
"""The name of the service (KEDA, `externalscaler.proto`)."""

MAX_VARINT_BYTES: Final = 10
"""Bytes of a number on the wire: 64 bits, seven a byte (protocol buffers, encoding)."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MASK: Final = 2**64 - 1


class BadMessage(ValueError):
    """The bytes are no message of this kind."""


class Reference(NamedTuple):
    """Who asks: a ScaledObject.

    Attributes:
        name: Of the object.
        namespace: Of the object.
        metadata: Of its trigger: all that stands there.

    """

    name: str
    namespace: str
    metadata: Mapping[str, str]


def read_reference(message: bytes) -> Reference:
    """Return a ScaledObjectRef.

    Raises:
        BadMessage: The bytes are none.

    """
    texts = {1: "", 2: ""}
    metadata: dict[str, str] = {}
    for number, value in _fields(message):
        if number in texts:
            texts[number] = _text(value)
        elif number == 3:  # noqa: PLR2004 - scalerMetadata
            entry = {1: "", 2: ""}
            entry.update((key, _text(part)) for key, part in _fields(value) if key in entry)
            metadata[entry[1]] = entry[2]
    return Reference(texts[1], texts[2], metadata)


def read_metrics_request(message: bytes) -> Reference:
    """Return who asks, of a GetMetricsRequest; there is one metric, so its name says nothing.

    Raises:
        BadMessage: The bytes are none.

    """
    # A message that comes in parts is their concatenation.
    return read_reference(b"".join(value for number, value in _fields(message) if number == 1))


def is_active_response(*, active: bool) -> bytes:
    """Return an IsActiveResponse."""
    return _number(1, int(active))


def metric_spec_response(metric: str, target: int) -> bytes:
    """Return a GetMetricSpecResponse with one metric and its target a replica."""
    return _nested(1, _measured(metric, target))


def metrics_response(metric: str, value: int) -> bytes:
    """Return a GetMetricsResponse with the value of one metric."""
    return _nested(1, _measured(metric, value))


def _measured(metric: str, value: int) -> bytes:
    """Return a MetricSpec, or a MetricValue: both have a name, a whole number and the same."""
    # KEDA before 2.17 reads only the whole number.
    double = _varint(3 << 3 | _FIXED64) + struct.pack("<d", value)
    return _nested(1, metric.encode()) + _number(2, value) + double


def _nested(number: int, value: bytes) -> bytes:
    return _varint(number << 3 | _BYTES) + _varint(len(value)) + value


def _number(number: int, value: int) -> bytes:
    return _varint(number << 3 | _VARINT) + _varint(value) if value else b""


def _varint(value: int) -> bytes:
    written = bytearray()
    while value > 0x7F:  # noqa: PLR2004 - seven bits a byte
        written.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*written, value))


def _fields(message: bytes) -> Iterator[tuple[int, bytes]]:
    """Yield the fields that have bytes as their value, with their numbers; pass over the others.

    Raises:
        BadMessage: It ends within a field, or has one of no known kind.

    """
    at = 0
    while at < len(message):
        tag, at = _read_varint(message, at)
        number, kind = tag >> 3, tag & 7
        if number == 0:
            raise BadMessage("found the field 0, expected 1 or more")
        end = _end(message, at, kind)
        if kind == _BYTES:
            size, at = _read_varint(message, at)
            end = at + size
        if end > len(message):
            raise BadMessage("found its end within a field, expected the field whole")
        if kind == _BYTES:
            yield number, message[at:end]
        at = end


def _end(message: bytes, at: int, kind: int) -> int:
    """Return where a value of a fixed kind ends."""
    if kind == _VARINT:
        return _read_varint(message, at)[1]
    if kind in {_FIXED64, _FIXED32}:
        return at + (8 if kind == _FIXED64 else 4)
    if kind == _BYTES:
        return at
    raise BadMessage(f"found a field of the kind {kind}, expected 0, 1, 2 or 5")


def _read_varint(message: bytes, at: int) -> tuple[int, int]:
    """Return a number, and where it ends."""
    value = 0
    for place, byte in enumerate(message[at : at + MAX_VARINT_BYTES]):
        value |= (byte & 0x7F) << 7 * place
        if byte < 0x80:  # noqa: PLR2004 - the last byte has no high bit
            return value & _MASK, at + place + 1
    raise BadMessage("found a number without its end, expected at most ten bytes")


def _text(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        raise BadMessage("found a text that is no UTF-8") from None
