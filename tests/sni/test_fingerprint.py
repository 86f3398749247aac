"""The promises of sni.fingerprint."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sni.client_hello import parse_client_hello
from sni.errors import MalformedHello
from sni.fingerprint import ja4
from tests.sni import hellos
from tests.sni.hellos import Extension, Hello, hello, u16, vector

# The worked example of JA4's public description.
EXAMPLE = "t13d1516h2_8daaf6152771_e5627efa2ab1"
GREASE = 0x3A3A
SUITES = [0x1301, 0x1302, 0x1303, 0xC02B, 0xC02F, 0xC02C, 0xC030, 0xCCA9, 0xCCA8, 0xC013, 0xC014]
SUITES += [0x009C, 0x009D, 0x002F, 0x0035]
ALGORITHMS = [0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0806, 0x0601]
EXTENSIONS: list[Extension] = [
    (GREASE, b""),
    hellos.server_name(b"app.example.com"),
    hellos.alpn(b"h2", b"http/1.1"),
    hellos.supported_versions(GREASE, 0x0304, 0x0303),
    hellos.ticket(),
    (hellos.SIGNATURE_ALGORITHMS, vector(2, u16(*ALGORITHMS))),
    *[(kind, b"") for kind in (5, 10, 11, 18, 21, 23, 27, 45, 51, 0x4469, 0xFF01)],
]


def _ja4(client: Hello) -> str:
    return ja4(parse_client_hello(client.message()))


@given(st.permutations(EXTENSIONS), st.permutations([GREASE, *SUITES]))
def test_the_worked_example(extensions: list[Extension], suites: list[int]) -> None:
    """The example of the description comes out, however the client shuffles."""
    assert _ja4(Hello(extensions, cipher_suites=u16(*suites))) == EXAMPLE


@pytest.mark.parametrize(
    ("version", "word"),
    [(0x0300, "s3"), (0x0301, "10"), (0x0302, "11"), (0x0303, "12"), (0x0304, "13"), (9, "00")],
)
def test_the_version_stands_first(version: int, word: str) -> None:
    """Without the extension the version of the hello itself counts."""
    assert _ja4(Hello(legacy_version=version)).startswith(f"t{word}i")


@pytest.mark.parametrize(
    ("protocol", "word"),
    [
        (b"h2", "h2"),
        (b"http/1.1", "h1"),
        (b"x", "xx"),
        (b"\x0ax", "08"),
        (b"h\xff", "6f"),
        (b".", "2e"),
    ],
)
def test_the_first_protocol_in_two_characters(protocol: bytes, word: str) -> None:
    """First and last character; of the hex form where they are no letters or digits."""
    assert _ja4(hello(hellos.alpn(protocol, b"other")))[8:10] == word


def test_a_bare_hello() -> None:
    """What is not there is written as zeros."""
    assert _ja4(Hello(cipher_suites=u16(GREASE))) == "t12i000000_000000000000_000000000000"


def test_counts_stop_at_99() -> None:
    """Two digits hold the counts."""
    many = [(0x8000 + kind, b"") for kind in range(120)]
    assert _ja4(Hello(many, cipher_suites=u16(*range(200)))).startswith("t12i999900_")


def test_broken_signature_algorithms_are_malformed() -> None:
    """What routing does not read is checked when it is read here."""
    with pytest.raises(MalformedHello):
        _ja4(hello((hellos.SIGNATURE_ALGORITHMS, b"\0\3abc")))
