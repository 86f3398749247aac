"""Signatures of documents, by the published scheme."""

import base64
from pathlib import Path

import pytest

from l4proxy.actuators.signature import read_key, signed_headers
from l4proxy.secret_file import BadSecretFile

# The worked example of the specification's reference libraries.
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
NAME = "msg_p5jXN8AQM9LWM0D4loKWxJek"
SIGNATURE = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A file for a secret."""
    path = tmp_path / "hook.secret"
    path.touch(0o600)
    return path


def test_the_published_example_is_signed_alike(file: Path) -> None:
    """So the libraries of others can check what we send."""
    file.write_text(f"{SECRET}\n")
    body = b'{"test": 2432232314}'
    assert signed_headers(read_key(file), NAME, 1_614_265_330.9, body) == {
        "Webhook-Id": NAME,
        "Webhook-Timestamp": "1614265330",
        "Webhook-Signature": SIGNATURE,
    }


def test_without_a_key_there_is_no_signature() -> None:
    """Its id and its time are told all the same."""
    assert set(signed_headers(None, NAME, 1.0, b"")) == {"Webhook-Id", "Webhook-Timestamp"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "whsec_",
        SECRET.removeprefix("whsec_"),
        "whsec_***",
        "whsec_ü",
        "whsec_" + base64.b64encode(bytes(23)).decode(),
        "whsec_" + base64.b64encode(bytes(65)).decode(),
    ],
)
def test_what_is_no_key_is_refused_and_not_repeated(file: Path, text: str) -> None:
    """Too short is no key either."""
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadSecretFile, match="expected whsec_ and the base64 of 24 to 64") as caught:
        read_key(file)
    assert "***" not in str(caught.value)


def test_a_key_that_others_can_read_is_none(file: Path) -> None:
    """As every other secret."""
    file.write_text(SECRET)
    file.chmod(0o644)
    with pytest.raises(BadSecretFile, match="0644"):
        read_key(file)
