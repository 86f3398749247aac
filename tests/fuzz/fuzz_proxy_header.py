"""Fuzz target: a PROXY header, of either version, and what follows it.

    python -m tests.fuzz.fuzz_proxy_header [CORPUS]        # needs Atheris

Whatever the bytes: they are read whole and byte by byte with the same answer, no byte behind the
header is lost, and what was read can be written and read again.
"""

from l4proxy.proxy_protocol import (
    HeaderEvent,
    HeaderReader,
    HeaderReceived,
    HeaderRejected,
    ProxyHeader,
    encode_v1,
    encode_v2,
)
from tests.fuzz.targets import fuzz


def check(data: bytes) -> None:
    """Hold the promises of the package for one input."""
    first = _read(data)
    second = _read(*[data[at : at + 1] for at in range(len(data))])
    if isinstance(first, HeaderRejected) and isinstance(second, HeaderRejected):
        assert first.error.reason is second.error.reason
    else:
        assert first == second
    if isinstance(first, HeaderReceived):
        assert data.endswith(first.rest)
        assert len(first.rest) < len(data)
        _write(first.header)


def _read(*chunks: bytes) -> HeaderEvent:
    reader = HeaderReader()
    for chunk in chunks:
        reader.receive_data(chunk)
    return reader.next_event()


def _write(header: ProxyHeader) -> None:
    """Hold that a header is the same once it has been written and read: nothing grows or fades."""
    wire = encode_v2(header)
    again = _read(wire)
    assert isinstance(again, HeaderReceived)
    assert again.rest == b""
    assert again.header.tlvs == header.tlvs
    assert encode_v2(again.header) == wire
    line = encode_v1(header)
    assert isinstance(_read(line), HeaderReceived)
    assert encode_v1(again.header) == line


if __name__ == "__main__":
    fuzz(check)
