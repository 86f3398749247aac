"""Promises of `l4proxy.agent.addresses`: what a text names, and that it can be listened on."""

import socket

import pytest

from l4proxy.agent.addresses import Address, parse_address


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1:8443", Address(socket.AF_INET, ("127.0.0.1", 8443))),
        ("[::1]:8443", Address(socket.AF_INET6, ("::1", 8443))),
        ("unix:/run/app.sock", Address(socket.AF_UNIX, "/run/app.sock")),
        ("vsock:16:8443", Address(socket.AF_VSOCK, (16, 8443))),
    ],
)
def test_addresses_are_read_and_written(text: str, address: Address) -> None:
    """Each form names one place, and is written as it was read."""
    assert parse_address(text) == address
    assert str(address) == text


def test_any_vsock_is_every_cid() -> None:
    """An enclave need not know its own CID."""
    assert parse_address("vsock:any:1").place == (socket.VMADDR_CID_ANY, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "8443",
        "localhost:8443",
        "127.0.0.1:65536",
        "::1:8443",
        "unix:run/app.sock",
        "unix:/" + "x" * 108,
        "vsock:8443",
        "vsock:4294967296:1",
        "vsock:1:4294967296",
        "1.2.3.4.5:80",
        "999.0.0.1:80",
        "[127.0.0.1]:80",
    ],
)
def test_what_names_no_place_is_refused(text: str) -> None:
    """Names, missing brackets and numbers out of range are errors."""
    with pytest.raises(ValueError):  # noqa: PT011 - ipaddress has words of its own for some
        parse_address(text)


def test_a_taken_address_is_told() -> None:
    """Who listens in vain reads where."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1:{port}"):
            parse_address(f"127.0.0.1:{port}").bind()


def test_vsock_can_be_listened_on_where_there_is_one() -> None:
    """A listener on vsock takes connections from the same machine."""
    address = parse_address("vsock:any:47123")
    try:
        listener = address.bind()
        listener.listen()
    except OSError as error:
        pytest.skip(f"this kernel has no vsock: {error}")
    with listener, socket.socket(socket.AF_VSOCK, socket.SOCK_STREAM) as client:
        client.settimeout(5)
        try:
            client.connect((1, 47123))  # VMADDR_CID_LOCAL
        except OSError as error:
            pytest.skip(f"this kernel has no vsock to itself: {error}")
        listener.settimeout(5)
        accepted, _ = listener.accept()
        accepted.close()
