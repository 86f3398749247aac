"""An authority for one demo: its clients trust what it issues, for one name; nobody else does."""

import ssl
import stat
from pathlib import Path

import pytest
from cryptography import x509

from l4proxy.demo.certificates import Authority


def shake(client: ssl.SSLContext, server: ssl.SSLContext, name: str) -> str:
    """A handshake in memory; the subject that the client verified."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=name)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (asking, answering):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
    shown = asking.getpeercert(binary_form=True)
    assert shown is not None
    (subject,) = x509.load_der_x509_certificate(shown).subject
    return str(subject.value)


def test_a_certificate_is_verified(tmp_path: Path) -> None:
    """A client of the authority sees whose certificate it is."""
    authority = Authority(tmp_path)
    server = authority.server_context("alpha", "app.example.test")
    assert shake(authority.client_context(), server, "app.example.test") == "alpha"


def test_another_name_is_not_accepted(tmp_path: Path) -> None:
    """A certificate is good for the name that it was issued for."""
    authority = Authority(tmp_path)
    server = authority.server_context("alpha", "app.example.test")
    with pytest.raises(ssl.SSLCertVerificationError, match="not valid for"):
        shake(authority.client_context(), server, "api.example.test")


def test_another_authority_is_not_trusted(tmp_path: Path) -> None:
    """Clients of one demo do not trust another's servers."""
    server = Authority(tmp_path).server_context("alpha", "app.example.test")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake(Authority(tmp_path).client_context(), server, "app.example.test")


def test_keys_are_readable_by_their_owner_alone(tmp_path: Path) -> None:
    """A key on the disk, even for a demo, is nobody else's."""
    Authority(tmp_path).server_context("alpha", "app.example.test")
    assert stat.S_IMODE((tmp_path / "alpha.pem").stat().st_mode) == 0o600
