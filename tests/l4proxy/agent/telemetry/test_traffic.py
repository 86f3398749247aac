"""Promises of `l4proxy.agent.telemetry.traffic`: what is counted, and what is not."""

import contextlib

import pytest

from l4proxy.agent.telemetry.traffic import Traffic


def test_open_sessions_are_counted() -> None:
    """Until each has ended, however it does."""
    traffic = Traffic()
    with traffic.session(), contextlib.suppress(OSError), traffic.session():
        assert traffic.sessions == 2
        raise OSError
    assert traffic.sessions == 0


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", 1),
        (b"DELETE /a?b=c HTTP/1.0\r\n\r\n", 1),
        (b"PRI * HTTP/2.0\r\n\r\n", 0),
        (b"", 0),
        (b"a body that has GET / HTTP/1.1\r\n within", 0),
        (b"GET  HTTP/1.1\r\n", 0),
        (b"get / HTTP/1.1\r\n", 0),
        (b"GET / HTTP/1.1", 0),
    ],
)
def test_requests_are_counted(data: bytes, count: int) -> None:
    """One of HTTP/1 with which a piece begins; bodies and other protocols are none."""
    traffic = Traffic()
    traffic.heard(data)
    assert traffic.requests == count
