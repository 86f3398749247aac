"""The promises of sni.server_name."""

import copy
import pickle

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sni.errors import AmbiguousHello, BadServerName, HelloError, MalformedHello
from sni.server_name import (
    MAX_NAME_LENGTH,
    ServerName,
    read_server_name,
)
from tests.sni.hellos import host_name, server_name, vector

LONGEST = b".".join([b"a" * 63] * 3 + [b"a" * 61])

NAMES = [
    (b"app.example.com", "app.example.com"),
    (b"APP.Example.COM", "app.example.com"),
    (b"app.example.com.", "app.example.com"),
    (b"localhost", "localhost"),
    (b"_sip.example.com", "_sip.example.com"),
    (b"xn--bcher-kva.example", "xn--bcher-kva.example"),
    (b"r3---sn-4g5e.example", "r3---sn-4g5e.example"),
    (b"10.example.com", "10.example.com"),
    (b"app.10", "app.10"),
    (b"1.2.3.256", "1.2.3.256"),
    (b"a" * 63, "a" * 63),
    (LONGEST, LONGEST.decode()),
    (LONGEST + b".", LONGEST.decode()),
]

NO_NAMES = [
    b"",
    b".",
    b"..",
    b".example.com",
    b"app..com",
    b"app.example.com..",
    b"a" * 64,
    b"a" * 64 + b".com",
    LONGEST + b"a",
    b"a" * 65_000,
    b"app\0.example.com",
    b"app.example.com\n",
    b"app.example.com ",
    b"app example.com",
    b"a/b",
    b"a:443",
    b"server4:443",
    b"a%00",
    b"a,b",
    b"*.example.com",
    b"a@b",
    b"b\xc3\xbccher.example",
    b"\xff",
    b"fe80::1%eth0",
    b"[::1]",
    b"::1::",
]

ADDRESSES = [b"192.0.2.1", b"192.0.2.1.", b"0.0.0.0", b"255.255.255.255"]
ADDRESSES_6 = [b"2001:db8::1", b"::", b"fe80::a", b"::ffff:192.0.2.1", b"2001:DB8::F"]


@pytest.mark.parametrize(("raw", "name"), NAMES)
def test_names_have_one_spelling(raw: bytes, name: str) -> None:
    """Case and one trailing dot do not count; all else stays as it is."""
    assert ServerName.parse(raw) == name
    assert ServerName.parse(raw.decode()) == name
    assert read_server_name(server_name(raw)[1]) == name


@pytest.mark.parametrize("raw", NO_NAMES)
def test_what_cannot_be_a_name_is_refused(raw: bytes) -> None:
    """Nothing but letters, digits, hyphens, underscores and dots in the right places is a name."""
    with pytest.raises(BadServerName):
        ServerName.parse(raw)
    with pytest.raises(BadServerName):
        ServerName.parse(raw.decode("latin-1"))


@pytest.mark.parametrize("raw", [raw for raw in NO_NAMES if raw])
def test_a_hello_with_a_bad_name_is_refused(raw: bytes) -> None:
    """A name that cannot be one is never taken for no name at all."""
    with pytest.raises(BadServerName):
        read_server_name(vector(2, host_name(raw)))


@pytest.mark.parametrize("raw", ADDRESSES + ADDRESSES_6)
def test_an_address_is_no_name(raw: bytes) -> None:
    """An IP address in a hello names no host; as a name of the configuration it is refused."""
    assert read_server_name(server_name(raw)[1]) is None
    with pytest.raises(BadServerName):
        ServerName.parse(raw)


def test_only_ascii_is_folded() -> None:
    """A letter outside ASCII never becomes one inside (the Kelvin sign is no k)."""
    with pytest.raises(BadServerName):
        ServerName.parse("\N{KELVIN SIGN}.example")


@given(st.text(max_size=300) | st.binary(max_size=300))
def test_parsing_makes_a_name_or_refuses(text: str | bytes) -> None:
    """Whatever comes in, what comes out is in the one spelling, and is its own name."""
    try:
        name = ServerName.parse(text)
    except BadServerName as error:
        assert str(error).replace("…", "").isascii()  # noqa: PT017 - both outcomes are the promise
        return
    assert name == name.lower()
    assert 0 < len(name) <= MAX_NAME_LENGTH
    assert ServerName.parse(name) == name
    assert name.isascii()


def test_every_way_to_a_name_parses() -> None:
    """Constructing, copying and unpickling go through the parser."""
    name = ServerName("App.Example.COM.")
    assert name == "app.example.com"
    assert copy.deepcopy(name) == name
    assert pickle.loads(pickle.dumps(name)) == name  # noqa: S301 - our own bytes
    assert isinstance(copy.copy(name), ServerName)
    with pytest.raises(BadServerName):
        ServerName("a b")


@pytest.mark.parametrize(
    "entries",
    [
        host_name(b"a.example") * 2,
        host_name(b"a.example") + host_name(b"b.example"),
        host_name(b"a.example") + host_name(b"x", name_type=1),
        host_name(b"x", name_type=1) + host_name(b"a.example"),
        host_name(b"a.example", name_type=7),
        host_name(b"a.example") + host_name(b"10.0.0.1"),
    ],
)
def test_one_name_or_none_is_chosen(entries: bytes) -> None:
    """Where TLS stacks would read different names, none is read."""
    with pytest.raises(AmbiguousHello):
        read_server_name(vector(2, entries))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\0",
        b"\0\0",
        b"\0\0\0",
        vector(2, host_name(b"")),
        vector(2, host_name(b"a.example")) + b"\0",
        vector(2, host_name(b"a.example") + b"\0"),
        vector(2, b"\0" + (0xFFFF).to_bytes(2, "big") + b"a.example"),
        vector(2, b"\0" + (8).to_bytes(2, "big") + b"a.example"),
        vector(2, b"\0" + (10).to_bytes(2, "big") + b"a.example"),
        (0xFFFF).to_bytes(2, "big") + host_name(b"a.example"),
        (11).to_bytes(2, "big") + host_name(b"a.example"),
        (13).to_bytes(2, "big") + host_name(b"a.example"),
    ],
)
def test_lengths_fit(body: bytes) -> None:
    """A length that does not fit, by one or by many, is refused."""
    with pytest.raises(MalformedHello):
        read_server_name(body)


@given(st.binary(max_size=64))
def test_any_body_is_read_or_refused(body: bytes) -> None:
    """Arbitrary bytes raise nothing but what is documented, and only one shape gives a name."""
    try:
        name = read_server_name(body)
    except HelloError:
        return
    raw = body[5:]
    assert body == server_name(raw)[1]
    assert name is None or name == ServerName.parse(raw)
