"""`l4proxy routing-key`, `ticket-name`, `ticket-key`: from a key to a name to an enclave's file."""

import io
import json
import os
import pty
import subprocess
import sys
from base64 import b64decode
from pathlib import Path

import pytest

from l4proxy.cli import main
from l4proxy.routable import RoutingKey, RoutingKeys
from routing import MAX_SERVER_ID
from tests.l4proxy.cli.calls import PATIENCE, ROOT, call

NAME = "00112233445566778899aabbccddeeff"


@pytest.fixture
def routing_key(tmp_path: Path) -> Path:
    """A key file as the command makes it."""
    path = tmp_path / "routing.key"
    assert main(["routing-key", str(path)]) == 0
    return path


def test_a_routing_key_is_made(routing_key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The file is the owner's alone, can be loaded, and nothing of it is printed."""
    assert routing_key.stat().st_mode & 0o777 == 0o600
    secret = RoutingKey.load(routing_key).secret
    told = capsys.readouterr()
    assert secret.hex() not in told.out + told.err


def test_names_lead_to_their_server(routing_key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Each line is 32 hex digits that the balancers' key reads; no two are alike."""
    keys = RoutingKeys([RoutingKey.load(routing_key)])
    for server in (0, 7, MAX_SERVER_ID):
        asked = ["--server-id", str(server), "--key", str(routing_key), "--count", "3"]
        assert main(["ticket-name", *asked]) == 0
        lines = capsys.readouterr().out.splitlines()
        assert len(lines) == len(set(lines)) == 3
        assert all(len(line) == 32 for line in lines)
        assert {keys.server_id(bytes.fromhex(line)) for line in lines} == {server}


def test_one_name_is_the_default(routing_key: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Without --count there is one name; with --json it is a document."""
    asked = ["ticket-name", "--server-id", "7", "--key", str(routing_key)]
    assert main(asked) == 0
    assert len(capsys.readouterr().out) == 33
    assert main([*asked, "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["server_id", "names"]
    assert document["server_id"] == 7
    (name,) = document["names"]
    assert len(name) == 32


def test_a_name_holds_no_secret(routing_key: Path) -> None:
    """What is printed has nothing of the routing key."""
    run = call("ticket-name", "--server-id", "7", "--key", routing_key)
    assert RoutingKey.load(routing_key).secret.hex() not in run.stdout + run.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ["--server-id", "-1"],
        ["--server-id", str(MAX_SERVER_ID + 1)],
        ["--server-id", "9" * 5_000],
        ["--server-id", "seven"],
        ["--server-id", "\N{ARABIC-INDIC DIGIT SEVEN}"],
        ["--server-id", "7", "--count", "0"],
        ["--server-id", "7", "--count", "many"],
        [],
    ],
)
def test_unusable_numbers_are_status_2(
    routing_key: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A number that is none, or has no room, mints nothing."""
    with pytest.raises(SystemExit, match="2"):
        main(["ticket-name", "--key", str(routing_key), *wrong])
    assert capsys.readouterr().out == ""


def test_an_unusable_routing_key_is_status_2(
    routing_key: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A key that is missing, open to others or none at all is told on standard error."""
    asked = ["ticket-name", "--server-id", "7", "--key"]
    assert main([*asked, str(tmp_path / "none")]) == 2
    assert "none cannot be read: No such file" in capsys.readouterr().err
    routing_key.chmod(0o640)
    assert main([*asked, str(routing_key)]) == 2
    assert "found mode 0640, expected 0600" in capsys.readouterr().err
    routing_key.chmod(0o600)
    routing_key.write_bytes(b"words")
    assert main([*asked, str(routing_key)]) == 2
    told = capsys.readouterr()
    assert "no routing key" in told.err
    assert told.out == ""


@pytest.mark.parametrize(
    ("arguments", "size"),
    [
        ([], 80),
        (["--format", "nginx80"], 80),
        (["--format", "nginx48"], 48),
        (["--format", "openssl"], 80),
        (["--format", "boringssl"], 48),
        (["--format", "node"], 48),
    ],
)
def test_a_ticket_key_is_made(
    tmp_path: Path, arguments: list[str], size: int, capsys: pytest.CaptureFixture[str]
) -> None:
    """The file is the owner's alone, the name stands in front, and nothing is printed."""
    path = tmp_path / "ticket.key"
    assert main(["ticket-key", "--name", NAME, "--output", str(path), *arguments]) == 0
    key = path.read_bytes()
    assert (len(key), key[:16].hex()) == (size, NAME)
    assert path.stat().st_mode & 0o777 == 0o600
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(("key_format", "size"), [("haproxy", 80), ("haproxy48", 48)])
def test_haproxys_lines(tmp_path: Path, key_format: str, size: int) -> None:
    """Each line of HAProxy's file is a key with the name in front."""
    path = tmp_path / "ticket.keys"
    main(["ticket-key", "--name", NAME, "--format", key_format, "--output", str(path)])
    keys = [b64decode(line) for line in path.read_bytes().splitlines()]
    assert [(len(key), key[:16].hex()) for key in keys] == [(size, NAME)] * 3


@pytest.mark.parametrize("command", [["routing-key"], ["ticket-key", "--name", NAME, "--output"]])
def test_nothing_is_written_over(
    tmp_path: Path, command: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A file that exists stays, and so does a folder that does not exist: status 2."""
    path = tmp_path / "file"
    path.write_bytes(b"first")
    assert main([*command, str(path)]) == 2
    assert f"{path} cannot be made: File exists" in capsys.readouterr().err
    assert path.read_bytes() == b"first"
    assert main([*command, str(tmp_path / "none" / "file")]) == 2
    assert "cannot be made: No such file" in capsys.readouterr().err


def test_a_pipe_takes_the_key(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without --output the bytes go to standard output as they are, where that is no terminal."""
    pipe = io.TextIOWrapper(io.BytesIO())
    monkeypatch.setattr(sys, "stdout", pipe)
    assert main(["ticket-key", "--name", NAME]) == 0
    pipe.flush()
    raw = pipe.buffer
    assert isinstance(raw, io.BytesIO)
    assert (len(raw.getvalue()), raw.getvalue()[:16].hex()) == (80, NAME)


def test_a_terminal_is_shown_no_secret() -> None:
    """Without --output a terminal gets nothing: status 2, and the way out is told."""
    ours, theirs = pty.openpty()
    with os.fdopen(ours, "rb", 0) as screen, os.fdopen(theirs, "wb", 0) as terminal:
        run = subprocess.run(
            [sys.executable, "-m", "l4proxy", "ticket-key", "--name", NAME],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=terminal,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )
        os.set_blocking(screen.fileno(), False)
        assert screen.read(1_000) is None
    assert run.returncode == 2
    assert b"expected --output FILE" in run.stderr


@pytest.mark.parametrize(
    "wrong",
    [
        ["--name", NAME[:-1]],
        ["--name", NAME + "0"],
        ["--name", NAME[:-2] + " f"],
        ["--name", " ".join([NAME[:16], NAME[16:]])],
        ["--name", "g" * 32],
        ["--name", NAME, "--format", "apache"],
        [],
    ],
)
def test_unusable_names_are_status_2(
    tmp_path: Path, wrong: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    """A name that is not 32 hex digits, or a format that nobody reads, makes no file."""
    with pytest.raises(SystemExit, match="2"):
        main(["ticket-key", "--output", str(tmp_path / "key"), *wrong])
    assert not list(tmp_path.iterdir())
    assert "expected" in capsys.readouterr().err or not wrong
