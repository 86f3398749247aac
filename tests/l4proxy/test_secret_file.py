"""Files with secrets: nobody else reads them, and none is written over."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from l4proxy.secret_file import (
    MAX_SECRET_FILE_BYTES,
    BadSecretFile,
    no_password,
    read_secret,
    read_token,
    write_secret,
)


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """A new file has mode 0600 whatever the umask allows, and holds what was written."""
    before = os.umask(0)
    try:
        write_secret(tmp_path / "secret", b"words")
    finally:
        os.umask(before)
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
    assert read_secret(tmp_path / "secret") == b"words"


@pytest.mark.parametrize("dangling", [True, False])
def test_nothing_is_written_over(tmp_path: Path, dangling: bool) -> None:
    """A name that exists stays as it is, a link that leads nowhere included."""
    path = tmp_path / "secret"
    if dangling:
        path.symlink_to(tmp_path / "elsewhere")
    else:
        path.write_bytes(b"first")
    with pytest.raises(FileExistsError):
        write_secret(path, b"second")
    assert not (tmp_path / "elsewhere").exists()
    assert dangling or path.read_bytes() == b"first"


def test_half_a_secret_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be written to its end leaves no file behind."""

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_secret(tmp_path / "secret", b"words")
    assert not list(tmp_path.iterdir())


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """He may read it and change it, whatever its mode; root may in any case."""
    path = tmp_path / "secret"
    write_secret(path, b"words")
    real = os.fstat

    def of(owner: int) -> Callable[[int], os.stat_result]:
        return lambda descriptor: os.stat_result(
            owner if place == stat.ST_UID else value for place, value in enumerate(real(descriptor))
        )

    monkeypatch.setattr(os, "fstat", of(os.geteuid() + 4242))
    with pytest.raises(BadSecretFile, match="the secret of another user"):
        read_secret(path)
    monkeypatch.setattr(os, "fstat", of(0))
    assert read_secret(path) == b"words"


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o602, 0o610, 0o601, 0o666])
def test_a_file_that_others_may_use_is_refused(tmp_path: Path, mode: int) -> None:
    """Reading says which mode was found and how to mend it, and never what the file holds."""
    path = tmp_path / "secret"
    path.write_bytes(b"words")
    path.chmod(mode)
    with pytest.raises(BadSecretFile, match=f"found mode {mode:04o}, expected 0600") as caught:
        read_secret(path)
    assert "words" not in str(caught.value)


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_of_its_owner_alone_is_read(tmp_path: Path, mode: int) -> None:
    """Whether the owner may write it does not matter."""
    path = tmp_path / "secret"
    path.write_bytes(b"words")
    path.chmod(mode)
    assert read_secret(path) == b"words"


def test_a_file_that_is_too_long_is_refused(tmp_path: Path) -> None:
    """No more is read than a secret can take."""
    path = tmp_path / "secret"
    write_secret(path, bytes(MAX_SECRET_FILE_BYTES))
    assert len(read_secret(path)) == MAX_SECRET_FILE_BYTES
    with path.open("ab") as file:
        file.write(b"x")
    with pytest.raises(BadSecretFile, match="more than 4096 bytes"):
        read_secret(path)


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    """A named pipe without a writer is refused, not waited for."""
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(BadSecretFile, match="no plain file"):
        read_secret(tmp_path / "pipe")


def test_a_missing_file_is_the_systems_error(tmp_path: Path) -> None:
    """What the system says about a file is passed on."""
    with pytest.raises(FileNotFoundError):
        read_secret(tmp_path / "none")


def test_a_token_is_one_word(tmp_path: Path) -> None:
    """Blanks around it are none of it; anything else is refused, and not repeated."""
    path = tmp_path / "token"
    path.touch(0o600)
    path.write_bytes(b" s3cret~\n")
    assert read_token(path) == "s3cret~"
    for found in (b"", b" \n", b"two words", b"one\nother", b"s\xc3\xa9cret", b"nul\0"):
        path.write_bytes(found)
        with pytest.raises(BadSecretFile) as caught:
            read_token(path)
        assert str(caught.value) == f"{path}: found no token, expected one of visible ASCII"


def test_nobody_is_asked_for_a_password() -> None:
    """A key that is under one cannot be used, and the message says so."""
    with pytest.raises(BadSecretFile, match="under a password, expected one without"):
        no_password()
