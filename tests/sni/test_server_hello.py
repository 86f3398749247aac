"""The promises of sni.server_hello."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sni.errors import MalformedHello
from sni.server_hello import parse_server_hello
from tests.sni import answers
from tests.sni.answers import ACCEPTED, KEY_SHARE, TLS_1_3, server_hello

RESUMED = server_hello(TLS_1_3, KEY_SHARE, ACCEPTED, session_id=bytes(range(32)))


def test_the_version_of_tls_1_3_stands_in_its_extension() -> None:
    """A ServerHello that names a version in an extension means that one."""
    assert parse_server_hello(RESUMED) == (0x0304, bytes(range(32)), True, False)
    assert parse_server_hello(server_hello(TLS_1_3)) == (0x0304, b"", False, False)


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0303])
@pytest.mark.parametrize("extensions", [(), ((0xFF01, b"\0"), (35, b""))])
def test_older_versions_stand_in_front(
    version: int, extensions: tuple[tuple[int, bytes], ...]
) -> None:
    """Without that extension the version is the legacy one; there may be no extensions at all."""
    message = server_hello(*extensions, session_id=b"own", version=version)
    assert parse_server_hello(message) == (version, b"own", False, False)


def test_a_retry_is_known_by_its_random() -> None:
    """HelloRetryRequest is a ServerHello whose random is the hash of that word."""
    assert sha256(b"HelloRetryRequest").digest() == answers.RETRY
    assert parse_server_hello(server_hello(TLS_1_3, random=answers.RETRY)).retry


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        server_hello()[:-1],
        server_hello(session_id=bytes(33)),
        server_hello(session_id=bytes(4))[:-5],
        server_hello() + b"\0",
        server_hello(TLS_1_3) + b"\0",
        server_hello(TLS_1_3)[:-1],
        server_hello() + b"\0\x03\0\x2b\0",
        server_hello() + b"\0\x05\0\x2b\0\x02\x03",
        server_hello((43, b"\x03")),
        server_hello((43, b"\x03\x04\x05")),
        server_hello(TLS_1_3, (41, b"")),
    ],
)
def test_a_length_that_does_not_fit_is_refused(broken: bytes) -> None:
    """Nothing is read from a message whose parts do not fill it."""
    with pytest.raises(MalformedHello):
        parse_server_hello(broken)


@pytest.mark.parametrize("end", range(len(RESUMED)))
def test_no_prefix_is_a_hello(end: int) -> None:
    """A message that is cut short is refused, except where its extensions had not begun."""
    if end == len(server_hello(session_id=bytes(32))):
        assert parse_server_hello(RESUMED[:end]).version == 0x0303
        return
    with pytest.raises(MalformedHello):
        parse_server_hello(RESUMED[:end])


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(body: bytes) -> None:
    """Arbitrary bytes raise nothing but MalformedHello."""
    try:
        hello = parse_server_hello(answers.message(2, body))
    except MalformedHello:
        return
    assert hello.session_id in body
