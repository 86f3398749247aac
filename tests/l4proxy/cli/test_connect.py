"""`l4proxy connect` as a script runs it."""

import json
import socket
from pathlib import Path

import pytest

from l4proxy.cli.command import Exit
from tests.l4proxy.cli.calls import call
from tests.ports import free_port

POLICY = "accept: [{simulated: {insecure_any_measurement: true}}]\nallow_simulated: true\n"


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    """A policy that accepts every simulated TEE."""
    file = tmp_path / "policy.yaml"
    file.write_text(POLICY, encoding="utf-8")
    return file


def test_nobody_is_there(policy: Path) -> None:
    """A script that reaches nobody gets status 1, and the reason as JSON."""
    run = call("connect", "--policy", policy, "--once", f"127.0.0.1:{free_port()}")
    assert run.returncode == Exit.FAILED
    document = json.loads(run.stdout)
    assert document["verdict"] == "refused"
    assert document["fault"] == "unreachable"


def test_a_wrong_policy_file(tmp_path: Path) -> None:
    """A policy with a mistake is status 2, told with its place; nothing is connected."""
    file = tmp_path / "policy.yaml"
    file.write_text("accept: []\nallow_debug: perhaps\n", encoding="utf-8")
    run = call("connect", "--policy", file, "--once", "127.0.0.1:9")
    assert run.returncode == Exit.UNUSABLE
    assert f"{file}:" in run.stderr
    assert not run.stdout


def test_wishes_that_cannot_be_had(policy: Path) -> None:
    """A set where the policy, or an option, excludes it is status 2."""
    policy.write_text(POLICY + "set: refuse\n", encoding="utf-8")
    run = call("connect", "--policy", policy, "--once", "--reattest", "always", "127.0.0.1:9")
    assert run.returncode == Exit.UNUSABLE
    assert "one or the other" in run.stderr


def test_no_policy_file(tmp_path: Path) -> None:
    """A file that is not there is status 2."""
    run = call("connect", "--policy", tmp_path / "none.yaml", "--once", "127.0.0.1:9")
    assert run.returncode == Exit.UNUSABLE
    assert "cannot be read" in run.stderr


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--once", "--listen", "127.0.0.1:8080", "127.0.0.1:9"], "not allowed with"),
        (["127.0.0.1:9"], "one of the arguments --listen --once is required"),
        (["--listen", "192.0.2.1:8080", "127.0.0.1:9"], "loopback"),
        (["--listen", "example.com:8080", "127.0.0.1:9"], "example.com"),
        (["--once", "unix:/path"], "expected host:port"),
        (["--once", "127.0.0.1"], "expected host:port"),
        (["--once", "--on-switch", "maybe", "127.0.0.1:9"], "invalid choice"),
        (["--once", "--server-name", "no name", "127.0.0.1:9"], "no name"),
    ],
)
def test_arguments_that_make_no_sense(policy: Path, arguments: list[str], word: str) -> None:
    """They are told, and nothing is started."""
    run = call("connect", "--policy", policy, *arguments)
    assert run.returncode == Exit.UNUSABLE
    assert word in run.stderr


def test_a_port_that_is_taken(policy: Path) -> None:
    """Status 1 with the reason, and no traceback."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        local = "{}:{}".format(*taken.getsockname())
        run = call("connect", "--policy", policy, "--listen", local, "127.0.0.1:9")
    assert run.returncode == Exit.FAILED
    assert run.stderr == f"l4proxy: cannot listen on {local}: Address already in use\n"


def test_help_has_examples() -> None:
    """Both ways stand in the help."""
    text = call("connect", "--help").stdout
    assert "--once app.example.com:443" in text
    assert "--listen 127.0.0.1:8080" in text
