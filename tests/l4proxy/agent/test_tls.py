"""Promises of `l4proxy.agent.tls`: what a server says yes to."""

import ssl
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from l4proxy.agent.certificates import BadCertificate
from l4proxy.agent.tls import reader_context, server_context
from l4proxy.evidence_wire import ALPN
from tests.l4proxy.agent.credentials import credentials

KEY = bytes(80)


def test_old_versions_are_refused() -> None:
    """TLS 1.2 and 1.3 alone."""
    assert server_context(credentials(), KEY, ()).minimum_version is ssl.TLSVersion.TLSv1_2


def descriptors() -> set[str]:
    """Those that are open, but for the one that lists them."""
    return {path.name for path in Path("/proc/self/fd").iterdir()}


def test_the_key_is_in_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Loading writes nothing to a file system, and leaves no descriptor behind."""
    monkeypatch.chdir(tmp_path)
    open_files = descriptors()
    server_context(credentials(), KEY, (ALPN,))
    assert descriptors() == open_files
    assert not list(tmp_path.iterdir())


def test_a_key_that_does_not_belong_is_told() -> None:
    """A certificate of another key, and what is no key at all, are named so."""
    one, other = credentials(), credentials()
    with pytest.raises(BadCertificate, match="key values mismatch"):
        server_context(replace(one, key=other.key), KEY, ())
    with pytest.raises(BadCertificate, match="key and certificate"):
        server_context(replace(one, key=b"no key"), KEY, ())


def test_no_terminal_is_asked_for_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encrypted key is refused: OpenSSL's prompt would wait for somebody who is not there."""
    one = credentials()
    locked = load_pem_private_key(one.key, None).private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"word")
    )
    asked: list[object] = []
    real = ssl.SSLContext.load_cert_chain

    def load(context: ssl.SSLContext, path: str, password: str | None = None) -> None:
        asked.append(password)
        real(context, path, password=password or "")

    monkeypatch.setattr(ssl.SSLContext, "load_cert_chain", load)
    with pytest.raises(BadCertificate, match="key and certificate"):
        server_context(replace(one, key=locked), KEY, ())
    assert asked == [""]


def test_readers_show_themselves_each_time() -> None:
    """TLS 1.3 alone, and no tickets, so that nobody comes back on one."""
    context = reader_context(credentials())
    assert context.minimum_version is ssl.TLSVersion.TLSv1_3
    assert context.num_tickets == 0
