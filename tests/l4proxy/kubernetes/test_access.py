"""Tokens, certificates and files: each is one, or is refused."""

import os
from pathlib import Path

import pytest

from l4proxy.kubernetes import ApiError
from l4proxy.kubernetes import access as module
from l4proxy.kubernetes.access import MAX_TOKEN_BYTES, checked_token, read_text, tls_context
from tests.kubernetes_api.certificates import authority


@pytest.mark.parametrize("found", ["", " \n", "a\nb", "é", "x" * (MAX_TOKEN_BYTES + 1), "a\x00"])
def test_a_token_is_one_word_that_fits_a_header(found: str) -> None:
    """Anything else is no token, and the message does not quote it."""
    with pytest.raises(ApiError) as caught:
        checked_token(found, "here")
    assert str(caught.value).endswith("here: found no token, expected one on a line")


def test_files_are_bounded_and_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is too long or no text is refused."""
    monkeypatch.setattr(module, "MAX_CREDENTIAL_BYTES", 4)
    path = tmp_path / "x"
    for data, said in ((b"12345", "at most 4 bytes"), (b"\xff", "no text")):
        path.write_bytes(data)
        with pytest.raises(ApiError, match=said):
            read_text(path)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    """Nobody may ever write into it."""
    os.mkfifo(tmp_path / "x")
    with pytest.raises(ApiError, match="no regular file"):
        read_text(tmp_path / "x")


def test_an_authority_may_have_comments() -> None:
    """In any language, as bundles of certificates do."""
    assert tls_context(f"# Főtanúsítvány\n{authority()}").get_ca_certs()


def test_an_authority_has_to_be_one() -> None:
    """What is no certificate is refused; nobody is believed instead."""
    for found in ("", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(ApiError, match="certificate authority"):
            tls_context(found)
