"""The promises of sni.client_hello."""

import ssl
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sni.client_hello import MAX_REMEMBERED_NAMES, ClientHello, parse_client_hello
from sni.errors import AmbiguousHello, BadServerName, HelloError, MalformedHello, UnexpectedMessage
from sni.pre_shared_key import PskIdentity
from tests.sni import hellos
from tests.sni.hellos import Extension, Hello, hello, vector

NAME = hellos.server_name(b"app.example.com")
PSK = hellos.pre_shared_key((b"x", 0))


def _said(read: ClientHello) -> dict[str, object]:
    return {
        "legacy_version": read.legacy_version,
        "supported_versions": read.supported_versions,
        "session_id": read.session_id,
        "server_name": read.server_name,
        "alpn": read.alpn,
        "ticket": read.ticket,
        "psk_identities": read.psk_identities,
        "early_data": read.early_data,
        "ech": read.ech,
        "message": read.message,
    }


def test_every_field_is_read() -> None:
    """What a resuming client says comes out as it was said."""
    message = hellos.resuming(b"App.Example.com.").message()
    assert _said(parse_client_hello(message)) == {
        "legacy_version": 0x0303,
        "supported_versions": (0x4A4A, 0x0304, 0x0303),
        "session_id": bytes(range(32)),
        "server_name": "app.example.com",
        "alpn": (b"h2", b"http/1.1"),
        "ticket": b"",
        "psk_identities": (
            PskIdentity(b"first ticket" * 9, 1),
            PskIdentity(b"second", 0xFFFF_FFFF),
        ),
        "early_data": True,
        "ech": True,
        "message": message,
    }


@pytest.mark.parametrize("extensions", [None, (), ((0x0A0A, b""), (0xFFFF, b"unknown"))])
def test_what_is_absent_is_absent(extensions: tuple[Extension, ...] | None) -> None:
    """A hello without the extensions, or without any, offers and names nothing."""
    message = Hello(extensions).message()
    assert _said(parse_client_hello(message)) == {
        "legacy_version": 0x0303,
        "supported_versions": (),
        "session_id": b"",
        "server_name": None,
        "alpn": (),
        "ticket": None,
        "psk_identities": (),
        "early_data": False,
        "ech": False,
        "message": message,
    }


def test_an_imagined_hello_says_no_more_than_it_was_given() -> None:
    """What is not named is absent, as in a hello without extensions."""
    message = Hello().message()
    imagined = ClientHello(None)
    assert _said(imagined) | {"message": message} == _said(parse_client_hello(message))


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0303, 0x0304, 0x0400, 0x7F1C])
def test_the_version_is_left_to_the_backend(version: int) -> None:
    """No version is refused here: the TLS server that answers knows what it speaks."""
    assert parse_client_hello(Hello(legacy_version=version).message()).legacy_version == version


