"""Where an actuator that is asked listens."""

import ssl
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import ValidationError

from l4proxy.actuators.listening import ListenSettings, server_context
from routing import Address
from tests.e2e.certificates import Authority
from tests.l4proxy.actuators.orders import read


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("0.0.0.0:8090", Address("0.0.0.0", 8090)),  # noqa: S104 - as a cluster has it
        ("'[::1]:0'", Address("::1", 0)),
        ("unix:/run/l4proxy/keda.sock", Address("/run/l4proxy/keda.sock", 0)),
    ],
)
def test_an_address_is_one_of_tcp_or_a_path(text: str, address: Address) -> None:
    """As listeners of clients have it, and a unix socket as well."""
    settings = read(ListenSettings, f"listen: {text}")
    assert settings.listen == address
    assert server_context(settings) is None
    assert hash(settings) == hash(read(ListenSettings, f"listen: {text}"))


@pytest.mark.parametrize("text", ["8090", "keda:8090", "unix:keda.sock", "systemd:a", "[]"])
def test_another_address_is_a_mistake(text: str) -> None:
    """A name is not resolved."""
    with pytest.raises(ValidationError, match="expected"):
        read(ListenSettings, f"listen: {text}")


def test_a_certificate_needs_its_key() -> None:
    """And the key its certificate."""
    with pytest.raises(ValidationError, match="only one of certificate and key"):
        read(ListenSettings, "listen: 127.0.0.1:0\nkey: /etc/key.pem")


def test_with_a_certificate_there_is_tls(tmp_path: Path) -> None:
    """Of 1.2 at least."""
    own = Authority(tmp_path).issue("l4proxy")
    text = f"listen: 127.0.0.1:0\ncertificate: {own.certificate}\nkey: {own.key}"
    context = server_context(read(ListenSettings, text))
    assert context is not None
    assert context.minimum_version is ssl.TLSVersion.TLSv1_2


def test_nobody_is_asked_for_the_password_of_a_key(tmp_path: Path) -> None:
    """A daemon that waits at a terminal would be a silent one."""
    own = Authority(tmp_path).issue("l4proxy")
    key = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"word"),
    )
    (tmp_path / "locked").write_bytes(key)
    text = f"listen: 127.0.0.1:0\ncertificate: {own.certificate}\nkey: {tmp_path}/locked"
    with pytest.raises(ValueError, match="under a password"):
        server_context(read(ListenSettings, text))
