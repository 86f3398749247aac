"""Addresses: IP literals with ports, and what each place takes of them."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from l4proxy.config.addresses import (
    parse_admin_address,
    parse_backend_address,
    parse_listener_address,
    parse_network,
    parse_resolver,
    parse_source,
)
from l4proxy.config.mistakes import BadValueError
from routing import Address

PARSERS = [parse_listener_address, parse_admin_address, parse_backend_address, parse_resolver]
BARE = [parse_resolver, parse_source, parse_network]


@pytest.mark.parametrize(
    ("text", "host", "port"),
    [
        ("192.0.2.1:8443", "192.0.2.1", 8443),
        ("[::]:443", "::", 443),
        ("[2001:DB8:0::1]:65535", "2001:db8::1", 65535),
        ("127.0.0.1:0", "127.0.0.1", 0),
        ("localhost:80", "127.0.0.1", 80),
        ("LOCALHOST:80", "127.0.0.1", 80),
        ("[::ffff:127.0.0.1]:80", "127.0.0.1", 80),
    ],
)
def test_listeners_bind_ip_addresses(text: str, host: str, port: int) -> None:
    """Each address has one spelling; localhost is 127.0.0.1, port 0 is left to the kernel."""
    assert parse_listener_address(text) == Address(host, port)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("8443", "the port is a number"),
        (8443, "found 8443, expected host:port"),
        ("10.0.0.1", "the port is a number"),
        ("0.0.0.0:", "the port is a number"),
        ("0.0.0.0:65536", "up to 65535"),
        ("0.0.0.0:08443", "the port is a number"),
        ("0.0.0.0:-1", "the port is a number"),
        ("0.0.0.0:٣", "the port is a number"),
        (":8443", "every IPv4 address is 0.0.0.0:8443, every IPv6 address is [::]:8443"),
        ("*:8443", "every IPv4 address is 0.0.0.0:8443"),
        ("::1:8443", "an IPv6 address stands in brackets"),
        ("[::1:8443", "an IPv6 address stands in brackets"),
        ("[127.0.0.1]:8443", "an IPv6 address stands in brackets"),
        ("[fe80::1%eth0]:8443", "the host is an IP address"),
        ("010.0.0.1:8443", "the host is an IP address"),
        ("example.com:8443", "the host is an IP address or localhost"),
        ("224.0.0.1:8443", "the host is an IP address"),
        ("unix:/run/l4proxy.sock", "a unix: listener is not in this version"),
        ("systemd:l4proxy", "a systemd: listener is not in this version"),
        ("vsock:any:8443", "a vsock: listener is not in this version"),
        ((), "found a list"),
    ],
)
def test_listeners_bind_nothing_else(text: object, said: str) -> None:
    """Every other text is refused, with what to write instead."""
    with pytest.raises(BadValueError) as caught:
        parse_listener_address(text)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["127.0.0.1:9080", "[::1]:9080", "127.9.9.9:0", "localhost:1"])
def test_the_admin_api_listens_on_the_loopback(text: str) -> None:
    """Every address of the loopback is taken."""
    assert parse_admin_address(text).port in {9080, 0, 1}


@pytest.mark.parametrize("text", ["0.0.0.0:9080", "10.0.0.1:9080", "[::]:9080", "example.com:9080"])
def test_the_admin_api_listens_nowhere_else(text: str) -> None:
    """An address that others can reach is refused, and the message says why."""
    with pytest.raises(BadValueError, match="no token yet: whoever reaches the admin API may use"):
        parse_admin_address(text)


def test_the_admin_socket_has_a_key_of_its_own() -> None:
    """A unix socket in the wrong place is told the right one."""
    with pytest.raises(BadValueError, match="`socket: /path`"):
        parse_admin_address("unix:/run/admin.sock")


@pytest.mark.parametrize(
    "text",
    [
        *("10.0.0.1:1", "[2001:db8::1]:65535", "127.0.0.1:443", "unix:/run/x.sock"),
        *("vsock:0:1", "vsock:16:8443", "vsock:4294967294:4294967294"),
    ],
)
def test_backends_are_dialled_at_addresses_and_sockets(text: str) -> None:
    """What is written back is what was read."""
    assert str(parse_backend_address(text)) == text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("enclaves.internal:443", "give an IP address, or {dns: {name, port}} for a name"),
        ("10.0.0.1:0", "a port from 1 to 65535"),
        ("0.0.0.0:443", "one host"),
        ("[::]:443", "one host"),
        ("224.0.0.1:443", "one host"),
        ("vsock:16", "found 'vsock:16', expected vsock:CID:PORT, such as vsock:16:8443"),
        ("vsock:any:8443", "a CID from 0 and a port from 1, both up to 4294967294"),
        ("vsock:4294967295:1", "both up to 4294967294"),
        ("vsock:1:4294967295", "both up to 4294967294"),
        ("vsock:1:0", "a port from 1"),
        ("vsock:016:1", "expected vsock:CID:PORT"),
        ("vsock:-1:1", "expected vsock:CID:PORT"),
        ("vsock:\u0663:1", "expected vsock:CID:PORT"),
        ("vsock:enclave:1", "expected vsock:CID:PORT"),
        ("unix:run/x", "expected unix: and an absolute path, such as unix:/run/app.sock"),
        ("unix:", "expected unix: and an absolute path"),
        ("unix:/run//x", "did you mean unix:/run/x?"),
    ],
)
def test_backends_are_dialled_nowhere_else(text: str, said: str) -> None:
    """What names no single host and port is refused."""
    with pytest.raises(BadValueError) as caught:
        parse_backend_address(text)
    assert said in str(caught.value)


@pytest.mark.parametrize("parse", PARSERS)
@given(address=st.ip_addresses(), port=st.integers(0, 70_000))
def test_an_address_that_is_read_has_one_spelling(
    parse: Callable[[object], Address], address: object, port: int
) -> None:
    """Whatever is taken is written in a way that is read as the same."""
    text = f"[{address}]:{port}" if ":" in str(address) else f"{address}:{port}"
    try:
        found = parse(text)
    except BadValueError:
        return
    assert parse(str(found)) == found


@pytest.mark.parametrize("parse", PARSERS)
@given(text=st.text(alphabet="0123456789.:[]%*abfunix/\n", max_size=30))
def test_any_text_is_an_address_or_a_mistake(parse: Callable[[object], Address], text: str) -> None:
    """Nothing but BadValueError is raised, and its message stays on one line."""
    try:
        said = str(parse(text))
    except BadValueError as error:
        said = str(error)
    assert "\n" not in said


def test_a_unix_socket_has_a_path_and_no_port() -> None:
    """The path is the host; port 0 tells that it is one."""
    assert parse_backend_address("unix:/run/x.sock") == Address("/run/x.sock", 0)


def test_a_vsock_has_a_context_id_and_a_port() -> None:
    """The id is in the host."""
    found = parse_backend_address("vsock:16:8443")
    assert (found, found.cid) == (Address("vsock:16", 8443), 16)


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("10.0.0.2", Address("10.0.0.2", 53)),
        ("2001:db8::2", Address("2001:db8::2", 53)),
        ("10.0.0.2:5353", Address("10.0.0.2", 5353)),
        ("[2001:db8::2]:53", Address("2001:db8::2", 53)),
        ("127.0.0.53", Address("127.0.0.53", 53)),
    ],
)
def test_resolvers_are_asked_on_port_53(text: str, address: Address) -> None:
    """Unless another port is given."""
    assert parse_resolver(text) == address


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("dns.example.com:53", "expected an IP address, or one with a port, such as 10.0.0.2"),
        ("dns.example.com", "the port is a number up to 65535"),
        ("10.0.0.2:0", "one host and a port from 1 to 65535"),
        ("224.0.0.1", "one host and a port from 1 to 65535"),
        (5, "found 5, expected an IP address"),
        ((), "found a list"),
    ],
)
def test_resolvers_are_nothing_else(text: object, said: str) -> None:
    """Who resolves names has none of its own."""
    with pytest.raises(BadValueError) as caught:
        parse_resolver(text)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["10.0.0.5", "2001:db8::5", "127.0.0.2"])
def test_sources_are_addresses_of_hosts(text: str) -> None:
    """The kernel chooses the port."""
    assert str(parse_source(text)) == text


@pytest.mark.parametrize("text", ["10.0.0.5:0", "::", "224.0.0.1", "eth0", 5, True])
def test_sources_are_nothing_else(text: object) -> None:
    """What names no single host, or a port too, is refused."""
    with pytest.raises(BadValueError, match="expected an IP address of this machine, without a po"):
        parse_source(text)


@pytest.mark.parametrize(
    ("text", "network"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("2001:DB8::/32", "2001:db8::/32"),
        ("::1", "::1/128"),
        ("0.0.0.0/0", "0.0.0.0/0"),
        ("::/0", "::/0"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
        ("::ffff:10.0.0.1", "10.0.0.1/32"),
        ("::ffff:0:0/96", "0.0.0.0/0"),
    ],
)
def test_networks_are_addresses_with_a_prefix(text: str, network: str) -> None:
    """A bare address is a network of one; what is mapped into IPv6 is the IPv4 network."""
    assert str(parse_network(text)) == network


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("10.0.0.1/8", "expected an IP address or a network, such as 10.0.0.0/8 (did you mean 10"),
        ("10.0.0.1/8", "(did you mean 10.0.0.0/8?)"),
        ("2001:db8::1/32", "(did you mean 2001:db8::/32?)"),
        ("10.0.0.0/33", "found '10.0.0.0/33', expected an IP address or a network"),
        ("10.0.0.0/255.0.0.0", "expected an IP address or a network"),
        ("10.0.0.0/", "expected an IP address or a network"),
        ("fe80::%eth0/64", "expected an IP address or a network"),
        ("010.0.0.0/8", "expected an IP address or a network"),
        ("localhost", "expected an IP address or a network"),
        (10, "found 10, expected an IP address or a network"),
    ],
)
def test_networks_are_nothing_else(text: object, said: str) -> None:
    """A network whose address has bits beyond its prefix may be a slip: it is not guessed."""
    with pytest.raises(BadValueError) as caught:
        parse_network(text)
    assert said in str(caught.value)


@pytest.mark.parametrize("parse", BARE)
@given(text=st.text(alphabet="0123456789.:/%abf", max_size=24))
def test_any_text_is_bare_or_a_mistake(parse: Callable[[object], object], text: str) -> None:
    """What is taken has one spelling, which is taken again; the rest is a BadValueError."""
    try:
        found = parse(text)
    except BadValueError:
        return
    assert parse(str(found)) == found