@pytest.mark.parametrize("newest", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_a_real_client_is_understood(newest: ssl.TLSVersion) -> None:
    """Python's own TLS client is read: name, protocols, versions."""
    wire = hellos.python_hello("App.example.com", ["h2", "http/1.1"], newest)
    read = parse_client_hello(wire[5:])
    assert read.server_name == "app.example.com"
    assert read.alpn == (b"h2", b"http/1.1")
    assert read.legacy_version == 0x0303
    assert (0x0304 in read.supported_versions) is (newest == ssl.TLSVersion.TLSv1_3)
    assert read.ticket == b""


def test_a_real_client_may_name_no_host() -> None:
    """A hello without the extension has no server name."""
    assert parse_client_hello(hellos.python_hello(None)[5:]).server_name is None


def test_every_shorter_message_is_refused() -> None:
    """Cut anywhere, a hello is malformed."""
    message = hellos.resuming().message()
    for end in range(len(message)):
        with pytest.raises(MalformedHello):
            parse_client_hello(message[:end])


def test_every_shorter_message_with_a_fitting_header_is_refused() -> None:
    """Cut anywhere, a hello is malformed, unless it ends where its extensions would begin."""
    message = hellos.resuming().message()
    bare = len(replace(hellos.resuming(), extensions=None).message())
    for end in set(range(4, len(message))) - {bare}:
        with pytest.raises(MalformedHello):
            parse_client_hello(b"\x01" + vector(3, message[4:end]))


def test_extra_bytes_are_refused() -> None:
    """A byte behind the extensions has no place, counted or not."""
    message = hellos.resuming().message()
    size = len(message) - 4
    for head in (message[:4], b"\x01" + (size + 1).to_bytes(3, "big")):
        with pytest.raises(MalformedHello):
            parse_client_hello(head + message[4:] + b"\0")


@pytest.mark.parametrize(
    "broken",
    [
        Hello(session_id=bytes(33)),
        Hello(cipher_suites=b""),
        Hello(cipher_suites=b"\x13"),
        Hello(cipher_suites=b"\x13\x01\xc0"),
        Hello(compression_methods=b""),
        hello((0, b"")),
        hello(PSK, NAME),
        hello((41, b"")),
        hello((42, b"\0")),
        hello((16, b"")),
        hello((16, vector(2, b""))),
        hello((16, vector(2, vector(1, b"")) + b"")),
        hello(hellos.alpn(b"h2", b"")),
        hello((16, vector(2, b"\x03h2"))),
        hello((16, vector(2, b"\x02h2\x01"))),
        hello((16, vector(2, b"\x02h2") + b"\0")),
        hello((43, b"")),
        hello((43, b"\0")),
        hello((43, b"\x02\x03")),
        hello((43, b"\x03\x03\x04\x03")),
        hello((43, b"\x02\x03\x04\x03")),
        hello((0xFE0D, b"")),
        hello((0xFE0D, b"\x01\0")),
        hello((0xFE0D, b"\x02" + hellos.ech()[1][1:])),
        hello((0xFE0D, hellos.ech(b"")[1])),
        hello((0xFE0D, hellos.ech()[1][:-1])),
        hello((0xFE0D, hellos.ech()[1] + b"\0")),
        hello((0xFE0D, b"\0\0\x01\0\x01\x2a\xff\xff")),
        hello((0xFE0D, b"\0\0\x01\0\x01\x2a\0")),
    ],
)
def test_what_an_rfc_forbids_is_malformed(broken: Hello) -> None:
    """Each field that is read, and all framing, is held to its definition."""
    with pytest.raises(MalformedHello):
        parse_client_hello(broken.message())


def test_an_inner_ech_is_known() -> None:
    """The one byte that a client-facing server sends on counts as ECH."""
    assert parse_client_hello(hello((0xFE0D, b"\x01")).message()).ech


@pytest.mark.parametrize("kind", [0, 16, 35, 43, 0x0A0A, 0x4321])
def test_no_extension_occurs_twice(kind: int) -> None:
    """Two extensions of one type are ambiguous, whether their type is known or not."""
    known = dict([NAME, hellos.alpn(b"h2"), hellos.ticket(), hellos.supported_versions(0x0304)])
    twice = (kind, known.get(kind, b""))
    with pytest.raises(AmbiguousHello):
        parse_client_hello(hello(twice, (0xFF01, b"\0"), twice).message())


@pytest.mark.parametrize("kind", [0, 2, 4, 11, 255])
def test_only_a_client_hello_is_read(kind: int) -> None:
    """Another handshake message is unexpected."""
    message = bytes([kind]) + Hello().message()[1:]
    with pytest.raises(UnexpectedMessage):
        parse_client_hello(message)


def _lengths(message: bytes) -> list[int]:
    """Where the length fields lie: header, session id, ciphers, compression, extensions, each."""
    places = [3, 38]
    at = 39 + message[38]
    places.append(at + 1)
    at += 2 + int.from_bytes(message[at : at + 2], "big")
    places.append(at)
    at += 1 + message[at]
    places.append(at + 1)
    at += 2
    while at < len(message):
        places.append(at + 3)
        at += 4 + int.from_bytes(message[at + 2 : at + 4], "big")
    return places


MESSAGE = hellos.resuming().message()


@pytest.mark.parametrize("at", _lengths(MESSAGE))
@pytest.mark.parametrize("by", [-4, -2, -1, 1, 2, 4])
def test_a_length_that_is_off_never_gives_another_name(at: int, by: int) -> None:
    """With a length off by a little a hello is refused, or names that host or none."""
    changed = bytearray(MESSAGE)
    changed[at] = (changed[at] + by) % 256
    try:
        name = parse_client_hello(bytes(changed)).server_name
    except HelloError:
        return
    assert name in {None, "app.example.com"}


@given(st.integers(0, len(MESSAGE) - 1), st.integers(0, 255))
def test_a_changed_byte_never_gives_a_name_that_is_not_there(at: int, value: int) -> None:
    """With any byte changed the hello is refused or its name stands in its bytes."""
    changed = bytearray(MESSAGE)
    changed[at] = value
    try:
        name = parse_client_hello(bytes(changed)).server_name
    except HelloError:
        return
    assert name is None or name.encode() in bytes(changed).lower()


@given(st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(data: bytes) -> None:
    """Arbitrary bytes behind a fitting header raise nothing but a HelloError."""
    for message in (data, b"\x01" + vector(3, data)):
        try:
            parse_client_hello(message)
        except HelloError:
            continue


EXTENSIONS = st.lists(
    st.tuples(st.sampled_from([0, 16, 35, 41, 42, 43, 0xFE0D, 51]), st.binary(max_size=60)),
    max_size=4,
)


@given(EXTENSIONS)
def test_any_extensions_are_read_or_refused(extensions: list[Extension]) -> None:
    """Arbitrary bodies in sound framing raise nothing but a HelloError."""
    try:
        parse_client_hello(Hello(extensions).message())
    except HelloError:
        return


@given(st.permutations([NAME, hellos.alpn(b"h2"), hellos.ticket(b"t"), hellos.ech(), (51, b"")]))
def test_the_order_of_extensions_does_not_count(extensions: list[Extension]) -> None:
    """Clients shuffle their extensions; the hello says the same."""
    shuffled = parse_client_hello(replace(hello(), extensions=extensions).message())
    plain = parse_client_hello(
        hello(NAME, hellos.alpn(b"h2"), hellos.ticket(b"t"), hellos.ech()).message()
    )
    assert _said(shuffled) == _said(plain) | {"message": shuffled.message}
    assert shuffled != plain


@pytest.mark.parametrize(("count", "remembered"), [(1, True), (2, True), (22, False), (999, False)])
def test_only_short_lists_of_protocols_are_remembered(count: int, remembered: bool) -> None:
    """A short list that comes again is not parsed again; a long one is not kept for others."""
    message = hello(hellos.alpn(*[b"h%d" % (n % 10) for n in range(count)])).message()
    first, second = (parse_client_hello(message).alpn for _ in range(2))
    assert first == second
    assert len(first) == count
    assert (first is second) is remembered


def _name(raw: bytes) -> object:
    return parse_client_hello(hello(hellos.server_name(raw)).message()).server_name


def test_names_are_remembered_up_to_a_bound() -> None:
    """A name that comes again is not parsed again; names without end do not grow the memory."""
    first = _name(b"app.example.com")
    assert _name(b"app.example.com") is first
    for number in range(MAX_REMEMBERED_NAMES):
        _name(b"app-%d.example" % number)
    again = _name(b"app.example.com")
    assert again == first
    assert again is not first


def test_an_address_is_remembered_as_no_name() -> None:
    """That a client names no host is said each time, parsed or remembered."""
    assert [_name(b"192.0.2.1") for _ in range(2)] == [None, None]


@pytest.mark.parametrize("raw", [b"a" * 64, b"not a name"])
def test_what_is_no_name_is_not_remembered(raw: bytes) -> None:
    """A refusal is the same each time, and the bytes of a stranger take no room from names."""
    name = _name(b"app.example.com")
    for number in range(MAX_REMEMBERED_NAMES + 1):
        with pytest.raises(BadServerName):
            _name(raw + b"%d" % number)
    assert _name(b"app.example.com") is name


def test_hellos_that_say_the_same_are_equal() -> None:
    """Read twice, a hello is the same value; one that differs in a byte is another."""
    one, two = (parse_client_hello(MESSAGE) for _ in range(2))
    assert one == two
    assert {one: 1}[two] == 1
    assert one != parse_client_hello(hellos.resuming(b"b.example").message())
    assert one != MESSAGE
